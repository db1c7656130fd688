"""Each option of ``pivori backup`` and ``pivori restore``, seen by what is then in the repository or on the disk."""

import os
import random
from pathlib import Path

import pytest

from pivori.repository import Compression
from tests.conftest import small_file_system
from tests.unit.cli.conftest import Here

CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
TEXT = " ".join(random.Random(7).choices(["alpha", "beta", "gamma", "delta", "{}", "42"], k=40_000)).encode()


def make(folder: Path, *names: str) -> Path:
    """Make files below a folder, each with its name as its content."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def source(here: Here) -> Path:
    """A small folder to back up, not backed up yet."""
    return make(here.home / "source", "a.txt", "b.log", "sub/c.txt", "sub/d.log")


def stored(here: Here, source: Path, snapshot: str = "latest") -> set[str]:
    """The files of a snapshot, relative to what was backed up."""
    nodes = here.json("ls", snapshot, f"--path={source}", "--recursive", f"{source}")[1:]
    return {os.path.relpath(node["path"], source) for node in nodes if node["type"] == "file"}


def files(here: Here, snapshot: str = "latest") -> set[str]:
    """The names of all files of a snapshot."""
    return {node["name"] for node in here.json("ls", snapshot)[1:] if node["type"] == "file"}


def present(folder: Path) -> set[str]:
    """The files that are below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def repository_bytes(folder: Path) -> int:
    """The size of all packs of a repository."""
    return sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())


def snapshots(here: Here) -> list[dict[str, object]]:
    """The records of all snapshots, oldest first."""
    (records,) = here.json("snapshots")
    return list(records)


# What is left out.


def test_exclude_caches_wants_the_signature(here: Here, source: Path) -> None:
    make(source, "cache/CACHEDIR.TAG", "cache/rubbish", "impostor/CACHEDIR.TAG", "impostor/precious")
    (source / "cache" / "CACHEDIR.TAG").write_bytes(CACHE_TAG)
    here("backup", source)
    assert "cache/rubbish" in stored(here, source)
    here("backup", "--exclude-caches", source)
    kept = stored(here, source)
    assert "cache/rubbish" not in kept
    assert {"cache/CACHEDIR.TAG", "impostor/precious", "a.txt"} <= kept


def test_exclude_if_present_by_name(here: Here, source: Path) -> None:
    make(source, "sub/.nobackup")
    here("backup", "--exclude-if-present", ".nobackup", source)
    assert stored(here, source) == {"a.txt", "b.log", "sub/.nobackup"}


def test_exclude_if_present_by_header(here: Here, source: Path) -> None:
    make(source, "sub/.mark", "other/.mark", "other/e.txt")
    (source / "sub" / ".mark").write_text("skip: this folder\n")
    here("backup", "--exclude-if-present", ".mark:skip: this", source)
    kept = stored(here, source)
    assert "sub/c.txt" not in kept
    assert {"other/e.txt", "sub/.mark"} <= kept


def test_one_file_system(here: Here, source: Path) -> None:
    mount = source / "mounted"
    mount.mkdir()
    with small_file_system(mount, "64k"):
        make(mount, "elsewhere.txt")
        here("backup", source)
        assert "mounted/elsewhere.txt" in stored(here, source)
        here("backup", "--one-file-system", source)
        assert stored(here, source) == {"a.txt", "b.log", "sub/c.txt", "sub/d.log"}
        # The folder it is mounted on is kept, so that it is there to be mounted on again.
        assert "mounted" in {node["name"] for node in here.json("ls", "latest")[1:]}


# What is saved.


def test_files_from_expands_patterns(here: Here, source: Path) -> None:
    (here.home / "list").write_text("# a comment\n\n  source/*.txt  \nsource/sub/d.lo?\nnothing/*\n")
    said = here("backup", "--files-from", "list")
    assert files(here) == {"a.txt", "d.log"}
    assert "nothing/*" in said.err


def test_files_from_verbatim_expands_nothing(here: Here, source: Path) -> None:
    make(source, "*.txt", "# not a comment", " spaces ")
    (here.home / "list").write_text("source/*.txt\n\nsource/# not a comment\nsource/ spaces \n")
    here("backup", "--files-from-verbatim", "list")
    assert files(here) == {"*.txt", "# not a comment", " spaces "}


