"""What a restore from an archive is about to do, decided and checked before anything is written."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from pivori.archives.checksum import SUFFIX
from pivori.archives.members import colliding
from pivori.archives.naming import parse_name
from pivori.engine.archive.in_place import aside_name, children, parts_to_swap, staged_name
from pivori.engine.archive.opening import NO_KEYS, Keys
from pivori.engine.archive.planning import OWN_ARCHIVES
from pivori.engine.archive.tree import ArchiveTree, Item
from pivori.engine.selection import Selection
from pivori.entries import EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_

_MOUNT_LEFTOVER: Final = b"lost+found"


class NothingSelected(PivoriError):
    """No member fits what was asked for."""

    code = "nothing-selected"
    message = N_("{archive} holds nothing that fits {patterns}.")
    hint = N_("List what it holds with `pivori archive show --files`.")


class TargetNotEmpty(PivoriError):
    """The target holds something already, and nobody said that it may be replaced."""

    code = "target-not-empty"
    message = N_("{path} is not empty, so nothing is restored into it.")
    hint = N_("Choose an empty directory, or add --replace: what is there is then moved aside, not deleted.")


class NoRootKnown(PivoriError):
    """An archive does not say where it came from."""

    code = "no-root-known"
    message = N_("{archive} does not say which directory it was made of.")
    hint = N_("Say where to restore: --target DIRECTORY, with --replace if something is there.")


class NamesCollide(PivoriError):
    """The target's file system takes two names for one."""

    code = "names-collide"
    message = N_("{first} and {second} cannot both be restored to {path}: it does not tell capitals or accents apart.")
    hint = N_("Restore to a file system that does.")


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """What to restore from an archive, and where.

    ``target`` gets the tree; with ``replace`` what is there is moved aside. ``include`` are patterns as in
    .gitignore, read from the tree's root. ``before`` and ``after`` are command lines for the shell. ``moment`` names
    what is moved aside.
    """

    path: Path
    target: Path
    moment: datetime
    replace: bool = False
    include: Sequence[str] = ()
    base: Path | None = None
    keys: Keys = NO_KEYS
    before: str | None = None
    after: str | None = None
    keep_restored: bool = False
    keep_going: bool = False
    allow_large: bool = False
    owners_by_name: bool = False
    workers: int = 1


class Action(StrEnum):
    """A step of a restore."""

    CREATE = "create"
    MOVE_ASIDE = "move-aside"
    PUT_IN_PLACE = "put-in-place"
    RUN = "run"


class Step(NamedTuple):
    """A step: what, to which path (or command line), how many bytes of content, and where it goes."""

    action: Action
    path: bytes
    size: int = 0
    destination: bytes = b""


@dataclass(frozen=True, kw_only=True)
class RestorePlan:
    """What will be done. ``parts`` are exchanged when a tree is replaced; ``carried`` files stay in their place."""

    request: RestoreRequest
    items: Sequence[Item]
    is_whole: bool
    is_mount: bool
    replaces: bool
    parts: Sequence[bytes]
    carried: Sequence[bytes]
    staged: Path
    aside: Path

    @cached_property
    def files(self) -> int:
        """How many names of files there are to restore."""
        return sum(item.entry.kind is EntryKind.FILE for item in self.items)

    @cached_property
    def bytes(self) -> int:
        """How much content there is to write."""
        return sum(item.entry.size for item in self.items if item.entry.hard_link is None)

    @cached_property
    def room(self) -> int:
        """How much of it takes room for certain: what has holes may take none."""
        entries = (item.entry for item in self.items)
        return sum(entry.size for entry in entries if entry.hard_link is None and not entry.is_sparse)

    def steps(self) -> Iterator[Step]:
        """The steps, in their order, for people."""
        request = self.request
        target = os.fsencode(request.target)
        if request.before and not self.replaces:
            yield Step(Action.RUN, request.before.encode())
        for item in self.items:
            yield Step(Action.CREATE, item.entry.path or b".", item.entry.size)
        if request.before and self.replaces:
            yield Step(Action.RUN, request.before.encode())
        for part in self.parts:
            live = os.path.join(target, part) if part else target
            if os.path.lexists(live):
                aside = os.fsencode(self.aside)
                yield Step(Action.MOVE_ASIDE, live, destination=os.path.join(aside, part) if part else aside)
            yield Step(Action.PUT_IN_PLACE, live)
        if request.after:
            yield Step(Action.RUN, request.after.encode())


