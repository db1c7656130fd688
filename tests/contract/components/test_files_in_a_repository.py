"""Files in recovery points of a real repository: what is counted, verified, brought back, and not read again."""

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.clock import SystemClock
from pivori.components.base import Finding, Surroundings
from pivori.components.files import FilesComponent
from pivori.engine.recovery_point import ComponentReader
from pivori.stack.model import Member, Stack
from pivori.stack.protect import NothingProtected
from pivori.stack.sinks import RecoverySource
from tests.contract.components.test_files import content_of
from tests.unit.stack.box import Workshop


class Yard(Workshop):
    """A stack of one component of files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "app"
        (self.root / "data" / "empty").mkdir(parents=True)
        (self.root / "data" / "big").write_bytes(os.urandom(3_000_000))
        (self.root / "data" / "a").write_text("a")
        os.link(self.root / "data" / "a", self.root / "data" / "linked")
        (self.root / "data" / "link").symlink_to("a")
        (self.root / "data" / "nothing").touch()
        os.mkfifo(self.root / "data" / "pipe")
        self.root.chmod(0o2750)
        self.component = FilesComponent(name="files", paths=[self.root])

    @property
    def stack(self) -> Stack:
        return Stack(name="shop", root=self.root, members=[Member(component=self.component)], recovery_order=["files"])

    def backup(self) -> None:
        assert self.protect("files").is_whole

    def verify(self) -> list[Finding]:
        points = self.points
        capture = next(iter(points.captures("files")))
        reader = ComponentReader(self.repository, points.folder(capture), workers=1, emit=self.events.append)
        surroundings = Surroundings(
            clock=SystemClock(), emit=self.events.append, root=self.root, state=self.state("files")
        )
        return list(self.component.verify(RecoverySource("files", reader, capture.report), surroundings))

    def recover(self, **options: object) -> None:
        recovery = self.recovery("files", **options)
        recovery.apply(recovery.plan())


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_what_is_counted_is_what_is_there(yard: Yard) -> None:
    yard.backup()
    assert next(iter(yard.points.captures("files"))).report.counts["bytes"] == 3_000_002
    assert yard.verify() == []
    yard.backup()
    assert yard.verify() == []


@pytest.mark.parametrize("strategy", ["smart", "complete", "compressed"])
def test_every_strategy_comes_to_the_same(yard: Yard, strategy: str) -> None:
    yard.component = replace(yard.component, strategy=strategy)
    yard.backup()
    assert yard.verify() == []


def test_a_folder_comes_back_with_its_permissions_and_links(yard: Yard) -> None:
    before = content_of(yard.root)
    yard.backup()
    (yard.root / "data" / "a").write_text("changed")
    yard.recover()
    assert content_of(yard.root) == before
    assert stat.S_IMODE(yard.root.stat().st_mode) == 0o2750
    assert (yard.root / "data" / "a").stat().st_ino == (yard.root / "data" / "linked").stat().st_ino
    assert stat.S_ISFIFO((yard.root / "data" / "pipe").lstat().st_mode)


def test_one_file_alone(yard: Yard) -> None:
    yard.backup()
    (yard.root / "data" / "a").write_text("changed")
    (yard.root / "data" / "big").write_text("changed")
    yard.recover(settings={"files": {"path": "data/big"}})
    assert (yard.root / "data" / "big").stat().st_size == 3_000_000
    assert (yard.root / "data" / "a").read_text() == "changed"


def test_nothing_is_read_again_that_did_not_change(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    # What changed in the moment before a backup is read by the next one too.
    time.sleep(0.1)
    yard.backup()
    opened: list[str] = []
    real_open = os.open

    def watched(path: object, *arguments: object, **options: object) -> int:
        opened.append(os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path))
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", watched)
    yard.backup()
    assert not [name for name in opened if name.endswith("big")]


def test_a_path_that_is_gone_leaves_nothing_to_protect(yard: Yard) -> None:
    yard.component = replace(yard.component, paths=[yard.root / "data", yard.root / "gone"])
    with pytest.raises(NothingProtected):
        yard.backup()
