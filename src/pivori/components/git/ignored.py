"""What git ignores is not captured, and so it is not replaced: it goes from the old work tree into the new one."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pivori.host.git import Git


def carry_ignored(target: Path, old: Path, within: str, submodules: Sequence[str]) -> list[str]:
    """Move the ignored files of ``old``, which was the folder ``within`` the work tree, to where they were.

    What could not be moved (another volume is mounted there, say) comes back. Raises GitFailed, OSError.
    """
    names = b"".join(os.fsencode(name) + b"\0" for name in _names(old, within, submodules))
    if not names:
        return []
    _status, output = Git(os.fsencode(target)).ask("check-ignore", "-z", "--stdin", stdin=names)
    left = []
    for raw in output.split(b"\0"):
        name = os.fsdecode(raw)
        place = target / name
        if not name or os.path.lexists(place):
            continue
        source = old / os.path.relpath(name, within or ".")
        try:
            _make_folders(target, old, name, within)
            source.rename(place)
        except OSError:
            left.append(str(source))
    return left


def _names(old: Path, within: str, submodules: Sequence[str]) -> Iterator[str]:
    """Everything that is no folder, by its path in the work tree; nothing of repositories in it."""
    for folder, folders, names in os.walk(old):
        inside = os.path.normpath(os.path.join(within, os.path.relpath(folder, old)))  # noqa: PTH118 - of many
        prefix = "" if inside == "." else f"{inside}/"
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 - one of very many
        folders[:] = [name for name in folders if name != ".git" and f"{prefix}{name}" not in submodules]
        yield from (f"{prefix}{name}" for name in (*names, *links) if name != ".git")


def _make_folders(target: Path, old: Path, name: str, within: str) -> None:
    """Make the folders above a file, with the owner and permissions that they had."""
    for folder in reversed(Path(name).parents[:-1]):
        place = target / folder
        if place.is_dir():
            continue
        place.mkdir(mode=0o700)
        facts = (old / os.path.relpath(folder, within or ".")).stat()
        with suppress(PermissionError):
            os.chown(place, facts.st_uid, facts.st_gid)
        shutil.copymode(old / os.path.relpath(folder, within or "."), place)
