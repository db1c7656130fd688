"""The compatibility gate: what one program writes, the other reads, checks, changes and cleans up, both ways.

The source holds every type of node and every kind of name. What restic restores from our repository, and we from
its, is compared with the source in every respect.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pivori.repository.modes import go_mode
from tests.compat import hostile_tree
from tests.compat.matrix import HOST, RAW_LINKS_SINCE, Ours, Place, Source, Theirs
from tests.conftest import Pivori, missing
from tests.restic import Restic, environment

REWRITES_SINCE = (0, 18)
SUMMARY_SINCE = (0, 17)

Made = Callable[[Source], Place]
TheyMade = Callable[[Restic, int, Source], Place]


def unlike(found: list[str], restic: Restic) -> list[str]:
    """The differences that are not the fault of an old restic."""
    if restic.version < RAW_LINKS_SINCE:
        return [told for told in found if "links/link 2'" not in told]
    return found


# ------------------------------------------------------------------------------------ we write, restic reads


def test_restic_finds_nothing_wrong(theirs: Theirs) -> None:
    theirs.check()


def test_restic_shows_the_snapshot(ours: Ours, theirs: Theirs, source: Source) -> None:
    (shown,) = json.loads(theirs("snapshots", "--json"))
    (loaded,) = ours.place.open().snapshots()
    written = loaded.snapshot
    assert shown["id"] == loaded.id
    assert (shown["time"], shown["tree"]) == (written.time, written.tree)
    assert shown["paths"] == [str(source.path)]
    assert (shown["hostname"], shown["username"]) == (HOST, written.username)
    assert (shown.get("uid", 0), shown.get("gid", 0)) == (os.geteuid(), os.getegid())
    assert shown["tags"] == ["one", "two"]
    assert shown["excludes"] == ["*.never"]
    if theirs.restic.version >= SUMMARY_SINCE:
        summary = written.summary
        assert summary is not None
        assert shown["program_version"] == written.program_version
        assert shown["summary"] == {name: getattr(summary, name) for name in summary.__struct_fields__}
        assert shown["summary"]["total_files_processed"] == source.files()


@pytest.mark.parametrize("options", [(), ("-l",)], ids=["ls", "ls -l"])
def test_restic_lists_every_entry(theirs: Theirs, source: Source, options: tuple[str, ...]) -> None:
    lines = [json.loads(line) for line in theirs("ls", *options, "--json", "latest").splitlines()[1:]]
    shown = {line["path"]: line for line in lines if line["path"].startswith(f"{source.path}/")}
    readable = {path: fact for path, fact in source.facts.items() if path and is_text(path)}
    assert len(shown) == len(source.facts) - 1
    for path, fact in readable.items():
        line = shown[f"{source.path}/{path.decode()}"]
        assert line.get("mode", 0) == go_mode(fact.mode), path
        assert (line["uid"], line["gid"], line.get("size", 0)) == (fact.uid, fact.gid, fact.size), path


def is_text(path: bytes) -> bool:
    """Whether a path is UTF-8."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_restic_restores_everything(theirs: Theirs, source: Source, tmp_path: Path) -> None:
    assert restored_by_restic(source, theirs, tmp_path / "back") == []


def restored_by_restic(source: Source, theirs: Theirs, target: Path, snapshot: str = "latest") -> list[str]:
    """What restic did not restore as it was, but for this: each name of a symbolic link becomes a link of its own."""
    found = source.differences(theirs.restored(target, snapshot))
    return unlike([told for told in found if "/link 0" not in told or "links is" not in told], theirs.restic)


def test_restic_dumps_files_and_folders(theirs: Theirs, source: Source) -> None:
    for name in (b"contents/several megabytes", b"contents/like an empty tree", b"names/back\\slash\\n\\x41\\u0041"):
        assert theirs.bytes("dump", "latest", source.path / os.fsdecode(name)) == source.facts[name].content
    inside = source.path / "contents"
    with tarfile.open(fileobj=io.BytesIO(theirs.bytes("dump", "latest", inside))) as archive:
        files = {Path(member.name).name: member.size for member in archive if member.isfile()}
    assert files == {path.name: path.stat().st_size for path in inside.iterdir()}


