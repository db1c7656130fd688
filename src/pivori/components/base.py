"""The protocol of components: inspect, capture, verify, restore; and what passes between them and the stack.

A *capture* is what one run took of a component: files below the component's own folder of the recovery point, and a
:class:`Report` of facts about them. Paths in a capture are texts relative to that folder, with ``/``, none in front.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pivori.clock import Clock
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.translation import N_, Phrase

ReadInto = Callable[[memoryview], int]
"""Fills a buffer from its start and says with how many bytes; 0 is the end."""

Reveal = Callable[[], str]
"""Gives a secret where it is needed, at the moment it is needed. Raises what looking it up raises."""

Json = Any
"""Whatever JSON can say."""


class Consistency(StrEnum):
    """What moment a capture shows."""

    TRANSACTION = "transaction"
    """One moment between transactions, of everything in it."""
    FROZEN = "frozen"
    """One moment of the volume, as a power cut would leave it."""
    FILES = "files"
    """Each file whole, each at a moment of its own."""
    PROGRAM = "program"
    """What the program that writes it promises."""


class Gravity(StrEnum):
    """How bad a finding is."""

    FAILURE = "failure"
    """The capture, or the restore, would fail or be worthless."""
    WARNING = "warning"
    """Somebody should look at it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something found by a look at a component or at a capture: one sentence, and one that says what to do."""

    gravity: Gravity
    message: Phrase
    hint: Phrase | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What is there. ``size`` is about how many bytes a capture will read, None when that cannot be known cheaply.

    ``versions`` are those of servers and programs, by their names; ``counts`` are things a person would count
    (databases, tables, files, refs).
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a component says of its capture; kept in the recovery point for good, so everything in it is JSON.

    ``position`` says where the source was (``lsn``, ``gtid``, ``binlog``, ``commit`` …); ``counts`` is what a restore
    is checked against; ``statuses`` are exit statuses of the programs that were run; ``facts`` is what this kind of
    component needs to bring it back, which nobody else reads. No secret may be in any of it.
    """

    consistency: Consistency
    versions: Mapping[str, str] = field(default_factory=dict)
    position: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    replay_from: str = ""
    """For what can be brought to any moment until its capture: the earliest such moment (RFC 3339); else empty.

    A recovery to a moment then takes the first capture after it, with the setting ``target-time``.
    """


def plain_text(value: object) -> str:
    """What msgspec writes for a :class:`Phrase`: its English text. Raises NotImplementedError for anything else."""
    if isinstance(value, Phrase):
        return value[:]
    raise NotImplementedError(type(value))


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file of a capture: its length in bytes and the SHA-256 of its content in hexadecimal digits."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TreeFacts:
    """What was taken of file trees. ``unread`` are the paths that could not be read, ``moving`` those that changed
    each time they were read."""

    files: int
    bytes: int
    unread: Sequence[str] = ()
    moving: Sequence[str] = ()


class Sink(Protocol):
    """Where a capture goes. A path is written once. What has been written when a capture fails is not kept."""

    @property
    def previous(self) -> Report | None:
        """The report of the last usable capture of this component; None when there is none."""

    def stream(self, path: str, read: ReadInto) -> Stored:
        """A file, with the content that ``read`` gives, which is stored while it is read and never on the disk."""

    def document(self, path: str, content: bytes) -> Stored:
        """A small file whose content is at hand."""

    def tree(
        self,
        roots: Sequence[Path],
        *,
        exclude: Sequence[str] = (),
        strategy: str = "",
        one_file_system: bool = False,
    ) -> TreeFacts:
        """Folders and files of this machine, below their full paths: ``/srv/app`` goes to ``srv/app``.

        ``exclude`` are patterns as of ``--exclude``, ``strategy`` is the name of one. Files that did not change since
        the previous capture are not read. Called once at most; raises what a backup raises when nothing can be read.
        """

    def keep(self, path: str) -> Stored | None:
        """Take a file over from the previous capture, unread, under the same path; None when it had none there."""

    def names(self, folder: str) -> Sequence[str]:
        """The paths of the files that :meth:`keep` can take over directly below a folder (``""``: the topmost)."""


class CapturedFile(Protocol):
    """A regular file of a capture."""

    @property
    def path(self) -> str:
        """Where it is in the capture; bytes that are no text come as surrogates."""

    @property
    def size(self) -> int:
        """Its length in bytes."""


