"""Files and folders, as they lie on the disk or in a frozen view of it.

In a capture each path lies below its full path, ``/srv/app`` in ``srv/app``; what is read in a frozen view, below that
of the view. The report's fact ``paths`` says of each where it was and where it is in the capture.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.file_places import Place, places_of, wanted_places
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase

_LOOK_SECONDS: Final = 1.5
"""How long an inspection counts files."""
_MOST_TOLD: Final = 20


class PathMissing(ComponentFailed):
    """Something that is to be captured is not there."""

    code = "path-missing"
    message = N_("{path} of the component {component} is not there.")
    hint = N_("Correct the paths of the component in pivori.toml, or see to it that a disk is mounted.")


class OutsideView(ComponentFailed):
    """A path is not in what the frozen view shows."""

    code = "outside-frozen-view"
    message = N_("{path} of the component {component} does not lie in {root}, which the frozen view {view} shows.")
    hint = N_("Set frozen-root to the place where the volume itself is mounted, or make another component of the path.")


class ViewEmpty(ComponentFailed):
    """There is nothing in the frozen view: nobody mounted it."""

    code = "frozen-view-empty"
    message = N_("There is nothing in {view}, where the component {component} expects a frozen view.")
    hint = N_("See to it that the hook before the component mounts the snapshot of the volume there.")


class FilesDiffer(ComponentFailed):
    """What was written is not what is in the recovery point."""

    code = "files-differ"
    message = N_("{path} is not as the recovery point has it.")
    hint = N_("See that nobody writes there, then run the same command again.")


@dataclass(frozen=True, kw_only=True)
class FilesComponent:
    """Trees. ``paths`` are absolute; ``view`` is the folder where a snapshot of the folder ``view_of`` is mounted
    while they are taken. ``is_frozen`` says that nothing in them changes then.
    """

    kind: ClassVar[str] = "files"
    name: str
    paths: Sequence[Path]
    exclude: Sequence[str] = ()
    strategy: str = ""
    one_file_system: bool = False
    is_frozen: bool = False
    view: Path | None = None
    view_of: Path = Path("/")

    def places(self) -> Sequence[Path]:
        """The paths themselves."""
        return [path.resolve() for path in self.paths]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the paths at their own place; the frozen view is there during a capture only."""
        findings = [self._failure(path) for path in self.paths if not path.exists()]
        findings += [
            Finding(
                gravity=Gravity.FAILURE,
                message=Phrase(N_("{path} cannot be read by this user."), path=str(path)),
                hint=Phrase(N_("Run the backup as a user who may read it.")),
            )
            for path in self.paths
            if path.exists() and not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
        ]
        counts, size = {"paths": len(self.paths)}, 0
        until = surroundings.clock.monotonic() + _LOOK_SECONDS
        files = 0
        for length in self._lengths():
            files, size = files + 1, size + length
            if surroundings.clock.monotonic() > until:
                return Inspection(counts=counts, findings=findings)
        return Inspection(size=size, counts={**counts, "files": files}, findings=findings)

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take the trees. Raises PathMissing, OutsideView, ViewEmpty, and what a backup raises."""
        places = _outermost([self._place(path) for path in self.paths])
        facts = sink.tree(
            [place.read_from for place in places],
            exclude=self.exclude,
            strategy=self.strategy,
            one_file_system=self.one_file_system,
        )
        return Report(
            consistency=Consistency.FROZEN if self.is_frozen else Consistency.FILES,
            counts={"files": facts.files, "bytes": facts.bytes},
            facts={"root": str(surroundings.root.resolve()), "paths": [place.fact() for place in places]},
            warnings=[
                *_told(facts.unread, N_("{path} could not be read"), N_("{count} more could not be read")),
                *_told(
                    facts.moving,
                    N_("{path} changed while it was read"),
                    N_("{count} more changed while they were read"),
                ),
            ],
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing waits for it."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Read every file, and compare their sum with what was captured."""
        try:
            size = 0
            for place in places_of(source.report):
                for path, _length in place.files(source):
                    size += sum(len(piece) for piece in source.pieces(path))
        except PivoriError as error:
            return [failure_of(error)]
        wanted = source.report.counts["bytes"]
        if size == wanted:
            return []
        message = Phrase(
            N_("There are {found} in the recovery point, and {wanted} were captured."),
            found=ByteCount(size),
            wanted=ByteCount(wanted),
        )
        hint = Phrase(N_("Run `pivori verify`, and choose an earlier recovery point with --at."))
        return [Finding(gravity=Gravity.FAILURE, message=message, hint=hint)]

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say which paths are written, and what is moved aside for them. Raises PathNotCaptured."""
        places = wanted_places(source, request)
        size = ByteCount(source.report.counts["bytes"])
        in_the_way = [path for place in places for path in place.in_the_way(source, request)]
        return RestorePlan(
            steps=[Phrase(N_("Write {path}."), path=str(place.target(request))) for place in places],
            replaces=[Phrase(N_("{path} is moved aside."), path=str(path)) for path in in_the_way],
            space={places[0].target(request): size},
        )

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Move aside what is in the way, write, and compare the lengths of all files.

        Raises PathNotCaptured, FilesDiffer, and what a restore raises.
        """
        written = files = 0
        checked: list[Phrase] = []
        for place in wanted_places(source, request):
            for path in place.in_the_way(source, request):
                request.aside(path)
            target = place.target(request)
            written += place.write(source, target)
            count = self._compare(place, source, target)
            files += count
            checked.append(
                Phrase(N_("{path}: each file is as long as it was (files: {count})."), path=str(target), count=count)
            )
        return Restored(bytes=written, checked=checked, remaining=self._links(source.report), counts={"files": files})

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Nothing outlives a run."""
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """One ``cp`` for each path."""
        lines = []
        for place in places_of(report):
            stored, original = shlex.quote(f"./{place.stored}"), shlex.quote(str(place.original))
            above = shlex.quote(str(place.original.parent))
            if place.is_folder:
                lines.append(f"mkdir -p {original} && cp -a {stored}/. {original}/")
            else:
                lines.append(f"mkdir -p {above} && cp -a {stored} {original}")
        return lines

    def _place(self, path: Path) -> Place:
        """Where a path is, and where it is read."""
        original = path.resolve()
        read_from = original if self.view is None else self._in_view(self.view, path)
        if not read_from.exists():
            raise PathMissing(component=self.name, path=read_from)
        return Place(
            original=original,
            stored=str(read_from).lstrip("/"),
            is_folder=read_from.is_dir(),
            link=path if path.absolute() != original else None,
        )

    def _in_view(self, view: Path, path: Path) -> Path:
        """Where a path is read in the frozen view."""
        outside = OutsideView(component=self.name, path=path, root=self.view_of, view=view)
        original, root = path.resolve(), self.view_of.resolve()
        if not original.is_relative_to(root):
            raise outside
        if not view.is_dir() or not any(view.iterdir()):
            raise ViewEmpty(component=self.name, view=view)
        read_from = (view / original.relative_to(root)).resolve()
        # A link in the view that leads out of it would have the files of now read for those of then.
        if not read_from.is_relative_to(view.resolve()):
            raise outside
        return read_from

    def _failure(self, path: Path) -> Finding:
        return failure_of(PathMissing(component=self.name, path=path))

    def _lengths(self) -> Iterator[int]:
        """The lengths of the files below the paths; what cannot be looked at is left out."""
        for path in self.paths:
            if path.is_file():
                yield path.stat().st_size
            for folder, _folders, names in os.walk(path):
                for name in names:
                    try:
                        yield os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - one of very many
                    except OSError:
                        continue

    def _compare(self, place: Place, source: Source, target: Path) -> int:
        """Compare what was written with the capture: how many files it has. Raises FilesDiffer."""
        count = 0
        for path, length in place.files(source):
            written = place.written(path, target)
            try:
                found = written.lstat().st_size
            except OSError:
                found = -1
            if found != length:
                raise FilesDiffer(component=self.name, path=written)
            count += 1
        return count

    def _links(self, report: Report) -> Sequence[Phrase]:
        return [
            Phrase(
                N_("The link {link} that led to {path} is not there any more: make it again."),
                link=str(place.link),
                path=str(place.original),
            )
            for place in places_of(report)
            if place.link is not None and not os.path.lexists(place.link)
        ]


def _outermost(places: Sequence[Place]) -> Sequence[Place]:
    """Those that are not within another one, each once."""
    chosen = {place.read_from: place for place in places}
    return [place for path, place in chosen.items() if not any(above in chosen for above in path.parents)]


def _told(paths: Sequence[str], one: str, more: str) -> list[Phrase]:
    """A sentence for each of the first paths, and one for the others."""
    told = [Phrase(one, path=path) for path in paths[:_MOST_TOLD]]
    return told if len(paths) <= _MOST_TOLD else [*told, Phrase(more, count=len(paths) - _MOST_TOLD)]
