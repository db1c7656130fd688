"""Protecting a stack: capture each component in its order, and write one recovery point of all that succeeded.

A component that fails does not stop the others: the recovery point says what it lacks. Only when nothing at all could
be captured is there none.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pivori.clock import Clock
from pivori.components.base import Report, Surroundings, TreeFacts
from pivori.engine.backup.tree_capture import Base
from pivori.engine.recovery_point import PointRequest, PointWriter
from pivori.engine.relative import STRATEGY_TAG
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event
from pivori.host.workers import WorkerDied
from pivori.repository import BlobNotReproduced, Repository, Summary, format_time
from pivori.repository.locks import LockLost
from pivori.stack.history import NothingCaptured, demand_plausible, usual_size
from pivori.stack.model import Hook, Member, Stack
from pivori.stack.points import COMPONENT_TAG, STACK_TAG, Capture, RecoveryPoints
from pivori.stack.record import (
    CONFIGURATION_PATH,
    DOCUMENT_PATH,
    RECORD_PATH,
    VERSION,
    ComponentRecord,
    Outcome,
    RecoveryRecord,
    encode_record,
)
from pivori.stack.recovery_document import recovery_document
from pivori.stack.sinks import Ear, RecoverySink
from pivori.storage import StorageError
from pivori.translation import N_, Phrase

_CAPTURES_FOR_SIZE = 5

Around = Callable[[Sequence[Hook], str], AbstractContextManager[object]]
"""What runs hooks around something: the hooks, and the name of the component (empty for the whole)."""


_FATAL = (StorageError, LockLost, BlobNotReproduced, WorkerDied)
"""What is wrong with the repository or this machine, and not with a component: it ends the run."""


class NothingProtected(PivoriError):
    """Not one of the components could be captured."""

    code = "nothing-protected"
    message = N_("No component of the stack {stack} could be captured, so there is no new recovery point.")
    hint = N_("The lines above say what kept each of them; mend that, then run the backup again.")


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureBegan(Event):
    """A component is about to be captured."""

    component: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureEnded(Event):
    """A component was captured. ``size`` is in bytes; ``warnings`` are the component's own."""

    component: str
    size: int
    seconds: float
    warnings: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureFailed(Event):
    """A component could not be captured; the others go on."""

    component: str
    error: PivoriError


@dataclass(frozen=True, kw_only=True, slots=True)
class NotConfirmed(Event):
    """A component could not be told that its capture is durable; its source keeps more than it needs to."""

    component: str
    error: PivoriError


@dataclass(frozen=True, kw_only=True)
class ProtectRequest:
    """What to protect, and how. ``accept_smaller`` are components whose capture may be small this time."""

    stack: Stack
    names: Sequence[str]
    point: PointRequest
    accept_smaller: Sequence[str] = ()
    tags: Sequence[str] = ()