def test_files_from_raw_takes_any_name(here: Here, source: Path) -> None:
    make(source, "two\nlines", "*")
    (here.home / "list").write_bytes(b"source/two\nlines\0source/*\0")
    here("backup", "--files-from-raw", "list")
    assert files(here) == {"two\nlines", "*"}
    (here.home / "list").write_bytes(b"source/a.txt\0source/b.lo")
    assert "zero byte" in here("backup", "--files-from-raw", "list", expect=1).err
    assert len(snapshots(here)) == 1


def test_several_paths_and_a_list_are_one_snapshot(here: Here, source: Path) -> None:
    make(here.home / "second", "x.txt")
    (here.home / "list").write_text("third.txt\n")
    make(here.home, "third.txt")
    here("backup", "second", source, source, "--files-from", "list")
    (snapshot,) = snapshots(here)
    assert snapshot["paths"] == sorted([f"{here.home}/second", f"{source}", f"{here.home}/third.txt"])
    assert {"x.txt", "third.txt", "a.txt"} <= files(here)


# What is recorded.


def test_with_atime(here: Here, source: Path) -> None:
    os.utime(source / "a.txt", (1_000_000_000, 1_600_000_000))
    times: list[float] = []
    for option in ([], ["--with-atime"]):
        # Reading may have moved it on.
        os.utime(source / "a.txt", (1_000_000_000, 1_600_000_000))
        here("backup", *option, source)
        here("restore", f"latest:{source}", "--target", f"out{len(times)}", "--include", "a.txt")
        times.append((here.home / f"out{len(times)}" / "a.txt").stat().st_atime)
    assert times == [1_600_000_000, 1_000_000_000]


def test_host_and_tags(here: Here, source: Path) -> None:
    here("backup", source, "--host", "elsewhere", "--tag", "a,b", "--tag", "c")
    (snapshot,) = snapshots(here)
    assert (snapshot["hostname"], snapshot["tags"]) == ("elsewhere", ["a", "b", "c"])


def test_the_parent_is_the_last_of_this_host_and_these_paths(here: Here, source: Path) -> None:
    other = make(here.home / "other", "x.txt")
    *_, first = here.json("backup", source)
    here("backup", other)
    here("backup", source, "--host", "elsewhere")
    *_, second = here.json("backup", source)
    assert (second["parent"], second["files_unmodified"]) == (first["snapshot_id"], 4)
    *_, both = here.json("backup", source, other)
    assert (both["parent"], both["files_new"]) == (None, 5)


def test_a_parent_is_no_later_than_the_time_that_is_given(here: Here, source: Path) -> None:
    *_, early = here.json("backup", source, "--time", "2021-01-01T00:00")
    *_, late = here.json("backup", source, "--time", "2021-03-01T00:00")
    *_, between = here.json("backup", source, "--time", "2021-02-01T00:00")
    assert (late["parent"], between["parent"]) == (early["snapshot_id"], early["snapshot_id"])


def test_skip_if_unchanged(here: Here, source: Path) -> None:
    *_, first = here.json("backup", "--skip-if-unchanged", source)
    assert first["snapshot_id"] is not None
    *_, same = here.json("backup", "--skip-if-unchanged", source)
    assert same["snapshot_id"] is None
    # What others do in the folders above is not what was asked for.
    (source.parent / "of somebody else").touch()
    *_, same = here.json("backup", "--skip-if-unchanged", source)
    assert same["snapshot_id"] is None
    *_, same = here.json("backup", "--skip-if-unchanged", "--force", source)
    assert same["snapshot_id"] is None
    assert len(snapshots(here)) == 1
    (source / "a.txt").write_text("changed")
    here("backup", "--skip-if-unchanged", source)
    here("backup", source)
    assert len(snapshots(here)) == 3


def test_a_rehearsal_writes_nothing(here: Here, source: Path) -> None:
    here("backup", source)
    repository = here.home / ".local/share/pivori/repository"
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()}
    make(source, "new.txt")
    *_, summary = here.json("backup", "--dry-run", source)
    assert (summary["dry_run"], summary["files_new"]) == (True, 1)
    assert summary["data_added"] > 0
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()} == before


def test_every_level_of_compression_comes_back(here: Here, source: Path) -> None:
    (source / "text").write_bytes(TEXT)
    key = here.home / "key"
    key.write_text("x")
    key.chmod(0o600)
    sizes = {}
    for level in Compression:
        place = here.home / f"with {level.value}"
        options = ("-r", place, "--password-file", key)
        here("init", *options)
        here("backup", *options, source, "--compression", level.value)
        here("restore", *options, f"latest:{source}", "--target", f"out {level.value}")
        assert (here.home / f"out {level.value}" / "text").read_bytes() == TEXT
        sizes[level.value] = repository_bytes(place)
    assert sizes["off"] > len(TEXT)
    assert sizes["off"] > 2 * sizes["fast"]
    assert sizes["fast"] > sizes["auto"] >= sizes["better"] >= sizes["max"]


