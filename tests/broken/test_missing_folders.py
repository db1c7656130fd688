"""A folder of the repository that is gone: half a copy, a mount that did not come. It is not an empty one."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Pivori

COMMANDS = {
    "snapshots": ["prune", "verify", "snapshots", "forget", "backup", "stats"],
    "index": ["prune", "verify", "backup", "ls"],
}
ARGUMENTS = {"forget": ["--keep-last", "1"], "ls": ["latest"], "backup": ["source"]}


def objects(repository: Path) -> set[str]:
    """Every object but locks, which come and go."""
    return {str(path) for path in repository.rglob("*") if path.is_file() and path.parent.name != "locks"}


@pytest.mark.parametrize("folder", COMMANDS)
def test_nothing_is_taken_for_removed(pivori: Pivori, folder: str) -> None:
    source = pivori.home / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(100_000))
    pivori("backup", source)
    repository = pivori.home / ".local/share/pivori/repository"
    shutil.move(repository / folder, pivori.home / "elsewhere")
    before = objects(repository)
    for command in COMMANDS[folder]:
        result = pivori(command, *ARGUMENTS.get(command, []), expect=1)
        assert f"the folder {folder} is gone" in result.stderr, command
        assert objects(repository) == before, command
    shutil.move(pivori.home / "elsewhere", repository / folder)
    pivori("verify", "--read-data")
