"""Secrets as a component, with `.env` files, a command, and a private key that only the restore has."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pivori.components.base import Surroundings
from pivori.components.secrets import SecretCommand, SecretsComponent, new_identity
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract


@dataclass
class Environment:
    """A stack with secrets in three files."""

    root: Path
    component: SecretsComponent

    def state(self) -> dict[str, Any]:
        files = [*self.root.glob("**/.env*"), *self.root.glob("etc/*")]
        return {
            str(path.relative_to(self.root)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in files
            if path.is_file() and ".aside-" not in path.name
        }

    def change(self) -> None:
        (self.root / ".env").write_text("PASSWORD=another\n")

    def destroy(self) -> None:
        (self.root / ".env").unlink()
        (self.root / "service" / ".env.production").unlink()
        (self.root / "service").rmdir()

    def breaks(self) -> None:
        (self.root / ".env").unlink()

    def spoil(self, capture: FolderCapture) -> None:
        place = capture.folder / "files" / ".env.age"
        content = bytearray(place.read_bytes())
        content[-1] ^= 1
        place.write_bytes(content)


class TestSecrets(ComponentContract):
    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Environment:
        root = tmp_path / "stack"
        (root / "service").mkdir(parents=True)
        for name, mode in ((".env", 0o600), ("service/.env.production", 0o640)):
            (root / name).write_text(f"PASSWORD={name}-secret\n")
            (root / name).chmod(mode)
        identity = tmp_path / "identity"
        component = SecretsComponent(
            name="secrets",
            root=root,
            files=[".env", "**/.env.production"],
            commands=[SecretCommand(name="vault", words=["echo", "token"])],
            recipients=[new_identity(identity)],
            identity=identity.read_text,
        )
        return Environment(root, component)

    def test_an_unchanged_secret_keeps_its_seal(
        self, specimen: Environment, capture: Callable[..., FolderCapture], surroundings: Surroundings
    ) -> None:
        first = capture("first")
        specimen.change()
        second = capture("second", first)
        seals = [{file.path: taken.read(file.path) for file in taken.files()} for taken in (first, second)]
        assert {path for path in seals[0] if seals[0][path] != seals[1][path]} == {"files/.env.age"}