def test_restic_makes_the_same_trees(
    our_program: Pivori, our_repositories: Made, small_source: Source, restic: Restic, tmp_path: Path
) -> None:
    """Read again in full by restic: no new data, and every tree the very same bytes."""
    theirs = Theirs(restic, our_repositories(small_source).copied(tmp_path))
    output = theirs("backup", "--host", HOST, "--force", "--json", small_source.path)
    summary = json.loads(output.splitlines()[-1])
    assert summary["data_blobs"] == 0
    first, second = theirs.place.open().snapshots()
    trees = [theirs.place.source_tree(loaded.snapshot.tree, small_source.path) for loaded in (first, second)]
    if restic.version >= RAW_LINKS_SINCE:
        assert trees[0] == trees[1]
    else:
        # Raw link targets came later: that one folder, and those above it.
        before, after = map(theirs.place.nodes, trees)
        changed = {path for path in before if before[path] != after[path]}
        assert {path for path in changed if before[path].type != "dir"} == {b"/links/link 2"}
        assert {path for path in changed if before[path].type == "dir"} == {b"/links"}
    theirs.check()


def test_restic_takes_our_snapshot_as_its_parent(theirs: Theirs, source: Source) -> None:
    output = theirs("backup", "--host", HOST, "--json", source.path)
    summary = json.loads(output.splitlines()[-1])
    assert (summary["files_new"], summary["files_changed"], summary["data_blobs"]) == (0, 0, 0)
    assert summary["files_unmodified"] == source.files()


def test_restic_rewrites(ours: Ours, theirs: Theirs, source: Source, tmp_path: Path) -> None:
    if theirs.restic.version < REWRITES_SINCE:
        return
    theirs("rewrite", "--exclude", "several megabytes", "--forget")
    theirs.check()
    (rewritten,) = ours.place.open().snapshots()
    assert rewritten.snapshot.original
    missing_now = f"{b'contents/several megabytes'!r} is missing"
    assert source.differences(ours.restored(tmp_path / "back")) == [missing_now]


def test_restic_finds_nothing_to_repair_in_snapshots(theirs: Theirs) -> None:
    if theirs.restic.version < REWRITES_SINCE:
        return
    output = theirs("repair", "snapshots", "--dry-run")
    assert "no snapshots would be modified" in output


def test_restic_makes_our_index_anew(ours: Ours, theirs: Theirs, source: Source, tmp_path: Path) -> None:
    before = {(kind, blob, *row) for table in ours.place.open().index.tables for kind, blob, _, *row in table.rows()}
    for index in (ours.place.repository / "index").iterdir():
        index.unlink()
    old = theirs.restic.version < REWRITES_SINCE
    theirs(*(("rebuild-index",) if old else ("repair", "index")), "--read-all-packs")
    after = {(kind, blob, *row) for table in ours.place.open().index.tables for kind, blob, _, *row in table.rows()}
    assert after == before
    theirs.check()
    assert source.differences(ours.restored(tmp_path / "back")) == []


def test_restic_forgets_and_prunes(ours: Ours, theirs: Theirs, source: Source, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "large").write_bytes(hostile_tree.noise(77, 5 << 20))
    ours.backup(extra)
    size = stored(ours.place)
    newest = ours.place.open().snapshots()[-1]
    theirs("forget", newest.id, "--prune", "--max-unused", "0")
    assert stored(ours.place) < size - (4 << 20)
    theirs.check()
    assert source.differences(ours.restored(tmp_path / "back")) == []


def stored(place: Place) -> int:
    """The bytes of all packs."""
    return sum(path.stat().st_size for path in (place.repository / "data").rglob("*") if path.is_file())


