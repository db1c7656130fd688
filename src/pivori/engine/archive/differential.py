"""Differential archives: what changed since a base, the base itself, and both put together again.

An entry is unchanged when everything that the system says of it is what the base's manifest says, its times of change
and its inode included; whatever is in doubt is stored again, whole. Of a file with several names all are stored, or
none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pivori.archives.checksum import file_digest, find_checksum, read_checksum
from pivori.archives.container import PasswordNeeded, WrongArchivePassword
from pivori.archives.manifest import Base, Manifest
from pivori.archives.naming import parse_name
from pivori.engine.archive.opening import NO_KEYS, Keys, open_archive
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_

_SECOND: Final = 1_000_000_000
_TICK: Final = 20_000_000
"""Nanoseconds that two changes of a file may lie apart and still leave the same time, with a clock of 100 Hz twice."""
_COARSE: Final = 2 * _SECOND
"""The same on file systems that keep whole seconds only."""


class NoBase(PivoriError):
    """There is no complete archive that a differential one could be relative to."""

    code = "no-base"
    message = N_("There is no complete archive of {root} in {directory}, so there is nothing to differ from.")
    hint = N_("Make one with `pivori archive create --strategy complete`, or name one with --base.")


class BaseUnfit(PivoriError):
    """The archive named as the base cannot be one."""

    code = "base-unfit"
    message = N_("{archive} cannot be the base of a differential archive: {reason}.")
    hint = N_("The base is a complete archive of the same directory, made by this program.")


class BaseMissing(PivoriError):
    """A differential archive is nothing without its base, and that is not there."""

    code = "base-missing"
    message = N_("{archive} is relative to {base} (SHA-256 {sha256}), which is not to be found in {directory}.")
    hint = N_("Put the base beside it, or say where it is with --base.")


class BaseWrong(PivoriError):
    """What should be the base of a differential archive is another file."""

    code = "base-wrong"
    message = N_("{base} is not the file that {archive} is relative to: its SHA-256 differs.")
    hint = N_("Find the base that belongs to it, or another copy of it if this one was damaged.")


@dataclass(frozen=True, kw_only=True)
class BaseArchive:
    """A base, as its manifest and its file are."""

    path: Path
    manifest: Manifest
    sha256: str

    @property
    def reference(self) -> Base:
        """How a differential archive names it."""
        return Base(id=self.manifest.id, sha256=self.sha256, name=self.path.name)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a tree has that its base has not, sorted by path, and which of the base's paths are gone."""

    entries: Sequence[Entry]
    deleted: Sequence[bytes]


def differences(entries: Sequence[Entry], base: Manifest, *, unread: Collection[bytes] = ()) -> Difference:
    """What of ``entries`` is new since ``base``, or differs in anything; and what is gone.

    What is at the paths ``unread`` and below could not be listed: it is not gone, and the base's state of it stands.
    """
    began = int(datetime.fromisoformat(base.created).timestamp() * 1e9)
    known = {entry.path: entry for entry in base.entries}
    changed = {entry.path for entry in entries if not _is_unchanged(entry, known.get(entry.path), began)}
    groups: dict[bytes, list[bytes]] = {}
    for entry in entries:
        if entry.hard_link is not None:
            groups.setdefault(entry.hard_link, [entry.hard_link]).append(entry.path)
    for names in groups.values():
        if not changed.isdisjoint(names):
            changed.update(names)
    present = {entry.path for entry in entries}
    return Difference(
        # The root is always told: it says that the archive is one of a whole tree.
        entries=[entry for entry in entries if entry.path in changed or not entry.path],
        deleted=sorted(path for path in known if path not in present and not _is_below(path, unread)),
    )


def _is_below(path: bytes, places: Collection[bytes]) -> bool:
    """Whether a path is one of some places, or below one."""
    return any(path == place or path.startswith(place + b"/") for place in places)


def _is_unchanged(now: Entry, then: Entry | None, began: int) -> bool:
    """Whether an entry is the one that the base has, beyond doubt."""
    if then is None or _facts(now) != _facts(then):
        return False
    margin = _COARSE if now.ctime_ns % _SECOND == 0 else _TICK
    # What changed while the base was made, or a moment before, may have changed again without another time.
    return now.kind is not EntryKind.FILE or now.ctime_ns < began - margin


def _facts(entry: Entry) -> tuple[object, ...]:
    return (
        entry.kind,
        entry.size,
        entry.mtime_ns,
        entry.ctime_ns,
        entry.inode,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.target,
        entry.hard_link,
        entry.attributes,
    )


