"""A repository written by somebody who has the key and means ill: any tree, index, snapshot and pack."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pivori.repository import BlobId, BlobKind, Intake, PackId, Repository, Snapshot, WriterSettings, blob_id
from pivori.repository.crypto import Box
from pivori.repository.pack import PackBuilder
from pivori.storage import Kind, LocalStorage
from tests.conftest import Pivori

PASSWORD = "the key they have"
TIME = "2024-01-02T03:04:05Z"
MEMORY = 640 << 20
"""What a process may map, in bytes: the interpreter and its libraries take about a third of it."""

_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-I", "-m", "pivori", *sys.argv[2:]])
"""


def node(name: str, kind: str = "file", **fields: Any) -> dict[str, Any]:
    """A node as JSON holds it; ``fields`` replace what it would have."""
    made: dict[str, Any] = {"name": name, "type": kind, "mode": 0o644, "mtime": TIME, "atime": TIME, "ctime": TIME}
    made |= {"uid": os.geteuid(), "gid": os.getegid(), "content": [] if kind == "file" else None}
    if kind == "dir":
        made["mode"] = 0o755 | 1 << 31
    return made | fields


def tree_json(*nodes: dict[str, Any]) -> bytes:
    """A tree of these nodes, in their order."""
    return json.dumps({"nodes": nodes}, separators=(",", ":")).encode() + b"\n"


@dataclass
class Forger:
    """Writes a repository in ``folder``."""

    folder: Path

    def __post_init__(self) -> None:
        self.storage = LocalStorage(self.folder)
        self.repository = Repository.create(self.storage, PASSWORD, username="u", hostname="h", created=TIME)
        settings = WriterSettings(master=self.repository.master, version=2)
        self.intake = Intake(self.repository, settings)

    def data(self, content: bytes) -> str:
        """Store a data blob; its id."""
        blob = blob_id(content)
        if self.intake.claim(blob) == b"\1":
            self.intake.writer.add(BlobKind.DATA, blob, content)
        return blob.hex()

    def tree(self, *nodes: dict[str, Any], raw: bytes | None = None) -> str:
        """Store a tree of nodes, or of these very bytes; its id."""
        return self.intake.add_tree(tree_json(*nodes) if raw is None else raw)[0].hex()

    def folder_node(self, name: str, *nodes: dict[str, Any], raw: bytes | None = None) -> dict[str, Any]:
        """A directory's node, its tree stored."""
        return node(name, "dir", subtree=self.tree(*nodes, raw=raw))

    def snapshot(self, *nodes: dict[str, Any], tree: str | None = None, time: str = TIME) -> str:
        """Store a snapshot of a root tree of these nodes, and all that waits; its id."""
        root = tree or self.tree(*nodes)
        self.intake.flush()
        return self.repository.save_snapshot(Snapshot(time=time, tree=root, paths=["/src"], hostname="h"))

    def object(self, kind: Kind, plain: bytes) -> str:
        """Store a sealed object with any content; its name."""
        return self.repository.objects.save_unpacked(kind, plain)

    def sealed(self, kind: Kind, plain: bytes) -> str:
        """Store an object whose first byte is not ours: nothing is compressed."""
        parts = Box(self.repository.master).seal(plain)
        name = blob_id(b"".join(parts)).hex()
        self.storage.put(kind, name, parts)
        return name

    def config(self, plain: bytes) -> None:
        """Replace the config."""
        (self.folder / "config").unlink()
        (self.folder / "config").write_bytes(b"".join(Box(self.repository.master).seal(plain)))

    def pack(self, kind: BlobKind, blob: BlobId, packed: bytes, plain_length: int) -> PackId:
        """Store a pack with one blob in it, whatever its content; its id."""
        box = Box(self.repository.master)
        builder = PackBuilder(kind)
        builder.add(blob, box.seal(packed), plain_length)
        pack = builder.finish(box)
        self.storage.put(Kind.PACK, pack.id.hex(), pack.parts)
        self.storage.sync()
        return pack.id

    def index(self, pack: bytes, **row: Any) -> str:
        """Store an index of one blob; its name."""
        return self.object(Kind.INDEX, json.dumps({"packs": [{"id": pack.hex(), "blobs": [row]}]}).encode())


def limited(program: Pivori, memory: int = MEMORY) -> Pivori:
    """The program in no more than ``memory`` bytes."""
    return Pivori(program.home, (sys.executable, "-I", "-c", _LIMITED, str(memory)))