def test_restic_copies(ours: Ours, theirs: Theirs, source: Source, tmp_path: Path) -> None:
    second = Theirs(theirs.restic, Place.at(tmp_path, "second", "another password"))
    origin = ("--from-repo", ours.place.repository, "--from-password-file", ours.place.password)
    second("init", "--copy-chunker-params", *origin)
    second("copy", *origin)
    second.check()
    (copied,) = second.place.open().snapshots()
    assert copied.snapshot.tree == ours.place.open().snapshots()[0].snapshot.tree
    assert source.differences(Ours(ours.program, second.place).restored(tmp_path / "back")) == []


def test_restic_changes_tags(ours: Ours, theirs: Theirs) -> None:
    (before,) = ours.place.open().snapshots()
    theirs("tag", "--add", "three", "--remove", "one")
    (after,) = ours.place.open().snapshots()
    assert after.id != before.id
    assert (sorted(after.snapshot.tags), after.snapshot.original) == (["three", "two"], before.id)
    assert (after.snapshot.tree, after.snapshot.time) == (before.snapshot.tree, before.snapshot.time)


def test_restic_changes_the_password(ours: Ours, theirs: Theirs, tmp_path: Path) -> None:
    new = Place.at(tmp_path, ours.place.repository.name + " new", "a new one").password
    theirs("key", "passwd", "--new-password-file", new)
    ours("restore", "latest", "--dry-run", "--target", tmp_path / "back", expect=12)
    changed = Ours(ours.program, Place(ours.place.repository, new))
    changed("restore", "latest", "--dry-run", "--target", tmp_path / "back")
    Theirs(theirs.restic, changed.place).check()


def demand_fuse() -> None:
    """The kernel's side of a mount."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        missing("/dev/fuse, readable and writable,")


@pytest.fixture
def mounted(theirs: Theirs, tmp_path: Path, program: Callable[[str], Path]) -> Iterator[Path]:
    """The repository, mounted by restic."""
    fusermount = program("fusermount3")
    demand_fuse()
    folder, programs = tmp_path / "mounted", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    (programs / "fusermount").symlink_to(fusermount)  # what the older restics call it
    place = theirs.place
    restic = subprocess.Popen(
        [theirs.restic.path, "--no-cache", "-r", place.repository, "--password-file", place.password, "mount", folder],
        env=environment(tmp_path) | {"PATH": f"{programs}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not os.path.ismount(folder):
            assert restic.poll() is None
            time.sleep(0.02)
        yield folder
    finally:
        restic.send_signal(signal.SIGINT)
        try:
            restic.wait(20)
        except subprocess.TimeoutExpired:
            subprocess.run([fusermount, "-uz", folder], check=True)
            restic.kill()
            restic.wait()


@pytest.mark.fuse
def test_restic_mounts(mounted: Path, source: Source) -> None:
    require_contents(mounted / "snapshots" / "latest", source)


def require_contents(snapshot: Path, source: Source) -> None:
    """What is mounted is what was backed up."""
    inside = snapshot / source.path.relative_to("/")
    for folder in ("contents", "names", "links"):
        found = {os.fsencode(path.name): path for path in (inside / folder).iterdir()}
        assert found.keys() == {os.fsencode(path.name) for path in (source.path / folder).iterdir()}
        for name, path in found.items():
            if not path.is_symlink() and path.is_file():
                assert path.read_bytes() == source.facts[folder.encode() + b"/" + name].content, name


# ------------------------------------------------------------------------------------ restic writes, we read

VERSIONS = pytest.mark.parametrize("version", [1, 2], ids=["version 1", "version 2"])


@pytest.fixture
def written(
    their_repositories: TheyMade, restic: Restic, version: int, source: Source, tmp_path: Path, our_program: Pivori
) -> Ours:
    """This program on a copy of what restic wrote."""
    return Ours(our_program, their_repositories(restic, version, source).copied(tmp_path))


@VERSIONS
def test_we_restore_everything(written: Ours, source: Source, restic: Restic, tmp_path: Path) -> None:
    assert unlike(source.differences(written.restored(tmp_path / "back")), restic) == []


@VERSIONS
def test_we_read_nothing_again(written: Ours, source: Source, restic: Restic) -> None:
    """restic writes local time: the same moment in other words is no change."""
    for folder in (written.place.repository / "data").iterdir():
        for pack in folder.iterdir():
            pack.chmod(0o400)
    summary = written.backup(source.path)
    (parent, made) = written.place.open().snapshots()
    assert made.snapshot.parent == parent.id
    assert summary["files_unmodified"] == source.files()
    assert (summary["files_new"], summary["files_changed"], summary["data_blobs"]) == (0, 0, 0)
    trees = [written.place.source_tree(each.snapshot.tree, source.path) for each in (parent, made)]
    assert trees[0] == trees[1]
    Theirs(restic, written.place).check()


@VERSIONS
def test_we_read_what_changed(written: Ours, source: Source, restic: Restic, tmp_path: Path) -> None:
    """With restic's snapshot as parent, only what is not as it says is read."""
    theirs = Theirs(restic, written.place)
    folder = tmp_path / "changing"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}").write_bytes(b"%d" % number)
    time.sleep(0.05)  # what changes in the tick of the clock in which a backup begins is read again
    theirs.backup(folder, TZ="America/St_Johns")
    (folder / "3").write_bytes(b"!")
    (folder / "new").write_bytes(b"new")
    (folder / "4").unlink()
    summary = written.backup(folder)
    assert (summary["files_new"], summary["files_changed"], summary["files_unmodified"]) == (1, 1, 18)
    assert summary["data_blobs"] == 2
    theirs.check()
    assert hostile_tree.differences(folder, theirs.restored(tmp_path / "back") / folder.relative_to("/")) == []


