"""What the whole-program suite shares: the program in this process, where a test needs no process of its own."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The program in this process, with an empty HOME."""
    home = tmp_path / "home"
    home.mkdir()
    return Here(home, monkeypatch)
