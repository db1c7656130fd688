"""A stack with secrets for these tests."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pivori.components.base import Surroundings
from pivori.components.secrets import SecretCommand, SecretsComponent, new_identity
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import surroundings_in


@dataclass
class SecretStack:
    """A folder with two secret files, a vault beside it with a third and one that a command prints."""

    folder: Path
    component: SecretsComponent
    surroundings: Surroundings
    identity: Path
    sinks: list[FolderSink] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def root(self) -> Path:
        """The folder of the stack."""
        return self.folder / "stack"

    @property
    def vault(self) -> Path:
        """The folder beside it."""
        return self.folder / "vault"

    def capture(self, before: FolderCapture | None = None, component: SecretsComponent | None = None) -> FolderCapture:
        """Capture it into a new folder below ``captures``."""
        sink = FolderSink(self.folder / "captures" / str(next(self._numbers)), before)
        self.sinks.append(sink)
        used = component or self.component
        taken = sink.finish(used.capture(sink, self.surroundings))
        used.stored(taken.report, self.surroundings)
        return taken


def make_stack(folder: Path, secrets: dict[str, str]) -> SecretStack:
    """Make it; ``secrets`` are the contents of ``.env``, ``config/.env.production``, ``key`` and ``token``."""
    root, vault = folder / "stack", folder / "vault"
    (root / "config").mkdir(parents=True)
    vault.mkdir()
    places = {
        ".env": (root / ".env", 0o600),
        "config/.env.production": (root / "config" / ".env.production", 0o640),
        "key": (vault / "key", 0o400),
        "token": (vault / "token", 0o600),
    }
    for name, (place, mode) in places.items():
        place.write_text(secrets[name])
        place.chmod(mode)
    component = SecretsComponent(
        name="secrets",
        root=root,
        files=[".env", "**/.env.production", str(vault / "key")],
        commands=[SecretCommand(name="token", words=["cat", str(vault / "token")])],
        recipients=[new_identity(folder / "private" / "identity")],
        identity=(folder / "private" / "identity").read_text,
    )
    return SecretStack(folder, component, surroundings_in(folder / "own", root), folder / "private" / "identity")
