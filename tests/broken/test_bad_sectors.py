"""A medium that cannot read some bytes of a pack: what lies elsewhere in it is saved, and restic is content."""

import errno
import os
from pathlib import Path

import pytest

from pivori.repository import BlobKind, Repository
from pivori.repository.repair_packs import PackRepair, PackRepairPlan
from pivori.storage import Kind, LocalStorage, Storage
from pivori.storage.system_errors import storage_error
from pivori.storage.wrap.base import WrappedStorage
from tests.broken.planting import Planted, brief
from tests.restic import Restic


class BadSector(WrappedStorage):
    """Fails at every read of a pack that touches one byte of it."""

    def __init__(self, inner: Storage, pack: str, at: int) -> None:
        super().__init__(inner)
        self.pack, self.at = pack, at

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        end = self.size(kind, name) if length is None else offset + length
        if (kind, name) == (Kind.PACK, self.pack) and offset <= self.at < end:
            raise storage_error(OSError(errno.EIO, os.strerror(errno.EIO)), self.location, "read", name)
        return super().get(kind, name, offset, length)


def repair(planted: Planted, pack: str, at: int) -> PackRepairPlan:
    old = planted.repository
    storage = BadSector(LocalStorage(planted.path), pack, at)
    work = PackRepair(Repository(storage, old.config, old.master, old.key_name))
    plan = work.plan(work.find([pack]))
    work.apply(plan)
    return plan


def test_a_bad_sector_costs_the_blob_that_lies_on_it(planted: Planted) -> None:
    blob = planted.blob_of("sub/c.bin")
    pack, offset, length = planted.location(BlobKind.DATA, blob)
    plan = repair(planted, pack, offset + length // 2)
    assert plan.packs[0].lost == [(BlobKind.DATA, blob)]
    assert plan.salvaged > 1
    assert pack not in planted.names(Kind.PACK)
    assert brief(planted.verify(read_data=True)) == [("blob-missing", f"blob/{blob.hex()}")]


@pytest.mark.parametrize("before_the_end", [1, 40])
def test_a_bad_sector_in_the_header_costs_nothing(
    planted: Planted, before_the_end: int, newest_restic: Restic, password_file: Path
) -> None:
    pack, _, _ = planted.location(BlobKind.DATA, planted.blob_of("sub/c.bin"))
    size = planted.file(Kind.PACK, pack).stat().st_size
    assert repair(planted, pack, size - before_the_end).lost == 0
    assert planted.verify(read_data=True).findings == ()
    newest_restic.check(planted.path, password_file)
