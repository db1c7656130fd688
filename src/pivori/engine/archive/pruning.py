"""The verb ``archive prune``: which archives stay and which go, decided by a pure function before anything is touched.

The keep rules are those of ``forget``, for each root and strategy on its own; plain age is another rule. Whatever they
say, these stay: what this program did not write, what cannot be looked into, the base of a differential archive that
stays, and of each root the newest complete archive, the newest one that is known to be whole, and the newest of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from pivori.archives.checksum import find_checksum
from pivori.engine.retention import NoRetentionRule, Policy, Reason, SnapshotFacts, decide
from pivori.translation import N_

_COMPLETE = "complete"
_DIFFERENTIAL = "differential"


class Verdict(StrEnum):
    """What the history knows of an archive."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ArchiveFacts:
    """What the decision looks at.

    ``time`` is RFC 3339. ``id`` is the manifest's, empty where it cannot be read. ``base_id`` and ``base_name`` are
    those of the base of a differential archive, as far as they are known. ``is_ours`` says that this program, or the
    script before it, wrote the file; ``doubt`` why that is not certain.
    """

    path: Path
    time: str
    strategy: str
    root: str
    host: str = ""
    id: str = ""
    base_id: str = ""
    base_name: str = ""
    size: int = 0
    is_ours: bool = True
    doubt: str = ""
    verdict: Verdict = Verdict.UNKNOWN

    @property
    def is_differential(self) -> bool:
        """Whether it is nothing without its base."""
        return self.strategy == _DIFFERENTIAL


