"""A source of files, a repository with their history, and what must be true of it whatever has happened."""

import functools
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pivori.engine.restore import Restore, RestoreRequest
from pivori.repository import LoadedSnapshot, Repository
from pivori.storage import LocalStorage
from pivori.storage.wrap import FaultPlan
from tests.faults import driver
from tests.faults.places import Place
from tests.restic import Restic, environment

PASSWORD = "correct horse"
OBJECT_FOLDERS = ("keys", "locks", "snapshots", "index", "data")

Picture = Mapping[str, tuple[int, int, str]]
"""Of every path below a folder: its mode, its time of change, and its content (or the target of a link)."""


def picture_of(folder: Path) -> Picture:
    """What is in a folder, to compare."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = str(path.readlink()) if path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def make_source(folder: Path, *, seed: int = 1) -> Path:
    """Some sixty small files in several folders and two of some MiB: data for several packs and trees."""
    chance = random.Random(seed)
    for number in range(60):
        file = folder / f"folder{number % 4}" / f"part{number % 3}" / f"file{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(8000)))
    (folder / "large").write_bytes(chance.randbytes(2_100_000))
    (folder / "larger").write_bytes(chance.randbytes(1_500_000) + b"text that repeats " * 80_000)
    (folder / "folder0" / "link").symlink_to("part0")
    (folder / "empty").touch()
    return folder


def change_source(folder: Path, *, seed: int) -> None:
    """Change a part of it: new, changed and removed files, and the head of a large one."""
    chance = random.Random(seed)
    (folder / "folder1" / f"new{seed}").write_bytes(chance.randbytes(700_000))
    for file in sorted((folder / "folder2").rglob("file*"))[:5]:
        file.write_bytes(chance.randbytes(5000))
    next(iter(sorted((folder / "folder3").rglob("file*")))).unlink()
    with (folder / "large").open("r+b") as file_to_change:
        file_to_change.write(chance.randbytes(600_000))


@functools.cache
def nursery() -> driver.Nursery:
    """Where all processes of their own come from."""
    return driver.Nursery(environment("/nonexistent"))


@dataclass(frozen=True)
class Laboratory:
    """A repository at ``folder / "repository"``, made from ``source``; ``history`` shows what each snapshot holds."""

    folder: Path
    source: Path
    history: dict[str, Picture] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        """Where the repository is."""
        return self.folder / "repository"

    @property
    def password_file(self) -> Path:
        """The file with its password."""
        return self.folder / "password"

    @classmethod
    def make(cls, folder: Path) -> "Laboratory":
        """A new one, with a repository without snapshots."""
        folder.mkdir(parents=True, exist_ok=True)
        laboratory = cls(folder, make_source(folder / "source"))
        laboratory.password_file.write_text(PASSWORD)
        laboratory.password_file.chmod(0o600)
        assert laboratory.run("init") == 0
        return laboratory

    @classmethod
    def with_history(cls, folder: Path, snapshots: int) -> "Laboratory":
        """A new one with so many snapshots, and a source that has changed since the last of them."""
        laboratory = cls.make(folder)
        for seed in range(snapshots):
            laboratory.backup()
            change_source(laboratory.source, seed=seed)
        return laboratory

    def copy(self, folder: Path) -> "Laboratory":
        """An independent copy of all but the source (objects are never changed in place, so files are linked)."""
        others = shutil.ignore_patterns("source", "home")
        same_disk = self.folder.stat().st_dev == folder.parent.stat().st_dev
        shutil.copytree(self.folder, folder, copy_function=os.link if same_disk else shutil.copy2, ignore=others)
        return replace(self, folder=folder, history=dict(self.history))

    # What is done with it

    def arguments(self, *arguments: str | Path) -> list[str | Path]:
        """A command line for this repository."""
        command, *rest = arguments
        return [command, "--repository", self.repository, "--password-file", self.password_file, *rest]

    def run(
        self, *arguments: str | Path, plan: FaultPlan | None = None, only: Path | None = None, workers: int = 1
    ) -> int:
        """Run a command in this process; its exit status. The plan is for all media, or for the one at ``only``."""
        home = self.folder / "home"
        return driver.pivori(home, self.arguments(*arguments), plan=plan, only=only, workers=workers)

    def run_apart(
        self, *arguments: str | Path, plan: FaultPlan | None = None, place: Place | None = None, workers: int = 1
    ) -> int:
        """Run a command in a process of its own; its exit status, negative for the signal that killed it."""
        home = self.folder / "home"
        return nursery().run(home, self.arguments(*arguments), plan=plan, place=place, workers=workers)

    def said(self) -> str:
        """What commands in processes of their own have said."""
        return (self.folder / "said").read_text()

    def backup(self, *options: str, workers: int = 1) -> str:
        """Back the source up; the new snapshot's name."""
        before = set(self.snapshots())
        assert self.run("backup", self.source, *options, workers=workers) == 0
        (name,) = set(self.snapshots()) - before
        self.history[name] = picture_of(self.source)
        return name

    # What is true of it

    def open(self) -> Repository:
        """The repository, opened afresh, its index loaded without a cache."""
        repository = Repository.open(LocalStorage(self.repository), self.password_file.read_text())
        repository.load_index(None)
        return repository

    def snapshots(self) -> list[str]:
        """The names of the snapshots that are there."""
        return sorted(path.name for path in (self.repository / "snapshots").iterdir())

    def locks(self) -> list[str]:
        """The names of the locks that are there."""
        return sorted(path.name for path in (self.repository / "locks").iterdir())

    def change_password(self, password: str) -> None:
        """Use another password from now on."""
        self.password_file.unlink()
        self.password_file.write_text(password)
        self.password_file.chmod(0o600)

    def remove_own_locks(self) -> None:
        """Remove what a run in this process could not: the next run sees that its process is gone, this one is not."""
        for name in self.locks():
            (self.repository / "locks" / name).unlink()

    def objects(self) -> set[str]:
        """Every object but locks."""
        kinds = [self.repository / name for name in OBJECT_FOLDERS if name != "locks"]
        return {path.name for folder in kinds for path in folder.rglob("*") if path.is_file()}

    def require_whole_objects(self) -> None:
        """Under a final name lies what the name promises: the SHA-256 of the content."""
        for folder in OBJECT_FOLDERS:
            for path in (self.repository / folder).rglob("*"):
                if path.is_file():
                    assert path.name == hashlib.sha256(path.read_bytes()).hexdigest(), path

    def require_restorable(self, names: Iterable[str] | None = None) -> None:
        """Every snapshot that is there, or those named, come back bit for bit.

        One that nobody told the name of (the run was stopped just then, or it is a copy) holds something known.
        """
        repository, known = self.open(), [*self.history.values(), picture_of(self.source)]
        for loaded in repository.snapshots(names=names):
            picture = self.restored(repository, loaded)
            assert picture == self.history[loaded.id] if loaded.id in self.history else picture in known

    def restored(self, repository: Repository, loaded: LoadedSnapshot) -> Picture:
        """What a snapshot brings back."""
        target = self.folder / "restored"
        # In a recovery point the component of that name has it.
        above = b"/source" if "component=source" in loaded.snapshot.tags else b""
        request = RestoreRequest(tree=loaded.snapshot.tree, target=target, subtree=above + os.fsencode(self.source))
        events: list[object] = []
        outcome = Restore(repository, request, emit=events.append).run()
        assert (outcome.failures, outcome.problems) == (0, 0), events
        picture = picture_of(target)
        shutil.rmtree(target)
        return picture

    def require_sound(self, restic: Restic) -> None:
        """The real restic, our own verification and a restore of everything find nothing wrong."""
        self.require_whole_objects()
        # Without a lock: restic would rather be asked to remove the one that a killed process left.
        restic.run(self.repository, self.password_file, "check", "--read-data", "--no-lock")
        assert self.run("verify", "--read-data") == 0
        self.require_restorable()

    def require_next_backup(self) -> None:
        """The next backup works, whatever was left behind; it can be restored, and no lock stays."""
        name = self.backup()
        assert self.locks() == []
        self.require_restorable([name])
