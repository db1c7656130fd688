"""The verb ``find``: files by name and time, and the files that use a blob, a tree or a pack.

Snapshots of the same things share most of their trees. What was found below a tree at a path is remembered, so a
tree is read once per path, however many snapshots have it there; for a tree in which nothing was found, no more than
its id is kept. What there is no room for is read again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, NamedTuple, Protocol

from pivori.engine.patterns import Pattern, Verdicts
from pivori.errors import PivoriError
from pivori.repository import (
    BlobKind,
    Node,
    PackId,
    Repository,
    demand_reachable,
    parse_moment,
    parse_time,
    raw_name,
)
from pivori.translation import N_

_SECOND: Final = 1_000_000_000
_ID_DIGITS: Final = 64
_ROOM: Final = 128 << 20
"""What may be remembered, in bytes as estimated: a hostile tree has endlessly many paths."""
_KEY_BYTES: Final = 400
_MATCH_BYTES: Final = 1500
_BLOB_BYTES: Final = 120

OnDamage = Callable[[bytes, PivoriError], None]


class NotAnId(PivoriError):
    """The text cannot be the id of a blob, a tree or a pack."""

    code = "not-an-id"
    message = N_("{text} is not the beginning of an id.")
    hint = N_("An id has up to 64 of the digits 0-9 and a-f.")
    exit_status = 2


class PackNotFound(PivoriError):
    """No pack in the index has such an id."""

    code = "pack-not-found"
    message = N_("The index has no pack {text}.")
    hint = N_("If the pack is there, `pivori repair index` makes it known again.")


class NotASearchTime(PivoriError):
    """The text of ``--oldest``, ``--newest`` or ``--time`` is not a time."""

    code = "not-a-time"
    message = N_("{text} is not a time.")
    hint = N_("Write 2025-11-08, or 2025-11-08T12:00.")
    exit_status = 2


class Match(NamedTuple):
    """What was found. ``object_type`` and ``object_id`` say for which blob or tree, when that was asked for.

    ``node`` is None for the root of a snapshot; ``parent_tree`` is the tree that lists the item.
    """

    path: bytes
    node: Node | None
    object_type: str = ""
    object_id: str = ""
    parent_tree: str = ""


class Criterion(Protocol):
    """What is looked for."""

    def matches(self, path: bytes, node: Node, tree: str) -> Sequence[Match]:
        """What of the item at ``path``, listed by ``tree``, is to be reported."""
        ...

    def root(self, tree: str) -> Sequence[Match]:
        """What of a snapshot's root itself is to be reported."""
        ...