@VERSIONS
def test_we_find_nothing_wrong(written: Ours) -> None:
    written("verify", "--read-data")


@VERSIONS
def test_we_forget_and_prune(written: Ours, source: Source, restic: Restic, tmp_path: Path) -> None:
    theirs = Theirs(restic, written.place)
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "large").write_bytes(hostile_tree.noise(78, 5 << 20))
    theirs.backup(extra)
    size = stored(written.place)
    written("forget", written.place.open().snapshots()[-1].id, "--allow-empty")
    written("prune", "--max-unused", "0")
    assert stored(written.place) < size - (4 << 20)
    theirs.check()
    assert restored_by_restic(source, theirs, tmp_path / "back") == []


@VERSIONS
def test_we_make_their_index_anew(written: Ours, source: Source, restic: Restic, tmp_path: Path) -> None:
    """First there is nothing to mend; then a part of the index is lost, and then all of it."""
    theirs = Theirs(restic, written.place)
    indexes = written.place.repository / "index"
    untouched = {path.name for path in indexes.iterdir()}
    written("repair", "index", "--read-all-packs")
    assert {path.name for path in indexes.iterdir()} == untouched
    theirs.backup("--force", source.path / "contents")
    before = rows(written.place)
    assert len(untouched) < len(list(indexes.iterdir()))
    for lost in (untouched, None):
        for index in list(indexes.iterdir()):
            if lost is None or index.name in lost:
                index.unlink()
        written("repair", "index")
        assert rows(written.place) == before
        theirs.check()
    first = written.place.open().snapshots()[0].id
    assert restored_by_restic(source, theirs, tmp_path / "back", first) == []


def rows(place: Place) -> set[tuple[object, ...]]:
    """What the index says, wherever it says so."""
    return {(kind, blob, *row) for table in place.open().index.tables for kind, blob, _, *row in table.rows()}


