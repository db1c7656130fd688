"""After each repair the real restic is content where the data allows, and what was not damaged is as it was."""

import json
from pathlib import Path

import pytest

from pivori.engine.repair import IndexNotSound, SnapshotRepair, SnapshotRepairOutcome, SnapshotRepairRequest
from pivori.engine.repair_trees import ChangeKind
from pivori.repository import BlobId, BlobKind, Intake, PackId, WriterSettings
from pivori.repository.index import encode_index
from pivori.repository.repair_index import IndexRepair, IndexRepairPlan
from pivori.repository.repair_packs import AmbiguousPack, PackNotFound, PackRepair, PackRepairPlan
from pivori.storage import Kind
from tests.broken.planting import Planted, brief, flip, plain_node, truncate
from tests.conftest import Pivori
from tests.restic import Restic


def repair_index(planted: Planted, *, read_all_packs: bool = False) -> IndexRepairPlan:
    repair = IndexRepair(planted.reopen().repository, read_all_packs=read_all_packs)
    plan = repair.plan()
    repair.apply(plan)
    return plan


def repair_packs(planted: Planted, *names: str) -> PackRepairPlan:
    repair = PackRepair(planted.reopen().repository)
    plan = repair.plan(repair.find(names))
    repair.apply(plan)
    return plan


def repair_snapshots(
    planted: Planted, *, forget: bool = False, dry_run: bool = False, snapshots: tuple[str, ...] = ()
) -> SnapshotRepairOutcome:
    request = SnapshotRepairRequest(forget=forget, dry_run=dry_run, snapshots=snapshots)
    return SnapshotRepair(planted.reopen().repository, request).run()


def restored_files(planted: Planted, restic: Restic, password_file: Path, target: Path) -> dict[str, bytes]:
    """What the real restic restores of the newest snapshot, by path below the source."""
    restic.run(planted.path, password_file, "restore", "latest", "--target", target, "--no-lock")
    root = target.joinpath(*planted.source.parts[1:])
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def source_files(planted: Planted) -> dict[str, bytes]:
    return {
        path.relative_to(planted.source).as_posix(): path.read_bytes()
        for path in planted.source.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def everything(planted: Planted) -> dict[str, bytes]:
    """Every object of the repository, byte for byte."""
    return {
        path.relative_to(planted.path).as_posix(): path.read_bytes()
        for path in planted.path.rglob("*")
        if path.is_file()
    }


# index


def test_nothing_to_repair_changes_nothing(planted: Planted) -> None:
    before = everything(planted)
    assert repair_index(planted).is_empty
    assert repair_index(planted, read_all_packs=True).is_empty
    outcome = repair_snapshots(planted, forget=True)
    assert (outcome.snapshots, outcome.changes, outcome.checked) == ((), (), 2)
    assert everything(planted) == before


@pytest.mark.parametrize("how", ["flip", "cut", "delete", "delete all"])
def test_repair_index(planted: Planted, how: str, newest_restic: Restic, password_file: Path, tmp_path: Path) -> None:
    names = planted.names(Kind.INDEX)
    for name in names if how == "delete all" else names[:1]:
        file = planted.file(Kind.INDEX, name)
        if how == "flip":
            flip(file, 60)
        elif how == "cut":
            truncate(file, 20)
        else:
            file.unlink()
    assert planted.verify().damage
    plan = repair_index(planted)
    assert plan.added
    assert plan.damaged_indexes == (() if "delete" in how else (names[0],))
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == source_files(planted)


def test_repair_index_drops_packs_that_are_gone(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("second.bin"))
    planted.file(Kind.PACK, pack).unlink()
    assert repair_index(planted).dropped == (pack,)
    assert [finding.kind.value for finding in planted.verify().findings] == ["blob-missing"]
    outcome = repair_snapshots(planted, forget=True)
    assert [change.path for change in outcome.changes] == [planted.path_of("second.bin")]
    newest_restic.check(planted.path, password_file)


def list_in_parts(planted: Planted) -> PackId:
    """List one pack twice, and another in three parts that overlap; returns the one in parts."""
    name = planted.names(Kind.INDEX)[0]
    for other in planted.names(Kind.INDEX):
        if len(list(planted.repository.read_index(other))) > len(list(planted.repository.read_index(name))):
            name = other
    packs = list(planted.repository.read_index(name))
    split = max(packs, key=lambda each: len(each.blobs))
    whole = next(pack for pack in packs if pack.id != split.id)
    assert len(split.blobs) > 2
    rest = [(pack.id, pack.blobs if pack.id != split.id else pack.blobs[:1]) for pack in packs]
    for listed in (
        [(whole.id, whole.blobs)],
        rest,
        [(split.id, split.blobs[1:])],
        [(split.id, split.blobs[:2])],
    ):
        planted.repository.objects.save_unpacked(Kind.INDEX, encode_index(listed))
    planted.file(Kind.INDEX, name).unlink()
    return split.id


def test_repair_index_merges_what_is_listed_twice_or_in_parts(
    planted: Planted, newest_restic: Restic, password_file: Path
) -> None:
    list_in_parts(planted)
    assert planted.verify(read_data=True).damage == []
    repair_index(planted)
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)


