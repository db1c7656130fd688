"""Files that are not the same when they are read: what is stored is always what is recorded."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.container import ArchiveFormat, Captured
from pivori.archives.manifest import MANIFEST_NAME
from pivori.archives.pack_tasks import Part, Work
from pivori.archives.source_files import SourceFiles
from pivori.entries import Entry
from tests.boxes import FORMATS, Interfering, Made, check, contents, look, make, members

WORDS = b"".join(b"%d words, " % number for number in range(40_000))
PART = 50_000


@pytest.fixture
def small_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files begin at 100 kB and go in parts of 50 kB."""
    monkeypatch.setattr("pivori.archives.pipeline.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.source_files.LARGE", 100_000)
    monkeypatch.setattr("pivori.archives.zip_writing.ZipPacker.part_bytes", PART)
    monkeypatch.setattr("pivori.archives.tar_writing.TarPacker.part_bytes", PART)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    return root


def stored_as_recorded(made: Made) -> Entry:
    """Check the archive; the one entry called ``file``."""
    check(made)
    return made.by_path()[b"file"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("later", [b"", b"short", b"much longer than it was when it was looked at", WORDS])
@pytest.mark.usefixtures("small_large")
def test_changed_since_it_was_looked_at(root: Path, tmp_path: Path, format_: ArchiveFormat, later: bytes) -> None:
    for earlier in (b"earlier", b"", WORDS[:200_000]):
        (root / "file").write_bytes(earlier)
        entries = look(root)
        (root / "file").write_bytes(later)
        (root / "file").chmod(0o751)
        made = make(format_, root, tmp_path / "a", entries=entries)
        entry = stored_as_recorded(made)
        assert (entry.size, entry.mode) == (len(later), 0o751)
        assert entry.mtime_ns == (root / "file").stat().st_mtime_ns
        assert contents(made.path)[b"file"] == later
        assert not made.captured.changed


def gone(path: Path) -> None:
    path.unlink()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_secrets(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def below_a_link(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("what", [gone, a_directory, a_fifo, a_link_to_secrets, below_a_link])
@pytest.mark.usefixtures("small_large")
def test_no_longer_a_file(
    root: Path, tmp_path: Path, format_: ArchiveFormat, size: int, what: Callable[[Path], None]
) -> None:
    (root / "d").mkdir()
    (root / "d" / "file").write_bytes(WORDS[:size])
    (root / "other").write_bytes(b"something")
    entries = look(root)
    what(root / "d" / "file")
    made = make(format_, root, tmp_path / "a", entries=entries)
    check(made)
    assert set(contents(made.path)) == {b"other", MANIFEST_NAME}
    problems = [*made.captured.vanished, *(each.path.encode() for each in made.captured.not_captured)]
    assert problems == [b"d/file"]
    assert bool(made.captured.vanished) == (what in (gone, below_a_link))


def test_a_directory_that_cannot_be_reached_does_not_spoil_the_one_before(root: Path) -> None:
    deep = root.joinpath(*["d"] * 80)
    deep.mkdir(parents=True)
    (root / "near").mkdir()
    (root / "near" / "file").write_bytes(b"content")
    source = SourceFiles(root)
    os.close(source.open(b"near/file")[0])
    # On the way down more directories are opened than are kept, and the last one is missing.
    with pytest.raises(FileNotFoundError):
        source.open(b"d/" * 80 + b"gone/file")
    assert source.read(0, b"near/file")[0] == b"content"
    source.close()


# While a large file is being read


def shrink(path: Path) -> None:
    os.truncate(path, 120_000)


def shrink_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(150_000)
        file.write(bytes(100_000))


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("what", [shrink, shrink_to_nothing, grow, overwrite])
@pytest.mark.usefixtures("small_large")
def test_changes_while_it_is_stored(
    root: Path, tmp_path: Path, format_: ArchiveFormat, what: Callable[[Path], None], seekable: bool
) -> None:
    (root / "file").write_bytes(WORDS)
    (root / "last").write_bytes(b"the last one")
    out = Interfering(tmp_path / "a", 1000, lambda: what(root / "file"), seekable=seekable)
    made = make(format_, root, out)
    made.path = tmp_path / "a"
    entry = stored_as_recorded(made)
    now = (root / "file").read_bytes()
    if seekable:  # it was stored again, and did not change then
        assert contents(made.path)[b"file"] == now
        assert entry.mtime_ns == (root / "file").stat().st_mtime_ns
        assert not made.captured.changed
    else:
        assert made.captured.changed == [b"file"]


@pytest.mark.usefixtures("small_large")
@pytest.mark.parametrize("format_", FORMATS)
def test_a_worker_that_saw_something_else(
    root: Path, tmp_path: Path, format_: ArchiveFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part that a worker compressed is not used when it is not of what is hashed."""
    (root / "file").write_bytes(WORDS)
    honest = Work.__call__

    def late(self: Work, task: object) -> object:
        """Compress the part with its bytes, or those before it, as they were earlier."""
        if isinstance(task, Part) and task.start == 3 * PART:
            task = task._replace(path=b"", content=WORDS[: task.length])
        if isinstance(task, Part) and task.start == 5 * PART:
            before = bytes(20_000)
            task = task._replace(path=b"", content=WORDS[5 * PART : 6 * PART], before=before)
        return honest(self, task)

    monkeypatch.setattr(Work, "__call__", late)
    made = make(format_, root, Interfering(tmp_path / "a", 1 << 40, lambda: None, seekable=False))
    made.path = tmp_path / "a"
    assert stored_as_recorded(made).sha256 == hashlib.sha256(WORDS).hexdigest()
    assert contents(made.path)[b"file"] == WORDS
    assert made.captured.changed == [b"file"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.usefixtures("small_large")
def test_never_at_rest(root: Path, tmp_path: Path, format_: ArchiveFormat) -> None:
    """A file that changes every time it is stored is stored as it was read, and reported."""
    path = root / "file"
    path.write_bytes(WORDS)
    times: list[int] = []

    def touch() -> None:
        times.append(len(times))
        grow(path)
        os.utime(path, ns=(0, times[-1]))

    made = make(format_, root, Interfering(tmp_path / "a", 1000, touch, seekable=True, always=True))
    made.path = tmp_path / "a"
    assert WORDS in contents(made.path)[b"file"]
    assert stored_as_recorded(made).size >= len(WORDS)
    assert made.captured.changed == [b"file"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.usefixtures("small_large")
def test_hard_links_of_what_is_gone(root: Path, tmp_path: Path, format_: ArchiveFormat) -> None:
    for name in ("b", "c", "d"):
        if name != "b":
            os.link(root / "b", root / name)
        else:
            (root / "b").write_bytes(b"content")
    entries = look(root)
    assert [entry.hard_link for entry in entries] == [None, b"b", b"b"]
    (root / "b").unlink()
    made = make(format_, root, tmp_path / "a", entries=entries)
    check(made)
    assert {path: entry.hard_link for path, entry in made.by_path().items()} == {b"c": None, b"d": b"c"}
    assert made.captured.vanished == [b"b"]


def test_hard_links_that_became_other_files(root: Path, tmp_path: Path) -> None:
    (root / "b").write_bytes(b"content")
    for name in ("c", "d", "e"):
        os.link(root / "b", root / name)
    entries = look(root)
    (root / "d").unlink()
    (root / "d").write_bytes(b"something else")
    made = make(ArchiveFormat.TAR_ZST, root, tmp_path / "a", entries=entries)
    check(made)
    assert contents(made.path)[b"d"] == b"something else"
    found = members(made.path)
    assert [found[name].hard_link for name in (b"b", b"c", b"d", b"e")] == [None, b"b", None, b"b"]


def test_the_manifest_is_asked_once_for_everything(root: Path, tmp_path: Path) -> None:
    (root / "file").write_bytes(b"x")
    asked: list[int] = []

    def manifest(captured: Captured) -> bytes:
        asked.append(len(captured.entries))
        return b"{}"

    made = make(ArchiveFormat.ZIP, root, tmp_path / "a", manifest=manifest, documents={b".pivori/notes": b"n"})
    assert asked == [1]
    assert contents(made.path)[MANIFEST_NAME] == b"{}"
