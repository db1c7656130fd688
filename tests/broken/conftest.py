"""One small repository for the whole suite; each test damages a copy."""

from pathlib import Path

import pytest

from tests.broken.planting import PASSWORD, Planted, make_source


@pytest.fixture(scope="session")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For restic."""
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    return file


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("broken")
    planted = Planted.create(folder / "repository", make_source(folder / "source"))
    planted.back_up()
    (planted.source / "second.bin").write_bytes(b"second" * 1000)
    planted.back_up()
    return planted


@pytest.fixture
def planted(_template: Planted, tmp_path: Path) -> Planted:
    """A sound repository with two snapshots, to be damaged."""
    return _template.copy_to(tmp_path / "repository")
