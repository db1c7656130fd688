"""Where files of a capture were, where they are in it, and where a restore writes them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pivori.components.base import ComponentFailed, Json, Report, RestoreRequest, Source
from pivori.translation import N_


class PathNotCaptured(ComponentFailed):
    """One path is wanted, and the capture does not have it."""

    code = "path-not-captured"
    message = N_("{path} is not in the recovery point; it has: {paths}.")
    hint = N_("Give a path of the component, as it was on the machine.")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file or folder: ``original`` is where it was, ``stored`` where it is in the capture: below the path where it
    was read. ``root`` is the folder of the stack then, ``link`` a symbolic link by which the configuration names it.
    """

    original: Path
    stored: str
    is_folder: bool
    link: Path | None = None
    root: Path = Path("/")

    @property
    def read_from(self) -> Path:
        """Where it was read."""
        return Path("/") / self.stored

    def fact(self) -> Mapping[str, Json]:
        """What a report keeps of it."""
        fact: dict[str, Json] = {"path": str(self.original), "stored": self.stored, "folder": self.is_folder}
        return fact if self.link is None else {**fact, "link": str(self.link)}

    def files(self, source: Source) -> Iterator[tuple[str, int]]:
        """Its files in the capture, with their lengths. Raises NotCaptured."""
        if self.is_folder:
            yield from ((file.path, file.size) for file in source.files(self.stored))
            return
        folder = self.stored.rpartition("/")[0]
        yield from ((file.path, file.size) for file in source.files(folder) if file.path == self.stored)

    def target(self, request: RestoreRequest) -> Path:
        """Where a restore writes it.

        What lay in the folder of the stack goes into the one that takes its place; anything else to where it was, or
        to its full path below the folder of the component.
        """
        if self.original.is_relative_to(self.root):
            return request.root / self.original.relative_to(self.root)
        return self.original if request.to is None else request.to / self.original.relative_to("/")

    def written(self, path: str, target: Path) -> Path:
        """Where a file of the capture is after :meth:`write`."""
        return target / PurePosixPath(path).relative_to(self.stored) if self.is_folder else target

    def in_the_way(self, source: Source, request: RestoreRequest) -> Sequence[Path]:
        """What a restore moves aside: the target as a whole.

        Of a folder that cannot be moved, or that is shared with other components, only what the capture has too.
        """
        target = self.target(request)
        if not os.path.lexists(target):
            return []
        is_shared = request.to is not None and target == request.root
        if not self.is_folder or not target.is_dir() or target.is_symlink():
            return [target]
        if is_shared:
            names = {PurePosixPath(path).relative_to(self.stored).parts[0] for path, _length in self.files(source)}
            return [target / name for name in sorted(names) if os.path.lexists(target / name)]
        if os.path.ismount(target):
            return sorted(target.iterdir())
        return [target]

    def write(self, source: Source, target: Path) -> int:
        """Write it: bytes written. Raises NotCaptured and what a restore raises."""
        if self.is_folder:
            return source.write_tree(self.stored, target)
        folder, _, name = self.stored.rpartition("/")
        written = source.write_tree(folder, target.parent, only=[name])
        if target.name != name:
            (target.parent / name).rename(target)
        return written


def places_of(report: Report) -> Sequence[Place]:
    """The places that a report knows."""
    root = Path(report.facts["root"])
    return [
        Place(
            original=Path(fact["path"]),
            stored=fact["stored"],
            is_folder=fact["folder"],
            link=Path(fact["link"]) if "link" in fact else None,
            root=root,
        )
        for fact in report.facts["paths"]
    ]


def wanted_places(source: Source, request: RestoreRequest) -> Sequence[Place]:
    """The places that a restore is to write: all, or the one of the setting ``path``. Raises PathNotCaptured."""
    report = source.report
    places = places_of(report)
    wanted = request.settings.get("path")
    if not wanted:
        return places
    path = Path(os.path.normpath(Path(report.facts["root"]) / wanted))
    for place in places:
        if path == place.original:
            return [place]
        if place.is_folder and path.is_relative_to(place.original):
            stored = f"{place.stored}/{path.relative_to(place.original)}".lstrip("/")
            for file, _length in place.files(source):
                if file == stored or file.startswith(f"{stored}/"):
                    return [replace(place, original=path, stored=stored, is_folder=file != stored, link=None)]
    raise PathNotCaptured(path=wanted, paths=", ".join(str(place.original) for place in places))
