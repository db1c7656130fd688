"""What a differential snapshot is relative to: the last whole one of the same sources, or one that is named."""

from collections.abc import Collection, Iterable
from typing import Final

from pivori.engine.strategies import StrategyName
from pivori.errors import PivoriError
from pivori.repository import LoadedSnapshot, newest_first
from pivori.translation import N_

STRATEGY_TAG: Final = "strategy:"
BASE_TAG: Final = "base:"


class NoBase(PivoriError):
    """There is nothing that a differential backup could be relative to."""

    code = "no-base"
    message = N_("There is no complete snapshot of {paths} by {host} that this one could be relative to.")
    hint = N_("Make one with --strategy complete, or name another one with --base.")


class BaseIsDifferential(PivoriError):
    """The snapshot named as a base is relative to another one itself."""

    code = "base-is-differential"
    message = N_("The snapshot {name} is a differential one itself, so it cannot be a base.")
    hint = N_("Name a complete snapshot; `pivori snapshots --tag strategy:complete` lists them.")
    exit_status = 2


def strategy_of(loaded: LoadedSnapshot) -> str | None:
    """The strategy that a snapshot's tags name; None when they name none: such a snapshot is whole."""
    tags = (tag.removeprefix(STRATEGY_TAG) for tag in loaded.snapshot.tags if tag.startswith(STRATEGY_TAG))
    return next(tags, None)


def check_base(loaded: LoadedSnapshot) -> None:
    """Raises BaseIsDifferential."""
    if strategy_of(loaded) == StrategyName.DIFFERENTIAL:
        raise BaseIsDifferential(name=loaded.id[:8])


def find_base(snapshots: Iterable[LoadedSnapshot], *, host: str, paths: Collection[str], before: int) -> LoadedSnapshot:
    """The newest whole snapshot of the same host and set of paths, made at ``before`` (nanoseconds) or earlier.

    Neither smart nor differential ones are bases. Raises NoBase.
    """
    wanted = frozenset(paths)
    for loaded in newest_first(snapshots):
        same = loaded.snapshot.hostname == host and frozenset(loaded.snapshot.paths) == wanted
        is_whole = strategy_of(loaded) not in (StrategyName.SMART, StrategyName.DIFFERENTIAL)
        if same and is_whole and loaded.time_ns <= before:
            return loaded
    raise NoBase(paths=", ".join(sorted(wanted)), host=host)
