"""A project in a git work tree whose remote is a repository outside of it, with the real git."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pivori.engine.smart import Decision, SmartPlan, plan_smart
from tests.conftest import missing
from tests.git import IDENTITY


@dataclass(frozen=True)
class Project:
    """A folder, and git in it."""

    path: Path
    remote: Path

    def git(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> str:
        """What git prints."""
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.path,
            env={**os.environ, **IDENTITY, **variables},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def write(self, name: str, content: str | bytes = "x\n") -> Path:
        """A file in it, with the folders above."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, name: str, content: str = "x\n", *, push: bool = False) -> str:
        """A file committed; the commit."""
        self.write(name, content)
        self.git("add", name)
        self.git("commit", "-q", "-m", f"Add {name}")
        if push:
            self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def plan(self) -> SmartPlan:
        """The plan of a backup of the folder."""
        return plan_smart([os.fsencode(self.path)])

    def decision(self, name: str) -> Decision:
        """What is decided about one path."""
        found = [each for each in self.plan().decisions if each.path == os.fsencode(self.path / name)]
        assert len(found) == 1, f"{name} is no candidate"
        return found[0]

    def is_omitted(self, name: str) -> bool:
        """Whether a path is left out."""
        return self.decision(name).is_omitted

    def why_kept(self, name: str) -> str:
        """The reason why a candidate is kept."""
        decision = self.decision(name)
        assert not decision.is_omitted, f"{name} is left out: {decision.reason}"
        return str(decision.reason)


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """A project that is in no work tree."""
    path = Path(os.path.realpath(tmp_path)) / "project"
    path.mkdir()
    return Project(path, tmp_path / "remote.git")


@pytest.fixture
def project(folder: Project) -> Project:
    """A project with two commits, all of them pushed."""
    if shutil.which("git") is None:
        missing("git")
    folder.git("init", "-q", "--bare", "-b", "main", folder.remote, cwd=folder.path.parent)
    folder.git("init", "-q", "-b", "main")
    folder.git("remote", "add", "origin", folder.remote)
    folder.commit("a.txt", "a\n")
    folder.commit("src/b.txt", "b\n", push=True)
    folder.git("branch", "-q", "--set-upstream-to", "origin/main")
    return folder