class Protected(NamedTuple):
    """What came of it."""

    snapshot_id: str
    record: RecoveryRecord
    summary: Summary
    unconfirmed: Sequence[str]

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for is in it, as it should be."""
        return not self.record.missing and not self.unconfirmed


class _Taken(NamedTuple):
    """A component that was captured."""

    member: Member
    report: Report


class Protect:
    """One run. The repository's index is loaded and a lock is held."""

    def __init__(
        self,
        repository: Repository,
        request: ProtectRequest,
        points: RecoveryPoints,
        *,
        state: Callable[[str], Path],
        around: Around,
        clock: Clock,
        emit: Callable[[Event], None],
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        """``points`` are the recovery points so far; ``state`` gives the private folder of a component."""
        self._request = request
        self._points = points
        self._state = state
        self._around = around
        self._clock = clock
        self._emit = emit
        newest = next(iter(points.snapshots), None)
        point = replace(request.point, parent=newest)
        self._writer = PointWriter(repository, point, clock=clock, before_write=before_write)
        self._taken: list[_Taken] = []

    def run(self) -> Protected:
        """Protect. Raises NothingProtected, what a hook of the whole raises, and storage errors."""
        stack, names = self._request.stack, self._request.names
        members = [member for member in stack.members if member.name in names]
        started = self._clock.now_ns()
        with self._around(stack.hooks, ""):
            records = [self._protect(member) for member in members]
        if not self._taken:
            raise NothingProtected(stack=stack.name)
        record = self._record(records, started)
        written = self._writer.finish(
            self._documents(record),
            tags=self._tags(record),
            paths=[f"/{record.name}" for record in records if record.outcome is Outcome.CAPTURED],
        )
        return Protected(written.snapshot_id, record, written.summary, self._confirm())

    # One component

    def _protect(self, member: Member) -> ComponentRecord:
        component = member.component
        self._emit(CaptureBegan(component=member.name, kind=component.kind))
        started, clock = self._clock.now_ns(), self._clock.monotonic()
        try:
            with self._around(member.hooks, member.name):
                record, report = self._capture(member, started)
        except _FATAL:
            raise
        except PivoriError as error:
            self._emit(CaptureFailed(component=member.name, error=error))
            return self._failed(member, started, error)
        self._taken.append(_Taken(member, report))
        seconds = self._clock.monotonic() - clock
        self._emit(
            CaptureEnded(component=member.name, size=record.size, seconds=seconds, warnings=list(report.warnings))
        )
        return record

    def _capture(self, member: Member, started: int) -> tuple[ComponentRecord, Report]:
        previous = list(islice(self._points.captures(member.name), _CAPTURES_FOR_SIZE))
        ear = Ear(self._emit)
        base = self._base(previous[0]) if previous else None
        writer = self._writer.component(member.name, base, ear)
        sink = RecoverySink(
            writer,
            ear,
            previous[0].report if previous else None,
            previous[0].record.files if previous and base is not None else {},
        )
        report = member.component.capture(sink, self._surroundings(member))
        if not writer.files:
            raise NothingCaptured(component=member.name)
        if member.name not in self._request.accept_smaller:
            demand_plausible(member.name, writer.size, usual_size(previous), member.smallest)
        writer.finish()
        return self._captured(member, started, sink, TreeFacts(files=writer.files, bytes=writer.size), report), report

    def _base(self, capture: Capture) -> Base | None:
        try:
            tree = self._points.folder(capture)
        except PivoriError as error:
            self._emit(DamageFound(error=error))
            return None
        return Base(snapshot=capture.point.loaded.id, tree=tree, since_ns=capture.started_ns)

    def _surroundings(self, member: Member) -> Surroundings:
        return Surroundings(
            clock=self._clock, emit=self._emit, root=self._request.stack.root, state=self._state(member.name)
        )

    def _captured(
        self, member: Member, started: int, sink: RecoverySink, size: TreeFacts, report: Report
    ) -> ComponentRecord:
        return ComponentRecord(
            name=member.name,
            kind=member.component.kind,
            outcome=Outcome.CAPTURED,
            started=format_time(started),
            ended=format_time(self._clock.now_ns()),
            size=size.bytes,
            file_count=size.files,
            report=report,
            files=sink.files,
            warnings=[_plain(text) for text in report.warnings],
            manual=list(member.component.manual(report)),
            rto=member.rto,
            rpo=member.rpo,
        )

    def _failed(self, member: Member, started: int, error: PivoriError) -> ComponentRecord:
        return ComponentRecord(
            name=member.name,
            kind=member.component.kind,
            outcome=Outcome.FAILED,
            started=format_time(started),
            ended=format_time(self._clock.now_ns()),
            error=_plain(str(error)),
            error_code=error.code,
            rto=member.rto,
            rpo=member.rpo,
        )

    # The whole

    def _record(self, records: Sequence[ComponentRecord], started: int) -> RecoveryRecord:
        request, stack = self._request, self._request.stack
        return RecoveryRecord(
            version=VERSION,
            stack=stack.name,
            root=str(stack.root),
            host=request.point.host,
            program=request.point.program_version,
            started=format_time(started),
            ended=format_time(self._clock.now_ns()),
            order=list(stack.recovery_order),
            asked=[record.name for record in records],
            components=list(records),
            strategy=stack.strategy,
            contacts=stack.contacts,
        )

    def _documents(self, record: RecoveryRecord) -> Mapping[bytes, bytes]:
        documents = {RECORD_PATH: encode_record(record), DOCUMENT_PATH: recovery_document(record)}
        if self._request.stack.configuration:
            documents[CONFIGURATION_PATH] = self._request.stack.configuration
        return documents

    def _tags(self, record: RecoveryRecord) -> list[str]:
        captured = [each.name for each in record.components if each.outcome is Outcome.CAPTURED]
        strategy = [STRATEGY_TAG + record.strategy] if record.strategy else []
        return [
            STACK_TAG + record.stack,
            *strategy,
            *(COMPONENT_TAG + name for name in captured),
            *self._request.tags,
        ]

    def _confirm(self) -> list[str]:
        """Tell the components that the recovery point is durable; those that could not be told."""
        unconfirmed = []
        for member, report in self._taken:
            try:
                member.component.stored(report, self._surroundings(member))
            except PivoriError as error:
                self._emit(NotConfirmed(component=member.name, error=error))
                unconfirmed.append(member.name)
        return unconfirmed


def _plain(text: str) -> str:
    """The English of a sentence."""
    return text[:] if isinstance(text, Phrase) else text
