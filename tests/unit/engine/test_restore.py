"""Restoring real trees: what is written and what is left alone, what is deleted and what is refused."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from pivori.clock import SystemClock
from pivori.engine.backup import Backup, BackupRequest
from pivori.engine.restore import (
    Action,
    DeletionRefused,
    PathNotInSnapshot,
    Restore,
    RestoreOutcome,
    RestoreRequest,
    plan_restore,
)
from pivori.engine.selection import Selection
from pivori.events import Event, FileNotRestored, MetadataNotRestored
from pivori.host import ProcessIdentity
from pivori.repository import BlobId, BlobKind, LoadedSnapshot, Repository
from pivori.storage import LocalStorage
from tests.compat import hostile_tree
from tests.compat.hostile_tree import compare, differences, facts, noise
from tests.conftest import small_file_system

ROOT = os.geteuid() == 0
CHUNK = 512 << 10
FOUR_CHUNKS = noise(11, 4 << 20)


class Laboratory:
    """A repository, and what is backed up into it and restored from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.target = folder / "target"
        storage = LocalStorage(folder / "repository")
        self.repository = Repository.create(storage, "x", username="u", hostname="h", created="2024-01-01T00:00:00Z")
        self.events: list[Event] = []

    def back_up(self) -> LoadedSnapshot:
        """A snapshot of the source."""
        clock = SystemClock()
        request = BackupRequest(
            sources=[os.fsencode(self.source)], identity=ProcessIdentity.current(), host="h", time_ns=clock.now_ns()
        )
        outcome = Backup(self.repository, request, clock=clock, emit=self.events.append).run()
        assert outcome.snapshot_id is not None
        return self.repository.load_snapshot(outcome.snapshot_id)

    def request(
        self, snapshot: LoadedSnapshot, *, include: Iterable[str] = (), exclude: Iterable[str] = (), **options: Any
    ) -> RestoreRequest:
        """What to ask for: the source's folder, right into the target, unless ``options`` say otherwise."""
        names = tuple(os.fsencode(self.source).strip(b"/").split(b"/"))
        roots = [os.fsencode(self.source)]
        selection = Selection(include, exclude, roots=roots) if include or exclude else None
        request = RestoreRequest(
            tree=snapshot.snapshot.tree, target=self.target, subtree=roots[0], sources=[names], selection=selection
        )
        return replace(request, **options)

    def restore(self, request: RestoreRequest) -> RestoreOutcome:
        """Restore; nothing may fail."""
        self.events.clear()
        outcome = Restore(self.repository, request, emit=self.events.append).run()
        told = [event for event in self.events if isinstance(event, FileNotRestored | MetadataNotRestored)]
        assert told == []
        return outcome

    def failures(self, request: RestoreRequest) -> dict[bytes, str]:
        """Restore; what failed, and why."""
        self.events.clear()
        outcome = Restore(self.repository, request, emit=self.events.append).run()
        failed = {event.path: event.reason for event in self.events if isinstance(event, FileNotRestored)}
        assert outcome.failures == len(failed)
        return failed


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """With a small source: files of one and of several blobs, folders, links."""
    made = Laboratory(tmp_path)
    source = made.source
    (source / "folder" / "inner").mkdir(parents=True)
    (source / "small").write_bytes(b"small")
    (source / "large").write_bytes(FOUR_CHUNKS)
    (source / "folder" / "inner" / "file.txt").write_bytes(b"text")
    (source / "folder" / "file.log").write_bytes(b"log")
    (source / "link").symlink_to("small")
    os.link(source / "small", source / "folder" / "small too")
    return made


def inside(before: dict[bytes, Any]) -> dict[bytes, Any]:
    """Without the top directory, which is the caller's."""
    return {path: fact for path, fact in before.items() if path}