class Source(Protocol):
    """A capture, to be verified or brought back."""

    @property
    def report(self) -> Report:
        """What the component said of it then."""

    def files(self, folder: str = "") -> Iterator[CapturedFile]:
        """Its regular files below a folder, in the order of their paths."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file, piece by piece. Raises NotCaptured, and what keeps it from being read."""

    def read(self, path: str, most: int = 16 << 20) -> bytes:
        """The content of a file of at most so many bytes. Raises NotCaptured, and what keeps it from being read."""

    def write_tree(self, folder: str, target: Path, *, only: Sequence[str] = ()) -> int:
        """Write what is below ``folder`` into ``target``, with owners, permissions and times; bytes written.

        ``only`` are paths below ``folder`` that are wanted. Whatever is in the target and not in the capture stays.
        A file is written whole or not at all. Raises what a restore raises when something is missing.
        """


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a component may use of the run it is part of.

    ``root`` is the folder of the stack, ``state`` a private folder (0700) of this component on this machine that
    outlives runs, made when it is missing.
    """

    clock: Clock
    emit: Callable[[Event], None]
    root: Path
    state: Path


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """Where to bring a capture back, and how much of it.

    ``to`` is a folder that is this component's own, for a restore beside what is there; None: to where it was.
    ``root`` is the folder that the stack's folder becomes: ``to`` of the whole recovery, or the stack's folder itself.
    ``settings`` are what a kind understands besides (``database``, ``table``, ``target-time``, ``target-lsn``,
    ``server`` …).
    ``aside`` moves a file or a folder out of the way and says where to; what is replaced is never removed.
    """

    to: Path | None
    root: Path
    aside: Callable[[Path], Path]
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RestorePlan:
    """What a restore would do: ``steps`` and what it ``replaces`` as sentences, the bytes it needs and where.

    ``findings`` of gravity failure keep it from being applied.
    """

    steps: Sequence[Phrase]
    replaces: Sequence[Phrase] = ()
    space: Mapping[Path, int] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore did: how it was ``checked`` and what is left to do by hand (``remaining``), as sentences."""

    bytes: int
    checked: Sequence[Phrase] = ()
    remaining: Sequence[Phrase] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


class Component(Protocol):
    """A thing that is captured and brought back. ``kind`` is the word of the configuration, ``name`` the user's."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """How the user calls it: also its folder in a recovery point."""

    def places(self) -> Sequence[Path]:
        """The files and folders of this machine that a restore in place writes or replaces; none for a server's data.

        A component whose place lies within another's is brought back after that one.
        """

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at what is there, in two seconds at most; changes nothing.

        What keeps it from being captured is a finding, not an error.
        """

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take it. Raises PivoriError when the capture would be worthless: then nothing of it is kept."""

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Hear that the recovery point with this capture is durable: only now may its source forget it."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Check a capture without the thing itself: whatever is wrong with it."""

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say what :meth:`restore` would do; changes nothing."""

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back, and check that it is back. Doing it again after an interruption completes it."""

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Undo what a run that was killed has left (services that stand still, say): what was done, as sentences."""

    def manual(self, report: Report) -> Sequence[str]:
        """The shell commands that bring it back without this program, in a folder that holds the capture's files.

        ``$`` variables stand for what the reader has to fill in. They go into RECOVERY.md.
        """


class NotCaptured(PivoriError):
    """A file is asked for that the capture does not have."""

    code = "not-captured"
    message = N_("The recovery point has no file {path} of the component {component}.")
    hint = N_("Choose an earlier recovery point with --at.")


class ComponentFailed(PivoriError):
    """A component could not be captured or brought back. The kinds of components have errors of their own below it."""

    code = "component-failed"
    message = N_("The component {component} failed: {reason}.")
    hint = N_("Mend what the reason says, then run the command again.")


class ProgramFailed(ComponentFailed):
    """A program that a component needs did not end well."""

    code = "program-failed"
    message = N_("{program} ended with status {status}: {reason}.")
    hint = N_("Run it by hand to see what is wrong.")


class ClientTooOld(ComponentFailed):
    """A database's own client is older than the server: its dump would not be complete."""

    code = "client-too-old"
    message = N_("The server is {server} {wanted}, but the newest {program} on this machine is {found}.")
    hint = N_("Install the client programs of version {wanted}: {package}.")


class ClientMissing(ComponentFailed):
    """A program that a component needs is not on this machine."""

    code = "client-missing"
    message = N_("The program {program} is not on this machine.")
    hint = N_("Install it: {package}.")


def failure_of(error: PivoriError) -> Finding:
    """An error as what was found: it keeps something from being done."""
    hint = Phrase(error.hint, **error.details) if error.hint else None
    return Finding(gravity=Gravity.FAILURE, message=error.as_reason, hint=hint)


def has_failure(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings is a failure."""
    return any(finding.gravity is Gravity.FAILURE for finding in findings)
