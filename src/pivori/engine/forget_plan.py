"""What a ``forget`` is about to do, computed before anything is touched.

Snapshots are divided into groups (by host and paths unless told otherwise), the retention policy decides in each
group on its own, and a plan that would leave a group with nothing is refused unless that is wanted: a mistyped
``--keep-tag`` must not cost a history.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pivori.engine.retention import Kept, NoRetentionRule, Policy, Reason, SnapshotFacts, decide
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

GROUPINGS = frozenset({"host", "paths", "tags"})
DEFAULT_GROUPING = frozenset({"host", "paths"})
_GROUPING_WORDS = {"host": "host", "hosts": "host", "path": "paths", "paths": "paths", "tag": "tags", "tags": "tags"}


class LastSnapshots(PivoriError):
    """The plan would leave a group with no snapshot at all."""

    code = "last-snapshots"
    message = N_("Every snapshot of the group ({group}) would be removed, so none is.")
    hint = N_("Check the --keep-… rules or the ids, or add --allow-empty if the group may vanish.")


class BadGrouping(PivoriError):
    """A way to group snapshots that does not exist."""

    code = "bad-grouping"
    message = N_("Snapshots cannot be grouped by “{word}”.")
    hint = N_("Write host, paths or tags, separated by commas, or nothing for one single group.")
    exit_status = 2


_NOT_NAMED = Reason(N_("not named"))
"""Why a snapshot stays when others are removed by their names."""


@dataclass(frozen=True, order=True)
class GroupKey:
    """What the snapshots of a group have in common; what they are not grouped by is empty."""

    host: str = ""
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> Phrase | None:
        """What they have in common, in words; None for a group of everything."""
        parts = []
        if self.host:
            parts.append(Phrase(N_("host {host}"), host=self.host))
        if self.paths:
            parts.append(Phrase(N_("paths {paths}"), paths=", ".join(self.paths)))
        if self.tags:
            parts.append(Phrase(N_("tags {tags}"), tags=", ".join(self.tags)))
        title = parts[0] if parts else None
        for part in parts[1:]:
            title = Phrase(N_("{first}, {second}"), first=title, second=part)
        return title


@dataclass(frozen=True)
class Group:
    """Snapshots that the policy looks at together."""

    key: GroupKey
    snapshots: tuple[SnapshotFacts, ...]


@dataclass(frozen=True)
class GroupPlan:
    """What happens to one group, newest first on both sides."""

    key: GroupKey
    keep: tuple[Kept, ...]
    remove: tuple[SnapshotFacts, ...]


@dataclass(frozen=True)
class ForgetPlan:
    """What happens to every group; groups are sorted by host, paths and tags."""

    groups: tuple[GroupPlan, ...]

    @property
    def remove(self) -> tuple[SnapshotFacts, ...]:
        """Every snapshot that goes."""
        return tuple(snapshot for group in self.groups for snapshot in group.remove)

    @property
    def keep(self) -> tuple[Kept, ...]:
        """Every snapshot that stays."""
        return tuple(kept for group in self.groups for kept in group.keep)


def parse_grouping(text: str) -> frozenset[str]:
    """Read ``host,paths,tags`` (singular and plural, any order; empty = one group). Raises BadGrouping."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word and word not in _GROUPING_WORDS:
            raise BadGrouping(word=word)
    return frozenset(_GROUPING_WORDS[word] for word in words if word)


def group(snapshots: Iterable[SnapshotFacts], by: Collection[str] = DEFAULT_GROUPING) -> tuple[Group, ...]:
    """Divide snapshots by ``host``, ``paths`` and ``tags``; the order of a snapshot's paths and tags is of no account.

    Raises BadGrouping for any other word.
    """
    for word in by:
        if word not in GROUPINGS:
            raise BadGrouping(word=word)
    members: dict[GroupKey, list[SnapshotFacts]] = {}
    for snapshot in snapshots:
        key = GroupKey(
            snapshot.host if "host" in by else "",
            tuple(sorted(snapshot.paths)) if "paths" in by else (),
            tuple(sorted(snapshot.tags)) if "tags" in by else (),
        )
        members.setdefault(key, []).append(snapshot)
    return tuple(Group(key, tuple(members[key])) for key in sorted(members))


def plan_forget(groups: Sequence[Group], policy: Policy, *, now_ns: int, allow_empty: bool = False) -> ForgetPlan:
    """Apply the policy to every group.

    Raises NoRetentionRule for a policy without a rule, and LastSnapshots when a group would vanish, unless
    ``allow_empty``.
    """
    if not policy:
        raise NoRetentionRule()
    plans = []
    for members in groups:
        decision = decide(members.snapshots, policy, now_ns=now_ns)
        plans.append(GroupPlan(members.key, decision.keep, decision.remove))
    return _guarded(plans, allow_empty)


def plan_removal(groups: Sequence[Group], ids: Collection[str], *, allow_empty: bool = False) -> ForgetPlan:
    """Remove the named snapshots and keep all others; groups that lose nothing are left out of the plan.

    Raises LastSnapshots when a group would vanish, unless ``allow_empty``.
    """
    plans = []
    for members in groups:
        newest_first = sorted(members.snapshots, key=lambda snapshot: (snapshot.moment.ns, snapshot.id), reverse=True)
        remove = tuple(snapshot for snapshot in newest_first if snapshot.id in ids)
        if remove:
            keep = tuple(Kept(snapshot, (_NOT_NAMED,), {}) for snapshot in newest_first if snapshot.id not in ids)
            plans.append(GroupPlan(members.key, keep, remove))
    return _guarded(plans, allow_empty)


def _guarded(plans: Sequence[GroupPlan], allow_empty: bool) -> ForgetPlan:
    """The plan, unless it empties a group without leave."""
    for plan in plans:
        if not plan.keep and not allow_empty:
            raise LastSnapshots(
                group=plan.key.title or Phrase(N_("all snapshots")), ids=[snapshot.id for snapshot in plan.remove]
            )
    return ForgetPlan(tuple(plans))