def test_repair_index_merges_the_parts_of_a_pack_whose_header_is_damaged(
    planted: Planted, newest_restic: Restic, password_file: Path, tmp_path: Path
) -> None:
    """Only the index objects know where its blobs are, and each knows a part."""
    pack = list_in_parts(planted).hex()
    flip(planted.file(Kind.PACK, pack), -30)
    plan = repair_index(planted)
    assert plan.unreadable == (pack,)
    assert [finding.name for finding in planted.verify(read_data=True).damage] == [pack]
    assert repair_packs(planted, pack).lost == 0
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == source_files(planted)


def test_repair_index_gives_up_nothing_where_two_lists_of_a_pack_contradict_each_other(
    planted: Planted, newest_restic: Restic, password_file: Path
) -> None:
    """One of them says the truth, and nobody can tell which before the blobs are read."""
    name = planted.names(Kind.INDEX)[0]
    pack, blobs = max(planted.repository.read_index(name), key=lambda each: len(each.blobs))
    for number in range(3):
        wrong = [blob._replace(id=BlobId(bytes([number]) * 32)) for blob in blobs]
        planted.repository.objects.save_unpacked(Kind.INDEX, encode_index([(pack, wrong)]))
    flip(planted.file(Kind.PACK, pack.hex()), -30)
    repair_index(planted)
    repair_packs(planted, pack.hex())
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)


def test_repair_index_keeps_a_truncated_pack_for_its_blobs(
    planted: Planted, newest_restic: Restic, password_file: Path, tmp_path: Path
) -> None:
    """Its header is gone, so only the index knows what can still be read."""
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    truncate(planted.file(Kind.PACK, pack), 10)
    plan = repair_index(planted)
    assert plan.unreadable == (pack,)
    assert plan.is_empty
    saved = repair_packs(planted, pack)
    assert saved.lost == 0
    assert saved.salvaged > 0
    assert pack not in planted.names(Kind.PACK)
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == source_files(planted)


def test_repair_index_with_all_packs_finds_wrong_entries(
    planted: Planted, newest_restic: Restic, password_file: Path
) -> None:
    name = planted.names(Kind.INDEX)[-1]
    packs = list(planted.repository.read_index(name))
    wrong = packs[0]
    spoilt = [wrong.blobs[0]._replace(id=BlobId(bytes(32))), *wrong.blobs[1:]]
    planted.repository.objects.save_unpacked(Kind.INDEX, encode_index([(wrong.id, spoilt), *packs[1:]]))
    planted.file(Kind.INDEX, name).unlink()
    assert repair_index(planted).is_empty
    assert repair_index(planted, read_all_packs=True).corrected == (wrong.id.hex(),)
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)


# packs


def test_repair_packs_saves_all_but_the_damaged_blob(
    planted: Planted, newest_restic: Restic, password_file: Path, tmp_path: Path
) -> None:
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("sub/c.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 40)
    plan = repair_packs(planted, pack[:12])
    assert plan.lost == 1
    assert plan.packs[0].lost == [(BlobKind.DATA, planted.blob_of("sub/c.bin"))]
    assert brief(planted.verify(read_data=True)) == [("blob-missing", f"blob/{planted.blob_of('sub/c.bin').hex()}")]
    outcome = repair_snapshots(planted, forget=True)
    assert len(outcome.snapshots) == 2
    assert {change.kind for change in outcome.changes} == {ChangeKind.FILE_REMOVED}
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)
    expected = source_files(planted)
    del expected["sub/c.bin"]
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == expected


@pytest.mark.parametrize("where", [-1, -30])
def test_repair_packs_with_a_damaged_header_loses_nothing(
    planted: Planted, where: int, newest_restic: Restic, password_file: Path
) -> None:
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    flip(planted.file(Kind.PACK, pack), where)
    assert repair_packs(planted, pack).lost == 0
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)


def test_repair_packs_uses_a_copy_elsewhere(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    blob = planted.blob_of("a.bin")
    pack, offset, _ = planted.location(BlobKind.DATA, blob)
    content = planted.repository.read_blob(BlobKind.DATA, blob)
    intake = Intake(planted.repository, WriterSettings(master=planted.repository.master, version=2))
    intake.writer.add(BlobKind.DATA, blob, content)
    intake.flush()
    flip(planted.file(Kind.PACK, pack), offset + 40)
    plan = repair_packs(planted, pack)
    assert (plan.lost, plan.packs[0].elsewhere) == (0, 1)
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)