class NamesAndTimes:
    """Items whose name fits a pattern and whose modification time lies between two moments (nanoseconds).

    Patterns are gitignore's, but for one point: a pattern with a slash in it, yet not in front, fits at any depth.
    Without patterns every name fits.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        ignore_case: bool = False,
        oldest_ns: int | None = None,
        newest_ns: int | None = None,
    ) -> None:
        self._ignore_case = ignore_case
        self._oldest_ns, self._newest_ns = oldest_ns, newest_ns
        self._any_name = not patterns
        texts = [text.lower() if ignore_case else text for text in patterns]
        self._verdicts = Verdicts([Pattern.parse(_at_any_depth(text)) for text in texts])

    def matches(self, path: bytes, node: Node, tree: str) -> Sequence[Match]:
        """The item itself, when it fits."""
        return (Match(path, node),) if self._fits_name(path, node) and self._fits_time(node) else ()

    def root(self, tree: str) -> Sequence[Match]:
        """The root has no name."""
        return ()

    def _fits_name(self, path: bytes, node: Node) -> bool:
        if self._any_name:
            return True
        text = path[1:].decode("utf-8", "surrogateescape")
        if self._ignore_case:
            text = text.lower()
        directory, slash, name = text.rpartition("/")
        return self._verdicts.decide(directory + slash, name, node.type == "dir") is True

    def _fits_time(self, node: Node) -> bool:
        if self._oldest_ns is None and self._newest_ns is None:
            return True
        mtime_ns = parse_time(node.mtime)
        too_old = self._oldest_ns is not None and mtime_ns < self._oldest_ns
        return not too_old and (self._newest_ns is None or mtime_ns <= self._newest_ns)


class UsersOfObjects:
    """Items that are made of certain blobs or trees, which are given by whole ids or by their first digits."""

    def __init__(self, blobs: Collection[str] = (), trees: Collection[str] = ()) -> None:
        self._blobs, self._blob_prefixes = _split(blobs)
        self._trees, self._tree_prefixes = _split(trees)

    def matches(self, path: bytes, node: Node, tree: str) -> Sequence[Match]:
        """One match for every object looked for that the item uses."""
        found = [
            Match(path, node, "blob", name, tree)
            for name in dict.fromkeys(node.content or ())
            if name in self._blobs or name.startswith(self._blob_prefixes)
        ]
        if node.subtree is not None and self._is_tree(node.subtree):
            found.append(Match(path, node, "tree", node.subtree, tree))
        return found

    def root(self, tree: str) -> Sequence[Match]:
        """The root, when its tree is looked for."""
        return (Match(b"/", None, "tree", tree),) if self._is_tree(tree) else ()

    def _is_tree(self, tree: str) -> bool:
        return tree in self._trees or tree.startswith(self._tree_prefixes)


@dataclass(frozen=True)
class _Below:
    """Stands for what was found in a directory, where matches are remembered."""

    key: tuple[str, bytes]


_Found = list[Match | _Below]


@dataclass
class _Frame:
    """A directory that is being looked through; ``found`` is None when something in it could not be remembered."""

    key: tuple[str, bytes]
    nodes: Iterator[Node]
    found: _Found | None

    def note(self, found: Iterable[Match | _Below]) -> None:
        if self.found is not None:
            self.found.extend(found)


class Search:
    """Looks for one criterion in many snapshots."""

    def __init__(self, repository: Repository, criterion: Criterion, *, on_damage: OnDamage, room: int = _ROOM) -> None:
        """``room`` limits the memory for what is remembered, in bytes."""
        self._room = room
        self._repository = repository
        self._criterion = criterion
        self._on_damage = on_damage
        self._known: dict[tuple[str, bytes], _Found | None] = {}

    def find(self, tree: str) -> Iterator[Match]:
        """The matches in a snapshot with this root tree, a directory before what is in it."""
        yield from self._criterion.root(tree)
        if (tree, b"") in self._known:
            yield from self._again((tree, b""))
            return
        stack = [self._frame((tree, b""), 0)]
        while stack:
            frame = stack[-1]
            node = next(frame.nodes, None)
            if node is None:
                stack.pop()
                self._remember(frame, stack)
                continue
            path = frame.key[1] + b"/" + raw_name(node)
            matches = self._criterion.matches(path, node, frame.key[0])
            frame.note(matches)
            yield from matches
            if node.subtree is None or node.type != "dir":
                continue
            below = node.subtree, path
            if below not in self._known:
                stack.append(self._frame(below, len(stack)))
            elif self._known[below]:
                frame.note([_Below(below)])
                yield from self._again(below)

    def _remember(self, frame: _Frame, above: Sequence[_Frame]) -> None:
        """Keep what was found in a directory, if there is room; else its parent cannot be remembered either."""
        found = frame.found
        size = _KEY_BYTES + len(frame.key[1]) + sum(map(_size, found or ()))
        if found is None or size > self._room:
            if above:
                above[-1].found = None
            return
        self._room -= size
        self._known[frame.key] = found or None
        if found and above:
            above[-1].note([_Below(frame.key)])

    def _frame(self, key: tuple[str, bytes], levels: int) -> _Frame:
        try:
            demand_reachable(levels, key[1])
            nodes = self._repository.read_tree(key[0])
        except PivoriError as error:
            self._on_damage(key[1] or b"/", error)
            nodes = []
        return _Frame(key, iter(nodes), [])

    def _again(self, key: tuple[str, bytes]) -> Iterator[Match]:
        """What was found in a directory when it was read."""
        stack = [iter(self._known[key] or ())]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
            elif isinstance(item, _Below):
                stack.append(iter(self._known[item.key] or ()))
            else:
                yield item


def _size(found: Match | _Below) -> int:
    """About what it takes in memory."""
    if isinstance(found, _Below):
        return _KEY_BYTES
    content = found.node.content or () if found.node is not None else ()
    return _MATCH_BYTES + len(found.path) + _BLOB_BYTES * len(content)


def users_of_packs(repository: Repository, texts: Sequence[str]) -> UsersOfObjects:
    """The criterion for everything that lies in packs, which are given by their first digits.

    Raises PackNotFound and NotAnId.
    """
    prefixes = [checked_id(text) for text in texts]
    packs = {pack.hex() for pack in repository.index.packs()}
    wanted: set[PackId] = set()
    for prefix in prefixes:
        fitting = {PackId(bytes.fromhex(pack)) for pack in packs if pack.startswith(prefix)}
        if not fitting:
            raise PackNotFound(text=prefix)
        wanted |= fitting
    content: dict[BlobKind, set[str]] = {BlobKind.DATA: set(), BlobKind.TREE: set()}
    for table in repository.index.tables:
        numbers = {number for number in range(table.pack_count) if table.pack(number) in wanted}
        if numbers:
            for kind, blob, pack, *_lengths in table.rows():
                if pack in numbers:
                    content[kind].add(blob.hex())
    return UsersOfObjects(blobs=content[BlobKind.DATA], trees=content[BlobKind.TREE])


def checked_id(text: str) -> str:
    """An id or its first digits, in small letters. Raises NotAnId."""
    digits = text.lower()
    if not 0 < len(digits) <= _ID_DIGITS or digits.strip("0123456789abcdef"):
        raise NotAnId(text=text)
    return digits


def parse_oldest(text: str, *, zone: tzinfo | None = None) -> int:
    """The first nanosecond of what a text names: of a day, a minute or a second. Raises NotASearchTime."""
    has_clock = ":" in text
    last = _moment(text if has_clock else f"{text}T00:00", text, zone)
    return last if "." in text else last // _SECOND * _SECOND


def parse_newest(text: str, *, zone: tzinfo | None = None) -> int:
    """The last nanosecond of what a text names: of a day or a second; a minute is its beginning.

    Raises NotASearchTime.
    """
    return _moment(text, text, zone)


def _moment(text: str, shown: str, zone: tzinfo | None) -> int:
    try:
        return parse_moment(text, zone=zone)
    except PivoriError:
        raise NotASearchTime(text=shown) from None


def _at_any_depth(text: str) -> str:
    negation, body = ("!", text[1:]) if text.startswith("!") else ("", text)
    if "/" in body.rstrip("/") and not body.startswith(("/", "**/")):
        body = f"**/{body}"
    return negation + body


def _split(ids: Collection[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Whole ids, and the beginnings of ids."""
    whole = frozenset(each for each in ids if len(each) == _ID_DIGITS)
    return whole, tuple(each for each in ids if len(each) != _ID_DIGITS)
