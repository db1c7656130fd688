"""What a snapshot holds: a walk through its trees, and the verb ``ls``.

The walk is iterative and keeps one directory per level, so the size of a snapshot costs no more than what is being
looked at, and its depth is bounded; entries come as they are read.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from pivori.engine.restore.items import find_subtree
from pivori.errors import PivoriError
from pivori.repository import Node, Repository, demand_reachable, parse_time, raw_name


class Entry(NamedTuple):
    """One item of a snapshot; ``path`` is seen from the top of what is listed: ``/a/b``."""

    path: bytes
    node: Node


class Order(StrEnum):
    """How a listing is sorted. NAME is the order of the trees, the only one that needs no memory."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


OnDamage = Callable[[bytes, PivoriError], None]
"""Hears of a directory that cannot be read or lies too deep: its path and why; the walk goes on without it."""

_KEYS: dict[Order, Callable[[Entry], int]] = {
    Order.SIZE: lambda entry: -entry.node.size,
    Order.TIME: lambda entry: -parse_time(entry.node.mtime),
}


def everything(_path: bytes) -> bool:
    """The answer of a walk that goes into every directory."""
    return True


def walk(
    repository: Repository,
    tree: str,
    *,
    on_damage: OnDamage,
    above: bytes = b"",
    enter: Callable[[bytes], bool] = everything,
) -> Iterator[Entry]:
    """Every item below ``tree``, a directory before what is in it. ``above`` is the path of the tree itself.

    ``enter`` is asked whether to go into the directory at a path.
    """
    stack = [(iter(_read(repository, tree, above, 0, on_damage)), above)]
    while stack:
        nodes, directory = stack[-1]
        node = next(nodes, None)
        if node is None:
            stack.pop()
            continue
        path = directory + b"/" + raw_name(node)
        yield Entry(path, node)
        if node.subtree is not None and node.type == "dir" and enter(path):
            stack.append((iter(_read(repository, node.subtree, path, len(stack), on_damage)), path))


def _read(repository: Repository, tree: str, path: bytes, levels: int, on_damage: OnDamage) -> list[Node]:
    try:
        demand_reachable(levels, path)
        return repository.read_tree(tree)
    except PivoriError as error:
        on_damage(path or b"/", error)
        return []


def list_paths(
    repository: Repository, tree: str, paths: Iterable[bytes], *, recursive: bool, on_damage: OnDamage
) -> Iterator[Entry]:
    """What ``ls`` shows: everything below ``tree``, or each of ``paths`` and what is directly in it.

    With ``recursive``, everything below the paths too. Raises PathNotInSnapshot before anything else is listed.
    """
    wanted = [_tidy(path) for path in paths]
    found = [(path, *find_subtree(repository, tree, path)) for path in wanted]
    if not wanted:
        yield from walk(repository, tree, on_damage=on_damage)
    for path, subtree, node in found:
        if node is not None:
            yield Entry(path, node)
        if node is None or node.type == "dir":
            enter = everything if recursive else _nothing
            yield from walk(repository, subtree, above=path, on_damage=on_damage, enter=enter)


def _nothing(_path: bytes) -> bool:
    return False


def _tidy(path: bytes) -> bytes:
    """``/a/b``, or nothing for the root."""
    return b"".join(b"/" + name for name in path.split(b"/") if name and name != b".")


def sort_entries(entries: Iterable[Entry], order: Order, *, reverse: bool = False) -> Iterable[Entry]:
    """The entries sorted: the largest or the newest first, those alike by path; ``reverse`` turns that round.

    By name they pass as they come, unless reversed.
    """
    if order is Order.NAME:
        return reversed(list(entries)) if reverse else entries
    key = _KEYS[order]
    return sorted(sorted(entries, key=lambda entry: entry.path), key=key, reverse=reverse)
