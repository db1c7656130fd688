"""Media that fail: reads that fail once or for good, a full disk, permissions; and machines that compute wrongly."""

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from pivori.repository.compression import Compressor
from pivori.repository.crypto import Box
from pivori.storage.wrap import FaultPlan
from pivori.storage.wrap.faults import Failure
from tests.faults.conftest import Somebody
from tests.faults.deeds import (
    DEEDS,
    Deed,
    find_password,
    lose_an_index,
    remove_own_locks,
    require_as_sound_as_before,
    second_repository,
)
from tests.faults.laboratory import Laboratory, change_source
from tests.restic import Restic


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A repository with two snapshots, and a source that has changed since."""
    return Laboratory.with_history(tmp_path_factory.mktemp("laboratory"), 2)


@pytest.fixture
def laboratory(pristine: Laboratory, tmp_path: Path) -> Laboratory:
    """A copy of it."""
    return pristine.copy(tmp_path / "laboratory")


READERS = [
    Deed("restore", lambda laboratory: ["restore", "latest", "--target", laboratory.folder / "target"]),
    Deed("verify", lambda _: ["verify", "--read-data"]),
    Deed("repair index, all packs", lambda _: ["repair", "index", "--read-all-packs"], lose_an_index),
    *DEEDS,
]


@pytest.fixture(scope="module", params=READERS, ids=str)
def deed(request: pytest.FixtureRequest) -> Deed:
    """Everything that reads, in turn; the deeds that write read before."""
    found: Deed = request.param
    return found


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """Three snapshots, as the deeds want them."""
    laboratory = Laboratory.make(tmp_path_factory.mktemp("history"))
    for seed in range(3):
        laboratory.backup()
        change_source(laboratory.source, seed=seed)
    return laboratory


@pytest.fixture(scope="module")
def prepared(history: Laboratory, deed: Deed, tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """The repository just before the deed."""
    laboratory = history.copy(tmp_path_factory.mktemp("prepared") / "laboratory")
    deed.prepare(laboratory)
    return laboratory


def test_every_read_fails_once(prepared: Laboratory, deed: Deed, tmp_path: Path, newest_restic: Restic) -> None:
    """The first read and size of each object, and the first listing of each kind half way; source and destination."""
    laboratory = prepared.copy(tmp_path / "laboratory")
    plan = FaultPlan(tmp_path / "state", first_reads=Failure.TEMPORARY)
    assert laboratory.run(*deed.arguments(laboratory), plan=plan, workers=deed.workers) == 0
    assert plan.happened()
    find_password(laboratory)
    for each in repositories(laboratory, deed):
        assert each.locks() == []
        each.require_sound(newest_restic)
    assert deed.name not in CHANGING or laboratory.objects() != prepared.objects()


CHANGING = {"backup", "forget", "forget and prune", "prune", "repair index", "repair packs", "repair snapshots"}
"""What changes the first repository's objects when it is done."""


def repositories(laboratory: Laboratory, deed: Deed) -> list[Laboratory]:
    """The one the deed is done to, and its second one."""
    return [laboratory, *([second_repository(laboratory)] if deed.second else [])]


