"""Retention decisions equal those of the real restic, on generated histories.

Each example is one repository whose groups are histories (one per host), written directly so that hundreds of
snapshots cost milliseconds, and one policy. Every restic plans `forget --dry-run --json`; the plan must be ours, with
the reasons.

Snapshots of the very same instant stand in no defined order in restic: they are compared by time, not by id.
"""

import base64
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import scrypt, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from pivori.engine.durations import Duration
from pivori.engine.forget_plan import LastSnapshots, group, plan_forget
from pivori.engine.retention import Policy, SnapshotFacts

PASSWORD = "retention"
OLDEST = "0.14"
COUNTED = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
# Any moment after the generated past (up to 2024) and before the generated future (from 2150).
NOW_NS = 1_900_000_000_000_000_000

# ------------------------------------------------------------------------------------- a repository, by hand


def sealed(key: bytes, plain: bytes) -> bytes:
    """AES-256-CTR and Poly1305-AES as the format wants them; ``key`` is encryption key, k and r in a row."""
    vector = os.urandom(16)
    encryptor = Cipher(algorithms.AES(key[:32]), modes.CTR(vector)).encryptor()
    text = encryptor.update(plain) + encryptor.finalize()
    nonce = Cipher(algorithms.AES(key[32:48]), modes.ECB()).encryptor().update(vector)
    return vector + text + Poly1305.generate_tag(key[48:64] + nonce, text)


def write_repository(folder: Path, snapshots: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """A repository of snapshots that share a tree nobody needs; gives the snapshots by id."""
    for name in ("data", "index", "keys", "locks", "snapshots"):
        (folder / name).mkdir()
    master, salt = os.urandom(64), os.urandom(64)
    user_key = scrypt(PASSWORD.encode(), salt=salt, n=128, r=1, p=1, dklen=64)
    text = {
        "mac": {"k": encoded(master[32:48]), "r": encoded(master[48:64])},
        "encrypt": encoded(master[:32]),
    }
    key_file = json.dumps(
        {
            "created": "2020-01-01T00:00:00Z",
            "username": "u",
            "hostname": "h",
            "kdf": "scrypt",
            "N": 128,
            "r": 1,
            "p": 1,
            "salt": encoded(salt),
            "data": encoded(sealed(user_key, json.dumps(text).encode())),
        }
    ).encode()
    (folder / "keys" / sha256(key_file).hexdigest()).write_bytes(key_file)
    config = {"version": 2, "id": "ab" * 32, "chunker_polynomial": "3da3358b4dc173"}
    (folder / "config").write_bytes(sealed(master, json.dumps(config).encode()))
    by_id = {}
    for snapshot in snapshots:
        content = sealed(master, json.dumps(snapshot).encode())
        by_id[sha256(content).hexdigest()] = snapshot
        (folder / "snapshots" / sha256(content).hexdigest()).write_bytes(content)
    return by_id


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ------------------------------------------------------------------------------------- histories and policies

OFFSETS = [0, 60, 120, -300, -240, 330, 765, -660]  # minutes; neighbours are the two sides of a clock change
# Where calendars are interesting: leap days, ISO years, clock changes, ends of months, the year 1 of the epoch.
ANCHORS = [
    datetime(2024, 2, 29, 12),
    datetime(2023, 2, 28, 23, 30),
    datetime(2020, 12, 31, 23, 59, 59),
    datetime(2021, 1, 3, 12),
    datetime(2019, 12, 30),
    datetime(2024, 3, 31, 1, 59),
    datetime(2023, 10, 29, 2, 30),
    datetime(2022, 5, 31, 10),
    datetime(1970, 1, 1, 0, 30),
    datetime(2150, 7, 1),
]
GAPS = [0, 1, 59, 1800, 3600, 3601, 7200, 43200, 86400, 90000, 7 * 86400, 27 * 86400, 31 * 86400, 366 * 86400]
TAGS = ["a", "b", "weekly run", "é"]


@st.composite
def times(draw: st.DrawFn) -> list[str]:
    """A history of times around one anchor, each text in some zone."""
    anchor = draw(st.sampled_from(ANCHORS)).replace(tzinfo=UTC)
    found = []
    for gap in draw(st.lists(st.sampled_from(GAPS), min_size=1, max_size=14)):
        anchor -= timedelta(seconds=gap)
        zone = timezone(timedelta(minutes=draw(st.sampled_from(OFFSETS))))
        fraction = draw(st.sampled_from(["", "", "", ".5", ".000000001", ".999999999"]))
        moment = anchor.astimezone(zone).isoformat()
        found.append(moment[:19] + fraction + ("Z" if moment.endswith("+00:00") else moment[19:]))
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, object]]:
    """Snapshots of a few hosts, some with several sets of paths written in varying order."""
    found: list[dict[str, object]] = []
    for number in range(draw(st.integers(1, 6))):
        tagged = draw(st.booleans())
        for time in draw(times()):
            tags = draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True)) if tagged else []
            paths = draw(st.sampled_from([["/a", "/b"], ["/b", "/a"], ["/c"]]))
            snapshot = {"time": time, "tree": "cd" * 32, "paths": paths, "hostname": f"h{number}", "username": "u"}
            found.append({**snapshot, "tags": tags} if tags else snapshot)
    return found


