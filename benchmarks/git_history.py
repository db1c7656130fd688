"""A git repository with a long history, made up: nothing in it depends on the machine or the day."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

COMMITS = 2_000
FILES = 5_000
LINES = 40
BEGINNING = 1_700_000_000


def make_repository(folder: Path, commits: int = COMMITS, files: int = FILES) -> None:
    """A repository with `commits` commits, the last of which has `files` files, all of them in the work tree."""
    folder.mkdir(parents=True)
    git = ["git", "-C", str(folder), "-c", "core.autocrlf=false"]
    subprocess.run([*git, "init", "-q", "--initial-branch=main", "--template="], check=True)
    subprocess.run([*git, "fast-import", "--quiet"], input=b"".join(history(commits, files)), check=True)
    subprocess.run([*git, "reset", "-q", "--hard", "main"], check=True)
    # Git reads files again that are as young as its index, and nobody backs up only within that second.
    for number in range(files):
        os.utime(folder / path_of(number), (BEGINNING, BEGINNING))
    subprocess.run([*git, "update-index", "-q", "--refresh"], check=True)


def history(commits: int, files: int) -> Iterator[bytes]:
    """The stream for `git fast-import`: every commit adds its share of the files and changes an earlier one."""
    for number in range(commits):
        first, end = number * files // commits, (number + 1) * files // commits
        yield b"commit refs/heads/main\n"
        yield f"committer Bench <bench@localhost> {BEGINNING + 600 * number} +0000\n".encode()
        yield data(f"Change {number}\n".encode())
        changed = [number * 7919 % first] if first else []
        for each in (*range(first, end), *changed):
            yield f"M 100644 inline {path_of(each)}\n".encode()
            yield data(content(each, number))
    yield b"done\n"


def path_of(number: int) -> str:
    """Where a file lies: fifty in a folder, twenty folders in one."""
    return f"part-{number // 1000:02}/folder-{number // 50 % 20:02}/file-{number:05}.txt"


def content(number: int, commit: int) -> bytes:
    """The content of a file as of a commit: all lines its own, the first that of the commit."""
    lines = [f"file {number}, commit {commit}"]
    lines += [hashlib.sha256(f"{number} {line}".encode()).hexdigest() for line in range(number % LINES + 1)]
    return "\n".join([*lines, ""]).encode()


def data(text: bytes) -> bytes:
    """A text as `git fast-import` wants it."""
    return b"data %d\n%b\n" % (len(text), text)
