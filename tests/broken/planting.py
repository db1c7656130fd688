"""A small repository, and ways to damage it."""

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from pivori.clock import SystemClock
from pivori.engine.backup import Backup, BackupRequest
from pivori.engine.verify import Verify, VerifyOutcome, VerifyRequest
from pivori.host import ProcessIdentity
from pivori.repository import BlobId, BlobKind, Intake, Repository, Snapshot, WriterSettings, format_time
from pivori.repository.check_findings import Finding
from pivori.storage import Kind, LocalStorage
from tests.restic import Restic

PASSWORD = "x"
IDENTITY = ProcessIdentity.current()


def make_source(folder: Path, seed: int = 1) -> Path:
    """Some files, random so that each has a blob of its own."""
    numbers = random.Random(seed)
    (folder / "sub" / "deep").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "sub/c.bin", "sub/deep/d.bin"):
        (folder / name).write_bytes(numbers.randbytes(20_000))
    (folder / "large.bin").write_bytes(numbers.randbytes(9 << 20))
    (folder / "empty").touch()
    (folder / "link").symlink_to("a.bin")
    return folder


@dataclass
class Planted:
    """A repository that a test may spoil. ``reopen`` forgets what is in memory, without asking scrypt again."""

    path: Path
    repository: Repository
    source: Path

    @classmethod
    def create(cls, path: Path, source: Path) -> "Planted":
        repository = Repository.create(
            LocalStorage(path), PASSWORD, username="u", hostname="h", created=format_time(SystemClock().now_ns())
        )
        return cls(path, repository, source)

    def copy_to(self, path: Path) -> "Planted":
        shutil.copytree(self.path, path)
        return Planted(path, self.repository, self.source).reopen()

    def reopen(self) -> "Planted":
        old = self.repository
        self.repository = Repository(LocalStorage(self.path), old.config, old.master, old.key_name)
        return self

    def back_up(self) -> str:
        """Back the source up; returns the snapshot's id."""
        self.reopen().repository.load_index(None)
        clock = SystemClock()
        request = BackupRequest(
            sources=[os.fsencode(self.source)], identity=IDENTITY, host="h", time_ns=clock.now_ns(), force=True
        )
        outcome = Backup(self.repository, request, clock=clock, emit=lambda _: None).run()
        assert outcome.snapshot_id is not None
        return outcome.snapshot_id

    def verify(self, *, read_data: bool = False, workers: int = 1) -> VerifyOutcome:
        self.reopen()
        return Verify(self.repository, VerifyRequest(read_data=read_data, workers=workers), emit=lambda _: None).run()

    def names(self, kind: Kind) -> list[str]:
        return sorted(item.name for item in self.repository.storage.list(kind))

    def file(self, kind: Kind, name: str) -> Path:
        folder = self.path / kind.value
        return folder / name[:2] / name if kind is Kind.PACK else folder / name

    def location(self, kind: BlobKind, blob: BlobId) -> tuple[str, int, int]:
        """Where a blob lies: pack, offset, length."""
        self.reopen().repository.load_index(None)
        found = self.repository.index.find(kind, blob)
        assert found is not None
        return found.pack.hex(), found.offset, found.length

    def blob_of(self, path: str) -> BlobId:
        """The first blob of a file below the source, in the newest snapshot."""
        return BlobId(bytes.fromhex(self.node(path)["content"][0]))

    def tree_of(self, path: str) -> BlobId:
        return BlobId(bytes.fromhex(self.node(path)["subtree"]))

    def node(self, path: str) -> dict[str, object]:
        self.reopen().repository.load_index(None)
        tree = self.repository.snapshots()[-1].snapshot.tree
        node: dict[str, object] = {}
        for name in (*self.source.parts[1:], *Path(path).parts):
            nodes = json.loads(self.repository.read_blob(BlobKind.TREE, BlobId(bytes.fromhex(str(tree)))))["nodes"]
            node = next(each for each in nodes if each["name"] == name)
            tree = node.get("subtree", "")
        return node

    def path_of(self, name: str) -> bytes:
        """A path below the source as snapshots have it."""
        return os.fsencode(self.source / name)

    def plant_tree(self, nodes: bytes | list[dict[str, object]]) -> str:
        """A snapshot whose root is this very tree; returns the tree's id."""
        self.reopen().repository.load_index(None)
        repository = self.repository
        intake = Intake(repository, WriterSettings(master=repository.master, version=2))
        content = nodes if isinstance(nodes, bytes) else json.dumps({"nodes": nodes}).encode() + b"\n"
        tree = intake.add_tree(content)[0].hex()
        intake.flush()
        time = format_time(SystemClock().now_ns())
        repository.save_snapshot(Snapshot(time=time, tree=tree, paths=["/planted"], hostname="h"))
        return tree

    def restic_check(self, restic: Restic, password_file: Path) -> bool:
        """Whether ``restic check --read-data`` is content."""
        result = restic.run(self.path, password_file, "check", "--read-data", "--no-lock", check=False)
        assert result.returncode in (0, 1), result.stderr
        return result.returncode == 0


def flip(file: Path, offset: int) -> None:
    """Flip one bit; a negative offset counts from the end."""
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.write_bytes(content)


def truncate(file: Path, by: int) -> None:
    os.truncate(file, file.stat().st_size - by)


def plain_node(name: str, **fields: object) -> dict[str, object]:
    """A node as restic writes it, of a file unless told otherwise."""
    time = "2025-11-08T12:00:00Z"
    node: dict[str, object] = {"name": name, "type": "file", "mode": 420, "mtime": time, "atime": time, "ctime": time}
    node |= {"uid": 0, "gid": 0, "content": [], **fields}
    return {key: value for key, value in node.items() if value is not ...}


def brief(outcome: VerifyOutcome) -> list[tuple[str, str]]:
    """Kind and object of every finding."""
    return [(finding.kind.value, finding.object) for finding in outcome.findings]


def only(outcome: VerifyOutcome) -> Finding:
    """The one damage that was found."""
    assert len(outcome.damage) == 1, brief(outcome)
    return outcome.damage[0]