@dataclass(frozen=True, kw_only=True)
class PruneRules:
    """What to keep: the rules of a policy, and everything younger than ``older_than_ns`` (a moment, not a span).

    With both, an archive goes when neither wants it.
    """

    policy: Policy = field(default_factory=Policy)
    older_than_ns: int | None = None

    def __bool__(self) -> bool:
        return bool(self.policy) or self.older_than_ns is not None


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one archive, and every reason for it."""

    archive: ArchiveFacts
    stays: bool
    reasons: tuple[Reason, ...]


_OF_ARCHIVES = {
    "last snapshot": N_("last archive"),
    "oldest last snapshot": N_("oldest last archive"),
    "hourly snapshot": N_("hourly archive"),
    "oldest hourly snapshot": N_("oldest hourly archive"),
    "daily snapshot": N_("daily archive"),
    "oldest daily snapshot": N_("oldest daily archive"),
    "weekly snapshot": N_("weekly archive"),
    "oldest weekly snapshot": N_("oldest weekly archive"),
    "monthly snapshot": N_("monthly archive"),
    "oldest monthly snapshot": N_("oldest monthly archive"),
    "yearly snapshot": N_("yearly archive"),
    "oldest yearly snapshot": N_("oldest yearly archive"),
}
_NOT_OURS = N_("this program did not write it: {doubt}")
_YOUNG = N_("it is not old enough")
_OLD = N_("it is old enough, and no rule keeps it")
_NO_RULE = N_("no rule keeps it")
_BASE = N_("{name} is relative to it")
_NEWEST_COMPLETE = N_("it is the newest complete archive of {root}")
_NEWEST_WHOLE = N_("it is the newest archive of {root} that is known to be whole")
_NEWEST_WHOLE_COMPLETE = N_("it is the newest complete archive of {root} that is known to be whole")
_NEWEST = N_("it is the newest archive of {root}")


def plan_prune(archives: Sequence[ArchiveFacts], rules: PruneRules, *, now_ns: int) -> list[Fate]:
    """Decide about every archive, the newest first. Raises NoRetentionRule without any rule, BadMoment."""
    if not rules:
        raise NoRetentionRule()
    moments = {each.path: SnapshotFacts(id=str(each.path), time=each.time).moment.ns for each in archives}
    ordered = sorted(archives, key=lambda each: (moments[each.path], str(each.path)), reverse=True)
    kept: dict[Path, list[Reason]] = {}
    gone: dict[Path, Reason] = {}
    for each in ordered:
        if not each.is_ours:
            kept[each.path] = [Reason(_NOT_OURS, {"doubt": each.doubt})]
    ours = [each for each in ordered if each.is_ours]
    _apply_rules(ours, rules, moments, now_ns, kept, gone)
    _protect(ours, kept)
    _keep_bases(ours, moments, kept)
    return [
        Fate(archive=each, stays=True, reasons=tuple(kept[each.path]))
        if each.path in kept
        else Fate(archive=each, stays=False, reasons=(gone[each.path],))
        for each in ordered
    ]


def _apply_rules(
    archives: Sequence[ArchiveFacts],
    rules: PruneRules,
    moments: Mapping[Path, int],
    now_ns: int,
    kept: dict[Path, list[Reason]],
    gone: dict[Path, Reason],
) -> None:
    """What the rules keep, and why the others may go."""
    groups: dict[tuple[str, str, str], list[ArchiveFacts]] = {}
    for each in archives:
        groups.setdefault((each.host, each.root, each.strategy), []).append(each)
    for members in groups.values():
        facts = [SnapshotFacts(id=str(each.path), time=each.time, tags=(each.strategy,)) for each in members]
        wanted = decide(facts, rules.policy, now_ns=now_ns).keep if rules.policy else ()
        reasons = {Path(one.snapshot.id): [_of_an_archive(reason) for reason in one.reasons] for one in wanted}
        for each in members:
            found = reasons.get(each.path, [])
            if rules.older_than_ns is not None and moments[each.path] > rules.older_than_ns:
                found.append(Reason(_YOUNG))
            if found:
                kept[each.path] = found
            else:
                gone[each.path] = Reason(_NO_RULE if rules.older_than_ns is None else _OLD)


def _of_an_archive(reason: Reason) -> Reason:
    """A reason of the retention policy, which speaks of snapshots, in the words for archives."""
    return replace(reason, message=_OF_ARCHIVES.get(reason.message, reason.message))


def _protect(archives: Sequence[ArchiveFacts], kept: dict[Path, list[Reason]]) -> None:
    """Keep what nobody may lose by a rule. ``archives`` are sorted, the newest first."""
    seen: set[tuple[str, str, str]] = set()
    for each in archives:
        is_complete, is_whole = each.strategy == _COMPLETE, each.verdict is Verdict.WHOLE
        may_be_whole = each.verdict is not Verdict.DAMAGED
        for reason, holds in (
            (_NEWEST, may_be_whole),
            (_NEWEST_COMPLETE, may_be_whole and is_complete),
            (_NEWEST_WHOLE, is_whole and not each.is_differential),
            (_NEWEST_WHOLE_COMPLETE, is_whole and is_complete),
        ):
            key = (reason, each.host, each.root)
            if holds and key not in seen:
                seen.add(key)
                kept.setdefault(each.path, []).append(Reason(reason, {"root": each.root or each.path.name}))


def _keep_bases(archives: Sequence[ArchiveFacts], moments: Mapping[Path, int], kept: dict[Path, list[Reason]]) -> None:
    """Keep the base of every differential archive that stays."""
    for each in archives:
        if not each.is_differential or each.path not in kept:
            continue
        for base in _bases(each, archives, moments):
            kept.setdefault(base.path, []).append(Reason(_BASE, {"name": each.path.name}))


def _bases(archive: ArchiveFacts, others: Iterable[ArchiveFacts], moments: Mapping[Path, int]) -> list[ArchiveFacts]:
    """What may be the base: by its id, else by its name, else the newest complete one from before."""
    candidates = [each for each in others if each.path != archive.path and not each.is_differential]
    by_id = [each for each in candidates if archive.base_id and each.id == archive.base_id]
    if by_id:
        return by_id
    by_name = [each for each in candidates if archive.base_name and each.path.name == archive.base_name]
    if by_name:
        return by_name
    if archive.base_id:
        # It is known, and not here under any name that can be read: what cannot be read may be it.
        return [each for each in candidates if not each.id]
    before = [
        each
        for each in candidates
        if each.strategy == _COMPLETE and moments[each.path] <= moments[archive.path] and each.root == archive.root
    ]
    return before[:1]


def remove_archive(path: Path) -> None:
    """Remove an archive and its checksum file, the archive first. Raises OSError."""
    beside = find_checksum(path)
    path.unlink()
    if beside is not None:
        beside.unlink(missing_ok=True)
