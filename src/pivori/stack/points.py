"""The recovery points of a stack that a repository holds, and what of each component they hold.

Tags tell which snapshots are recovery points of which stack and which components were captured, so that records are
read only where they are wanted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.components.base import Report
from pivori.engine.recovery_point import ComponentReader
from pivori.engine.restore.items import find_subtree
from pivori.errors import PivoriError
from pivori.events import DamageFound, Event
from pivori.repository import LoadedSnapshot, Repository, newest_first, parse_time
from pivori.stack.record import (
    CONFIGURATION_PATH,
    RECORD_PATH,
    ComponentRecord,
    Outcome,
    RecoveryRecord,
    decode_record,
)

STACK_TAG: Final = "stack="
COMPONENT_TAG: Final = "component="


@dataclass(frozen=True)
class RecoveryPoint:
    """A snapshot that is a recovery point, with its record."""

    loaded: LoadedSnapshot
    record: RecoveryRecord

    @property
    def time_ns(self) -> int:
        """Its moment in nanoseconds since the epoch."""
        return self.loaded.time_ns


@dataclass(frozen=True)
class Capture:
    """What a recovery point holds of one component, which is usable: there is a report."""

    point: RecoveryPoint
    record: ComponentRecord
    report: Report

    @property
    def started_ns(self) -> int:
        """When it was begun, in nanoseconds since the epoch."""
        return parse_time(self.record.started)

    @property
    def ended_ns(self) -> int:
        """When it was complete, in nanoseconds since the epoch."""
        return parse_time(self.record.ended)


class RecoveryPoints:
    """The recovery points of one stack, the newest first."""

    def __init__(
        self,
        repository: Repository,
        stack: str,
        snapshots: Iterable[LoadedSnapshot],
        emit: Callable[[Event], None],
        *,
        host: str | None = None,
    ) -> None:
        """``host`` narrows to those of one machine. ``emit`` hears of records that cannot be read."""
        self._repository = repository
        self._emit = emit
        tag = STACK_TAG + stack
        self._snapshots = newest_first(
            loaded for loaded in snapshots if tag in loaded.snapshot.tags and host in (None, loaded.snapshot.hostname)
        )
        self._read: dict[str, RecoveryPoint | None] = {}

    @property
    def snapshots(self) -> Sequence[LoadedSnapshot]:
        """Their snapshots, the newest first, also those whose record cannot be read."""
        return self._snapshots

    def __iter__(self) -> Iterator[RecoveryPoint]:
        return (point for loaded in self._snapshots if (point := self.point(loaded)) is not None)

    def point(self, loaded: LoadedSnapshot) -> RecoveryPoint | None:
        """The recovery point of a snapshot; None when its record cannot be read."""
        if loaded.id not in self._read:
            self._read[loaded.id] = self._load(loaded)
        return self._read[loaded.id]

    def captures(self, component: str) -> Iterator[Capture]:
        """The usable captures of a component, the newest first."""
        tag = COMPONENT_TAG + component
        for loaded in self._snapshots:
            if tag not in loaded.snapshot.tags:
                continue
            point = self.point(loaded)
            record = point.record.component(component) if point is not None else None
            if point is None or record is None or record.outcome is not Outcome.CAPTURED or record.report is None:
                continue
            yield Capture(point, record, record.report)

    def folder(self, capture: Capture) -> str:
        """The id of the tree of a capture's folder. Raises PathNotInSnapshot, and what a damaged tree raises."""
        root = capture.point.loaded.snapshot.tree
        return find_subtree(self._repository, root, capture.record.name.encode())[0]

    def _load(self, loaded: LoadedSnapshot) -> RecoveryPoint | None:
        try:
            content = read_file(self._repository, loaded, RECORD_PATH)
            return RecoveryPoint(loaded, decode_record(content, loaded.id[:8]))
        except PivoriError as error:
            self._emit(DamageFound(error=error))
            return None


def read_file(repository: Repository, loaded: LoadedSnapshot, path: bytes) -> bytes:
    """A document of a recovery point. Raises PathNotInSnapshot, and what keeps it from being read."""
    reader = ComponentReader(repository, loaded.snapshot.tree, workers=1, emit=lambda _event: None)
    return b"".join(reader.pieces(path.decode()))


def read_configuration(repository: Repository, loaded: LoadedSnapshot) -> bytes:
    """The ``pivori.toml`` of a recovery point. Raises PathNotInSnapshot, and what keeps it from being read."""
    return read_file(repository, loaded, CONFIGURATION_PATH)


def stacks_in(snapshots: Iterable[LoadedSnapshot]) -> list[str]:
    """The names of all stacks that have recovery points among these snapshots."""
    return sorted(
        {
            tag.removeprefix(STACK_TAG)
            for loaded in snapshots
            for tag in loaded.snapshot.tags
            if tag.startswith(STACK_TAG)
        }
    )
