"""Putting a restored tree where another one is: what is replaced is moved aside, and back when anything fails.

The new tree is complete before anything is moved; then every part takes two renames. What was there lies below
``NAME.before-<time>`` afterwards, beside the tree, under its own path; nothing is ever deleted.
"""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pivori.engine.archive.placing import sync_directory
from pivori.errors import PivoriError
from pivori.translation import N_


class SwapFailed(PivoriError):
    """The restored tree could not be put in place; everything is as it was."""

    code = "swap-failed"
    message = N_("The restored files could not be put in place at {path}: {reason}. Everything is as it was before.")
    hint = N_("Check who uses the directory and whether it is a mount point; --target restores elsewhere.")


class PutBackFailed(PivoriError):
    """Something failed, and what had been moved aside could not all be moved back."""

    code = "put-back-failed"
    message = N_("Something failed, and {path} could not be moved back from {aside}: {reason}.")
    hint = N_("Move it back by hand; nothing was deleted.")


@dataclass(kw_only=True)
class Swap:
    """The exchange of parts of the tree ``live`` for those of ``staged``; ``aside`` is where the old parts go.

    A part is a path relative to the tree; ``b""`` is the whole of it.
    """

    live: Path
    staged: Path
    aside: Path
    _moved: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def has_moved_aside(self) -> bool:
        """Whether something was there that is aside now."""
        return os.path.lexists(self.aside)

    def run(self, parts: list[bytes], carried: list[bytes]) -> None:
        """Exchange the parts; ``carried`` files stay where they are. Raises SwapFailed, PutBackFailed."""
        try:
            for part in parts:
                self._exchange(part)
            self.carry(carried)
        except OSError as error:
            self.put_back()
            raise SwapFailed(path=str(self.live), reason=error.strerror or str(error)) from None
        except BaseException:
            self.put_back()
            raise
        sync_directory(self.live.parent)

    def _exchange(self, part: bytes) -> None:
        live, aside, staged = (_at(place, part) for place in (self.live, self.aside, self.staged))
        parent = os.path.dirname(live)
        if part and not _is_plain_directory(self.live, os.path.dirname(part)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), parent)
        if os.path.lexists(live):
            self._make_above(part)
            self._move(live, aside)
        if os.path.lexists(staged):
            self._move(staged, live)

    def carry(self, paths: list[bytes]) -> None:
        """Move files that belong to the place, not to the tree, from what is aside to the new tree. Raises OSError."""
        for path in paths:
            source, destination = _at(self.aside, path), _at(self.live, path)
            if os.path.lexists(source) and not os.path.lexists(destination):
                os.makedirs(os.path.dirname(destination), exist_ok=True)
                self._move(source, destination)

    def _make_above(self, part: bytes) -> None:
        """Make the directories aside that lead to a part, for their owner alone."""
        above = self.aside if part else self.aside.parent
        os.makedirs(_at(above, os.path.dirname(part)), mode=0o700, exist_ok=True)

    def _move(self, source: bytes, destination: bytes) -> None:
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
        os.rename(source, destination)
        self._moved.append((source, destination))

    def put_back(self) -> None:
        """Undo every move, the last first. Raises PutBackFailed after having undone what could be."""
        failed: PutBackFailed | None = None
        while self._moved:
            source, destination = self._moved.pop()
            try:
                os.rename(destination, source)
            except OSError as error:
                reason = error.strerror or str(error)
                failed = PutBackFailed(path=os.fsdecode(source), aside=os.fsdecode(destination), reason=reason)
        if failed is not None:
            raise failed
        self._remove_empty(self.aside)

    @staticmethod
    def _remove_empty(top: Path) -> None:
        """Remove the directories that were made to hold what is back in its place."""
        if not top.is_dir() or top.is_symlink():
            return
        for directory, _names, _files in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(directory)


def aside_name(name: str, stamp: str) -> str:
    """What a tree is called that another one has replaced."""
    return f"{name}.before-{stamp}"


def staged_name(name: str, stamp: str) -> str:
    """What a tree is called that is being restored, before it takes its place."""
    return f".{name}.restoring-{stamp}"


def stamp_of_staged(name: str, tree: str) -> str | None:
    """The moment in the name of a tree that is being restored to take the place of ``tree``; None for another name."""
    found = re.fullmatch(re.escape(staged_name(tree, "")) + "([0-9]{8}-[0-9]{6})", name)
    return found[1] if found else None


def _at(place: Path, part: bytes) -> bytes:
    return os.path.join(os.fsencode(place), part) if part else os.fsencode(place)


def _is_plain_directory(root: Path, part: bytes) -> bool:
    """Whether every directory from the root down to ``part`` is one, and no link to one."""
    path = os.fsencode(root)
    for name in part.split(b"/") if part else ():
        path = os.path.join(path, name)
        if os.path.islink(path) or not os.path.isdir(path):
            return False
    return os.path.isdir(path)


def parts_to_swap(live: Path, selected: list[bytes], partial: set[bytes]) -> list[bytes]:
    """The parts to exchange, given the selected paths: the topmost of them, or what lacks above them.

    ``partial`` are directories of which not everything is selected: these are never exchanged where they exist.
    """
    parts: set[bytes] = set()
    for path in sorted(selected):
        if path in partial and os.path.lexists(_at(live, path)):
            continue
        part, above = path, os.path.dirname(path)
        covered = part in parts
        while above and not covered:
            covered = above in parts
            if not os.path.lexists(_at(live, above)):
                part = above
            above = os.path.dirname(above)
        if not covered:
            parts.add(part)
    return sorted(parts)


def children(place: Path, besides: set[bytes]) -> set[bytes]:
    """The names in a directory but for some."""
    return set(os.listdir(os.fsencode(place))) - besides
