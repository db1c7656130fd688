"""prune, copy, forget, stats and keys on repositories shared with the real restic, in both directions."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from pivori.repository.crypto import Box
from pivori.repository.ids import BlobKind
from pivori.repository.index import encode_index
from pivori.repository.pack import PackBuilder, read_header
from pivori.repository.repository import Repository
from pivori.storage import Kind, LocalStorage
from tests.conftest import Pivori
from tests.restic import Restic


class Desk:
    """A repository, its password file, a folder to back up, and both programs."""

    def __init__(self, folder: Path, restic: Restic, pivori: Pivori) -> None:
        self.folder, self.restic, self.program = folder, restic, pivori
        self.path = folder / "repository"
        self.password = self.secret("password", "secret")
        self.source = folder / "source"
        self.source.mkdir()

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def run(self, *arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        return self.program("-r", self.path, "--password-file", self.password, *arguments, expect=expect)

    def json(self, *arguments: str | Path, expect: int = 0) -> dict[str, object]:
        return self.program.json("-r", self.path, "--password-file", self.password, *arguments, expect=expect)

    def restic_run(self, *arguments: str | Path) -> str:
        return self.restic.run(self.path, self.password, *arguments).stdout

    def init(self, *, ours: bool, version: int = 2) -> None:
        if ours:
            self.run("init")
        else:
            self.restic_run("init", "--repository-version", str(version))

    def backup(self, seed: int, *, ours: bool) -> None:
        """A snapshot of a folder half of which differs for each seed."""
        fill(self.source, seed)
        if ours:
            self.run("backup", self.source)
        else:
            self.restic_run("backup", self.source)

    def snapshots(self) -> list[str]:
        return [each["id"] for each in json.loads(self.restic_run("snapshots", "--json"))]

    def check(self, *options: str) -> None:
        self.restic.check(self.path, self.password)
        self.run("verify", "--read-data", *options)

    def check_restores(self, seed: int, snapshot: str = "latest") -> None:
        """restic brings back what was there."""
        expected, target = self.folder / f"expected-{seed}", self.folder / "target"
        shutil.rmtree(target, ignore_errors=True)
        fill(expected, seed)
        self.restic_run("restore", snapshot, "--target", target)
        assert_same(expected, target / self.source.relative_to("/"))


def fill(folder: Path, seed: int) -> None:
    """Files of which a half is the same for every seed."""
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(8):
        chance = random.Random(f"{number} {seed if number % 2 else ''}")
        file = folder / f"directory-{number % 3}" / f"file-{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(40_000 * number) + b"text " * 5000)


def assert_same(one: Path, other: Path) -> None:
    assert contents(one) == contents(other)


def contents(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def pack_sizes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path / "data").rglob("*") if file.is_file())


@pytest.fixture
def desk(tmp_path: Path, restic: Restic, pivori: Pivori) -> Desk:
    return Desk(tmp_path, restic, pivori)


@pytest.fixture
def newest_desk(tmp_path: Path, newest_restic: Restic, pivori: Pivori) -> Desk:
    """For what hangs on no version of restic."""
    return Desk(tmp_path, newest_restic, pivori)


def test_we_prune_what_restic_wrote(desk: Desk) -> None:
    desk.init(ours=False, version=1 if desk.restic.version == (0, 14) else 2)
    for seed in range(1, 4):
        desk.backup(seed, ours=False)
    before = pack_sizes(desk.path)
    kept = desk.json("forget", "--keep-last", "2", "--prune", "--max-unused", "0")
    assert len(kept["removed"]) == 1
    assert kept["prune"]["bytes_unused_remain"] == 0
    assert pack_sizes(desk.path) < before
    desk.check()
    desk.check_restores(2, desk.snapshots()[0])
    desk.backup(5, ours=False)
    desk.check()


def test_restic_prunes_what_we_wrote(desk: Desk) -> None:
    desk.init(ours=True)
    for seed in (1, 2):
        desk.backup(seed, ours=True)
    desk.restic_run("forget", "--keep-last", "1", "--prune", "--max-unused", "0")
    # A snapshot that another program removed is named once, and then accepted.
    assert "snapshot-gone" in desk.run("verify", "--json", expect=1).stdout
    desk.check("--accept-missing")
    desk.check()
    desk.check_restores(2)
    figures = desk.json("prune", "--dry-run")
    assert (figures["blobs_unused"], figures["packs_unindexed"]) == (0, 0)


def test_one_prunes_after_the_other(newest_desk: Desk) -> None:
    desk = newest_desk
    desk.init(ours=True)
    for seed in range(1, 4):
        desk.backup(seed, ours=seed % 2 == 0)
        desk.run("forget", "--keep-last", "2", "--prune", "--max-unused", "0")
        desk.restic_run("prune")
    desk.check()
    desk.check_restores(3)


def test_duplicates_and_leftovers_go(newest_desk: Desk) -> None:
    """Two repositories' worth of the same blobs in one, and a pack that nobody lists."""
    desk = newest_desk
    desk.init(ours=False)
    hidden = desk.folder / "hidden"
    desk.backup(1, ours=False)
    (desk.path / "index").rename(hidden)
    (desk.path / "index").mkdir()
    desk.run("backup", "--force", desk.source)
    for index in hidden.iterdir():
        index.rename(desk.path / "index" / index.name)
    lost = desk.folder / "lost"
    lost.write_bytes(os.urandom(5000))
    desk.restic_run("backup", lost)
    for index in sorted((desk.path / "index").iterdir(), key=lambda file: file.stat().st_mtime)[-1:]:
        index.unlink()
    desk.restic_run("forget", "latest")
    figures = desk.json("prune", "--max-unused", "0")
    assert figures["blobs_duplicate"] >= 8
    assert figures["packs_unindexed"] >= 1
    again = desk.json("prune", "--dry-run")
    assert (again["blobs_duplicate"], again["blobs_unused"], again["packs_unindexed"]) == (0, 0, 0)
    desk.check()
    desk.check_restores(1)


