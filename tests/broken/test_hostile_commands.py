"""Every command that reads a repository written by somebody who has the key: each ends in order, in little memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pivori.repository import BlobKind, blob_id
from pivori.repository.crypto import OVERHEAD
from tests.broken.forging import MEMORY, PASSWORD, Forger, limited, node
from tests.broken.test_hostile_repository import BOMBS, FAILURE, INCOMPLETE
from tests.conftest import Pivori

LEVELS = 12_000
"""The paths of all of them together take 700 MB, as each name has nine letters."""
LATER = "2024-01-02T03:04:06Z"
INSIDE = b"a file of the snapshot"

_LIMITED_VIEW = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
from pivori.engine.mount.view import SnapshotView
from pivori.repository import Repository
from pivori.storage import LocalStorage
repository = Repository.open(LocalStorage(Path(sys.argv[2])), sys.argv[3])
repository.load_index(None)
snapshot = repository.snapshots()[-1]
view = SnapshotView(repository, [snapshot])
folder = b"/ids/" + snapshot.id[:8].encode()
path = b"/deep" + b"/directory" * int(sys.argv[4])
view.entries(view.find(folder + path[:5]))
print(sorted(view.entries(view.find(folder + path))))
"""


def good(forger: Forger, name: str = "good") -> dict[str, object]:
    """A sound file."""
    return node(name, content=[forger.data(INSIDE)], size=len(INSIDE))


def nested(forger: Forger, bottom: dict[str, object]) -> str:
    """The top of so many directories with ``bottom`` in the last one."""
    tree = forger.tree(bottom)
    for _ in range(LEVELS):
        tree = forger.tree(raw=b'{"nodes":[{"name":"directory","type":"dir","subtree":"%b"}]}\n' % tree.encode())
    return tree


def refused_or_done(program: Pivori, *arguments: str | Path, expect: int) -> str:
    """Run a command in little memory; what it said. It has to end in an orderly way."""
    result = limited(program)(*arguments, expect=None, PIVORI_PASSWORD=PASSWORD)
    said = result.stdout + result.stderr
    assert result.returncode == expect, said[-4000:]
    assert "nternal error" not in said
    assert "Traceback" not in said
    assert "out-of-memory" not in said
    return said


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Forger:
    """Two snapshots that are alike but at the bottom; in the newer one a file down there is lost."""
    forger = Forger(tmp_path_factory.mktemp("deep") / "repository")
    sound = nested(forger, good(forger, "bottom"))
    forger.snapshot(node("deep", "dir", subtree=sound), good(forger))
    hurt = nested(forger, node("lost", content=["ab" * 32], size=5))
    forger.snapshot(node("deep", "dir", subtree=hurt), good(forger), time=LATER)
    return forger


@pytest.mark.parametrize(
    ("command", "expect", "told"),
    [
        ("ls latest", INCOMPLETE, "deeply"),
        ("ls latest /deep", 0, "/deep/d"),
        ("ls latest /deep --recursive", INCOMPLETE, "deeply"),
        ("find bottom", INCOMPLETE, "deeply"),
        (f"find --blob {blob_id(INSIDE).hex()}", INCOMPLETE, "/good"),
        ("diff latest~1 latest", INCOMPLETE, "deeply"),
        ("dump latest", INCOMPLETE, "deeply"),
        ("restore latest --target {target} --dry-run", 0, "good"),
        ("verify", FAILURE, "blob/abab"),
        ("repair snapshots --dry-run", 0, "/…/"),
        ("stats --mode restore-size", 0, ""),
        ("stats", FAILURE, "abab"),
        ("prune --dry-run", FAILURE, "abab"),
    ],
)
def test_directories_in_each_other_without_end(
    deep: Forger, pivori: Pivori, command: str, expect: int, told: str, tmp_path: Path
) -> None:
    words = command.format(target=tmp_path / "target").split()
    assert told in refused_or_done(pivori, *words, "-r", deep.folder, expect=expect)


def test_the_view_of_a_mount_of_such_directories(deep: Forger) -> None:
    """As deep as one likes: only what is asked for is read."""
    command = [sys.executable, "-I", "-c", _LIMITED_VIEW, str(MEMORY), str(deep.folder), PASSWORD, str(LEVELS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout == "[b'lost']\n"


def test_such_snapshots_are_mended(deep: Forger, pivori: Pivori, tmp_path: Path) -> None:
    """What is sound is kept, however deep it lies."""
    folder = tmp_path / "repository"
    subprocess.run(["cp", "-a", deep.folder, folder], check=True)
    refused_or_done(pivori, "repair", "snapshots", "--forget", "-r", folder, expect=0)
    refused_or_done(pivori, "verify", "-r", folder, expect=0)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Forger:
    """Every bomb as the content of a file and as a directory; the older of two snapshots has only what is sound."""
    forger = Forger(tmp_path_factory.mktemp("bombs") / "repository")
    forger.snapshot(good(forger))
    nodes = [good(forger)]
    for number, (frame, plain_length) in enumerate(BOMBS.values()):
        for kind in BlobKind:
            blob = blob_id(b"bomb %d %d" % (number, kind))
            pack = forger.pack(kind, blob, frame, plain_length)
            forger.index(pack, id=blob.hex(), type=kind.word, offset=0, length=len(frame) + OVERHEAD,
                         uncompressed_length=plain_length)  # fmt: skip
            if kind is BlobKind.DATA:
                nodes.append(node(f"file {number}", content=[blob.hex()], size=plain_length))
            else:
                nodes.append(node(f"folder {number}", "dir", subtree=blob.hex()))
    forger.snapshot(*nodes, time=LATER)
    return forger


@pytest.mark.parametrize(
    ("command", "expect", "told"),
    [
        ("ls latest", INCOMPLETE, "/file 6"),
        ("find good", INCOMPLETE, "/good"),
        ("diff latest~1 latest", INCOMPLETE, "file 6"),
        ("dump latest", INCOMPLETE, INSIDE.decode()),
        ("verify", FAILURE, "tree/"),
        ("verify --read-data", FAILURE, "holds damaged blobs"),
        ("prune --dry-run", FAILURE, ""),
        ("stats", FAILURE, ""),
        ("stats --mode files-by-contents", FAILURE, ""),
        ("repair index --dry-run", 0, ""),
        ("repair packs --dry-run", INCOMPLETE, "lost: 1"),
        ("repair snapshots --dry-run", 0, "folder 6"),
        ("backup {source}", 0, ""),
    ],
)
def test_bombs_meet_every_command(
    bombs: Forger, pivori: Pivori, command: str, expect: int, told: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(1000))
    folder = tmp_path / "repository"
    subprocess.run(["cp", "-a", bombs.folder, folder], check=True)
    words = command.format(source=source).split()
    assert told in refused_or_done(pivori, *words, "-r", folder, expect=expect)
