"""Tars out of a repository: what leads out of the folder, and what is cut off."""

import io
import tarfile
from pathlib import Path

import pytest

from pivori.components.base import Consistency, Report
from pivori.components.postgres_physical.account import Account
from pivori.components.postgres_physical.archives import BaseDamaged, members
from pivori.testing.capture_folder import FolderCapture


def a_tar(top: Path, *names: str, content: bytes = b"x" * 3000) -> FolderCapture:
    with tarfile.open(top / "base.tar", "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return FolderCapture(top, Report(consistency=Consistency.TRANSACTION))


def contents(capture: FolderCapture) -> dict[str, bytes]:
    found = {}
    for place, _member, content in members(capture, "base.tar"):
        assert content is not None
        found[str(place)] = b"".join(iter(lambda content=content: content.read(700), b""))
    return found


def test_files_come_as_they_were_sent(tmp_path: Path) -> None:
    assert contents(a_tar(tmp_path, "PG_VERSION", "base/1/2")) == {"PG_VERSION": b"x" * 3000, "base/1/2": b"x" * 3000}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "base/../../outside"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BaseDamaged, match="out of its folder"):
        contents(a_tar(tmp_path, "PG_VERSION", name))


def test_a_tar_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    capture = a_tar(tmp_path, "PG_VERSION")
    tar = tmp_path / "base.tar"
    tar.write_bytes(tar.read_bytes()[:1024])
    with pytest.raises(BaseDamaged):
        contents(capture)


def test_a_folder_that_the_server_may_not_enter_is_found(tmp_path: Path) -> None:
    (tmp_path / "closed" / "data").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o750)
    stranger = Account(name="stranger", uid=54321, gid=54321)
    closed = stranger.closed_folder(tmp_path / "closed" / "data" / "x")
    assert closed is not None
    assert (tmp_path / "closed").is_relative_to(closed)
    assert stranger.closed_folder(Path("/usr/bin/x")) is None
