"""What the two directions of the compatibility matrix share: sources, repositories, and how they are told apart."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pivori.repository import Node, Repository, raw_name
from pivori.storage import LocalStorage
from tests.compat import hostile_tree
from tests.compat.hostile_tree import Facts
from tests.conftest import Pivori
from tests.restic import Restic, environment

PASSWORD = "correct horse"
HOST = "a-machine"
RAW_LINKS_SINCE = (0, 17)
"""Since then restic keeps the bytes of link targets that are not UTF-8."""


@dataclass(frozen=True)
class Source:
    """A source tree, and all that is known of it."""

    path: Path
    facts: dict[bytes, Facts] = field(repr=False)

    @classmethod
    def make(cls, path: Path, *, large: bool) -> "Source":
        """Build the hostile tree at ``path``."""
        hostile_tree.build(path, large=large)
        return cls(path, hostile_tree.facts(path))

    def differences(self, target: Path) -> list[str]:
        """How what was restored into ``target`` differs from the source."""
        return hostile_tree.compare(self.facts, hostile_tree.facts(target / self.path.relative_to("/")))

    def files(self) -> int:
        """How many regular files it has, each name counted."""
        return sum(1 for fact in self.facts.values() if fact.mode & 0o170000 == 0o100000)


@dataclass(frozen=True)
class Place:
    """A repository in a directory, with the file that holds its password."""

    repository: Path
    password: Path

    @classmethod
    def at(cls, folder: Path, name: str = "repository", password: str = PASSWORD) -> "Place":
        """A place for a repository in ``folder``, whose password is written there."""
        password_file = folder / f"{name} password"
        password_file.write_text(password)
        password_file.chmod(0o600)
        return cls(folder / name, password_file)

    def copied(self, folder: Path) -> "Place":
        """A copy to do anything with."""
        place = Place.at(folder, self.repository.name, self.password.read_text())
        shutil.copytree(self.repository, place.repository)
        return place

    def open(self) -> Repository:
        """The repository, index loaded."""
        repository = Repository.open(LocalStorage(self.repository), self.password.read_text())
        repository.load_index(None)
        return repository

    def source_tree(self, tree: str, source: Path) -> str:
        """The id of the tree of ``source`` in a snapshot's tree."""
        repository = self.open()
        for name in os.fsencode(source).strip(b"/").split(b"/"):
            tree = next(node for node in repository.read_tree(tree) if raw_name(node) == name).subtree or ""
        return tree

    def nodes(self, tree: str) -> dict[bytes, Node]:
        """Every node below a tree, by path."""
        repository, found, waiting = self.open(), dict[bytes, Node](), [(b"", tree)]
        while waiting:
            above, name = waiting.pop()
            for node in repository.read_tree(name):
                path = above + b"/" + raw_name(node)
                found[path] = node
                if node.subtree is not None:
                    waiting.append((path, node.subtree))
        return found


@dataclass(frozen=True)
class Ours:
    """This program, on one repository."""

    program: Pivori
    place: Place

    def __call__(self, *arguments: str | bytes | Path, expect: int | None = 0, **extra: str) -> str:
        """Run a command; what it printed."""
        command, *rest = arguments
        return self.program(command, *self._options(), *rest, expect=expect, **extra).stdout

    def json(self, *arguments: str | bytes | Path) -> dict[str, object]:
        """The summary of a command."""
        command, *rest = arguments
        summary: dict[str, object] = self.program.json(command, *self._options(), *rest)
        return summary

    def _options(self) -> tuple[str | Path, ...]:
        return "-r", self.place.repository, "--password-file", self.place.password

    def backup(self, *arguments: str | Path) -> dict[str, object]:
        """Back up; the summary."""
        return self.json("backup", "--host", HOST, *arguments)

    def restored(self, target: Path, snapshot: str = "latest") -> Path:
        """Restore a snapshot into ``target``, which is returned."""
        self("restore", snapshot, "--target", target, "--verify")
        return target


@dataclass(frozen=True)
class Theirs:
    """One restic, on one repository."""

    restic: Restic
    place: Place

    def __call__(self, *arguments: str | Path, check: bool = True, **extra: str) -> str:
        """Run a command; what it printed, on both outputs."""
        result = self.restic.run(
            self.place.repository, self.place.password, *arguments, check=check, extra_environment=extra
        )
        return result.stdout + result.stderr

    def bytes(self, *arguments: str | Path) -> bytes:
        """Run a command; the very bytes it printed."""
        place = self.place
        command = [
            self.restic.path,
            "--no-cache",
            "-r",
            place.repository,
            "--password-file",
            place.password,
            *arguments,
        ]
        return subprocess.run(command, env=environment(place.password.parent), capture_output=True, check=True).stdout

    def backup(self, *arguments: str | Path, **extra: str) -> None:
        """Back up under the host's name that ours uses."""
        self("backup", "--host", HOST, *arguments, **extra)

    def check(self) -> None:
        """Every byte is as it must be."""
        self.restic.check(self.place.repository, self.place.password)

    def restored(self, target: Path, snapshot: str = "latest") -> Path:
        """Restore a snapshot into ``target``, which is returned."""
        self("restore", snapshot, "--target", target, "--verify")
        return target
