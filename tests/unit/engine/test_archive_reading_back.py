"""A new archive is read back, and an old one verified: how far that is, and what is not the archive's fault."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pivori.archives.container import ArchiveFormat
from pivori.archives.formats import WRITERS
from pivori.archives.manifest import Omission
from pivori.engine.archive import create
from pivori.engine.archive.create import CreateRequest, create_archive
from pivori.engine.archive.planning import PlanRequest, plan_archive
from pivori.engine.archive.verify import VerifyRequest, verify_archive
from pivori.events import Event, Progress
from pivori.host.workers import WorkerDied
from tests.archives import nobody_listens

DOCUMENT = b".pivori/packages/0123456789abcdef.txt"


@pytest.fixture(params=sorted(WRITERS), ids=str)
def request_of(request: pytest.FixtureRequest, tmp_path: Path) -> CreateRequest:
    """An archive to be made of two files, one of them with two names, and of a document."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "one").write_text("hello\n")
    (root / "two").write_text("world\n" * 100)
    os.link(root / "one", root / "further name")
    omitted = [Omission(path="venv", rule="virtual-environment", rebuild=[["python3", "-m", "venv", "venv"]])]
    plan = plan_archive(
        PlanRequest(root=root, strategy="smart", directory=tmp_path, omitted=omitted, documents={DOCUMENT: b"a==1\n"})
    )
    return CreateRequest(
        plan=plan,
        id="0" * 32,
        created=datetime.now(UTC),
        host="here",
        program="test",
        format=ArchiveFormat(request.param),
    )


def test_progress_ends_at_its_total(request_of: CreateRequest, tmp_path: Path) -> None:
    written: list[Event] = []
    verified: list[Event] = []
    path = tmp_path / f"out.{request_of.format}"
    create_archive(request_of, path, written.append)
    outcome = verify_archive(VerifyRequest(path=path), verified.append)
    assert outcome.is_whole
    tested = [event.progress for event in written if isinstance(event, create.Testing)]
    for last in (tested[-1], verified[-1]):
        assert isinstance(last, Progress)
        assert (last.files_done, last.bytes_done) == (last.files_total, last.bytes_total)
        assert last.files_done >= 3


def test_a_dead_worker_says_nothing_of_the_archive(
    request_of: CreateRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_arguments: object, **_options: object) -> None:
        raise WorkerDied(status=-9)

    monkeypatch.setattr(create, "check_content", dies)
    with pytest.raises(WorkerDied):
        create_archive(request_of, tmp_path / "out", nobody_listens)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
