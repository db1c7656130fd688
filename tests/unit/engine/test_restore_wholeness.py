"""What has its final name is what was there before, or whole; what is not whole goes when it never will be."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest

from pivori.engine.restore import Action, Restore, plan_restore
from pivori.events import Event, Progress
from pivori.host import TargetTree
from pivori.repository import BlobId, BlobKind, LoadedSnapshot
from tests.compat.hostile_tree import compare, facts, noise
from tests.unit.engine.test_restore import FOUR_CHUNKS, Laboratory, inside, source_tree

LEFTOVER = ".pivori-0123456789abcdef0123456789abcdef.partial"


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """Files of one and of several blobs."""
    made = Laboratory(tmp_path)
    (made.source / "folder").mkdir(parents=True)
    (made.source / "small").write_bytes(noise(31, 300_000))
    (made.source / "large").write_bytes(FOUR_CHUNKS)
    (made.source / "folder" / "other").write_bytes(b"other")
    return made


def damage(laboratory: Laboratory, snapshot: LoadedSnapshot, name: str, number: int) -> None:
    """Flip a bit in one blob of a file of the source."""
    nodes = laboratory.repository.read_tree(source_tree(laboratory, snapshot))
    content = next(node.content for node in nodes if node.name == name) or []
    location = laboratory.repository.index.find(BlobKind.DATA, BlobId(bytes.fromhex(content[number])))
    assert location is not None
    pack = location.pack.hex()
    path = laboratory.folder / "repository" / "data" / pack[:2] / pack
    stored = bytearray(path.read_bytes())
    stored[location.offset + 100] ^= 1
    path.chmod(0o600)
    path.write_bytes(stored)


def before_of(content: bytes, state: str) -> bytes:
    """What is in the place of a file before it is restored."""
    if state == "shorter":
        return content[: len(content) // 3]
    if state == "changed in two places":
        changed = bytearray(content)
        changed[10] ^= 1
        changed[-10] ^= 1
        return bytes(changed)
    return b"something else" * 20


STATES = ["shorter", "changed in two places", "something else"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_file_whose_blob_is_damaged_stays_as_it_was(
    laboratory: Laboratory, name: str, state: str, sparse: bool
) -> None:
    snapshot = laboratory.back_up()
    damage(laboratory, snapshot, name, -1)
    laboratory.target.mkdir()
    path = laboratory.target / name
    path.write_bytes(before_of((laboratory.source / name).read_bytes(), state))
    before = facts(laboratory.target)[os.fsencode(name)]
    assert set(laboratory.failures(laboratory.request(snapshot, verify=True, sparse=sparse))) == {os.fsencode(name)}
    assert facts(laboratory.target)[os.fsencode(name)] == before
    assert not list(laboratory.target.rglob(".pivori-*"))
    assert (laboratory.target / "folder" / "other").read_bytes() == b"other"


@pytest.mark.parametrize("name", ["small", "large"])
def test_of_a_new_file_whose_blob_is_damaged_nothing_stays(laboratory: Laboratory, name: str) -> None:
    snapshot = laboratory.back_up()
    damage(laboratory, snapshot, name, -1)
    assert set(laboratory.failures(laboratory.request(snapshot))) == {os.fsencode(name)}
    assert not (laboratory.target / name).exists()
    assert not list(laboratory.target.rglob(".pivori-*"))


def test_another_name_of_a_file_that_failed_stays_as_it_was(laboratory: Laboratory) -> None:
    """It must not become a name of what was at the first name before."""
    os.link(laboratory.source / "large", laboratory.source / "large too")
    snapshot = laboratory.back_up()
    damage(laboratory, snapshot, "large", 0)
    laboratory.target.mkdir()
    (laboratory.target / "large").write_bytes(b"one thing")
    (laboratory.target / "large too").write_bytes(b"another thing")
    assert set(laboratory.failures(laboratory.request(snapshot, verify=True))) == {b"large", b"large too"}
    assert (laboratory.target / "large").read_bytes() == b"one thing"
    assert (laboratory.target / "large too").read_bytes() == b"another thing"


def test_what_is_in_place_is_copied_with_its_holes(laboratory: Laboratory) -> None:
    """Of a file with holes only the blob that differs is written, and the holes stay holes."""
    disk = laboratory.source / "disk"
    with disk.open("wb") as file:
        file.write(noise(32, 2 << 20))
        file.seek(64 << 20)
        file.write(noise(33, 2 << 20))
    request = laboratory.request(laboratory.back_up(), sparse=True, verify=True)
    laboratory.restore(request)
    restored = laboratory.target / "disk"
    with restored.open("r+b") as file:
        file.seek(65 << 20)
        file.write(b"changed")
    outcome = laboratory.restore(request)
    assert restored.read_bytes() == disk.read_bytes()
    assert restored.stat().st_blocks * 512 < 16 << 20
    assert outcome.bytes_written < 16 << 20
    assert outcome.bytes_in_place > 56 << 20


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mixture_comes_back(laboratory: Laboratory, workers: int) -> None:
    """Some blobs in place, some not, in many files: with whatever is read by whom, all are whole at the end."""
    chance = random.Random(5)
    for number in range(6):
        (laboratory.source / f"mixed{number}").write_bytes(noise(40 + number, 3 << 20))
    request = laboratory.request(laboratory.back_up(), workers=workers, verify=True)
    laboratory.restore(request)
    for number in range(6):
        with (laboratory.target / f"mixed{number}").open("r+b") as file:
            for _ in range(2):
                file.seek(chance.randrange(3 << 20))
                file.write(b"changed")
    outcome = laboratory.restore(request)
    assert compare(inside(facts(laboratory.source)), inside(facts(laboratory.target))) == []
    assert outcome.bytes_in_place > 0


def stopping(left: int) -> Callable[[Event], None]:
    """Listens, and is interrupted when it hears the last of so many events."""
    counting = iter(range(1, left))

    def listen(_event: Event) -> None:
        if next(counting, None) is None:
            raise KeyboardInterrupt

    return listen


def test_an_interruption_leaves_what_was_or_what_is_whole(laboratory: Laboratory) -> None:
    """Whenever the restore has something to say, it is stopped there in one run."""
    for number in range(6):
        (laboratory.source / f"more{number}").write_bytes(noise(50 + number, 1_200_000))
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    expected = inside(facts(laboratory.target))
    for moment in count(1):
        old = {}
        for path in sorted(laboratory.target.rglob("*")):
            if path.is_file():
                path.write_bytes(path.read_bytes()[:-1] + b"x")
                old[path] = path.read_bytes()
        with suppress(KeyboardInterrupt):
            Restore(laboratory.repository, request, emit=stopping(moment)).run()
            break
        for path, content in old.items():
            whole = (laboratory.source / path.relative_to(laboratory.target)).read_bytes()
            assert path.read_bytes() in (content, whole)
        assert not list(laboratory.target.rglob(".pivori-*"))
    assert moment > 4
    assert compare(expected, inside(facts(laboratory.target))) == []


def test_what_a_killed_run_has_left_goes(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up(), delete=True)
    laboratory.restore(request)
    expected = inside(facts(laboratory.target))
    for folder in (laboratory.target, laboratory.target / "folder"):
        (folder / LEFTOVER).write_bytes(b"half")
        (folder / LEFTOVER.replace("f.", "e.")).symlink_to("nowhere")
    assert Action.DELETE not in {step.action for step in plan_restore(laboratory.repository, request)}
    assert laboratory.restore(request).deleted == 0
    assert compare(expected, inside(facts(laboratory.target))) == []


NO_LEFTOVERS: dict[str, Callable[[Path], object]] = {
    ".pivori-0123456789abcdef0123456789abcde.partial": Path.touch,
    ".pivori-0123456789ABCDEF0123456789abcdef.partial": Path.touch,
    "pivori-0123456789abcdef0123456789abcdef.partial": Path.touch,
    LEFTOVER + "~": Path.touch,
    LEFTOVER: Path.mkdir,
}


@pytest.mark.parametrize("name", NO_LEFTOVERS)
def test_what_only_looks_like_it_stays(laboratory: Laboratory, name: str) -> None:
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    NO_LEFTOVERS[name](laboratory.target / "folder" / name)
    laboratory.restore(request)
    assert (laboratory.target / "folder" / name).exists()


def test_what_the_snapshot_has_is_no_leftover(laboratory: Laboratory) -> None:
    for folder in (laboratory.source, laboratory.source / "folder"):
        (folder / LEFTOVER).write_bytes(b"backed up after a restore that was killed")
    request = laboratory.request(laboratory.back_up(), verify=True)
    for _ in range(2):
        laboratory.restore(request)
        assert compare(inside(facts(laboratory.source)), inside(facts(laboratory.target))) == []
    (laboratory.target / "folder" / "other").unlink()
    laboratory.restore(laboratory.request(laboratory.back_up(), include=["/folder/other"]))
    assert (laboratory.target / LEFTOVER).exists()
    assert (laboratory.target / "folder" / LEFTOVER).exists()


def test_a_file_that_is_right_stays_and_gets_its_metadata(laboratory: Laboratory) -> None:
    """Nothing is written where nothing is missing, however the file was touched."""
    request = laboratory.request(laboratory.back_up(), verify=True)
    laboratory.restore(request)
    os.utime(laboratory.target / "large", (1, 1))
    inode = (laboratory.target / "large").stat().st_ino
    assert laboratory.restore(request).bytes_written == 0
    assert (laboratory.target / "large").stat().st_ino == inode
    assert (laboratory.target / "large").stat().st_mtime_ns == (laboratory.source / "large").stat().st_mtime_ns


def test_an_unfinished_file_that_somebody_removes_is_said(laboratory: Laboratory) -> None:
    """Another run took it for a leftover, say: what was there before stays."""
    request = laboratory.request(laboratory.back_up())
    laboratory.target.mkdir()
    (laboratory.target / "large").write_bytes(b"before")
    begin = TargetTree.begin_file

    def begin_and_lose(tree: TargetTree, path: bytes, size: int) -> bytes:
        partial = begin(tree, path, size)
        tree.remove(partial)
        return partial

    with patch.object(TargetTree, "begin_file", begin_and_lose):
        failed = laboratory.failures(request)
    assert failed == {b"large": "its unfinished part was removed or replaced meanwhile"}
    assert (laboratory.target / "large").read_bytes() == b"before"
    laboratory.restore(request)
    assert (laboratory.target / "large").read_bytes() == FOUR_CHUNKS


@pytest.mark.parametrize("change", ["linked", "removed"])
def test_a_file_that_changes_hands_while_it_is_compared_is_said(laboratory: Laboratory, change: str) -> None:
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    path = laboratory.target / "large"

    def listen(event: Event) -> None:
        elsewhere = laboratory.folder / "elsewhere"
        # Once it has been compared, and before that is acted on.
        if isinstance(event, Progress) and event.current == b"large" and not elsewhere.exists():
            os.link(path, elsewhere)
            if change == "removed":
                path.unlink()

    (laboratory.target / "small").write_bytes(b"to be written, so that there is something to say")
    outcome = Restore(laboratory.repository, request, emit=listen).run()
    assert outcome.failures == 1
    assert (laboratory.folder / "elsewhere").read_bytes() == FOUR_CHUNKS
