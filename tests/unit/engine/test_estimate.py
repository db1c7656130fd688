"""How much there is to back up, counted beside the work: the same that the backup takes."""

import os
from pathlib import Path

import pytest

from pivori.engine.backup import CountingEstimate
from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, Exclusion, Marker


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files of one byte each."""
    for path in ("a.txt", "b.log", "cache/tagged", "cache/sub/x", "marked/.skip", "marked/y", "sub/c.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"1")
    (tmp_path / "cache" / "CACHEDIR.TAG").write_bytes(CACHE_DIRECTORY_TAG.header)
    (tmp_path / "link").symlink_to("a.txt")
    return tmp_path


def counted(*sources: str | Path, exclusion: Exclusion | None = None, one_file_system: bool = False) -> tuple[int, int]:
    estimate = CountingEstimate([os.fsencode(source) for source in sources], exclusion, one_file_system=one_file_system)
    estimate._count()
    assert estimate.files is not None
    assert estimate.bytes is not None
    return estimate.files, estimate.bytes


def test_everything(source: Path) -> None:
    assert counted(source) == (8, 7 + len(CACHE_DIRECTORY_TAG.header))
    assert counted(source / "a.txt", source / "sub", "/gone") == (2, 2)


def test_what_is_left_out_is_not_counted(source: Path) -> None:
    roots = [os.fsencode(source)]
    markers = [CACHE_DIRECTORY_TAG, Marker.parse(".skip")]
    exclusion = Exclusion(["*.log"], markers=markers, roots=roots)
    assert counted(source, exclusion=exclusion)[0] == 4  # a.txt, c.txt and the two markers


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs another file system below /")
def test_other_file_systems_are_not_counted() -> None:
    assert os.lstat("/proc").st_dev != os.lstat("/").st_dev
    assert counted("/", one_file_system=True, exclusion=Exclusion(["/*", "!/proc"], roots=[b"/"])) == (0, 0)