counts = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 7, -1])
spans = st.none() | st.builds(
    Duration,
    years=st.sampled_from([0, 0, 1, 3]),
    months=st.sampled_from([0, 0, 1, 5, 13]),
    days=st.sampled_from([0, 1, 7, 30]),
    hours=st.sampled_from([0, 1, 23]),
)
rare_spans = st.one_of(st.none(), st.none(), spans)
policies = st.builds(
    Policy,
    last=counts,
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    within=rare_spans,
    within_hourly=rare_spans,
    within_daily=rare_spans,
    within_weekly=rare_spans,
    within_monthly=rare_spans,
    within_yearly=rare_spans,
    tags=st.sampled_from([(), (), (("a",),), (("a", "b"), ("é",)), (("",),)]),
).filter(bool)
groupings = st.sampled_from(["host,paths", "host", "host,tags", "paths,tags", ""])

# ------------------------------------------------------------------------------------- the comparison


@dataclass(frozen=True)
class Line:
    """One snapshot of a plan as both programs show it."""

    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    time: str
    kept: bool
    reasons: tuple[str, ...] = ()


def options_of(policy: Policy) -> Iterator[str]:
    """The policy as restic's command line has it."""
    for rule in COUNTED:
        count = getattr(policy, rule)
        if count:
            yield f"--keep-{rule}={'unlimited' if count == -1 else count}"
    for rule in ("within", "within_hourly", "within_daily", "within_weekly", "within_monthly", "within_yearly"):
        if getattr(policy, rule):
            yield f"--keep-{rule.replace('_', '-')}={getattr(policy, rule)}"
    for tags in policy.tags:
        yield f"--keep-tag={','.join(tags)}"


def finite(policy: Policy) -> Policy:
    """The policy for a restic that takes no "unlimited": a count that no history uses up."""
    return replace(policy, **{rule: 999 for rule in COUNTED if getattr(policy, rule) == -1})


def restic_plan(restic: Path, repository: Path, policy: Policy, by: str) -> list[dict[str, object]] | str:
    """The groups restic would make, or what it refuses with."""
    command = [restic, "--no-cache", "--no-lock", "-r", repository, "forget", "--dry-run", "--json", f"--group-by={by}"]
    # The zone of the machine moves restic's `within` edges over clock changes; UTC has none.
    environment = {"RESTIC_PASSWORD": PASSWORD, "TZ": "UTC", "HOME": str(repository)}
    done = subprocess.run([*command, *options_of(policy)], env=environment, capture_output=True, text=True)
    if "refusing to delete last snapshot" in done.stderr:
        return "refused"
    assert done.returncode == 0, done.stderr
    groups: list[dict[str, object]] = json.loads(done.stdout or "[]")
    return groups


def restic_lines(groups: list[dict[str, object]]) -> Counter[Line]:
    lines: Counter[Line] = Counter()
    for found in groups:
        key = (found["host"], tuple(found["paths"] or ()), tuple(found["tags"] or ()))
        for reason in found["reasons"] or ():
            lines[Line(*key, reason["snapshot"]["time"], True, tuple(reason["matches"]))] += 1
        for snapshot in found["remove"] or ():
            lines[Line(*key, snapshot["time"], False)] += 1
    return lines


def our_lines(facts: list[SnapshotFacts], policy: Policy, by: str) -> Counter[Line]:
    lines: Counter[Line] = Counter()
    groups = group(facts, frozenset(filter(None, by.split(","))))
    for plan in plan_forget(groups, policy, now_ns=NOW_NS, allow_empty=True).groups:
        key = (plan.key.host, plan.key.paths, plan.key.tags)
        for kept in plan.keep:
            lines[Line(*key, kept.snapshot.time, True, tuple(map(str, kept.reasons)))] += 1
        for snapshot in plan.remove:
            lines[Line(*key, snapshot.time, False)] += 1
    return lines


