"""Snapshots: restic's JSON, key by key, and a reader that trusts nothing."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pivori.repository.snapshot import (
    LoadedSnapshot,
    Snapshot,
    SnapshotDamaged,
    Summary,
    decode_snapshot,
    edited,
    encode_snapshot,
    path_text,
)
from pivori.repository.times import format_time

TREE, PARENT, ORIGINAL, NAME = "a" * 64, "b" * 64, "c" * 64, "d" * 64
NOON = "2025-11-08T12:00:00Z"

# As `restic 0.19.1 cat snapshot` shows it (in one line), with a parent, an original and ids of a user added.
BY_RESTIC = (
    '{"time":"2026-11-23T01:14:32.817785949Z","parent":"' + PARENT + '","tree":"' + TREE + '",'
    '"paths":["/tmp/s"],"hostname":"vm","username":"ann","uid":1000,"gid":1000,"excludes":["*.x"],"tags":["a","b"],'
    '"original":"' + ORIGINAL + '","program_version":"restic 0.19.1",'
    '"summary":{"backup_start":"2026-11-23T01:14:32.817785949Z","backup_end":"2026-11-23T01:14:33.476518636Z",'
    '"files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":3,"dirs_changed":0,"dirs_unmodified":0,'
    '"data_blobs":1,"tree_blobs":4,"data_added":1419,"data_added_packed":1255,"total_files_processed":1,'
    '"total_bytes_processed":2}}'
).encode()


def test_a_snapshot_of_restic_is_written_again_byte_for_byte() -> None:
    snapshot = decode_snapshot(BY_RESTIC, NAME)
    assert encode_snapshot(snapshot) == BY_RESTIC
    assert snapshot.summary is not None
    assert snapshot.summary.data_added_packed == 1255
    assert snapshot.tags == ["a", "b"]


def test_what_is_empty_is_left_out_but_not_the_paths() -> None:
    assert json.loads(encode_snapshot(Snapshot(time=NOON, tree=TREE, paths=[]))) == {
        "time": NOON,
        "tree": TREE,
        "paths": [],
    }


def test_a_summary_writes_its_zeros() -> None:
    snapshot = Snapshot(time=NOON, tree=TREE, paths=["/a"], summary=Summary(backup_start=NOON, backup_end=NOON))
    written = json.loads(encode_snapshot(snapshot))["summary"]
    assert len(written) == 14
    assert [value for key, value in written.items() if not key.startswith("backup_")] == [0] * 12


def test_the_least_that_restic_reads_is_read() -> None:
    snapshot = decode_snapshot(b'{"time":"%s","tree":"%s"}' % (NOON.encode(), TREE.encode()), NAME)
    assert snapshot == Snapshot(time=NOON, tree=TREE, paths=[])


def test_null_is_absent_and_unknown_fields_are_passed_over() -> None:
    fields = {
        "time": NOON,
        "tree": TREE,
        "parent": None,
        "paths": None,
        "hostname": None,
        "tags": None,
        "uid": None,
        "summary": {"backup_start": None, "files_new": None, "files_changed": 7, "backup_duration": 0.5},
        "label": {"of": ["another", "program"]},
    }
    snapshot = decode_snapshot(json.dumps(fields).encode(), NAME)
    assert snapshot == Snapshot(time=NOON, tree=TREE, paths=[], summary=Summary(files_changed=7))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time", "yesterday"),
        ("time", ""),
        ("time", 5),
        ("time", "2025-02-29T00:00:00Z"),
        ("tree", None),
        ("tree", ""),
        ("tree", "A" * 64),
        ("tree", "a" * 63),
        ("tree", "a" * 64 + "\n"),
        ("tree", "../" * 21 + "x"),
        ("parent", "abc"),
        ("original", 1),
        ("paths", "/a"),
        ("paths", [1]),
        ("paths", [None]),
        ("hostname", ["x"]),
        ("uid", -1),
        ("gid", 2**32),
        ("uid", "0"),
        ("uid", True),
        ("tags", {"a": 1}),
        ("excludes", "x"),
        ("program_version", 1),
        ("summary", []),
        ("summary", 3),
        ("summary", {"files_new": -1}),
        ("summary", {"files_new": 1.5}),
        ("summary", {"data_added": 2**63}),
        ("summary", {"backup_end": "soon"}),
    ],
)
def test_a_wrong_field_is_damage(key: str, value: object) -> None:
    fields: dict[str, object] = {"time": NOON, "tree": TREE, "paths": ["/a"]}
    decode_snapshot(json.dumps(fields).encode(), NAME)
    with pytest.raises(SnapshotDamaged) as caught:
        decode_snapshot(json.dumps(fields | {key: value}).encode(), NAME)
    assert NAME in str(caught.value)
    assert caught.value.code == "snapshot-damaged"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b'{"a":' + b"[" * 100_000, b'{"time":"\\ud800"}']
)
def test_what_is_no_object_is_damage(data: bytes) -> None:
    with pytest.raises(SnapshotDamaged):
        decode_snapshot(data, NAME)


def test_text_that_is_not_utf8_is_replaced() -> None:
    assert path_text(b"/caf\xe9/\xc3\xa9") == "/caf\ufffd/é"
    snapshot = Snapshot(time=NOON, tree=TREE, paths=["/caf\udce9"], hostname="h\udcff", tags=["\udc80"])
    read = decode_snapshot(encode_snapshot(snapshot), NAME)
    assert (read.paths, read.hostname, read.tags) == (["/caf\ufffd"], "h\ufffd", ["\ufffd"])
    assert read.paths == [path_text(b"/caf\xe9")]


def test_an_edited_snapshot_remembers_the_first_one() -> None:
    loaded = LoadedSnapshot(NAME, Snapshot(time=NOON, tree=TREE, paths=["/a"]))
    once = edited(loaded, tags=["kept"])
    assert (once.original, once.tags, once.time) == (NAME, ["kept"], NOON)
    assert edited(LoadedSnapshot(PARENT, once), tags=[]).original == NAME
    assert loaded.snapshot.original is None


def test_the_time_of_a_loaded_snapshot() -> None:
    snapshot = Snapshot(time="2025-11-08T13:00:00.5+01:00", tree=TREE, paths=[])
    assert LoadedSnapshot(NAME, snapshot).time_ns == 1_762_603_200_500_000_000


text = st.text(alphabet=st.characters(exclude_categories=("Cs",)))
object_names = st.text("0123456789abcdef", min_size=64, max_size=64)
times = st.integers(0, 253402300799 * 10**9).map(format_time)
counts = st.integers(0, 2**63 - 1)
summaries = st.builds(
    Summary,
    backup_start=times,
    backup_end=times,
    **{name: counts for name in Summary.__struct_fields__ if not name.startswith("backup_")},
)
snapshots = st.builds(
    Snapshot,
    time=times,
    parent=st.none() | object_names,
    tree=object_names,
    paths=st.lists(text),
    hostname=text,
    username=text,
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    excludes=st.lists(text),
    tags=st.lists(text),
    original=st.none() | object_names,
    program_version=text,
    summary=st.none() | summaries,
)


@given(snapshots)
def test_snapshots_survive_the_round_trip(snapshot: Snapshot) -> None:
    data = encode_snapshot(snapshot)
    assert decode_snapshot(data, NAME) == snapshot
    order = [key for key in Snapshot.__struct_fields__ if key in json.loads(data)]
    assert list(json.loads(data)) == order


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(Snapshot.__struct_fields__), json_values))
def test_any_json_is_a_snapshot_or_damage(fields: dict[str, object]) -> None:
    data = msgspec.json.encode({"time": NOON, "tree": TREE} | fields)
    try:
        snapshot = decode_snapshot(data, NAME)
    except SnapshotDamaged:
        return
    assert decode_snapshot(encode_snapshot(snapshot), NAME) == snapshot
