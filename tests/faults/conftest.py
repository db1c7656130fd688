"""What several fault tests need: the program as run by somebody whom permissions concern."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Pivori, missing, small_file_system

NOBODY = 65534


@dataclass(frozen=True)
class Somebody:
    """An ordinary user: ``pivori`` run by them, and a ``folder`` they reach and own."""

    pivori: Pivori
    folder: Path

    @property
    def repository(self) -> Path:
        """Their default repository."""
        return self.pivori.home / ".local/share/pivori/repository"

    @property
    def key_file(self) -> Path:
        """Its password."""
        return self.pivori.home / ".config/pivori/repository.key"

    def own(self, *paths: Path) -> None:
        """Let them own what the test has made."""
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture
def somebody(program: Callable[[str], Path]) -> Iterator[Somebody]:
    """As root, the program gives its rights up first. The folder is none of pytest's, which are closed to others."""
    with tempfile.TemporaryDirectory(prefix="pivori-somebody-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        pivori = Pivori(home)
        if os.geteuid() == 0:
            if not all(place.stat().st_mode & 0o001 for place in Path(__file__).resolve().parents):
                missing("a checkout that other users may enter")
            setpriv = (str(program("setpriv")), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            pivori = Pivori(home, (*setpriv, *pivori.command), is_measured=False)
        somebody = Somebody(pivori, folder)
        somebody.own(folder, home)
        yield somebody


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_file_system(folder, "12m"):
        yield folder
