"""The verb ``forget``: the snapshots of a plan are removed. What they alone needed is freed by ``prune``."""

from collections.abc import Callable, Iterable
from itertools import count

from pivori.engine.forget_plan import ForgetPlan
from pivori.engine.retention import SnapshotFacts
from pivori.events import Event, Progress, Unit
from pivori.repository import LoadedSnapshot, Repository
from pivori.storage import Kind

_PER_CHECK = 64


def facts(snapshots: Iterable[LoadedSnapshot]) -> list[SnapshotFacts]:
    """What the retention policy looks at, for each snapshot. Raises BadMoment."""
    return [
        SnapshotFacts(
            id=loaded.id,
            time=loaded.snapshot.time,
            host=loaded.snapshot.hostname,
            paths=tuple(loaded.snapshot.paths),
            tags=tuple(loaded.snapshot.tags),
        )
        for loaded in snapshots
    ]


def apply_forget(
    repository: Repository,
    plan: ForgetPlan,
    *,
    before_write: Callable[[], None] = lambda: None,
    emit: Callable[[Event], None] = lambda _: None,
) -> list[str]:
    """Remove the plan's snapshots, the oldest first, under an exclusive lock; returns the ids of those removed.

    An end in between leaves the rest for the next time. A snapshot that is gone already is left out of the answer.
    ``before_write`` is called now and then: the place to make sure that the lock still holds. Raises storage errors.
    """
    removed: list[str] = []
    doomed = sorted(plan.remove, key=lambda snapshot: (snapshot.moment.ns, snapshot.id))
    numbers = count()

    def before_each() -> None:
        if next(numbers) % _PER_CHECK == 0:
            before_write()

    def note(name: str) -> None:
        removed.append(name)
        emit(Progress(files_done=len(removed), files_total=len(doomed), unit=Unit.SNAPSHOTS))

    names = [snapshot.id for snapshot in doomed]
    repository.remove(Kind.SNAPSHOT, names, before_each=before_each, removed=note)
    if removed:
        repository.storage.sync()
    return removed
