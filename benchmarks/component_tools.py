"""The stacks of the scenario of components, and the programs that they are measured beside."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_history import make_repository
from postgres import COPY, DATABASE
from tools import CHECKOUT, Pivori, Place, first_line

CAPTURE = "database, first capture"
UNCHANGED = "database, nothing changed"
NEWEST = "database, 1 % changed, the newest rows"
SCATTERED = "database, 1 % changed, rows all over"
RESTORE = "database, restore"
GIT_CAPTURE = "git, unchanged: the capture alone"
GIT_BACKUP = "git, unchanged: whole backup"
INSPECTION = "stack of all kinds, inspection"

JOBS = 2
PG_DUMP = "pg_dump -Fc -Z0"
PG_RESTORE = f"pg_restore -j {JOBS}"
CLIENTS = (PG_DUMP, PG_RESTORE)
"""The programs that this program is compared with; at most one of them has an operation."""

SMALL_FILES = 2_000
SQLITE_ROWS = 20_000


class Stacks(Pivori):
    """This program, with the stack in the folder `stack` of its place."""

    def __init__(self, pivori: Pivori) -> None:
        super().__init__(pivori.program)

    def backup(self, place: Place, *extra: str) -> list[str]:
        """The words that capture the stack, or some of it."""
        return [*self._base(place), "backup", *extra]

    def recover(self, place: Place) -> list[str]:
        """The words that bring the database back in place."""
        return [*self._base(place), "recover", "--in-place", "--yes", "--component", "database"]

    def timed_backup(self, place: Place, note: Path, *extra: str) -> list[str]:
        """A backup whose git component writes its own time into `note`; always by this checkout's program."""
        script = str(CHECKOUT / "benchmarks" / "timed_capture.py")
        return [sys.executable, script, str(note), *self.backup(place, *extra)[len(self.program) :]]


@dataclass(frozen=True)
class Clients:
    """PostgreSQL's own programs, told where the server is by the environment."""

    programs: Path

    def versions(self) -> dict[str, str]:
        """Their versions, and those of what else a stack is made of here."""
        return {
            PG_DUMP: first_line([str(self.programs / "pg_dump"), "--version"]),
            PG_RESTORE: first_line([str(self.programs / "pg_restore"), "--version"]),
            "git": first_line(["git", "--version"]),
        }

    def dump(self) -> list[str]:
        """The words that read the database and keep nothing."""
        program = shlex.quote(str(self.programs / "pg_dump"))
        return ["sh", "-c", f"exec {program} -Fc -Z0 {DATABASE} > /dev/null"]

    def dump_to(self, path: Path) -> list[str]:
        """The words that make the local file."""
        return [str(self.programs / "pg_dump"), "-Fc", "-Z0", "-f", str(path), DATABASE]

    def restore(self, path: Path) -> list[str]:
        """The words that restore the local file into an empty database."""
        return [str(self.programs / "pg_restore"), f"-j{JOBS}", "-d", COPY, str(path)]


def database_component(url: str, programs: Path) -> str:
    """The database."""
    return component(
        "postgres", "database",
        f'url = "{url}"', f'databases = ["{DATABASE}"]', f'programs = "{programs}"', f"jobs = {JOBS}",
    )  # fmt: skip


def all_components(stack: Path, database: str, redis_socket: str | None) -> list[str]:
    """One component of every kind that is here; makes what they are about in the folder of the stack."""
    make_repository(stack / "source")
    make_files(stack / "uploads")
    make_sqlite(stack / "queue.sqlite")
    (stack / ".env").write_text("TOKEN=for-benchmarks-only\n")
    found = [
        database,
        component("git", "source", 'path = "source"'),
        component("files", "uploads", 'paths = ["uploads"]'),
        component("sqlite", "queue", 'paths = ["queue.sqlite"]'),
        component("secrets", "secrets", 'files = [".env"]', f'recipients = ["{recipient()}"]'),
    ]
    if redis_socket is not None:
        found.append(component("redis", "cache", f'socket = "{redis_socket}"'))
    return found


def component(kind: str, name: str, *lines: str) -> str:
    """A component as the file of a stack has it."""
    return "\n".join(["[[components]]", f'kind = "{kind}"', f'name = "{name}"', *lines, ""])


def write_stack(place: Place, components: Sequence[str]) -> Path:
    """The folder of a stack, with its file."""
    folder = place.root / "stack"
    folder.mkdir(exist_ok=True)
    (folder / "pivori.toml").write_text("\n".join(['[stack]\nname = "bench"\n', *components]))
    return folder


def make_files(folder: Path) -> None:
    """Small files, a hundred in a folder."""
    for number in range(SMALL_FILES):
        place = folder / f"{number // 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:04}.txt").write_text(f"upload {number}\n" * (number % 50 + 1))


def make_sqlite(path: Path) -> None:
    """A small database."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany(
            "INSERT INTO job VALUES (?, ?)", ((number, f"job {number}" * 5) for number in range(SQLITE_ROWS))
        )
        connection.commit()
    finally:
        connection.close()


def recipient() -> str:
    """A public key whose private half nobody has."""
    script = "import pyrage; print(pyrage.x25519.Identity.generate().to_public())"
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
