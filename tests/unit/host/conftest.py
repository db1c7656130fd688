"""What the tests of the host package share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.host import TargetTree
from tests.conftest import missing


@pytest.fixture(autouse=True)
def _root_where_marked(request: pytest.FixtureRequest) -> None:
    """Devices, foreign owners and capabilities are root's business: the same paths run unprivileged elsewhere."""
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        missing("root")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the target that nothing may touch, with a file in it."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "precious").write_bytes(b"precious")
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[TargetTree]:
    """An empty target."""
    with TargetTree(tmp_path / "target") as target:
        yield target