def test_repair_two_packs_that_complete_each_other(planted: Planted) -> None:
    """The same blob is damaged in one of them and sound in the other."""
    blob = planted.blob_of("a.bin")
    first, offset, _ = planted.location(BlobKind.DATA, blob)
    before = set(planted.names(Kind.PACK))
    content = planted.repository.read_blob(BlobKind.DATA, blob)
    intake = Intake(planted.repository, WriterSettings(master=planted.repository.master, version=2))
    intake.writer.add(BlobKind.DATA, blob, content)
    intake.flush()
    (second,) = set(planted.names(Kind.PACK)) - before
    flip(planted.file(Kind.PACK, first), offset + 40)
    flip(planted.file(Kind.PACK, second), -1)
    plan = repair_packs(planted, first, second)
    assert plan.lost == 0
    assert planted.verify(read_data=True).findings == ()


def test_pack_names(planted: Planted) -> None:
    repair = PackRepair(planted.repository)
    name = planted.names(Kind.PACK)[0]
    assert [pack.hex() for pack in repair.find([f"data/{name}", name[:20]])] == [name]
    with pytest.raises(PackNotFound):
        repair.find(["0" * 64])
    with pytest.raises(PackNotFound):
        repair.find([""])
    others = [each for each in planted.names(Kind.PACK) if each[0] == name[0]]
    if len(others) > 1:
        with pytest.raises(AmbiguousPack):
            repair.find([name[0]])


def test_repair_packs_refuses_while_an_index_is_damaged(planted: Planted) -> None:
    """A pack with a damaged header would be given up, although the index could be mended first."""
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    flip(planted.file(Kind.PACK, pack), -1)
    flip(planted.file(Kind.INDEX, planted.names(Kind.INDEX)[0]), 60)
    before = everything(planted)
    with pytest.raises(IndexNotSound):
        repair_packs(planted, pack)
    assert everything(planted) == before


# snapshots


def test_a_file_that_lacks_a_part_is_called_repaired(
    planted: Planted, newest_restic: Restic, password_file: Path, tmp_path: Path
) -> None:
    content = planted.node("large.bin")["content"]
    assert isinstance(content, list)
    assert len(content) > 2
    lost = BlobId(bytes.fromhex(content[1]))
    pack, offset, _ = planted.location(BlobKind.DATA, lost)
    lengths = [
        planted.repository.index.content_length(BlobKind.DATA, BlobId(bytes.fromhex(name))) or 0 for name in content
    ]
    flip(planted.file(Kind.PACK, pack), offset + 40)
    repair_packs(planted, pack)
    old = [loaded.id for loaded in planted.repository.snapshots()]
    dry = repair_snapshots(planted, dry_run=True, forget=True)
    assert sorted(loaded.id for loaded in planted.repository.snapshots()) == sorted(old)
    outcome = repair_snapshots(planted)
    assert dry.changes == outcome.changes
    (change,) = {(change.kind, change.path, change.new_name) for change in outcome.changes}
    assert change == (ChangeKind.FILE_SHORTENED, planted.path_of("large.bin"), b"large.bin.repaired")
    new = {each.old: each.new for each in outcome.snapshots}
    assert sorted(new) == sorted(old)
    for name in old:
        before, after = planted.repository.load_snapshot(name), planted.repository.load_snapshot(str(new[name]))
        assert after.snapshot.original == name
        assert after.snapshot.tags == ["repaired"]
        assert (after.snapshot.time, after.snapshot.paths) == (before.snapshot.time, before.snapshot.paths)
    again = repair_snapshots(planted, forget=True, snapshots=tuple(old))
    assert sorted(again.removed) == sorted(old)
    newest_restic.check(planted.path, password_file)
    expected = source_files(planted)
    whole = expected.pop("large.bin")
    expected["large.bin.repaired"] = whole[: lengths[0]] + whole[lengths[0] + lengths[1] :]
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == expected
    assert repair_snapshots(planted).snapshots == ()


def test_a_lost_folder_goes_and_the_rest_stays(
    planted: Planted, newest_restic: Restic, password_file: Path, tmp_path: Path
) -> None:
    pack, offset, _ = planted.location(BlobKind.TREE, planted.tree_of("sub/deep"))
    flip(planted.file(Kind.PACK, pack), offset + 20)
    repair_packs(planted, pack)
    outcome = repair_snapshots(planted, forget=True)
    assert {(change.kind, change.path) for change in outcome.changes} == {
        (ChangeKind.DIRECTORY_REMOVED, planted.path_of("sub/deep"))
    }
    newest_restic.check(planted.path, password_file)
    expected = source_files(planted)
    del expected["sub/deep/d.bin"]
    assert restored_files(planted, newest_restic, password_file, tmp_path / "back") == expected