def test_mixed_packs_of_version_1_are_taken_apart(newest_desk: Desk) -> None:
    desk = newest_desk
    desk.init(ours=False, version=1)
    desk.backup(1, ours=False)
    repository = Repository.open(LocalStorage(desk.path), "secret")
    mix(repository)
    figures = desk.json("prune", "--max-unused", "unlimited")
    assert figures["packs_repacked"] == 1
    desk.check()
    desk.check_restores(1)
    assert desk.json("prune")["packs_repacked"] == 0


def mix(repository: Repository) -> None:
    """Put everything into one pack of trees and data."""
    builder, box = PackBuilder(BlobKind.DATA, 1 << 40), Box(repository.master)
    old = [(kind, item.name) for kind in (Kind.INDEX, Kind.PACK) for item in repository.storage.list(kind)]
    for name in [name for kind, name in old if kind is Kind.INDEX]:
        for pack, blobs in repository.read_index(name):
            for blob in blobs:
                sealed = repository.storage.get(Kind.PACK, pack.hex(), blob.offset, blob.length)
                builder._kind = int(blob.kind)
                builder.add(blob.id, (sealed[:16], sealed[16:-16], sealed[-16:]), blob.plain_length)
    mixed = builder.finish(box)
    repository.storage.put(Kind.PACK, mixed.id.hex(), mixed.parts)
    repository.objects.save_unpacked(Kind.INDEX, encode_index([(mixed.id, list(read_header(mixed.header)))]))
    for kind, name in old:
        repository.storage.delete(kind, name)
    repository.storage.sync()


def test_a_snapshot_that_lacks_something_stops_the_prune(newest_desk: Desk) -> None:
    desk = newest_desk
    desk.init(ours=True)
    desk.backup(1, ours=True)
    desk.backup(2, ours=True)
    desk.run("forget", "--keep-last", "1")
    victim = max((desk.path / "data").rglob("*"), key=lambda file: file.stat().st_size if file.is_file() else 0)
    moved = desk.folder / "moved"
    victim.rename(moved)
    before = sorted((desk.path / "data").rglob("*"))
    result = desk.run("prune", expect=1)
    assert victim.name[:8] in result.stderr
    assert sorted((desk.path / "data").rglob("*")) == before
    moved.rename(victim)
    desk.run("prune")
    desk.check()


BOTH_WAYS = pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "restic's first"])


@BOTH_WAYS
def test_copy(desk: Desk, ours_first: bool) -> None:
    """From a repository of ours to one of restic's, or the reverse; restic restores the copy, and goes on with it."""
    desk.init(ours=ours_first)
    for seed in (1, 2):
        desk.backup(seed, ours=ours_first)
    second = desk.folder / "second"
    other_password = desk.secret("other", "another secret")
    other = Desk.__new__(Desk)
    other.__dict__.update(desk.__dict__, path=second, password=other_password)
    other.init(ours=not ours_first)
    to = ("--to", second, "--to-password-file", other_password)
    first = desk.json("copy", *to)
    assert len(first["copied"]) == 2
    again = desk.json("copy", *to)
    assert (again["copied"], len(again["skipped"])) == ([], 2)
    other.check_restores(2)
    assert trees(other) == trees(desk)
    # restic sees that they are copied, too; and what it copies counts as copied here.
    desk.backup(3, ours=ours_first)
    skipped = copy_with_restic(desk, other)
    assert len(other.snapshots()) == 3, skipped
    assert desk.json("copy", *to)["copied"] == []
    other.check()
    other.check_restores(3)


