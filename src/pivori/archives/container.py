"""The two faces of a container format: writing entries into a new archive, and reading the members of one.

A format (zip, tar.zst, 7z) has a writer and a reader of these shapes. Neither knows what a strategy, a repository or
a terminal is. Byte work is done in worker processes where the format allows.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from pivori.archives.manifest import NotCaptured
from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_

# What is wrong with an archive, in the words of more than one format.
BAD_CONTENT: Final = N_("the content of {member} does not match its checksum")
DOCUMENT_TOO_LARGE: Final = N_("a document in it is too large")
TARGET_TOO_LONG: Final = N_("the target of a link is too long")
_REPLACED: Final = N_("it was replaced by another file meanwhile")


class ArchiveFormat(StrEnum):
    """The containers, by the ending of their files."""

    ZIP = "zip"
    SEVEN_ZIP = "7z"
    TAR_ZST = "tar.zst"


class Effort(StrEnum):
    """How hard to compress: for every day, or the smallest result for long keeping."""

    NORMAL = "normal"
    SMALLEST = "smallest"


class NotAnArchive(PivoriError):
    """A file is none of the containers this program reads."""

    code = "not-an-archive"
    message = N_("{archive} is not an archive that can be read: {reason}.")
    hint = N_("Archives are zip, 7z or tar.zst files, possibly inside GPG or age.")


class ArchiveDamaged(PivoriError):
    """A container is cut off or its bytes are not what was written."""

    code = "archive-damaged"
    message = N_("{archive} is damaged: {reason}.")
    hint = N_("Take another copy of it, or an older archive; `pivori archive verify` says what is still whole.")


def check_identity(path: str, descriptor: int, identity: tuple[int, int]) -> None:
    """Raise ArchiveDamaged when what was opened is not the file whose directory was read: its device and inode."""
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != identity:
        raise ArchiveDamaged(archive=path, reason=_REPLACED)


class WrongArchivePassword(PivoriError):
    """The password, or the key, does not open the archive."""

    code = "wrong-archive-password"
    message = N_("{archive} cannot be opened with this password or key.")
    hint = N_("Check which password the archive was made with; it is not changed by later ones.")
    exit_status = 12


class PasswordNeeded(PivoriError):
    """The archive is encrypted, and no password or key was given."""

    code = "archive-password-needed"
    message = N_("{archive} is encrypted, and there is no password or key to open it.")
    hint = N_("Give --archive-password-file, --archive-password-command or --identity.")
    exit_status = 12


class MemberRefused(PivoriError):
    """A member of an archive would write where it must not, or hides what it is."""

    code = "member-refused"
    message = N_("{archive} holds a member that is refused, {member}: {reason}.")
    hint = N_("Do not trust this archive: nothing of it was written. Ask who made it.")


# Writing


@dataclass(kw_only=True)
class Captured:
    """What came of the entries once their content is in the archive.

    ``entries`` are complete (size and digest are those of what is stored), in any order; ``changed`` are the paths of
    files that kept changing while they were read; ``vanished`` those that were gone; ``not_captured`` could not be
    read.
    """

    entries: list[Entry] = field(default_factory=list)
    changed: list[bytes] = field(default_factory=list)
    vanished: list[bytes] = field(default_factory=list)
    not_captured: list[NotCaptured] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class WriteRequest:
    """What goes into a new archive.

    ``entries`` are those below ``root`` that get a member, each directory before what is in it, sorted by path; files
    are read from ``root`` without following links, their size, times and digest are taken from what was read. An
    entry with ``hard_link`` follows the one it names. ``documents`` are further members with their content, below
    ``.pivori/``.
    ``manifest`` is called once, when everything else is in, and gives the content of the last member.
    ``names`` gives an entry's member name where it differs from its path. ``workspace`` is a directory for the
    temporary files of formats that need some.
    """

    root: Path
    entries: Sequence[Entry]
    documents: Mapping[bytes, bytes]
    manifest: Callable[[Captured], bytes]
    names: Mapping[bytes, bytes] = field(default_factory=dict)
    workspace: Path | None = None
    effort: Effort = Effort.NORMAL
    password: str | None = field(default=None, repr=False)
    workers: int = 1


ProgressReport = Callable[[int, int, bytes], None]
"""Called now and then with the files done, the bytes done (of content) and the path of a file."""


class WriteArchive(Protocol):
    """A format's writer: writes the whole container to ``out``, which may be a pipe; returns what was captured.

    Raises OSError on ``out`` itself, never for a file that cannot be read.
    """

    def __call__(self, request: WriteRequest, out: BinaryIO, *, progress: ProgressReport) -> Captured:
        """Write it."""
        ...


# Reading


class Member(NamedTuple):
    """What a container says of one of its members; ``kind`` None is what no archive may hold (a device, a socket).

    ``name`` is as the container has it, a directory's without the slash at the end. ``mode`` is None where the
    container does not say. ``size`` is what the content should be long. ``is_encrypted`` needs a password.
    ``hard_link`` is the name of the member it is another name of (tar).
    """

    number: int
    name: bytes
    kind: EntryKind | None
    mode: int | None
    mtime_ns: int
    size: int
    target: bytes = b""
    hard_link: bytes | None = None
    is_encrypted: bool = False
    uid: int | None = None
    gid: int | None = None
    user: str = ""
    group: str = ""
    attributes: tuple[tuple[bytes, bytes], ...] = ()


class Piece(NamedTuple):
    """A part of a member's content, in order; the last one of a member has ``is_last`` (also for an empty file)."""

    number: int
    content: bytes | bytearray
    is_last: bool


class ReadJob(Protocol):
    """The reading of some members, in one pass, by whoever takes it: it can be sent to a worker process."""

    @property
    def weight(self) -> int:
        """About how many bytes come out of it."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """The content of the members, each whole before the next begins.

        Raises ArchiveDamaged or WrongArchivePassword for a member, instead of its last piece: so the last piece is
        only given of what fits its checksum. The iterator can be asked on after ArchiveDamaged, for the members that
        can still be read; a new one begins with a member of another number.
        """
        ...


class OpenArchive(Protocol):
    """An open container. A context manager: what it holds open is released when it is left."""

    format: ArchiveFormat
    members: Sequence[Member]

    def __enter__(self) -> "OpenArchive": ...

    def __exit__(self, *error: object) -> None: ...

    def read(self, member: Member, most: int) -> bytes:
        """The content of a small member, such as the manifest. Raises ArchiveDamaged when it is over ``most`` bytes."""
        ...

    def jobs(self, wanted: Collection[int] | None = None) -> Iterator[ReadJob]:
        """Jobs that together read the wanted members (all files and documents without), each once."""
        ...


class Opener(Protocol):
    """A format's reader. Raises NotAnArchive, ArchiveDamaged, PasswordNeeded, WrongArchivePassword.

    The number of members, their names and sizes are bounded by the file's length, not by what it claims.
    """

    def __call__(self, path: Path, *, password: str | None = None) -> OpenArchive:
        """Open the container at ``path``; errors name it by ``path``."""
        ...
