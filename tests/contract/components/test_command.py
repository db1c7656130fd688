"""Any program as a component, against real ones."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pivori.components.command import CommandComponent
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract


@dataclass
class Program:
    """A program with a table of its own, which it writes to its output and reads from its input."""

    root: Path
    component: CommandComponent

    @property
    def table(self) -> Path:
        return self.root / "table"

    def state(self) -> bytes:
        return self.table.read_bytes()

    def change(self) -> None:
        self.table.write_bytes(b"1 changed\n2 row\n")

    def destroy(self) -> None:
        self.table.unlink()

    def breaks(self) -> None:
        (self.root / "dump").unlink()

    def spoil(self, capture: FolderCapture) -> None:
        (capture.folder / "table.txt").write_bytes(b"# no row of it\n")


class TestCommand(ComponentContract):
    @pytest.fixture
    def specimen(self, tmp_path: Path) -> Program:
        root = tmp_path / "stack"
        root.mkdir()
        dump = root / "dump"
        dump.write_text("#!/bin/sh\nset -e\ncat table\n")
        dump.chmod(0o755)
        component = CommandComponent(
            name="program",
            capture_command=["./dump"],
            restore_command=["sh", "-c", "cat > table.new && mv table.new table"],
            check_command=["grep", "-q", "row"],
            filename="table.txt",
        )
        made = Program(root, component)
        made.table.write_bytes(b"1 row\n2 row\n")
        return made
