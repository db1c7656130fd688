"""The scenario of the four strategies: a project under git, as a developer has it, as archives and as snapshots.

The data set is copied into a git work tree. What its lock files name is ignored by git, as usual; everything
committed is on a remote. So `smart` finds what it may leave out, and what not: `site-packages` stands beside no
environment's files, the dump and the media are nobody's to rebuild.

The differential archive and snapshot are made after a small change, relative to the complete ones. Each of the others
begins with a repository of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rows import Row, Table
from scenarios import create, finish_restore, leaving_out, read_everything, run_once, size_of
from tools import Pivori, Place, Tool, remove

ARCHIVE, ARCHIVE_RESTORE, SNAPSHOT = "archive", "archive, restore", "snapshot"
STRATEGY_OPERATIONS = (ARCHIVE, ARCHIVE_RESTORE, SNAPSHOT)
COMPLETE, SMART, COMPRESSED, DIFFERENTIAL = "complete", "smart", "compressed", "differential"
FORMATS = {COMPLETE: "zip", SMART: "zip", COMPRESSED: "7z", DIFFERENTIAL: "zip"}

IGNORED = ("node_modules/", "__pycache__/", "/services/analytics/", "/database/", "/media/", "/vendor.git-work/")
NESTED = "vendor.git-work"
"""A work tree with a history of its own inside the data set."""

CHANGED = 200
ADDED = 20
REMOVED = 20


class PivoriStrategy(Pivori):
    """This program with one strategy; `base` is the archive that a differential one is relative to."""

    def __init__(self, pivori: Pivori, strategy: str, base: Path | None = None) -> None:
        super().__init__(pivori.program, name=strategy)
        self._relative = ["--base", str(base)] if base is not None else []

    def archive(self, place: Place) -> Path:
        """The archive of this strategy."""
        return place.root / f"{self.name}.{FORMATS[self.name]}"

    def words(self, operation: str, place: Place, source: Path) -> list[str]:
        archive = str(self.archive(place))
        return {
            ARCHIVE: [
                *self.program, "archive", "create", "--strategy", self.name, "-o", archive, *self._relative, str(source)
            ],
            ARCHIVE_RESTORE: [
                *self.program, "archive", "restore", archive, *self._relative, "--target", str(place.target)
            ],
            SNAPSHOT: [*self._base(place), "backup", "--strategy", self.name, str(source)],
        }[operation]  # fmt: skip

    def restores(self, operation: str) -> bool:
        return operation == ARCHIVE_RESTORE

    def restored(self, place: Place, source: Path) -> Path:
        return place.target

    def written(self, operation: str, place: Place) -> Path | None:
        return {ARCHIVE: self.archive(place), SNAPSHOT: place.repository}.get(operation)


def strategies(table: Table, pivori: Pivori, source: Path, work: Path) -> None:
    """Runs every strategy once: an archive, that archive restored, a snapshot."""
    places = {name: Place(work / name) for name in (COMPLETE, SMART, COMPRESSED)}
    base = PivoriStrategy(pivori, COMPLETE).archive(places[COMPLETE])
    left: list[Tool] = [PivoriStrategy(pivori, name) for name in places]
    try:
        with project(source, work) as tree:
            for tool in left[:]:
                with leaving_out(tool, left, table):
                    create(tool, places[tool.name])
                    measure_strategy(table, tool, places[tool.name], tree)
            change(tree)
            differential = PivoriStrategy(pivori, DIFFERENTIAL, base)
            left.append(differential)
            with leaving_out(differential, left, table):
                measure_strategy(table, differential, places[COMPLETE], tree)
    finally:
        for place in places.values():
            place.remove()


def measure_strategy(table: Table, tool: Tool, place: Place, tree: Path) -> None:
    """The operations of one strategy. Raises Failed, also when something else is restored, but for `smart`."""
    read_everything(tree)
    for operation in STRATEGY_OPERATIONS:
        before = size_of(place.repository)
        row = run_once(tool, operation, place, tree, 0)
        assert row is not None
        table.rows.append(added(row, before) if operation == SNAPSHOT else row)
        if tool.restores(operation):
            finish_restore(tool, place, tree, check=tool.name != SMART)


def added(row: Row, before: int) -> Row:
    """The row of a snapshot, with what it added to the repository in the place of all that is in there."""
    return replace(row, repository_bytes=(row.repository_bytes or 0) - before)


@contextmanager
def project(source: Path, work: Path) -> Iterator[Path]:
    """A copy of the source, committed and pushed."""
    tree, remotes = work / "project", work / "remotes"
    try:
        subprocess.run(["cp", "-a", "--", str(source), str(tree)], check=True)
        remotes.mkdir()
        if (tree / NESTED / ".git").is_dir():
            push(tree / NESTED, remotes / "vendor.git")
        with (tree / ".gitignore").open("a") as rules:
            rules.writelines(f"{rule}\n" for rule in IGNORED)
        git(tree, "init", "--quiet", "--initial-branch=main")
        git(tree, "add", "--all", ".")
        git(
            tree, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false", "commit",
            "--quiet", "--no-verify", "-m", "The project",
        )  # fmt: skip
        push(tree, remotes / "project.git")
        yield tree
    finally:
        remove(tree)
        remove(remotes)


def push(tree: Path, remote: Path) -> None:
    """Gives a work tree a remote that has every branch."""
    git(remote.parent, "init", "--quiet", "--bare", remote.name)
    git(tree, "remote", "add", "origin", str(remote))
    git(tree, "push", "--quiet", "--all", "--set-upstream", "origin")


def git(where: Path, *words: str) -> None:
    """Runs git in a folder; raises when it fails."""
    subprocess.run(["git", "-C", str(where), *words], check=True, stdin=subprocess.DEVNULL)


def change(tree: Path) -> None:
    """A small change: of the files that are not installed ones some are written again, some go, some come."""
    there = sorted(path for path in own_files(tree) if path.stat().st_size < 100_000)
    chosen = there[:: max(1, len(there) // (CHANGED + REMOVED))][: CHANGED + REMOVED]
    for number, path in enumerate(chosen):
        if number % (CHANGED // REMOVED + 1) == 0:
            path.unlink()
        else:
            with path.open("a") as out:
                out.write(f"changed in round {number}\n")
    for number in range(ADDED):
        (tree / f"report-{number:02}.txt").write_text(f"{number} is the number of this report.\n" * 500)


def own_files(tree: Path) -> Iterator[Path]:
    """The regular files outside of installed packages and git's own folders."""
    waiting = [tree]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_symlink() or path.name in (".git", "node_modules", "site-packages"):
                continue
            if path.is_dir():
                waiting.append(path)
            elif path.is_file():
                yield path
