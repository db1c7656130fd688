"""Which snapshots stay and which go: the retention policy, a pure function of the snapshots and the present moment.

The rules, the order in which they are looked at and the words of the reasons are restic's (0.19), so that both
programs decide alike on one repository (``tests/compat/test_retention.py`` holds this):

- Snapshots are looked at newest first. A counted rule (``daily=7``) keeps a snapshot when its bucket - the hour,
  day, ISO week, month or year on the clock that recorded it - differs from the last one it kept, until its count
  is used up. ``-1`` counts without end.
- The oldest snapshot also takes what is left of a count, so that history reaches as far back as it can.
- ``within`` rules look back from the newest snapshot that is not in the future.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

from pivori.engine.durations import Duration, Moment
from pivori.errors import PivoriError
from pivori.translation import N_

UNLIMITED = -1
# What restic looks back from when every snapshot lies in the future: the zero of its calendar.
_BEGINNING = Moment.parse("0001-01-01T00:00:00Z")


class NoRetentionRule(PivoriError):
    """A policy without a single rule: it would remove everything."""

    code = "no-retention-rule"
    message = N_("No rule says which snapshots to keep.")
    hint = N_("Give at least one --keep-… rule, for example --keep-daily 7, or name the snapshots to remove.")
    exit_status = 2


class BadRetentionRule(PivoriError):
    """A count that means nothing."""

    code = "bad-retention-rule"
    message = N_("The rule “{rule}” cannot keep {count} snapshots.")
    hint = N_("Write a number from 0, or “unlimited”.")
    exit_status = 2


@dataclass(frozen=True)
class SnapshotFacts:
    """What the policy looks at. ``time`` is the recorded RFC 3339 text; raises BadMoment when it is not."""

    id: str
    time: str
    host: str = ""
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    moment: Moment = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "moment", Moment.parse(self.time))


@dataclass(frozen=True)
class Policy:
    """The rules. Counts: 0 = no rule, -1 = all. Each of ``tags`` keeps the snapshots that have all its tags."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Duration | None = None
    within_hourly: Duration | None = None
    within_daily: Duration | None = None
    within_weekly: Duration | None = None
    within_monthly: Duration | None = None
    within_yearly: Duration | None = None
    tags: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for rule in _COUNTED:
            if getattr(self, rule) < UNLIMITED:
                raise BadRetentionRule(rule=rule, count=getattr(self, rule))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return any(getattr(self, rule.name) for rule in fields(self))


@dataclass(frozen=True)
class Reason:
    """Why a snapshot stays: an English template with its details apart, ready to be translated; str() is restic's."""

    message: str
    details: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message.format(**self.details)


@dataclass(frozen=True)
class Kept:
    """A snapshot that stays, why, and what each counted rule has left after it (-1 = without end)."""

    snapshot: SnapshotFacts
    reasons: tuple[Reason, ...]
    counters: Mapping[str, int]


@dataclass(frozen=True)
class Decision:
    """Every snapshot of a group, newest first, on one of two sides."""

    keep: tuple[Kept, ...]
    remove: tuple[SnapshotFacts, ...]


_BUCKETS: dict[str, Callable[[Moment, int], tuple[int, ...]]] = {
    "last": lambda moment, position: (position,),
    "hourly": lambda moment, position: (moment.year, moment.month, moment.day, moment.hour),
    "daily": lambda moment, position: (moment.year, moment.month, moment.day),
    "weekly": lambda moment, position: moment.iso_week(),
    "monthly": lambda moment, position: (moment.year, moment.month),
    "yearly": lambda moment, position: (moment.year,),
}
_COUNTED = {
    "last": (N_("last snapshot"), N_("oldest last snapshot")),
    "hourly": (N_("hourly snapshot"), N_("oldest hourly snapshot")),
    "daily": (N_("daily snapshot"), N_("oldest daily snapshot")),
    "weekly": (N_("weekly snapshot"), N_("oldest weekly snapshot")),
    "monthly": (N_("monthly snapshot"), N_("oldest monthly snapshot")),
    "yearly": (N_("yearly snapshot"), N_("oldest yearly snapshot")),
}
_WITHIN = {
    "hourly": (N_("hourly within {duration}"), N_("oldest hourly within {duration}")),
    "daily": (N_("daily within {duration}"), N_("oldest daily within {duration}")),
    "weekly": (N_("weekly within {duration}"), N_("oldest weekly within {duration}")),
    "monthly": (N_("monthly within {duration}"), N_("oldest monthly within {duration}")),
    "yearly": (N_("yearly within {duration}"), N_("oldest yearly within {duration}")),
}


