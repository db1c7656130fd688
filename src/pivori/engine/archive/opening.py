"""An archive opened for any verb: its container, its manifest when it has one, and nothing in it that may not be.

Whatever opens an archive goes through here: the refusals of :mod:`pivori.archives.members` come before anything else.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pivori.archives.container import Member, OpenArchive, PasswordNeeded
from pivori.archives.formats import open_container
from pivori.archives.manifest import LARGEST_MANIFEST, MANIFEST_NAME, Manifest, decode
from pivori.archives.members import check_against_manifest, check_entries, check_members, is_document, plain_name
from pivori.archives.naming import ArchiveName, parse_name
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_

_FILE_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755


class ArchiveUnreadable(PivoriError):
    """An archive is not there, or the system does not let it be read."""

    code = "archive-unreadable"
    message = N_("{archive} cannot be read: {reason}.")
    hint = N_("Check the path and the permissions; `pivori archive list` shows what there is.")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What opens encrypted archives.

    ``password`` is called with the archive's name when a password is needed, and may ask somebody; None when there is
    none to be had. ``unsealed`` gives the path of the container inside an envelope, for as long as it is open; by
    default an archive has no envelope.
    """

    password: Callable[[str], str | None] = lambda _name: None
    unsealed: Callable[[Path], AbstractContextManager[Path]] = nullcontext


NO_KEYS: Final = Keys()


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open archive.

    ``members`` are by name, documents too. ``manifest`` is None for what others made; ``entries`` then come from the
    members. ``members`` have the names :func:`plain_name` gives.
    """

    path: Path
    length: int
    container: OpenArchive
    manifest: Manifest | None
    members: dict[bytes, Member]
    entries: list[Entry] = field(default_factory=list)
    modified: float = 0.0

    @property
    def name(self) -> ArchiveName | None:
        """What the file's name says of it."""
        return parse_name(self.path.name)

    @property
    def strategy(self) -> str:
        """The strategy it was made with; empty when nobody knows."""
        if self.manifest is not None:
            return self.manifest.strategy
        return self.name.strategy if self.name is not None else ""

    def member_of(self, entry: Entry) -> Member | None:
        """The member that holds an entry; None for the root and for what has none."""
        name = entry.path if self.manifest is None else self.manifest.name_of(entry)
        return self.members.get(name)

    def held(self) -> Iterator[tuple[Entry, Member | None]]:
        """Every entry with the member that holds it; None for the root and for what has none."""
        members = self.members
        names = (self.manifest.names if self.manifest is not None else None) or {}
        return ((entry, members.get(names.get(entry.path, entry.path))) for entry in self.entries)

    def made(self) -> datetime:
        """When it was made: as its manifest says, else its name, else its file; with the zone where that is known."""
        if self.manifest is not None:
            return datetime.fromisoformat(self.manifest.created)
        if self.name is not None:
            return self.name.time.astimezone()
        return datetime.fromtimestamp(self.modified, UTC).astimezone()


@contextmanager
def open_archive(path: Path, keys: Keys = NO_KEYS, *, checked: bool = True) -> Iterator[Opened]:
    """Open an archive; without ``checked`` what it holds is not looked at, for those who only read its manifest.

    Raises ArchiveUnreadable, NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword, ManifestDamaged,
    MemberRefused.
    """
    with ExitStack() as stack:
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            plain = stack.enter_context(keys.unsealed(path))
            stack.enter_context(_named(plain, path))
            opened = _opened(path, status, stack.enter_context(_container(plain, path, keys)))
        except OSError as error:
            raise ArchiveUnreadable(archive=str(path), reason=error.strerror or str(error)) from None
        if checked:
            check_archive(opened)
        yield opened


@contextmanager
def _named(plain: Path, path: Path) -> Iterator[None]:
    """Let errors about what was inside an envelope speak of the archive."""
    try:
        yield
    except PivoriError as error:
        if error.details.get("archive") == str(plain):
            error.details["archive"] = str(path)
        raise


@contextmanager
def _container(plain: Path, path: Path, keys: Keys) -> Iterator[OpenArchive]:
    """The container, with the password when it turns out to need one."""
    try:
        container = open_container(plain)
        if any(member.is_encrypted for member in container.members):
            container.__exit__(None, None, None)
            raise PasswordNeeded(archive=str(path))
    except PasswordNeeded:
        password = keys.password(path.name)
        if password is None:
            raise PasswordNeeded(archive=str(path)) from None
        container = open_container(plain, password=password)
    with container:
        yield container


def _opened(path: Path, status: os.stat_result, container: OpenArchive) -> Opened:
    members = {plain_name(member.name): member for member in container.members}
    last = members.get(MANIFEST_NAME)
    manifest = None
    if last is not None and last.kind is EntryKind.FILE:
        manifest = decode(container.read(last, LARGEST_MANIFEST), archive=str(path))
    if manifest is not None:
        entries = list(manifest.entries)
    else:
        entries = [entry_of(name, member) for name, member in members.items() if name and not is_document(name)]
    return Opened(
        path=path,
        length=status.st_size,
        container=container,
        manifest=manifest,
        members=members,
        entries=entries,
        modified=status.st_mtime,
    )


def check_archive(opened: Opened) -> None:
    """Refuse an archive that holds what none may hold. Raises MemberRefused."""
    archive = str(opened.path)
    check_members(archive, opened.container.members)
    manifest = opened.manifest
    if manifest is None:
        return
    check_entries(archive, manifest.entries)
    names = manifest.names or {}
    by_name = {names.get(entry.path, entry.path): entry for entry in manifest.entries if entry.path}
    check_against_manifest(archive, opened.members, by_name)


def missing_members(opened: Opened) -> list[bytes]:
    """The paths of files and links that are in the manifest and not in the container.

    A container need not have a member for what the manifest describes whole: directories and FIFOs.
    """
    if opened.manifest is None:
        return []
    kinds = (EntryKind.FILE, EntryKind.SYMLINK)
    return [entry.path for entry, member in opened.held() if member is None and entry.kind in kinds]


def entry_of(path: bytes, member: Member) -> Entry:
    """The entry that a member is by itself. Who made the archive is unknown: owners that are not told are -1."""
    kind = member.kind or EntryKind.FILE
    usual = _DIRECTORY_MODE if kind is EntryKind.DIRECTORY else _FILE_MODE
    return Entry(
        path=path,
        kind=kind,
        mode=usual if member.mode is None else member.mode & 0o7777,
        mtime_ns=member.mtime_ns,
        uid=-1 if member.uid is None else member.uid,
        gid=-1 if member.gid is None else member.gid,
        user=member.user,
        group=member.group,
        size=member.size,
        target=member.target,
        hard_link=None if member.hard_link is None else plain_name(member.hard_link),
        attributes=member.attributes,
    )
