"""The checksum file: written for ``sha256sum -c``, and read as it and the old script write it."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.checksum import (
    ChecksumFileDamaged,
    checksum_line,
    checksum_path,
    file_digest,
    find_checksum,
    read_checksum,
)

CONTENT = b"an archive"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("name", ["plain.zip", "with space.zip", "back\\slash.zip", "line\nbreak.zip", "é.zip"])
def test_sha256sum_accepts_it(tmp_path: Path, program: Callable[[str], Path], name: str) -> None:
    archive = tmp_path / name
    archive.write_bytes(CONTENT)
    checksum_path(archive).write_bytes(checksum_line(name, file_digest(archive)))
    done = subprocess.run(
        [program("sha256sum"), "--strict", "-c", checksum_path(archive).name], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert read_checksum(checksum_path(archive), archive) == DIGEST


@pytest.mark.parametrize("name", ["plain.zip", "with space.zip", "back\\slash.zip", "line\nbreak.zip"])
def test_what_sha256sum_writes_is_read(tmp_path: Path, program: Callable[[str], Path], name: str) -> None:
    archive = tmp_path / name
    archive.write_bytes(CONTENT)
    for given in (name, str(archive)):
        said = subprocess.run([program("sha256sum"), given], cwd=tmp_path, capture_output=True, check=True).stdout
        checksum_path(archive).write_bytes(said)
        assert read_checksum(checksum_path(archive), archive) == DIGEST


def test_of_several_lines_the_one_with_the_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "all.sha256"
    path.write_text(f"{'0' * 64}  other.zip\n{DIGEST.upper()} *./backups/mine.zip\n{'1' * 64}  third.zip\n")
    assert read_checksum(path, tmp_path / "mine.zip") == DIGEST


def test_a_single_line_counts_although_the_file_was_renamed(tmp_path: Path) -> None:
    path = tmp_path / "new.zip.sha256"
    path.write_text(f"{DIGEST}  old.zip\n")
    assert read_checksum(path, tmp_path / "new.zip") == DIGEST


@pytest.mark.parametrize("content", ["", "hello", f"{DIGEST[:-1]}  x.zip\n", f"{'0' * 64}  a\n{'1' * 64}  b\n"])
def test_what_holds_no_checksum_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.zip.sha256"
    path.write_text(content)
    with pytest.raises(ChecksumFileDamaged):
        read_checksum(path, tmp_path / "x.zip")


def test_it_is_found_under_both_names(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    assert find_checksum(archive) is None
    (tmp_path / "x.sha256").touch()
    assert find_checksum(archive) == tmp_path / "x.sha256"
    (tmp_path / "x.zip.sha256").touch()
    assert find_checksum(archive) == tmp_path / "x.zip.sha256"
