"""A local storage in a folder of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.storage import (
    LocalStorage,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "above" / "repository"


@pytest.fixture
def storage(repository: Path) -> Iterator[LocalStorage]:
    storage = LocalStorage(repository)
    storage.create()
    yield storage
    storage.close()