def plan_restore(tree: ArchiveTree, request: RestoreRequest) -> RestorePlan:
    """Decide what is restored and how. Raises NothingSelected, TargetNotEmpty, BadPattern, NamesCollide."""
    items, partial = _selected(tree, request)
    target = request.target
    there = os.path.lexists(target)
    holds_something = there and (not target.is_dir() or bool(os.listdir(target)))
    if holds_something and not request.replace:
        raise TargetNotEmpty(path=str(target))
    is_mount = there and os.path.ismount(target)
    staged, aside = _places_beside(target, target if is_mount else target.parent, request.moment)
    is_whole = not request.include
    replaces = request.replace and holds_something
    parts: list[bytes] = []
    if replaces and is_whole and not is_mount:
        parts = [b""]
    elif replaces and is_whole:
        ours = {os.fsencode(staged.name), os.fsencode(aside.name), _MOUNT_LEFTOVER}
        parts = sorted(children(target, ours) | {item.entry.path.split(b"/")[0] for item in items if item.entry.path})
    elif replaces:
        parts = parts_to_swap(target, [item.entry.path for item in items if item.entry.path], partial)
    return RestorePlan(
        request=request,
        items=items,
        is_whole=is_whole,
        is_mount=is_mount,
        replaces=replaces,
        parts=parts,
        carried=_own_archives(tree, target) if replaces and is_whole else [],
        staged=staged,
        aside=aside,
    )


def _places_beside(target: Path, place: Path, moment: datetime) -> tuple[Path, Path]:
    """Where the new tree is made and where the old one goes; with a later second if that one was used before."""
    while True:
        stamp = f"{moment:%Y%m%d-%H%M%S}"
        aside = place / aside_name(target.name, stamp)
        if not os.path.lexists(aside):
            return place / staged_name(target.name, stamp), aside
        moment += timedelta(seconds=1)


def _selected(tree: ArchiveTree, request: RestoreRequest) -> tuple[list[Item], set[bytes]]:
    """The wanted items with the directories that lead to them; and the directories that are not wanted whole."""
    if not request.include:
        return list(tree.items), set()
    selection = Selection(request.include)
    wanted: set[bytes] = set()
    partial: set[bytes] = {b""}
    links = {}
    for item in tree.items:
        entry = item.entry
        names = entry.path.split(b"/") if entry.path else []
        if names and selection.decide(names, entry.kind is EntryKind.DIRECTORY).selected:
            wanted.add(entry.path)
            if entry.hard_link is not None:
                links[entry.path] = entry.hard_link
        else:
            partial.update(_above(entry.path))
            partial.add(entry.path)
    if not wanted:
        raise NothingSelected(archive=str(request.path), patterns=", ".join(request.include))
    leading = {above for path in wanted for above in _above(path)}
    items = [item for item in tree.items if item.entry.path in wanted or item.entry.path in leading]
    return _with_first_names(tree, items, wanted, links), partial | (leading - wanted)


def _with_first_names(
    tree: ArchiveTree, items: list[Item], wanted: set[bytes], links: dict[bytes, bytes]
) -> list[Item]:
    """The items, in which a wanted name of a file whose first name is not wanted takes over its content."""
    missing = {first for first in links.values() if first not in wanted}
    if not missing:
        return items
    first_items = {item.entry.path: item for item in tree.items if item.entry.path in missing}
    heirs: dict[bytes, bytes] = {}
    found = []
    for item in items:
        first = item.entry.hard_link
        if first in missing and first is not None:
            original = first_items[first]
            heir = heirs.setdefault(first, item.entry.path)
            is_heir = heir == item.entry.path
            entry = structs.replace(original.entry, path=item.entry.path, hard_link=None if is_heir else heir)
            item = Item(entry, original.source, original.member if is_heir else item.member)
        found.append(item)
    return found


def _above(path: bytes) -> Iterator[bytes]:
    """The directories above a path, without the root."""
    while path := path.rpartition(b"/")[0]:
        yield path


def _own_archives(tree: ArchiveTree, live: Path) -> list[bytes]:
    """The archives that lie inside the tree that is replaced: they belong to the place, not to the tree."""
    folders = {each.path_raw or each.path.encode() for each in tree.omitted if each.rule == OWN_ARCHIVES}
    for archive in tree.archives:
        inside = os.path.relpath(os.path.realpath(archive.path.parent), os.path.realpath(live))
        if not inside.startswith(".."):
            folders.add(b"" if inside == "." else os.fsencode(inside))
    found = []
    for folder in sorted(folders):
        place = os.path.join(os.fsencode(live), folder)
        if not os.path.isdir(place) or os.path.islink(place):
            continue
        for name in sorted(os.listdir(place)):
            if parse_name(os.fsdecode(name).removesuffix(SUFFIX)) is not None:
                found.append(folder + b"/" + name if folder else name)
    return found


def check_names(plan: RestorePlan, place: Path) -> None:
    """Refuse names that ``place``, a directory that can be written to, cannot tell apart. Raises NamesCollide."""
    found = colliding(item.entry.path for item in plan.items)
    if found is None:
        return
    probe = os.path.join(os.fsencode(place), b".pivori-Capitals")
    os.mkdir(probe)
    try:
        is_same = os.path.lexists(probe.lower())
    finally:
        os.rmdir(probe)
    if is_same:
        raise NamesCollide(first=found[0], second=found[1], path=str(plan.request.target))
