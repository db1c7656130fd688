"""What no archive may hold, looked at before anything is written: every member, and every entry of the manifest.

An archive from elsewhere is a list of names that somebody chose. A name may lead out of the target (absolute, ``..``),
go through a link that another member makes, be there twice, or be the same as another where a file system does not
tell capitals apart; a member may be a device, or be announced larger than anything its archive could hold. Links
themselves are harmless: nothing is ever written through one.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pivori.archives.container import Member, MemberRefused
from pivori.archives.manifest import FOLDER
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase

MOST_EXPANSION: Final = 1100
"""Deflate makes at most 1032 bytes of one; a member that is larger than its whole archive by more is a bomb."""
HARMLESS: Final = 64 << 20
"""What is announced smaller than this fills no disk, however small its archive is."""
_LONGEST_PATH: Final = 1 << 15
_FORBIDDEN: Final = frozenset((b"", b".", b".."))

_ABSOLUTE: Final = N_("its name is an absolute path")
_OUTSIDE: Final = N_("its name leads out of the target")
_NO_NAME: Final = N_("its name is not a path")
_TOO_LONG: Final = N_("its name is too long")
_SPECIAL: Final = N_("it is a device or another special file")
_TWICE: Final = N_("its name is there twice")
_SAME_LETTERS: Final = N_("its name differs from {other} only in capital letters or accents")
_BELOW: Final = N_("it lies below {other}, which is not a directory")
_BAD_LINK: Final = N_("it is another name of {other}, which is no file of the archive")
_UNKNOWN: Final = N_("the manifest does not know it")
_OTHER_KIND: Final = N_("the manifest says it is something else")


class ArchiveBomb(PivoriError):
    """An archive announces far more content than it can hold honestly."""

    code = "archive-bomb"
    message = N_("{archive} holds a member that is refused, {member}: {size} are too much for such an archive.")
    hint = N_("Do not trust this archive. If you know it to be right, add --allow-large.")


Item = tuple[bytes, EntryKind | None, bytes | None]
"""What the checks look at: a path, its kind (None for what no archive may hold), and the file it is a name of."""


def refused(archive: str, name: bytes, reason: str) -> MemberRefused:
    """The error for a member, which may be called anything."""
    return MemberRefused(archive=archive, member=name, reason=reason)


def plain_name(name: bytes) -> bytes:
    """A member's name without what is harmless and means nothing: ``./`` in front, a slash at the end."""
    while name.startswith(b"./"):
        name = name[2:].lstrip(b"/")
    name = name.rstrip(b"/") or name[:1]
    return b"" if name == b"." else name


def check_members(archive: str, members: Sequence[Member]) -> None:
    """Check what a container holds. Raises MemberRefused for the first member that may not be.

    Members below ``.pivori/`` are documents, which are never written, and are checked like all others.
    """
    check_items(archive, [(plain_name(each.name), each.kind, each.hard_link) for each in members])


def check_entries(archive: str, entries: Iterable[Entry]) -> None:
    """Check what a manifest lists. Raises MemberRefused."""
    check_items(archive, [(entry.path, entry.kind, entry.hard_link) for entry in entries])


def check_items(archive: str, items: Sequence[Item]) -> None:
    """Check names, kinds, and how they lie in each other. Raises MemberRefused."""
    kinds: dict[bytes, EntryKind] = {}
    links: dict[bytes, bytes] = {}
    for path, kind, link in items:
        if kind is None:
            raise refused(archive, path, _SPECIAL)
        if link is not None:
            links[path] = plain_name(link)
        if not path and kind is EntryKind.DIRECTORY and path not in kinds:
            kinds[b""] = kind
            continue
        _check_path(archive, path)
        if path in kinds:
            raise refused(archive, path, _TWICE)
        kinds[path] = kind
    _check_parents(archive, kinds)
    for path, first in links.items():
        if kinds.get(first) is not EntryKind.FILE or first in links:
            raise refused(archive, path, Phrase(_BAD_LINK, other=_shown(first)))


def _check_path(archive: str, path: bytes) -> None:
    if path.startswith(b"/"):
        raise refused(archive, path, _ABSOLUTE)
    if len(path) > _LONGEST_PATH:
        raise refused(archive, path[:256], _TOO_LONG)
    if b"\0" in path:
        raise refused(archive, path, _NO_NAME)
    if not _FORBIDDEN.isdisjoint(names := path.split(b"/")):
        raise refused(archive, path, _OUTSIDE if b".." in names else _NO_NAME)


def _check_parents(archive: str, kinds: Mapping[bytes, EntryKind]) -> None:
    """Nothing lies below what is not a directory, a symbolic link above all."""
    sound: set[bytes] = {b""}
    for path in kinds:
        parent = path.rpartition(b"/")[0]
        fresh = []
        while parent not in sound:
            if kinds.get(parent, EntryKind.DIRECTORY) is not EntryKind.DIRECTORY:
                raise refused(archive, path, Phrase(_BELOW, other=_shown(parent)))
            fresh.append(parent)
            parent = parent.rpartition(b"/")[0]
        sound.update(fresh)


def check_against_manifest(archive: str, members: Mapping[bytes, Member], entries: Mapping[bytes, Entry]) -> None:
    """Nothing is in the container that the manifest does not know, or knows as something else. Raises MemberRefused.

    ``members`` are by name, ``entries`` by the name of their member.
    """
    for name, member in members.items():
        entry = entries.get(name)
        if entry is None:
            if not is_document(name):
                raise refused(archive, name, _UNKNOWN)
        elif entry.kind is not member.kind:
            raise refused(archive, name, _OTHER_KIND)


def is_document(name: bytes) -> bool:
    """Whether a member is one of the archive's own documents rather than one of the files it keeps."""
    return name == FOLDER or name.startswith(FOLDER + b"/")


def colliding(paths: Iterable[bytes]) -> tuple[bytes, bytes] | None:
    """Two paths that a file system may take for one, because it does not tell capitals or ways of writing accents
    apart; None when there are none."""
    seen: dict[str | bytes, bytes] = {}
    for path in paths:
        key = _folded(path)
        other = seen.setdefault(key, path)
        if other != path:
            return other, path
    return None


def check_capitals(archive: str, paths: Iterable[bytes]) -> None:
    """Raise MemberRefused when two paths are told apart by capitals or accents alone."""
    found = colliding(paths)
    if found is not None:
        raise refused(archive, found[1], Phrase(_SAME_LETTERS, other=_shown(found[0])))


def check_expansion(archive: str, length: int, sizes: Iterable[tuple[bytes, int]]) -> None:
    """Refuse what is announced far larger than its archive of ``length`` bytes can be. Raises ArchiveBomb.

    ``sizes`` are the paths and sizes of the files.
    """
    bound = max(HARMLESS, length * MOST_EXPANSION)
    total, largest = 0, (b"", -1)
    for path, size in sizes:
        total += size
        if size > largest[1]:
            largest = (path, size)
        if total > bound:
            raise ArchiveBomb(archive=archive, member=largest[0], size=ByteCount(total))


def _folded(path: bytes) -> str | bytes:
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return path.lower()
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