# What is brought back.


def test_in_place(here: Here, source: Path) -> None:
    here("backup", source)
    (source / "a.txt").write_text("other")
    (source / "sub" / "c.txt").unlink()
    make(source, "new.txt")
    here("restore", "latest", "--in-place")
    assert (source / "a.txt").read_text() == "a.txt"
    assert present(source) == {"a.txt", "b.log", "sub/c.txt", "sub/d.log", "new.txt"}


def test_delete_removes_only_below_what_is_restored(here: Here, source: Path) -> None:
    here("backup", source)
    make(here.home / "out", "alien.txt", "sub/alien.txt")
    here("restore", f"latest:{source}", "--target", "out")
    assert {"alien.txt", "sub/alien.txt"} < present(here.home / "out")
    make(here.home, "beside.txt")
    here("restore", f"latest:{source}", "--target", "out", "--delete")
    assert present(here.home / "out") == {"a.txt", "b.log", "sub/c.txt", "sub/d.log"}
    assert (here.home / "beside.txt").exists()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--include", "*.txt"], {"a.txt", "sub/c.txt"}),
        (["--include", "/sub/*.log"], {"sub/d.log"}),
        (["--exclude", "*.log"], {"a.txt", "sub/c.txt"}),
        (["--exclude", "/sub"], {"a.txt", "b.log"}),
        (["--include", "sub", "--include", "a.txt"], {"a.txt", "sub/c.txt", "sub/d.log"}),
        (["--include-file", "patterns"], {"b.log", "sub/d.log"}),
        (["--exclude-file", "patterns"], {"a.txt", "sub/c.txt"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_choice_of_files(here: Here, source: Path, options: list[str], wanted: set[str]) -> None:
    (here.home / "patterns").write_text("# the logs\n*.log\n")
    here("backup", source)
    here("restore", f"latest:{source}", "--target", "out", *options)
    assert present(here.home / "out") == wanted


def test_sparse_makes_holes(here: Here, source: Path) -> None:
    content = b"begin" + bytes(8 << 20) + b"end"
    (source / "image").write_bytes(content)
    here("backup", source)
    here("restore", f"latest:{source}", "--target", "full", "--include", "image")
    here("restore", f"latest:{source}", "--target", "sparse", "--include", "image", "--sparse")
    full, sparse = here.home / "full" / "image", here.home / "sparse" / "image"
    assert sparse.read_bytes() == full.read_bytes() == content
    assert sparse.stat().st_blocks * 512 < 1 << 20
    assert full.stat().st_blocks * 512 >= 8 << 20


def test_verify_reads_back_also_what_was_in_place(here: Here, source: Path) -> None:
    here("backup", source)
    *_, plain = here.json("restore", "latest", "--target", "out")
    *_, summary = here.json("restore", "latest", "--target", "out", "--verify")
    assert (plain["verified"], summary["verified"]) == (0, 4)


# How a snapshot is named.


def test_names_of_snapshots(here: Here, source: Path) -> None:
    for day in ("01", "02", "03"):
        (source / "a.txt").write_text(day)
        here("backup", source, "--time", f"2021-01-{day}T03:04:00")
    path = source / "a.txt"
    for name, wanted in (
        ("latest", "03"),
        ("latest~1", "02"),
        ("latest~2", "01"),
        ("@2021-01-02T03:04", "02"),
        ("@2021-01-02T03:03", "01"),
        ("@2021-01-03", "03"),
    ):
        assert here("dump", name, path).out == wanted
    assert "latest~3" in here("dump", "latest~3", path, expect=1).err
    here("dump", "@2020-12-31", path, expect=1)


def test_a_part_of_a_snapshot(here: Here, source: Path) -> None:
    here("backup", source)
    assert {node["path"] for node in here.json("ls", f"latest:{source}/sub")[1:]} == {"/c.txt", "/d.log"}
    here("restore", f"latest:{source}/sub", "--target", "out")
    assert present(here.home / "out") == {"c.txt", "d.log"}
    here("restore", f"latest:{source}/missing", "--target", "out", expect=1)