@VERSIONS
def test_we_find_nothing_to_repair_in_their_snapshots(written: Ours, restic: Restic) -> None:
    before = {path for path in written.place.repository.rglob("*") if path.is_file()}
    for options in (("--dry-run",), ("--forget",)):
        summary = written.json("repair", "snapshots", *options)
        assert (summary["checked"], summary["repaired"], summary["removed"]) == (1, 0, [])
    assert {path for path in written.place.repository.rglob("*") if path.is_file()} == before
    Theirs(restic, written.place).check()


@VERSIONS
def test_we_dump_files_and_folders(written: Ours, source: Source) -> None:
    program = written.program
    options = ("-r", str(written.place.repository), "--password-file", str(written.place.password))

    def dumped(path: bytes) -> bytes:
        command = [*program.command, *options, "dump", "latest", path]
        return subprocess.run(command, env=program.environment, check=True, capture_output=True).stdout

    top = os.fsencode(source.path) + b"/"
    for name in (b"contents/several megabytes", b"contents/like an empty tree", b"names/back\\slash\\n\\x41\\u0041"):
        assert dumped(top + name) == source.facts[name].content
    with tarfile.open(fileobj=io.BytesIO(dumped(top + b"contents"))) as archive:
        files = {Path(member.name).name: member.size for member in archive if member.isfile()}
    assert files == {path.name: path.stat().st_size for path in (source.path / "contents").iterdir()}


@pytest.mark.fuse
@VERSIONS
def test_we_mount(written: Ours, source: Source, tmp_path: Path, program: Callable[[str], Path]) -> None:
    fusermount = program("fusermount3")
    demand_fuse()
    folder = tmp_path / "mounted"
    folder.mkdir()
    place = written.place
    mount = written.program.start("mount", "-r", place.repository, "--password-file", place.password, folder)
    try:
        while not os.path.ismount(folder):
            assert mount.poll() is None, mount.communicate()
            time.sleep(0.02)
        require_contents(folder / "snapshots" / "latest", source)
        mount.send_signal(signal.SIGINT)
        _, said = mount.communicate(timeout=30)
        assert (mount.returncode, said) == (0, b"")
    finally:
        subprocess.run([fusermount, "-u", "-z", folder], check=False, capture_output=True)
        mount.kill()
        mount.communicate()
    assert list((place.repository / "locks").iterdir()) == []


# ------------------------------------------------------------------------------------ both, in turns


@pytest.mark.parametrize("version", [2], ids=["version 2"])
def test_both_work_in_turns(written: Ours, restic: Restic, tmp_path: Path) -> None:
    """Each backs up, tags and forgets in turn; in the end each restores what the other saved."""
    theirs = Theirs(restic, written.place)
    folder = tmp_path / "living"
    folder.mkdir()
    states: list[dict[bytes, Any]] = []
    for turn in range(4):
        (folder / f"small {turn}").write_bytes(hostile_tree.noise(turn, 1000))
        (folder / "growing").write_bytes(hostile_tree.noise(99, (turn + 1) << 20))
        (folder / f"folder {turn}" / "inside").mkdir(parents=True)
        states.append(hostile_tree.facts(folder))
        time.sleep(0.05)
        (written if turn % 2 else theirs).backup("--tag", f"turn-{turn}", folder)
    theirs("tag", "--add", "kept", "--tag", "turn-1")
    theirs.check()
    by_tag = {loaded.snapshot.tags[0]: loaded for loaded in written.place.open().snapshots()}
    for turn, program in enumerate((written, theirs, written, theirs)):
        target = program.restored(tmp_path / f"back {turn}", by_tag[f"turn-{turn}"].id)
        assert hostile_tree.compare(states[turn], hostile_tree.facts(target / folder.relative_to("/"))) == []
        shutil.rmtree(target)
    theirs("forget", by_tag["turn-0"].id, "--prune")
    summary = written.backup(folder)
    assert summary["data_blobs"] == 0
    theirs.check()
    last = theirs.restored(tmp_path / "last") / folder.relative_to("/")
    assert hostile_tree.compare(states[3], hostile_tree.facts(last)) == []
