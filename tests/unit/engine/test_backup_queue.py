"""The walk waits for those who read, so that what is found but not read yet stays small however large the tree is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pivori.engine.backup import walk
from pivori.engine.backup.crew import Alone, Result, Task
from pivori.engine.backup.tree_capture import TreeCapture
from tests.unit.engine.looking import backup_of, new_repository

FOLDERS = 200
FILES = 4
"""In a folder, and in a batch."""


class Slow(Alone):
    """A crew that asks twice before it has done a task, as workers ask which blobs are new."""

    asked = 0

    def results(self, *, patiently: bool) -> Iterator[Result]:
        """What has been done, every third time."""
        self.asked += 1
        return iter(()) if self.asked % 3 else super().results(patiently=patiently)


def test_the_walk_does_not_run_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(FOLDERS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name in range(FILES):
            (folder / f"{name}").touch()
    monkeypatch.setattr(walk, "FILES_PER_BATCH", FILES)
    waiting = []

    def give(self: Slow, task: Task) -> None:
        waiting.append(len(backup._capture._tasks))
        Alone.give(self, task)

    monkeypatch.setattr(Slow, "give", give)
    monkeypatch.setattr(TreeCapture, "_hire", lambda self, _stack: Slow(self._intake, with_atime=False))
    backup = backup_of(new_repository(), tmp_path)
    outcome = backup.run()
    assert outcome.summary.files_new == FOLDERS * FILES
    assert len(waiting) >= FOLDERS
    assert max(waiting) < 40