def trees(desk: Desk) -> list[str]:
    return [each["tree"] for each in json.loads(desk.restic_run("snapshots", "--json"))]


def copy_with_restic(source: Desk, destination: Desk) -> str:
    return destination.restic_run("copy", "--from-repo", source.path, "--from-password-file", source.password)


def test_copy_passes_by_what_is_damaged(newest_desk: Desk) -> None:
    """A lost pack costs the snapshots that need it, no other."""
    desk = newest_desk
    desk.init(ours=True)
    desk.backup(1, ours=True)
    known = set((desk.path / "data").rglob("*"))
    desk.backup(2, ours=True)
    big = max(set((desk.path / "data").rglob("*")) - known, key=lambda file: file.stat().st_size * file.is_file())
    data = bytearray(big.read_bytes())
    data[len(data) // 2] ^= 1
    big.chmod(0o600)
    big.write_bytes(data)
    other_password = desk.secret("other", "another secret")
    other = Desk.__new__(Desk)
    other.__dict__.update(desk.__dict__, path=desk.folder / "second", password=other_password)
    other.init(ours=True)
    found = desk.json("copy", "--to", other.path, "--to-password-file", other_password, expect=1)
    assert len(found["copied"]) == len(found["failed"]) == 1
    other.check()
    other.check_restores(1)


@BOTH_WAYS
def test_passwords(desk: Desk, ours_first: bool) -> None:
    """Added, changed and removed by one program, seen by the other."""
    desk.init(ours=ours_first)
    old = desk.password
    added, changed = desk.secret("added", "added one"), desk.secret("changed", "the last one")
    desk.run("key", "add", "--new-password-file", added)
    desk.password = added
    desk.restic_run("snapshots")
    desk.run("key", "passwd", "--new-password-file", changed)
    desk.password = changed
    desk.restic_run("snapshots")
    assert desk.restic.run(desk.path, added, "snapshots", check=False).returncode != 0
    listed = json.loads(desk.run("key", "list", "--json").stdout)
    assert [key["current"] for key in listed] == [False, True]
    assert {key["id"] for key in listed} == {file.name for file in (desk.path / "keys").iterdir()}
    in_use, first = next(each["id"] for each in listed if each["current"]), listed[0]["id"]
    assert "key-in-use" in desk.run("key", "remove", in_use, "--json", expect=1).stderr
    desk.run("key", "remove", first[:8])
    assert desk.restic.run(desk.path, old, "snapshots", check=False).returncode != 0
    # And the reverse: restic adds and changes, we open.
    desk.restic_run("key", "add", "--new-password-file", added)
    desk.password = added
    desk.run("snapshots")
    desk.restic_run("key", "passwd", "--new-password-file", old)
    desk.password = old
    assert len(json.loads(desk.run("key", "list", "--json").stdout)) == 2


def test_statistics_are_restic_s(newest_desk: Desk) -> None:
    desk = newest_desk
    desk.init(ours=True)
    for seed in (1, 2):
        desk.backup(seed, ours=True)
    for mode in ("restore-size", "files-by-contents", "raw-data"):
        ours = desk.json("stats", "--mode", mode)
        theirs = json.loads(desk.restic_run("stats", "--mode", mode, "--json"))
        if mode == "files-by-contents":
            # restic takes all that has no content, folders too, for one more file.
            theirs["total_file_count"] -= 1
        shared = theirs.keys() & ours.keys()
        assert {key: ours[key] for key in shared} == pytest.approx({key: theirs[key] for key in shared}), mode
        assert "total_size" in shared


def test_unlock_takes_what_is_abandoned(newest_desk: Desk) -> None:
    desk = newest_desk
    desk.init(ours=False)
    process = subprocess.Popen(
        [desk.restic.path, "--no-cache", "-r", desk.path, "-p", desk.password, "backup", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((desk.path / "locks").iterdir()):
        assert process.poll() is None
    assert desk.run("prune", expect=11).stderr
    process.kill()
    process.communicate()
    refusal = json.loads(desk.run("prune", "--json", expect=11).stderr.splitlines()[-1])
    assert refusal["name"] == "repository-locked"
    assert "No such process runs here, but it may run in a container." in refusal["message"]
    assert "run `pivori unlock`" in refusal["hint"]
    assert refusal["details"]["remaining"].startswith(("9 min", "10 min"))
    assert f"counts as abandoned in {refusal['details']['remaining']}" in refusal["hint"]
    assert desk.json("unlock")["removed"] == 1
    desk.run("prune")