# ------------------------------------------------------------------------------------ everything, and parts


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sparse", [False, True])
def test_everything_comes_back(laboratory: Laboratory, workers: int, sparse: bool) -> None:
    laboratory.source.rename(laboratory.folder / "put away")
    hostile_tree.build(laboratory.source)
    request = laboratory.request(laboratory.back_up(), workers=workers, sparse=sparse, verify=True)
    expected = inside(facts(laboratory.source))
    for _ in range(2):  # into nothing, and over itself
        outcome = laboratory.restore(request)
        assert compare(expected, inside(facts(laboratory.target))) == []
        assert outcome.verified > 0
    assert outcome.deleted == 0


def test_a_single_file(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    subtree = os.fsencode(laboratory.source / "folder" / "inner" / "file.txt")
    (laboratory.target).mkdir()
    (laboratory.target / "mine").write_text("mine")
    laboratory.restore(laboratory.request(snapshot, subtree=subtree, delete=True))
    assert sorted(path.name for path in laboratory.target.iterdir()) == ["file.txt", "mine"]


def test_from_the_top_and_in_place(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    before = facts(laboratory.source)
    (laboratory.source / "small").unlink()
    (laboratory.source / "large").write_bytes(b"overwritten")
    (laboratory.source / "folder" / "file.log").chmod(0)
    beside = {path: path.stat() for path in laboratory.folder.iterdir() if path != laboratory.source}
    laboratory.restore(laboratory.request(snapshot, subtree=b"", target=Path("/")))
    assert compare(before, facts(laboratory.source)) == []
    assert {path: path.stat().st_mtime_ns for path in beside} == {path: beside[path].st_mtime_ns for path in beside}


def test_a_path_that_is_not_there(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    for subtree in (b"/nowhere", os.fsencode(laboratory.source / "small" / "x")):
        with pytest.raises(PathNotInSnapshot):
            laboratory.restore(laboratory.request(snapshot, subtree=subtree))


def test_includes_and_excludes(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    laboratory.restore(laboratory.request(snapshot, include=["*.txt", "large"]))
    assert files(laboratory.target) == {b"folder/inner/file.txt", b"large"}
    laboratory.restore(laboratory.request(snapshot, exclude=["*.txt", "/large"], target=laboratory.folder / "second"))
    assert files(laboratory.folder / "second") == {b"folder/file.log", b"folder/small too", b"link", b"small"}


def test_a_folder_without_anything_selected_is_not_made(laboratory: Laboratory) -> None:
    (laboratory.source / "nothing of it" / "inner").mkdir(parents=True)
    (laboratory.source / "nothing of it" / "inner" / "x.log").touch()
    (laboratory.source / "taken").mkdir()
    snapshot = laboratory.back_up()
    request = laboratory.request(snapshot, include=["*.txt", "taken"])
    planned = {step.path for step in plan_restore(laboratory.repository, request)}
    outcome = laboratory.restore(request)
    wanted = {b"folder", b"folder/inner", b"folder/inner/file.txt", b"taken"}
    assert planned == facts(laboratory.target).keys() - {b""} == wanted
    assert outcome.directories == 3
    assert facts(laboratory.target)[b"taken"] == facts(laboratory.source)[b"taken"]


def files(folder: Path) -> set[bytes]:
    """Everything below a folder but folders."""
    return {path for path, fact in facts(folder).items() if not stat.S_ISDIR(fact.mode)}


# ------------------------------------------------------------------------------------ only what differs


def test_what_is_in_place_is_not_written(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    before = {path: path.stat() for path in laboratory.target.rglob("*") if path.stat().st_nlink == 1}
    outcome = laboratory.restore(request)
    linked = len(b"small")  # a file with several names is written anew: its content may be another file's too
    assert outcome.bytes_written == linked
    assert outcome.bytes_in_place == sum(len(each) for each in (FOUR_CHUNKS, b"text", b"log"))
    assert outcome.files_in_place == 3
    assert {path: path.stat().st_ino for path in before} == {path: status.st_ino for path, status in before.items()}


@pytest.mark.parametrize("change", ["middle", "longer", "shorter", "replaced"])
def test_only_blobs_that_differ_are_written(laboratory: Laboratory, change: str) -> None:
    snapshot = laboratory.back_up()
    request = laboratory.request(snapshot, verify=True)
    laboratory.restore(request)
    path = laboratory.target / "large"
    inode = path.stat().st_ino
    content = bytearray(FOUR_CHUNKS)
    if change == "middle":
        content[2_000_000] ^= 1
    elif change == "longer":
        content += b"more"
    elif change == "shorter":
        del content[-1:]
    else:
        content = bytearray(len(content))
    path.write_bytes(content)
    outcome = laboratory.restore(request)
    assert path.read_bytes() == FOUR_CHUNKS
    # What has to be written is written beside the file, which takes its place when it is whole.
    assert (path.stat().st_ino == inode) is (change == "longer")
    assert path.stat().st_mtime_ns == (laboratory.source / "large").stat().st_mtime_ns
    written = outcome.bytes_written - len(b"small")
    lengths = blob_lengths(laboratory, snapshot, "large")
    covering = next(length for length, end in zip(lengths, accumulate(lengths), strict=True) if end > 2_000_000)
    assert written == {"middle": covering, "longer": 0, "shorter": lengths[-1], "replaced": len(FOUR_CHUNKS)}[change]


def blob_lengths(laboratory: Laboratory, snapshot: LoadedSnapshot, name: str) -> list[int]:
    """The lengths of the blobs of a file of the source."""
    nodes = laboratory.repository.read_tree(source_tree(laboratory, snapshot))
    content = next(node.content for node in nodes if node.name == name) or []
    index = laboratory.repository.index
    return [index.content_length(BlobKind.DATA, BlobId(bytes.fromhex(blob))) or 0 for blob in content]


def test_other_names_of_a_file_keep_their_content(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    path = laboratory.target / "large"
    path.write_bytes(b"changed" * 100_000)
    os.link(path, laboratory.folder / "elsewhere")
    laboratory.restore(request)
    assert path.read_bytes() == FOUR_CHUNKS
    assert (laboratory.folder / "elsewhere").read_bytes() == b"changed" * 100_000


def test_holes_are_made_and_kept(laboratory: Laboratory) -> None:
    zeros = laboratory.source / "zeros"
    with zeros.open("wb") as file:
        file.write(b"x")
        file.truncate(32 << 20)
    request = laboratory.request(laboratory.back_up(), sparse=True, verify=True)
    laboratory.restore(request)
    assert differences(laboratory.source / "folder", laboratory.target / "folder") == []
    restored = laboratory.target / "zeros"
    assert restored.stat().st_size == 32 << 20
    assert restored.stat().st_blocks * 512 < 4 << 20
    laboratory.restore(laboratory.request(laboratory.back_up(), target=laboratory.folder / "full"))
    assert (laboratory.folder / "full" / "zeros").stat().st_blocks * 512 >= 32 << 20


def test_zeros_are_written_over_something_else(laboratory: Laboratory) -> None:
    """A hole in the snapshot is no hole in what was there before."""
    (laboratory.source / "zeros").write_bytes(bytes(3 << 20))
    request = laboratory.request(laboratory.back_up(), sparse=True, verify=True)
    laboratory.target.mkdir()
    (laboratory.target / "zeros").write_bytes(b"x" * (3 << 20))
    laboratory.restore(request)
    assert (laboratory.target / "zeros").read_bytes() == bytes(3 << 20)


# ------------------------------------------------------------------------------------ what is in the way


def test_whatever_is_in_the_way(laboratory: Laboratory) -> None:
    """Each kind of thing in the place of each other kind; nothing behind a link is touched."""
    request = laboratory.request(laboratory.back_up(), verify=True, delete=True)
    outside = laboratory.folder / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner" / "file.txt").write_text("precious")
    before = facts(outside)

    def link(path: Path) -> None:
        path.symlink_to(outside)

    def full_folder(path: Path) -> None:
        (path / "a" / "b").mkdir(parents=True)
        (path / "a" / "b" / "c").write_text("x")

    def read_only(path: Path) -> None:
        path.write_text("x")
        path.chmod(0o400)

    makers = [
        link,
        full_folder,
        read_only,
        os.mkfifo,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
    ]
    expected = inside(facts(laboratory.source))
    for make in makers:
        subprocess.run(["rm", "-rf", laboratory.target], check=True)
        laboratory.target.mkdir()
        for name in ("small", "large", "folder", "link"):
            make(laboratory.target / name)
        laboratory.restore(request)
        assert compare(expected, inside(facts(laboratory.target))) == []
        assert facts(outside) == before


def test_a_program_keeps_its_files_open_meanwhile(laboratory: Laboratory) -> None:
    """Somebody who reads and writes during the restore keeps a file, and hinders nothing."""
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    (laboratory.target / "small").write_bytes(b"theirs")
    with (laboratory.target / "small").open("r+b") as theirs, (laboratory.target / "large").open("rb") as reader:
        os.link(laboratory.target / "small", laboratory.target / "another name")
        laboratory.restore(request)
        assert theirs.read() == b"theirs"
        assert reader.read() == FOUR_CHUNKS
    assert (laboratory.target / "small").read_bytes() == b"small"
    assert (laboratory.target / "another name").read_bytes() == b"theirs"


def test_what_cannot_be_replaced_fails_alone(laboratory: Laboratory) -> None:
    """Something mounted is in the way of a file: that is reported, and the rest is restored."""
    request = laboratory.request(laboratory.back_up())
    (laboratory.target / "small").mkdir(parents=True)
    with small_file_system(laboratory.target / "small", "64k"):
        (laboratory.target / "small" / "precious").write_text("precious")
        failed = laboratory.failures(request)
        assert {b"small"} <= set(failed) <= {b"small", b"folder/small too"}
        assert (laboratory.target / "small" / "precious").read_text() == "precious"
        assert (laboratory.target / "large").read_bytes() == FOUR_CHUNKS


# ------------------------------------------------------------------------------------ deleting


def clutter(target: Path) -> None:
    """What the snapshot does not have, at several places."""
    (target / "folder" / "extra folder" / "inner").mkdir(parents=True)
    (target / "folder" / "extra folder" / "inner" / "x").write_text("x")
    (target / "folder" / "inner" / "extra.txt").write_text("x")
    (target / "extra.log").write_text("x")


def test_extra_files_go(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up())
    laboratory.restore(request)
    clutter(laboratory.target)
    laboratory.restore(request)
    assert (laboratory.target / "extra.log").exists()
    outcome = laboratory.restore(replace(request, delete=True))
    assert compare(inside(facts(laboratory.source)), inside(facts(laboratory.target))) == []
    assert outcome.deleted == 3


def test_what_is_not_selected_stays(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    laboratory.restore(laboratory.request(snapshot))
    clutter(laboratory.target)
    laboratory.restore(laboratory.request(snapshot, exclude=["*.log"], delete=True))
    assert (laboratory.target / "extra.log").exists()
    assert not (laboratory.target / "folder" / "inner" / "extra.txt").exists()


def test_what_was_not_backed_up_stays(laboratory: Laboratory) -> None:
    """From the top of the snapshot, the folders on the way to the source hold other people's things."""
    snapshot = laboratory.back_up()
    on_the_way = laboratory.target / laboratory.folder.relative_to("/")
    (on_the_way / "source" / "extra").mkdir(parents=True)
    (on_the_way / "others").write_text("x")
    (laboratory.target / "others").write_text("x")
    laboratory.restore(laboratory.request(snapshot, subtree=b"", delete=True))
    assert (on_the_way / "others").exists()
    assert (laboratory.target / "others").exists()
    assert not (on_the_way / "source" / "extra").exists()


def test_guards(laboratory: Laboratory) -> None:
    snapshot = laboratory.back_up()
    laboratory.target.mkdir()
    (laboratory.target / "mine").write_text("mine")
    root_link = laboratory.folder / "another name of the root"
    root_link.symlink_to("/")
    for refused in (
        laboratory.request(snapshot, include=["nothing like it"], delete=True),
        laboratory.request(snapshot, target=Path("/"), delete=True),
        laboratory.request(snapshot, target=root_link, delete=True),
        laboratory.request(snapshot, target=Path("/"), subtree=b"", sources=[()], delete=True),
        laboratory.request(snapshot, target=Path("/"), subtree=b"", sources=[], delete=True),
    ):
        with pytest.raises(DeletionRefused):
            laboratory.restore(refused)
        with pytest.raises(DeletionRefused):
            list(plan_restore(laboratory.repository, refused))
    assert (laboratory.target / "mine").read_text() == "mine"


# ------------------------------------------------------------------------------------ the plan


def test_the_plan_is_what_happens(laboratory: Laboratory) -> None:
    os.mkfifo(laboratory.source / "fifo")
    request = laboratory.request(laboratory.back_up(), delete=True)
    for state in ("nothing there", "all there", "other things there"):
        if state == "other things there":
            clutter(laboratory.target)
            subprocess.run(["rm", "-rf", laboratory.target / "folder" / "inner"], check=True)
            (laboratory.target / "folder" / "inner").write_text("in the way of a folder")
            (laboratory.target / "small").unlink()
            (laboratory.target / "small").mkdir()
            with (laboratory.target / "large").open("r+b") as file:
                file.write(b"other")
            (laboratory.target / "folder" / "file.log").chmod(0o600)
            (laboratory.target / "link").unlink()
            (laboratory.target / "link").symlink_to("elsewhere")
        before = facts(laboratory.target) if laboratory.target.exists() else {}
        plan = list(plan_restore(laboratory.repository, request))
        assert (facts(laboratory.target) if laboratory.target.exists() else {}) == before
        outcome = laboratory.restore(request)
        after = facts(laboratory.target)
        steps: dict[Action, set[bytes]] = {
            action: {step.path for step in plan if step.action is action} for action in Action
        }
        assert steps[Action.CREATE] == after.keys() - before.keys() - {b""}
        gone = before.keys() - after.keys()
        assert all(any(path == top or path.startswith(top + b"/") for top in steps[Action.DELETE]) for path in gone)
        assert steps[Action.DELETE] <= gone
        assert len(steps[Action.DELETE]) == outcome.deleted
        kept = after.keys() & before.keys() - {b""}
        assert steps[Action.UPDATE] | steps[Action.REPLACE] | steps[Action.KEEP] == kept
        changed = {path for path in kept if stat.S_IFMT(before[path].mode) != stat.S_IFMT(after[path].mode)}
        assert changed == steps[Action.REPLACE]
        for path in steps[Action.KEEP]:  # to a file that is kept, another name may be given
            assert before[path]._replace(links=()) == after[path]._replace(links=())
        # A file with several names is made anew, whatever is there.
        several = {b"small", b"folder/small too"}
        assert {path for path in steps[Action.UPDATE] if before[path] == after[path]} <= several
        assert sum(step.written for step in plan) == outcome.bytes_written
        counted = Counter(step.action for step in plan)
        assert sum(counted.values()) == len(plan) == len({step.path for step in plan})
        assert sum(step.size for step in plan) == sum(fact.size for fact in after.values())


# ------------------------------------------------------------------------------------ what can go wrong


def test_a_plan_lets_be_what_is_as_it_should_be(laboratory: Laboratory) -> None:
    (laboratory.source / "small").unlink()
    os.mkfifo(laboratory.source / "fifo")
    (laboratory.source / "empty").touch()
    snapshot = laboratory.back_up()
    whole = laboratory.request(snapshot)
    laboratory.restore(whole)
    assert {step.action for step in plan_restore(laboratory.repository, whole)} == {Action.KEEP}
    path = laboratory.target / "large"
    content = bytearray(FOUR_CHUNKS)
    content[2_000_000] ^= 1
    path.write_bytes(content)
    steps = {step.path: step for step in plan_restore(laboratory.repository, whole) if step.action is not Action.KEEP}
    assert steps.keys() == {b"large"}
    lengths = blob_lengths(laboratory, snapshot, "large")
    covering = next(length for length, end in zip(lengths, accumulate(lengths), strict=True) if end > 2_000_000)
    assert steps[b"large"] == (Action.UPDATE, b"large", len(content), covering)
    os.utime(path, ns=(0, 0))
    before = facts(laboratory.target)
    assert sum(step.written for step in plan_restore(laboratory.repository, whole)) == covering
    assert facts(laboratory.target) == before


def test_a_plan_says_nothing_of_folders_on_the_way(laboratory: Laboratory) -> None:
    request = laboratory.request(laboratory.back_up(), subtree=b"")
    (laboratory.target / laboratory.folder.relative_to("/")).mkdir(parents=True)
    steps = {step.path: step.action for step in plan_restore(laboratory.repository, request)}
    source = os.fsencode(laboratory.source)[1:]
    assert steps[source] is Action.CREATE
    assert {action for path, action in steps.items() if source.startswith(path + b"/")} == {Action.KEEP}


def test_a_damaged_blob_is_reported_and_nothing_else(laboratory: Laboratory) -> None:
    (laboratory.source / "lost").write_bytes(noise(12, 300_000))
    snapshot = laboratory.back_up()
    index = laboratory.repository.index
    tree = {each.name: each for each in laboratory.repository.read_tree(source_tree(laboratory, snapshot))}
    (blob,) = tree["lost"].content or ()
    location = index.find(BlobKind.DATA, BlobId(bytes.fromhex(blob)))
    assert location is not None
    name = location.pack.hex()
    path = laboratory.folder / "repository" / "data" / name[:2] / name
    content = bytearray(path.read_bytes())
    content[location.offset + 100] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    failed = laboratory.failures(laboratory.request(snapshot))
    assert set(failed) == {b"lost"}
    assert (laboratory.target / "large").read_bytes() == FOUR_CHUNKS
    assert not (laboratory.target / "lost").exists()


def source_tree(laboratory: Laboratory, snapshot: LoadedSnapshot) -> str:
    """The id of the source's tree."""
    tree = snapshot.snapshot.tree
    for name in laboratory.source.parts[1:]:
        tree = next(node for node in laboratory.repository.read_tree(tree) if node.name == name).subtree or ""
    return tree


def test_an_ordinary_user_gets_contents_modes_and_times(laboratory: Laboratory, tmp_path: Path) -> None:
    """Owners are not theirs to give; files and folders without rights do not hinder, not even the second time."""
    locked = laboratory.source / "locked"
    locked.mkdir()
    for mode in (0o000, 0o400, 0o444, 0o755):
        (locked / f"{mode:o}").write_bytes(FOUR_CHUNKS[:700_000])
        (locked / f"{mode:o}").chmod(mode)
    locked.chmod(0o500)
    snapshot = laboratory.back_up()
    place = Path(tempfile.mkdtemp(dir=Path("/tmp")))  # the folders of the tests are closed to others
    try:
        shutil.copytree(laboratory.folder / "repository", place / "repository")
        if ROOT:
            subprocess.run(["chown", "-R", "65534:65534", place], check=True)
        script = Path(__file__).with_name("unprivileged_restore.py")
        command = [sys.executable, "-I", script, place / "repository", snapshot.snapshot.tree, place / "back"]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert result.returncode == 0, result.stdout + result.stderr
        restored = place / "back" / laboratory.source.relative_to("/")
        expected = {path: fact._replace(uid=0, gid=0) for path, fact in inside(facts(laboratory.source)).items()}
        found = {path: fact._replace(uid=0, gid=0) for path, fact in inside(facts(restored)).items()}
        assert compare(expected, found) == []
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