def merged(
    base: Iterable[Entry], entries: Iterable[Entry], deleted: Iterable[bytes]
) -> dict[bytes, tuple[Entry, bool]]:
    """The tree that a differential archive and its base are together, by path; the flag says what comes from the base.

    What lies below something that became a file or a link is gone, whatever the list of deletions says.
    """
    tree: dict[bytes, tuple[Entry, bool]] = {entry.path: (entry, True) for entry in base}
    for path in deleted:
        tree.pop(path, None)
    for entry in entries:
        tree[entry.path] = (entry, False)
    whole = {path for path, (entry, _) in tree.items() if entry.kind is EntryKind.DIRECTORY}
    return {path: tree[path] for path in sorted(tree) if _has_parents(path, tree, whole)}


def _has_parents(path: bytes, tree: Mapping[bytes, object], whole: set[bytes]) -> bool:
    while path:
        path = path.rpartition(b"/")[0]
        if path and path in tree and path not in whole:
            return False
    return True


# The base's file


def newest_base(directory: Path, root: str, host: str, keys: Keys = NO_KEYS) -> BaseArchive:
    """The newest complete archive of ``root`` on ``host`` in a directory. Raises NoBase, and what opening it raises."""
    try:
        names = [
            (name.time, path)
            for path in directory.iterdir()
            if (name := parse_name(path.name)) and name.strategy == "complete" and not name.is_old
        ]
    except OSError:
        names = []
    closed: PivoriError | None = None
    for _, path in sorted(names, reverse=True):
        try:
            with open_archive(path, keys, checked=False) as opened:
                manifest = opened.manifest
        except (PasswordNeeded, WrongArchivePassword) as error:
            closed = closed or error
            continue
        except PivoriError:
            continue
        if manifest is not None and manifest.root == root and manifest.host == host and manifest.base is None:
            return BaseArchive(path=path, manifest=manifest, sha256=file_sha256(path))
    # One that nobody could look into may have been it.
    raise closed or NoBase(root=root, directory=str(directory))


def named_base(path: Path, root: str, keys: Keys = NO_KEYS) -> BaseArchive:
    """The base in a file that somebody named. Raises BaseUnfit, and what opening it raises."""
    with open_archive(path, keys) as opened:
        manifest = opened.manifest
    if manifest is None:
        raise BaseUnfit(archive=str(path), reason=N_("it has no manifest"))
    if manifest.base is not None:
        raise BaseUnfit(archive=str(path), reason=N_("it is a differential one itself"))
    if manifest.root != root:
        raise BaseUnfit(archive=str(path), reason=N_("it is of another directory"))
    return BaseArchive(path=path, manifest=manifest, sha256=file_sha256(path))


def file_sha256(path: Path) -> str:
    """The SHA-256 of an archive: from the file beside it, else from its bytes."""
    beside = find_checksum(path)
    if beside is not None:
        try:
            return read_checksum(beside, path)
        except (PivoriError, OSError):
            pass
    return file_digest(path)


def find_base(archive: Path, base: Base, given: Path | None, keys: Keys = NO_KEYS) -> Path:
    """The file that a differential archive is relative to, its bytes checked.

    It is ``given``, or lies beside the archive under its old name, or under another one with the same manifest.
    Raises BaseMissing, BaseWrong, OSError.
    """
    if given is not None:
        if file_digest(given) != base.sha256:
            raise BaseWrong(base=str(given), archive=str(archive))
        return given
    beside = archive.parent / Path(base.name).name
    if beside.is_file():
        if file_digest(beside) == base.sha256:
            return beside
        found = _other_name(archive, base, beside, keys)
        if found is None:
            raise BaseWrong(base=str(beside), archive=str(archive))
        return found
    found = _other_name(archive, base, None, keys)
    if found is None:
        raise BaseMissing(archive=str(archive), base=base.name, sha256=base.sha256, directory=str(archive.parent))
    return found


def _other_name(archive: Path, base: Base, known: Path | None, keys: Keys) -> Path | None:
    """A file beside the archive that has the base's manifest and bytes, whatever it is called."""
    for path in sorted(archive.parent.iterdir()):
        if path in (archive, known) or not path.is_file() or not _may_be_archive(path):
            continue
        try:
            with open_archive(path, keys, checked=False) as opened:
                fits = opened.manifest is not None and opened.manifest.id == base.id
        except PivoriError:
            continue
        if fits and file_digest(path) == base.sha256:
            return path
    return None


def _may_be_archive(path: Path) -> bool:
    return path.name.endswith((".zip", ".7z", ".tar.zst", ".gpg", ".age"))