class _Rule:
    """One counted or ``within-…`` rule at work: what it still may keep, and the last bucket it kept."""

    def __init__(
        self, period: str, words: tuple[str, str], count: int, since: int | None = None, span: str = ""
    ) -> None:
        self.count = count
        self._bucket_of = _BUCKETS[period]
        self._words = words
        self._since = since
        self._details = {"duration": span} if span else {}
        self._last_bucket: tuple[int, ...] | None = None

    def look(self, moment: Moment, position: int, is_oldest: bool) -> Reason | None:
        """The reason to keep the snapshot at ``position`` (newest first), or None."""
        if self.count == 0 or (self._since is not None and moment.ns <= self._since):
            return None
        bucket = self._bucket_of(moment, position)
        is_same = bucket == self._last_bucket
        if is_same and not is_oldest:
            return None
        self._last_bucket = bucket
        if self.count > 0:
            self.count -= 1
        return Reason(self._words[is_same], self._details)


def decide(snapshots: Iterable[SnapshotFacts], policy: Policy, *, now_ns: int) -> Decision:
    """Apply the policy to one group of snapshots.

    ``now_ns`` (nanoseconds since the epoch) only tells which snapshots lie in the future. Snapshots of the very same
    instant count the one with the greater id as newer, so that two runs decide alike.
    """
    ordered = sorted(snapshots, key=lambda snapshot: (snapshot.moment.ns, snapshot.id), reverse=True)
    latest = next((snapshot.moment for snapshot in ordered if snapshot.moment.ns < now_ns), _BEGINNING)
    counted = {period: _Rule(period, words, getattr(policy, period)) for period, words in _COUNTED.items()}
    rules = [*counted.values(), *_within_rules(policy, latest)]
    keep: list[Kept] = []
    remove: list[SnapshotFacts] = []
    for position, snapshot in enumerate(ordered):
        is_oldest = position == len(ordered) - 1
        found = [rule.look(snapshot.moment, position, is_oldest) for rule in rules]
        reasons = _uncounted_reasons(snapshot, policy, latest) + [reason for reason in found if reason is not None]
        if reasons:
            keep.append(Kept(snapshot, tuple(reasons), {period: rule.count for period, rule in counted.items()}))
        else:
            remove.append(snapshot)
    return Decision(tuple(keep), tuple(remove))


def _within_rules(policy: Policy, latest: Moment) -> Iterator[_Rule]:
    """The rules of the form "one a day, for a month back from the newest"."""
    for period, words in _WITHIN.items():
        span: Duration | None = getattr(policy, f"within_{period}")
        if span:
            yield _Rule(period, words, UNLIMITED, latest.before(span), span.phrase)


def _uncounted_reasons(snapshot: SnapshotFacts, policy: Policy, latest: Moment) -> list[Reason]:
    """The reasons that use up nothing: tags, and age."""
    matching = [tags for tags in policy.tags if has_tags(snapshot, tags)]
    reasons = [Reason(N_("has tags {tags}"), {"tags": f"[{', '.join(tags)}]"}) for tags in matching]
    if policy.within and snapshot.moment.ns > latest.before(policy.within):
        reasons.append(Reason(N_("within {duration}"), {"duration": policy.within.phrase}))
    return reasons


def has_tags(snapshot: SnapshotFacts, tags: Sequence[str]) -> bool:
    """Whether the snapshot has all of ``tags``. An empty tag stands for "no tag at all", as in restic."""
    for tag in tags:
        if tag == "" and not snapshot.tags:
            return True
        if tag not in snapshot.tags:
            return False
    return True


def parse_tags(text: str) -> tuple[str, ...]:
    """Read one ``--keep-tag``: tags that must all be there, separated by commas."""
    return tuple(tag.strip() for tag in text.split(","))