def test_a_read_that_fails_for_good_loses_nothing(
    prepared: Laboratory, deed: Deed, tmp_path: Path, newest_restic: Restic, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every get, size and listing in turn, a listing half way: what did not come must not count as not there."""
    examined: set[frozenset[str]] = set()
    for number in itertools.count(1):
        laboratory = prepared.copy(tmp_path / str(number))
        plan = FaultPlan(tmp_path / f"state{number}", at_read=number)
        capfd.readouterr()
        status = laboratory.run(*deed.arguments(laboratory), plan=plan)
        said = "".join(capfd.readouterr())
        if not plan.happened():
            assert status == 0
            break
        # It ends well where it can do without. A repair of packs or snapshots is refused for want of an index.
        assert status == 0 or os.strerror(errno.EIO) in said or "The index does not fit the packs" in said
        assert "Traceback" not in said
        assert "internal" not in said
        remove_own_locks(laboratory, deed)
        find_password(laboratory)
        for each in repositories(laboratory, deed):
            objects = frozenset(each.objects())
            if objects not in examined:
                examined.add(objects)
                require_as_sound_as_before(each, deed, newest_restic)
                each.require_next_backup()
        shutil.rmtree(laboratory.folder)


def test_access_denied_is_said(
    prepared: Laboratory, deed: Deed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    laboratory = prepared.copy(tmp_path / "laboratory")
    plan = FaultPlan(tmp_path / "state", first_reads=Failure.DENIED)
    assert laboratory.run(*deed.arguments(laboratory), plan=plan) == 1
    said = capfd.readouterr().err
    assert "denied" in said
    assert "Traceback" not in said
    assert laboratory.objects() == prepared.objects()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(
    small_disk: Path, tmp_path: Path, workers: int, newest_restic: Restic, capfd: pytest.CaptureFixture[str]
) -> None:
    on_disk = Laboratory.make(tmp_path / "elsewhere")
    on_disk.backup()
    small = on_disk.copy(small_disk / "laboratory")
    (small.source / "too-much").write_bytes(os.urandom(12 << 20))
    capfd.readouterr()
    assert small.run("backup", small.source, workers=workers) == 1
    said = capfd.readouterr().err
    assert "there is no space left" in said
    assert small.locks() == []
    # The next backup goes on with what was stored; what is too much has gone.
    assert len(small.snapshots()) == 1
    small.require_whole_objects()
    newest_restic.check(small.repository, small.password_file)
    (small.source / "too-much").unlink()
    assert small.run("prune") == 0
    change_source(small.source, seed=3)
    assert small.run("backup", small.source) == 0
    newest_restic.check(small.repository, small.password_file)


def test_a_disk_too_full_for_a_lock(
    small_disk: Path, laboratory: Laboratory, newest_restic: Restic, capfd: pytest.CaptureFixture[str]
) -> None:
    small = laboratory.copy(small_disk / "laboratory")
    filler = small_disk / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, b"x" * 4096):
            pass
    os.close(descriptor)
    before = small.objects()
    assert small.run("backup", small.source) == 1
    assert "there is no space left" in capfd.readouterr().err
    assert (small.objects(), small.locks()) == (before, [])
    filler.unlink()
    small.backup()
    assert small.locks() == []
    newest_restic.check(small.repository, small.password_file)


def test_a_repository_that_may_not_be_written_to(somebody: Somebody, newest_restic: Restic) -> None:
    source, repository = somebody.folder / "source", somebody.repository
    source.mkdir()
    (source / "file").write_bytes(b"content")
    somebody.own(source, source / "file")
    somebody.pivori("backup", source)
    (source / "file").write_bytes(b"other content")
    for name in ("data", "index", "snapshots", "locks", "tmp"):
        folders = [repository / name, *(path for path in (repository / name).rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o500)
        try:
            refusal = somebody.pivori("backup", source, expect=1)
        finally:
            for folder in folders:
                folder.chmod(0o700)
        assert "is denied" in refusal.stderr
        newest_restic.check(repository, somebody.key_file)
    assert len(list((repository / "snapshots").iterdir())) == 1
    somebody.pivori("backup", source)
    newest_restic.check(repository, somebody.key_file)


class FaultyMemory:
    """Flips a bit in what passes by, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def spoil(self, content: bytes) -> bytes:
        """The content, or what faulty memory makes of it."""
        self.left -= 1
        if self.left or not content:
            return content
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def faulty_compressor(memory: FaultyMemory) -> "patch[object]":
    """The compressor of a machine with faulty memory."""
    compress = Compressor.compress
    return patch.object(Compressor, "compress", lambda self, content: memory.spoil(compress(self, content)))


def faulty_cipher(memory: FaultyMemory) -> "patch[object]":
    """The cipher of a machine with faulty memory."""
    seal = Box.seal

    def sealed(self: Box, content: bytes) -> tuple[bytes, bytes, bytes]:
        nonce, text, code = seal(self, content)
        return nonce, memory.spoil(text), code

    return patch.object(Box, "seal", sealed)


@pytest.mark.parametrize("fault", [faulty_compressor, faulty_cipher], ids=["compressor", "cipher"])
@pytest.mark.parametrize("at", [4, 9])
def test_a_blob_that_does_not_survive_is_not_stored(
    laboratory: Laboratory,
    newest_restic: Restic,
    fault: Callable[[FaultyMemory], "patch[object]"],
    at: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    memory = FaultyMemory(at)
    with fault(memory):
        status = laboratory.run("backup", laboratory.source, "--verify-blobs", "all")
    assert memory.left <= 0
    assert status == 1
    assert "did not survive" in capfd.readouterr().err
    assert len(laboratory.snapshots()) == 2
    laboratory.require_sound(newest_restic)
    laboratory.require_next_backup()


@pytest.mark.parametrize("fault", [faulty_compressor, faulty_cipher], ids=["compressor", "cipher"])
def test_without_the_check_it_is_stored(
    laboratory: Laboratory,
    fault: Callable[[FaultyMemory], "patch[object]"],
) -> None:
    with fault(FaultyMemory(9)):
        assert laboratory.run("backup", laboratory.source, "--verify-blobs", "none") == 0
    assert laboratory.run("verify", "--read-data") == 1
