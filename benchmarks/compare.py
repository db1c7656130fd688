"""Compares two trees: names, kinds, permissions, modification times, link targets and every byte."""

from __future__ import annotations

import os
import stat
from pathlib import Path

CHUNK = 1 << 20
MOST = 20
"""Differences that are told before the comparison stops."""


def differences(original: Path, restored: Path, *, whole_seconds: bool = False) -> list[str]:
    """What differs, one sentence each, at most MOST; an empty list means that the trees are equal."""
    if not restored.is_dir():
        return [f"{restored} is not there"]
    found: list[str] = []
    waiting = [b""]
    left_root, right_root = os.fsencode(original), os.fsencode(restored)
    while waiting and len(found) < MOST:
        relative = waiting.pop()
        left, right = os.path.join(left_root, relative), os.path.join(right_root, relative)
        names = set(os.listdir(left))
        if extra := names.symmetric_difference(os.listdir(right)):
            found.append(f"{show(relative)}: only on one side: {', '.join(map(show, sorted(extra)[:5]))}")
        for name in sorted(names - extra if extra else names):
            path = os.path.join(relative, name)
            problem, is_directory = entry_differs(os.path.join(left, name), os.path.join(right, name), whole_seconds)
            if problem:
                found.append(f"{show(path)}: {problem}")
            elif is_directory:
                waiting.append(path)
    return found[:MOST]


def entry_differs(left: bytes, right: bytes, whole_seconds: bool) -> tuple[str, bool]:
    """What differs between two entries ("" for nothing), and whether they are directories."""
    first, second = os.lstat(left), os.lstat(right)
    is_directory = stat.S_ISDIR(first.st_mode)
    if first.st_mode != second.st_mode:
        return f"mode {first.st_mode:o} became {second.st_mode:o}", is_directory
    if stat.S_ISLNK(first.st_mode):
        return ("" if os.readlink(left) == os.readlink(right) else "another link target"), False
    if times(first, whole_seconds) != times(second, whole_seconds):
        return f"time {first.st_mtime_ns} became {second.st_mtime_ns}", is_directory
    if stat.S_ISREG(first.st_mode):
        if first.st_size != second.st_size:
            return f"length {first.st_size} became {second.st_size}", False
        if not same_bytes(left, right):
            return "other bytes", False
    return "", is_directory


def times(status: os.stat_result, whole_seconds: bool) -> int:
    """The modification time, as exactly as the tool keeps it."""
    return status.st_mtime_ns // 1_000_000_000 if whole_seconds else status.st_mtime_ns


def same_bytes(left: bytes, right: bytes) -> bool:
    """Whether two files of one length have the same bytes."""
    with open(left, "rb", buffering=0) as first, open(right, "rb", buffering=0) as second:
        while True:
            chunk = first.read(CHUNK)
            if chunk != second.read(CHUNK):
                return False
            if not chunk:
                return True


def show(name: bytes) -> str:
    """A name as it can be printed."""
    return os.fsdecode(name).encode(errors="backslashreplace").decode() or "."
