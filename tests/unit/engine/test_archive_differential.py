"""A differential archive: what could not be looked at is not taken for gone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.manifest import as_text
from pivori.engine.archive import listing
from pivori.engine.archive.differential import named_base
from tests.archives import archive, restore


def failing_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a directory cannot be listed."""
    honest: Callable[[bytes], list[os.DirEntry[bytes]]] = listing.read_directory

    def read(path: bytes) -> list[os.DirEntry[bytes]]:
        if path == os.fsencode(place):
            raise PermissionError(13, "Permission denied")
        return honest(path)

    monkeypatch.setattr(listing, "read_directory", read)


def test_what_cannot_be_listed_stays_as_the_base_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    (root / "closed" / "deep").mkdir(parents=True)
    (root / "closed" / "deep" / "kept").write_text("kept")
    (root / "closed and more").write_text("gone")
    base = tmp_path / "pivori-complete-20251108-020000.zip"
    archive(root, base)
    (root / "closed and more").unlink()
    failing_at(root / "closed", monkeypatch)
    later = tmp_path / "pivori-differential-20251109-020000.zip"
    made = archive(root, later, strategy="differential", base=named_base(base, str(root)))
    assert [each.path for each in made.manifest.not_captured] == [as_text(b"closed")[0]]
    restore(later, tmp_path / "back")
    assert (tmp_path / "back" / "closed" / "deep" / "kept").read_text() == "kept"
    assert not (tmp_path / "back" / "closed and more").exists()
