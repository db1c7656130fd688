"""A small real stack: source with git, secrets, uploads, and databases that somebody writes to all the time."""

import hashlib
import os
import random
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from tests.git import git
from tests.servers.postgres import PostgresServer
from tests.servers.redis import PrivateRedis

ACCOUNTS = 200
START = 1000


class Bank:
    """Accounts in PostgreSQL between which money is moved: whatever moment one sees, the sum is the same."""

    def __init__(self, server: PostgresServer, database: str = "shop") -> None:
        self._server = server
        self._database = database
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.moves = 0

    def open(self) -> None:
        """Make the database, its owner and its accounts."""
        self._server.run(f"CREATE ROLE shop_owner LOGIN PASSWORD '{SECRET}'", f"CREATE DATABASE {self._database}")
        self._server.run(
            "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))",
            "CREATE TABLE moves (id bigserial PRIMARY KEY, source int, target int, amount int)",
            f"INSERT INTO accounts SELECT n, {START} FROM generate_series(1, {ACCOUNTS}) n",
            database=self._database,
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Money is moved as long as the context is open."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._move)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _move(self) -> None:
        choose = random.Random(7)
        words = {"host": str(self._server.folder), "port": self._server.port, "user": "postgres"}
        with psycopg.connect(dbname=self._database, **words) as connection:
            while not self._stop.is_set():
                source, target = choose.sample(range(1, ACCOUNTS + 1), 2)
                moved = connection.execute(
                    "UPDATE accounts SET balance = balance - 1 WHERE id = %s AND balance > 0", [source]
                ).rowcount
                connection.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", [moved, target])
                connection.execute(
                    "INSERT INTO moves (source, target, amount) VALUES (%s, %s, %s)", [source, target, moved]
                )
                connection.commit()
                self.moves += 1


SECRET = "canary-of-the-stack-4711"


def fill_cache(server: PrivateRedis) -> None:
    """Sessions, some of which end, and a queue."""
    with server.client() as client:
        for number in range(50):
            client.set(f"session:{number}", f"user {number}", ex=100_000 if number % 2 else None)
        client.rpush("queue", *range(1000))
        client.hset("settings", mapping={"theme": "dark", "é": "é"})


def demand_sound_bank(connection: psycopg.Connection) -> int:
    """The sum is what it was, and each balance is what the moves make of it; returns how many moves there are."""
    [(total, count)] = connection.execute("SELECT sum(balance), count(*) FROM accounts").fetchall()
    assert (total, count) == (START * ACCOUNTS, ACCOUNTS)
    wrong = connection.execute(
        f"""SELECT id FROM accounts a WHERE balance <> {START}
            + (SELECT coalesce(sum(amount), 0) FROM moves WHERE target = a.id)
            - (SELECT coalesce(sum(amount), 0) FROM moves WHERE source = a.id)"""
    ).fetchall()
    assert wrong == []
    [(moves,)] = connection.execute("SELECT count(*) FROM moves").fetchall()
    return int(moves)


def make_source(folder: Path, **variables: str) -> None:
    """A work tree with history, work that was not pushed, and work that was not committed; secrets and uploads."""
    remote = folder.with_name(f"{folder.name}-remote.git")
    git(folder.parent, "init", "-q", "--bare", "-b", "main", str(remote))
    git(folder.parent, "init", "-q", "-b", "main", str(folder))
    (folder / ".gitignore").write_text(".env\nuploads/\nnode_modules/\n*.sqlite3\n")
    (folder / "app.py").write_text("print('one')\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "-q", "-u", "origin", "main")
    (folder / "app.py").write_text("print('two')\n")
    git(folder, "commit", "-q", "-am", "never pushed")
    (folder / "half.py").write_text("staged\n")
    git(folder, "add", "half.py")
    (folder / "app.py").write_text("print('three')\n")
    (folder / "notes.txt").write_text("nobody knows of this\n")
    (folder / "uploads").mkdir()
    for number in range(20):
        (folder / "uploads" / f"{number}.jpg").write_bytes(random.Random(number).randbytes(5000))
    lines = [f"{name}={value}" for name, value in {"SECRET_KEY": SECRET, **variables}.items()]
    (folder / ".env").write_text("\n".join(lines) + "\n")
    (folder / ".env").chmod(0o600)
    with closing(sqlite3.connect(folder / "jobs.sqlite3")) as database, database:
        database.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, what TEXT)")
        database.executemany("INSERT INTO jobs (what) VALUES (?)", [(f"job {number}",) for number in range(500)])


def picture(folder: Path) -> dict[str, object]:
    """All files of a tree but git's own and what lies aside: mode and content, or where a link points to."""
    found: dict[str, object] = {}
    for top, names, files in os.walk(folder):
        names[:] = [name for name in names if name != ".git" and ".aside-" not in name]
        for name in (name for name in files if ".aside-" not in name):
            path = Path(top, name)
            mode = stat.S_IMODE(path.lstat().st_mode)
            content = os.readlink(path) if path.is_symlink() else content_of(path)
            found[str(path.relative_to(folder))] = (mode, content)
    return found


def content_of(path: Path) -> str:
    """A digest of a file's content; of a SQLite database that of its tables."""
    content = path.read_bytes()
    if content.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(path)) as database:
            content = "\n".join(database.iterdump()).encode()
    return hashlib.sha256(content).hexdigest()


def git_picture(folder: Path) -> dict[str, str]:
    """What git says of a work tree."""
    return {
        "log": git(folder, "log", "--all", "--format=%H %D"),
        "status": git(folder, "status", "--porcelain"),
        "branch": git(folder, "status", "-sb").splitlines()[0],
        "staged": git(folder, "diff", "--cached"),
        "changed": git(folder, "diff"),
        "remote": git(folder, "remote", "-v"),
    }