def test_a_snapshot_of_which_nothing_is_left(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    newest = planted.repository.snapshots()[-1]
    pack, offset, _ = planted.location(BlobKind.TREE, BlobId(bytes.fromhex(newest.snapshot.tree)))
    flip(planted.file(Kind.PACK, pack), offset + 20)
    repair_packs(planted, pack)
    outcome = repair_snapshots(planted)
    assert [(each.old, each.new, each.nothing_left) for each in outcome.snapshots] == [(newest.id, None, True)]
    assert newest.id in planted.names(Kind.SNAPSHOT)
    assert repair_snapshots(planted, forget=True).removed == (newest.id,)
    newest_restic.check(planted.path, password_file)


def test_an_unreadable_snapshot_goes_only_with_forget(
    planted: Planted, newest_restic: Restic, password_file: Path
) -> None:
    name = planted.names(Kind.SNAPSHOT)[0]
    flip(planted.file(Kind.SNAPSHOT, name), 30)
    assert repair_snapshots(planted).unreadable == (name,)
    assert name in planted.names(Kind.SNAPSHOT)
    assert repair_snapshots(planted, forget=True).removed == (name,)
    newest_restic.check(planted.path, password_file)


def test_wrong_sizes_and_bad_entries(planted: Planted, newest_restic: Restic, password_file: Path) -> None:
    blob = planted.blob_of("a.bin").hex()
    untouched = plain_node("kept", size=20_000, content=[blob], future_field={"a": 1})
    planted.plant_tree(
        [
            plain_node("../outside"),
            untouched,
            plain_node("twice", size=20_000, content=[blob]),
            plain_node("twice"),
            plain_node("twice-x"),
            plain_node("wrong", size=50_000, content=[blob]),
        ]
    )
    outcome = repair_snapshots(planted, forget=True)
    assert {(change.kind, change.path, change.new_name) for change in outcome.changes} == {
        (ChangeKind.ENTRY_REMOVED, b"/../outside", b""),
        (ChangeKind.ENTRY_RENAMED, b"/twice", b"twice.repaired"),
        (ChangeKind.SIZE_CORRECTED, b"/wrong", b""),
    }
    assert planted.verify().findings == ()
    newest_restic.check(planted.path, password_file)
    (new,) = [str(each.new) for each in outcome.snapshots]
    tree = planted.repository.load_snapshot(new).snapshot.tree
    planted.reopen().repository.load_index(None)
    nodes = json.loads(planted.repository.read_blob(BlobKind.TREE, BlobId(bytes.fromhex(tree))))["nodes"]
    assert [node["name"] for node in nodes] == ["kept", "twice", "twice-x", "twice.repaired", "wrong"]
    assert nodes[0] == untouched
    assert nodes[4]["size"] == 20_000


def test_repair_snapshots_refuses_while_the_index_is_not_sound(planted: Planted) -> None:
    """With an index missing, files would be given up that are all there."""
    before = planted.names(Kind.SNAPSHOT)
    planted.file(Kind.INDEX, planted.names(Kind.INDEX)[0]).unlink()
    with pytest.raises(IndexNotSound):
        repair_snapshots(planted, forget=True)
    assert planted.names(Kind.SNAPSHOT) == before


# the commands


def test_the_commands_from_damage_to_a_sound_repository(
    planted: Planted, pivori: Pivori, newest_restic: Restic, password_file: Path
) -> None:
    pack, offset, _ = planted.location(BlobKind.DATA, planted.blob_of("a.bin"))
    flip(planted.file(Kind.PACK, pack), offset + 40)
    flip(planted.file(Kind.INDEX, planted.names(Kind.INDEX)[0]), 60)

    def run(*arguments: str, expect: int = 0) -> str:
        return pivori(*arguments, "-r", planted.path, expect=expect, PIVORI_PASSWORD="x").stdout

    before = everything(planted)
    assert "nothing was changed" in run("repair", "index", "--dry-run")
    assert {name: data for name, data in everything(planted).items() if "locks" not in name} == before
    run("repair", "index")
    assert pack in run("repair", "packs", "--dry-run", expect=3)
    assert pack in run("repair", "packs", expect=3)
    assert "a.bin" in run("repair", "snapshots", "--dry-run")
    assert "a.bin" in run("repair", "snapshots", "--forget")
    assert "No damage" in run("verify", "--read-data")
    newest_restic.check(planted.path, password_file)
    assert "No pack is damaged" in run("repair", "packs")
    lines = [json.loads(line) for line in run("repair", "snapshots", "--json").splitlines()]
    assert lines[-1]["message_type"] == "summary"
    assert (lines[-1]["checked"], lines[-1]["repaired"]) == (2, 0)
