"""Damage planted one at a time: it is found, named with what it hurts, and nothing else is reported."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.engine.quantities import Part
from pivori.engine.verify import Verify, VerifyRequest
from pivori.repository import BlobId, BlobKind, Intake, Repository, WriterSettings
from pivori.repository.check_findings import FindingKind, Severity
from pivori.repository.keys import make_key_object
from pivori.storage import Kind, MemoryStorage
from tests.broken.planting import Planted, brief, flip, only, plain_node, truncate
from tests.conftest import Pivori
from tests.restic import Restic

BOTH = pytest.mark.parametrize("read_data", [False, True], ids=["structure", "read-data"])


def snapshots_of(planted: Planted) -> list[str]:
    return [loaded.id for loaded in planted.repository.snapshots()]


@BOTH
def test_a_sound_repository(planted: Planted, read_data: bool) -> None:
    outcome = planted.verify(read_data=read_data)
    assert outcome.findings == ()
    assert outcome.snapshots == 2
    assert outcome.packs == len(planted.names(Kind.PACK))
    assert outcome.packs_read == (outcome.packs if read_data else 0)
    assert outcome.trees >= 4


def test_worker_processes_find_the_same(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pivori.engine.verify._FEW_BYTES", 0)
    assert planted.verify(read_data=True, workers=2).findings == ()
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("sub/c.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 40)
    with_workers = planted.verify(read_data=True, workers=2)
    assert with_workers.packs_read == with_workers.packs
    assert with_workers.findings == planted.verify(read_data=True).findings != ()


def test_storage_that_cannot_be_shared() -> None:
    repository = Repository.create(MemoryStorage(), "x", username="u", hostname="h", created="2025-11-08T12:00:00Z")
    outcome = Verify(repository, VerifyRequest(read_data=True, workers=2), emit=lambda _: None).run()
    assert outcome.findings == ()


@BOTH
def test_flipped_bit_in_a_data_blob(
    planted: Planted, read_data: bool, newest_restic: Restic, password_file: Path
) -> None:
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("sub/c.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 40)
    outcome = planted.verify(read_data=read_data)
    if not read_data:
        assert outcome.findings == ()  # only who reads the data can know
        return
    finding = only(outcome)
    assert (finding.kind, finding.name) == (FindingKind.PACK_CONTENT_WRONG, pack)
    assert finding.count == 1
    assert finding.hurt.paths == (planted.path_of("sub/c.bin"),)
    assert finding.hurt.path_count == 1
    assert sorted(finding.hurt.snapshots) == sorted(snapshots_of(planted))
    assert outcome.hints == []
    assert outcome.broken_packs == [pack]
    assert not planted.restic_check(newest_restic, password_file)


def test_only_the_snapshots_that_need_it_are_named(planted: Planted) -> None:
    newest = snapshots_of(planted)[-1]
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("second.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 20)
    finding = only(planted.verify(read_data=True))
    assert finding.hurt.snapshots == (newest,)
    assert finding.hurt.paths == (planted.path_of("second.bin"),)


@BOTH
def test_flipped_bit_in_a_tree(planted: Planted, read_data: bool, newest_restic: Restic, password_file: Path) -> None:
    tree = planted.tree_of("sub/deep")
    pack, offset, _ = planted.location(BlobKind.TREE, tree)
    flip(planted.file(Kind.PACK, pack), offset + 17)
    outcome = planted.verify(read_data=read_data)
    finding = only(outcome)
    if read_data:
        assert (finding.kind, finding.name, finding.count) == (FindingKind.PACK_CONTENT_WRONG, pack, 1)
    else:
        assert (finding.kind, finding.object) == (FindingKind.TREE_DAMAGED, f"tree/{tree.hex()}")
    assert finding.hurt.paths == (planted.path_of("sub/deep"),)
    assert len(finding.hurt.snapshots) == 2
    assert outcome.hints == []
    assert not planted.restic_check(newest_restic, password_file)


def test_flipped_bit_in_the_root_tree(planted: Planted) -> None:
    newest = planted.repository.snapshots()[-1]
    pack, offset, _ = planted.location(BlobKind.TREE, BlobId(bytes.fromhex(newest.snapshot.tree)))
    flip(planted.file(Kind.PACK, pack), offset)
    finding = only(planted.verify())
    assert finding.hurt.paths == (b"/",)
    assert finding.hurt.snapshots == (newest.id,)


@pytest.mark.parametrize("where", [-1, -2, -5, -30], ids=["length", "length-middle", "seal", "header"])
def test_flipped_bit_at_the_end_of_a_pack(
    planted: Planted, where: int, newest_restic: Restic, password_file: Path
) -> None:
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    flip(planted.file(Kind.PACK, pack), where)
    assert planted.verify().findings == ()
    finding = only(planted.verify(read_data=True))
    assert (finding.kind, finding.name, finding.count) == (FindingKind.PACK_CONTENT_WRONG, pack, 0)
    assert finding.reason
    assert finding.hurt.path_count == 0  # every blob can still be read
    assert not planted.restic_check(newest_restic, password_file)


@BOTH
def test_truncated_pack(planted: Planted, read_data: bool, newest_restic: Restic, password_file: Path) -> None:
    pack, offset, length = planted.location(BlobKind.DATA, planted.blob_of("b.bin"))
    file = planted.file(Kind.PACK, pack)
    truncate(file, file.stat().st_size - offset - length + 1)
    finding = only(planted.verify(read_data=read_data))
    assert (finding.kind, finding.name) == (FindingKind.PACK_SIZE_WRONG, pack)
    assert planted.path_of("b.bin") in finding.hurt.paths
    assert not planted.restic_check(newest_restic, password_file)


@BOTH
def test_pack_with_something_appended(planted: Planted, read_data: bool) -> None:
    pack = planted.names(Kind.PACK)[0]
    with planted.file(Kind.PACK, pack).open("ab") as file:
        file.write(b"more")
    finding = only(planted.verify(read_data=read_data))
    assert (finding.kind, finding.name) == (FindingKind.PACK_SIZE_WRONG, pack)
    assert finding.hurt.path_count == 0


@BOTH
def test_missing_pack(planted: Planted, read_data: bool, newest_restic: Restic, password_file: Path) -> None:
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    planted.file(Kind.PACK, pack).unlink()
    outcome = planted.verify(read_data=read_data)
    finding = only(outcome)
    assert (finding.kind, finding.name) == (FindingKind.PACK_MISSING, pack)
    assert planted.path_of("a.bin") in finding.hurt.paths
    assert outcome.hints == []
    assert not planted.restic_check(newest_restic, password_file)


@BOTH
def test_missing_tree_pack(planted: Planted, read_data: bool) -> None:
    pack, _, _ = planted.location(BlobKind.TREE, planted.tree_of("sub"))
    planted.file(Kind.PACK, pack).unlink()
    finding = only(planted.verify(read_data=read_data))
    assert (finding.kind, finding.name) == (FindingKind.PACK_MISSING, pack)
    assert finding.hurt.path_count >= 1


def test_two_packs_swapped(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    first, second, *_ = planted.names(Kind.PACK)
    one, other = planted.file(Kind.PACK, first), planted.file(Kind.PACK, second)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    for read_data in (False, True):
        outcome = planted.verify(read_data=read_data)
        assert brief(outcome) == [("pack-size-wrong", f"data/{name}") for name in (first, second)]
    assert not planted.restic_check(newest_restic, password_file)


def test_flipped_bit_in_an_index(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    name = planted.names(Kind.INDEX)[0]
    flip(planted.file(Kind.INDEX, name), 50)
    outcome = planted.verify(read_data=True)
    finding = only(outcome)
    assert (finding.kind, finding.object) == (FindingKind.INDEX_DAMAGED, f"index/{name}")
    assert finding.hurt.path_count > 0
    assert finding.hurt.snapshots
    assert {hint.kind for hint in outcome.hints} == {FindingKind.PACK_NOT_INDEXED}
    assert outcome.needs_index_repair
    assert not planted.restic_check(newest_restic, password_file)


def test_missing_index(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    before = {pack for pack, _ in _packs_of(planted)}
    name = planted.names(Kind.INDEX)[0]
    lost = {pack for pack, index in _packs_of(planted) if index == name}
    planted.file(Kind.INDEX, name).unlink()
    outcome = planted.verify()
    assert lost < before
    assert brief(outcome) == [("pack-lacks-index", f"data/{pack}") for pack in sorted(lost)]
    assert all(finding.hurt.snapshots for finding in outcome.findings)
    assert not planted.restic_check(newest_restic, password_file)


def _packs_of(planted: Planted) -> list[tuple[str, str]]:
    repository = planted.repository
    return [(pack.id.hex(), name) for name in planted.names(Kind.INDEX) for pack in repository.read_index(name)]


@pytest.mark.parametrize("spoil", [lambda file: flip(file, 30), lambda file: truncate(file, 9)], ids=["flip", "cut"])
def test_damaged_snapshot(
    planted: Planted, spoil: Callable[[Path], None], newest_restic: Restic, password_file: Path
) -> None:
    name = snapshots_of(planted)[0]
    spoil(planted.file(Kind.SNAPSHOT, name))
    outcome = planted.verify(read_data=True)
    finding = only(outcome)
    assert (finding.kind, finding.name) == (FindingKind.SNAPSHOT_DAMAGED, name)
    assert finding.hurt.snapshots == (name,)
    assert outcome.hints == []
    assert outcome.snapshots == 1
    assert not planted.restic_check(newest_restic, password_file)


@pytest.mark.parametrize("spoil", [lambda file: flip(file, 30), lambda file: truncate(file, 9)], ids=["flip", "cut"])
def test_damaged_second_key(planted: Planted, spoil: Callable[[Path], None]) -> None:
    repository = planted.repository
    data = make_key_object(repository.master, "other", username="u", hostname="h", created="2025-11-08T12:00:00Z")
    from pivori.repository.keys import add_key

    name = add_key(repository.storage, data)
    assert planted.verify().findings == ()
    spoil(planted.file(Kind.KEY, name))
    finding = only(planted.verify())
    assert (finding.kind, finding.object) == (FindingKind.KEY_DAMAGED, f"keys/{name}")


def test_damaged_lock(planted: Planted) -> None:
    name = "ab" * 32
    planted.file(Kind.LOCK, name).parent.mkdir(exist_ok=True)
    planted.file(Kind.LOCK, name).write_bytes(b"not a lock, but long enough to be opened at least")
    finding = only(planted.verify())
    assert (finding.kind, finding.name) == (FindingKind.LOCK_DAMAGED, name)


def test_unreadable_config_and_key_are_named_by_the_command(planted: Planted, pivori: Pivori) -> None:
    config = planted.path / "config"
    sound = config.read_bytes()
    flip(config, 40)
    arguments = ("verify", "-r", planted.path, "--no-lock")
    result = pivori(*arguments, expect=1, PIVORI_PASSWORD="x")
    assert "config" in result.stderr
    config.write_bytes(sound)
    key = planted.names(Kind.KEY)[0]
    flip(planted.file(Kind.KEY, key), 30)
    result = pivori(*arguments, expect=12, PIVORI_PASSWORD="x")
    assert key in result.stderr


@pytest.mark.parametrize(("size", "content"), [(5, "all"), (50_000, "all"), (7, "none")], ids=["small", "large", "no"])
def test_wrong_node_size(planted: Planted, size: int, content: str) -> None:
    blobs = [planted.blob_of("a.bin").hex()] if content == "all" else []
    tree = planted.plant_tree([plain_node("wrong", size=size, content=blobs)])
    finding = only(planted.verify())
    assert (finding.kind, finding.object) == (FindingKind.FILE_SIZE_WRONG, f"tree/{tree}")
    assert finding.hurt.paths == (b"/wrong",)
    assert finding.reason == f"{size} bytes instead of {20_000 if blobs else 0}"


NO_TREE = "0" * 63 + "1"


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ([plain_node("twice"), plain_node("twice")], FindingKind.TREE_DAMAGED),
        ([plain_node("dir", type="dir", content=None)], FindingKind.TREE_DAMAGED),
        ([plain_node("file", content=None)], FindingKind.TREE_DAMAGED),
        ([plain_node("../outside")], FindingKind.TREE_DAMAGED),
        ([plain_node("..")], FindingKind.TREE_DAMAGED),
        ([plain_node("")], FindingKind.TREE_DAMAGED),
        ([plain_node("odd", type="irregular")], FindingKind.TREE_DAMAGED),
        ([plain_node("odd", content=["xyz"])], FindingKind.TREE_DAMAGED),
        (b'{"nodes":', FindingKind.TREE_DAMAGED),
        (b"[" * 100_000, FindingKind.TREE_DAMAGED),
        ([plain_node("dir", type="dir", content=None, subtree=NO_TREE)], FindingKind.TREE_MISSING),
        ([plain_node("file", content=[NO_TREE], size=1)], FindingKind.BLOB_MISSING),
    ],
    ids=range(12),
)
def test_hostile_trees(planted: Planted, nodes: bytes | list[dict[str, object]], kind: FindingKind) -> None:
    tree = planted.plant_tree(nodes)
    outcome = planted.verify(read_data=True)
    finding = only(outcome)
    assert finding.kind == kind
    assert finding.name == (tree if kind is FindingKind.TREE_DAMAGED else NO_TREE)
    assert len(finding.hurt.snapshots) == 1
    assert finding.hurt.path_count == 1


def test_a_tree_named_as_a_file(planted: Planted) -> None:
    """A data blob is asked for, and only a tree has that id: the kind counts."""
    tree = planted.tree_of("sub")
    planted.plant_tree([plain_node("file", content=[tree.hex()], size=1)])
    finding = only(planted.verify())
    assert (finding.kind, finding.name) == (FindingKind.BLOB_MISSING, tree.hex())


def test_the_walk_goes_on_below_a_damaged_tree(planted: Planted) -> None:
    inner = planted.plant_tree([plain_node("wrong", size=3)])
    # Only the damaged tree leads there.
    planted.file(Kind.SNAPSHOT, planted.repository.snapshots()[-1].id).unlink()
    folder = plain_node("folder", type="dir", content=None, subtree=inner)
    planted.plant_tree([folder, folder])
    outcome = planted.verify()
    assert [finding.kind for finding in outcome.damage] == [FindingKind.TREE_DAMAGED, FindingKind.FILE_SIZE_WRONG]
    assert outcome.damage[1].hurt.paths == (b"/folder/wrong",)
    assert len(outcome.damage[1].hurt.snapshots) == 1


def test_deep_trees(planted: Planted) -> None:
    tree = planted.tree_of("sub/deep").hex()
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("sub/deep/d.bin"))
    repository = planted.repository
    intake = Intake(repository, WriterSettings(master=repository.master, version=2))
    for _ in range(3000):
        nodes = {"nodes": [plain_node("d", type="dir", content=None, subtree=tree)]}
        tree = intake.add_tree(json.dumps(nodes).encode())[0].hex()
    intake.flush()
    planted.plant_tree([plain_node("d", type="dir", content=None, subtree=tree)])
    assert planted.verify().findings == ()
    planted.file(Kind.PACK, pack).unlink()
    finding = only(planted.verify())
    assert any(path.count(b"/d") > 3000 for path in finding.hurt.paths)


def test_a_good_copy_elsewhere_means_that_nothing_is_hurt(planted: Planted) -> None:
    blob = planted.blob_of("a.bin")
    pack, offset, _ = planted.location(BlobKind.DATA, blob)
    content = planted.repository.read_blob(BlobKind.DATA, blob)
    intake = Intake(planted.repository, WriterSettings(master=planted.repository.master, version=2))
    intake.writer.add(BlobKind.DATA, blob, content)
    intake.flush()
    assert brief(planted.verify(read_data=True)) == [("blobs-stored-twice", "data")]
    flip(planted.file(Kind.PACK, pack), offset + 40)
    finding = only(planted.verify(read_data=True))
    assert (finding.name, finding.hurt.path_count) == (pack, 0)


def test_hints_are_no_damage(planted: Planted, newest_restic: Restic, password_file: Path, pivori: Pivori) -> None:
    """A pack of an interrupted run, and a pack that two indexes list."""
    from pivori.repository.index import encode_index

    listed = next(iter(planted.repository.read_index(planted.names(Kind.INDEX)[0])))
    planted.repository.objects.save_unpacked(Kind.INDEX, encode_index([(listed.id, listed.blobs)]))
    intake = Intake(planted.repository, WriterSettings(master=planted.repository.master, version=2))
    intake.writer.add(BlobKind.DATA, BlobId(bytes(32)), b"left behind")
    before = set(planted.names(Kind.PACK))
    intake.writer.flush()
    (left,) = set(planted.names(Kind.PACK)) - before
    outcome = planted.verify(read_data=True)
    assert brief(outcome) == [("pack-not-indexed", f"data/{left}"), ("pack-indexed-twice", f"data/{listed.id.hex()}")]
    assert all(finding.severity is Severity.HINT for finding in outcome.findings)
    assert planted.restic_check(newest_restic, password_file)
    result = pivori("verify", "-r", planted.path, expect=0, PIVORI_PASSWORD="x")
    assert "Hint: " in result.stdout
    assert left in result.stdout


def test_index_that_says_something_else_than_the_header(
    planted: Planted, newest_restic: Restic, password_file: Path
) -> None:
    from pivori.repository.index import encode_index

    name = planted.names(Kind.INDEX)[-1]
    packs = list(planted.repository.read_index(name))
    pack = max(packs, key=lambda each: len(each.blobs))
    assert len(pack.blobs) > 1
    last, *rest = pack.blobs[::-1]
    spoilt = [*rest[::-1], last._replace(id=BlobId(bytes(32)))]
    changed = [(each.id, spoilt if each.id == pack.id else each.blobs) for each in packs]
    planted.repository.objects.save_unpacked(Kind.INDEX, encode_index(changed))
    planted.file(Kind.INDEX, name).unlink()
    outcome = planted.verify(read_data=True)
    assert ("pack-index-differs", f"data/{pack.id.hex()}") in brief(outcome)
    assert not planted.restic_check(newest_restic, password_file)
    other = [(each.id, spoilt[:-1] if each.id == pack.id else each.blobs) for each in packs]
    for index in planted.names(Kind.INDEX):
        if {each.id for each in planted.repository.read_index(index)} == {each.id for each in packs}:
            planted.file(Kind.INDEX, index).unlink()
    planted.repository.objects.save_unpacked(Kind.INDEX, encode_index(other))
    assert ("pack-size-wrong", f"data/{pack.id.hex()}") in brief(planted.verify())


def test_subset_reads_a_part(planted: Planted) -> None:
    packs = planted.names(Kind.PACK)
    read = []
    for number in range(1, 4):
        planted.reopen()
        request = VerifyRequest(read_data=True, subset=Part(number, 3))
        outcome = Verify(planted.repository, request, emit=lambda _: None, choose=random.Random(1)).run()
        assert outcome.findings == ()
        assert outcome.packs_read == sum(bytes.fromhex(pack)[0] % 3 == number - 1 for pack in packs)
        read.append(outcome.packs_read)
    assert sum(read) == len(packs)


def test_the_command_names_damage_and_says_what_to_do(planted: Planted, pivori: Pivori) -> None:
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 40)
    arguments = ("verify", "--read-data", "-r", planted.path)
    result = pivori(*arguments, expect=1, PIVORI_PASSWORD="x")
    assert f"data/{pack}" in result.stdout
    assert str(planted.source / "a.bin") in result.stdout
    assert "repair packs" in result.stdout
    lines = pivori(*arguments, "--json", expect=1, PIVORI_PASSWORD="x").stdout.splitlines()
    finding, summary = (json.loads(line) for line in lines if json.loads(line)["message_type"] != "status")
    assert finding["kind"] == "pack-content-wrong"
    assert finding["severity"] == "damage"
    assert finding["paths"] == [str(planted.source / "a.bin")]
    assert (summary["num_errors"], summary["broken_packs"]) == (1, [pack])
    assert pivori("verify", "-r", planted.path, PIVORI_PASSWORD="x").stdout.count("No damage") == 1
    usage = pivori("verify", "--read-data", "--read-data-subset", "1/2", "-r", planted.path, expect=2)
    assert "--read-data-subset" in usage.stderr