def before_oldest_rule(line: Line) -> Line:
    """The line as 0.14 has it, which does not yet keep a group's oldest snapshot for the counts that are left."""
    reasons = tuple(reason for reason in line.reasons if not reason.startswith("oldest "))
    return replace(line, kept=bool(reasons), reasons=reasons)


def distinct(history: list[dict[str, object]]) -> list[dict[str, object]]:
    """The history without snapshots of one instant that differ in zone or tags, which restic orders by chance."""
    seen: dict[tuple[object, int], dict[str, object]] = {}
    found = []
    for snapshot in history:
        instant = SnapshotFacts(id="", time=str(snapshot["time"])).moment.ns
        twin = seen.setdefault(instant, snapshot)
        if twin is snapshot or {**twin, "hostname": ""} == {**snapshot, "hostname": ""}:
            found.append(snapshot)
    return found


YEARS_OF_DAYS = [
    {"time": f"20{year}-{month:02}-{day:02}T22:30:00{zone}", "tree": "cd" * 32, "paths": ["/a"], "hostname": "h0"}
    for year, month, day, zone in [
        (19, 12, 29, "Z"), (19, 12, 30, "Z"), (20, 1, 1, "Z"), (20, 2, 29, "+01:00"), (20, 3, 29, "+02:00"),
        (20, 12, 28, "-05:00"), (20, 12, 31, "Z"), (21, 1, 3, "Z"), (21, 1, 4, "Z"), (24, 2, 29, "Z"), (99, 1, 1, "Z"),
    ]
]  # fmt: skip


# No shrinking: it would start restic thousands of times; the failing example is small as it is.
@settings(max_examples=50, phases=[Phase.explicit, Phase.generate])
@given(histories().map(distinct), policies, groupings)
@example(YEARS_OF_DAYS, Policy(weekly=3, monthly=-1, yearly=2), "host")
@example(YEARS_OF_DAYS, Policy(within_weekly=Duration(years=1), within=Duration(months=2)), "host,paths")
@example(YEARS_OF_DAYS[:4], Policy(within=Duration(days=59, hours=23), within_daily=Duration(days=61)), "host")
@example(YEARS_OF_DAYS[:1], Policy(tags=(("nowhere",),)), "host,paths")
@example(YEARS_OF_DAYS[-1:], Policy(within=Duration(hours=1)), "host,paths")
def test_every_restic_plans_what_we_plan(
    restics: dict[str, Path], history: list[dict[str, object]], policy: Policy, by: str
) -> None:
    with TemporaryDirectory() as folder:
        by_id = write_repository(Path(folder), history)
        facts = [
            SnapshotFacts(name, item["time"], item["hostname"], tuple(item["paths"]), tuple(item.get("tags", ())))
            for name, item in by_id.items()
        ]
        try:
            plan_forget(group(facts, frozenset(filter(None, by.split(",")))), policy, now_ns=NOW_NS)
            refused = False
        except LastSnapshots:
            refused = True
        for version, restic in restics.items():
            known = finite(policy) if version == OLDEST else policy
            theirs = restic_plan(restic, Path(folder), known, by)
            if version != OLDEST:  # which knows no such guard
                assert (theirs == "refused") == refused, version
            if isinstance(theirs, str):
                continue
            ours = our_lines(facts, known, by)
            if version == OLDEST:
                ours = Counter(map(before_oldest_rule, ours.elements()))
            assert ours == restic_lines(theirs), version


def test_the_fixed_history_is_thinned() -> None:
    """It is worth something only if a policy both keeps and removes."""
    facts = [SnapshotFacts(str(number), str(item["time"])) for number, item in enumerate(YEARS_OF_DAYS)]
    plan = plan_forget(group(facts, frozenset()), Policy(weekly=3, monthly=-1, yearly=2), now_ns=NOW_NS)
    assert len(plan.keep) > 2
    assert plan.remove


@pytest.mark.parametrize("by", ["host,paths", "tags"])
def test_groups_do_not_depend_on_the_order_of_paths_and_tags(by: str) -> None:
    one = SnapshotFacts("1", "2020-01-01T00:00:00Z", "h", ("/a", "/b"), ("x", "y"))
    two = SnapshotFacts("2", "2020-01-01T00:00:00Z", "h", ("/b", "/a"), ("y", "x"))
    assert len(group([one, two], frozenset(by.split(",")))) == 1
