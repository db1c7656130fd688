"""The verb ``dump``: a file as its bytes, a directory as a tar archive, both as a stream.

No file is ever whole in memory, however large, and the same snapshot always gives the same bytes. A file of which
something is missing from the index is left out and reported. One that turns out damaged half-way has been announced
with its length by then, so its damaged part is filled with zeros, and reported.
"""

import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pivori.archives.tar_format import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    TarEntry,
    header,
    padding,
    trailer,
)
from pivori.engine.listing import Entry, walk
from pivori.engine.read_ahead import read_ahead
from pivori.errors import PivoriError
from pivori.repository import BlobId, BlobKind, BlobMissing, Node, Repository, link_target, parse_time, unix_mode
from pivori.translation import N_

OnProblem = Callable[[bytes, PivoriError], None]

_KINDS: Final = {
    "file": REGULAR,
    "dir": DIRECTORY,
    "symlink": SYMBOLIC_LINK,
    "dev": BLOCK_DEVICE,
    "chardev": CHARACTER_DEVICE,
    "fifo": FIFO,
}
_ZEROS: Final = bytes(1 << 20)


class NotAFile(PivoriError):
    """What is asked for is neither a file nor a directory."""

    code = "not-a-file"
    message = N_("{path} is neither a file nor a directory, so it has no content.")
    hint = N_("Restore it with `pivori restore`, or dump the directory it is in.")


class LinkHasNoContent(NotAFile):
    """What is asked for is a symbolic link."""

    message = N_("{path} is a symbolic link to {target}, so it has no content of its own.")
    hint = N_("Dump what it points to, by its own path in the snapshot.")


class LeftOutOfArchive(PivoriError):
    """A tar archive cannot hold sockets. Nothing is lost: nobody listens at a socket that was brought back."""

    code = "left-out-of-archive"
    message = N_("A socket cannot be in a tar archive.")


def export_file(repository: Repository, node: Node, path: bytes) -> Iterator[bytes]:
    """The content of a file, piece by piece; ``path`` is what it is called in errors.

    Raises NotAFile, and at once what keeps a piece from being read.
    """
    if node.type == "symlink":
        raise LinkHasNoContent(path=path, target=link_target(node))
    if node.type != "file":
        raise NotAFile(path=path)
    for content in read_ahead(repository, map(_blob, node.content or ())):
        if isinstance(content, PivoriError):
            raise content
        yield content


def export_tree(
    repository: Repository, tree: str, directory: Entry | None, *, on_problem: OnProblem
) -> Iterator[bytes]:
    """The tar archive of a directory with everything below it, piece by piece.

    ``directory`` is its entry, None for the root; names in the archive are paths from the root, without the slash in
    front. ``on_problem`` hears, with the path, what is not in the archive as it should be.
    """
    archive = _Archive(repository, on_problem)
    size = 0
    for piece in archive.pieces(read_ahead(repository, archive.plan(tree, directory))):
        size += len(piece)
        yield piece
    yield trailer(size)


class WrongLength(PivoriError):
    """The index gives another length for a blob than it has."""

    code = "wrong-length"
    message = N_("The index gives a wrong length for a part of the file.")
    hint = N_("Run `pivori repair index`: it makes the index anew from the packs.")


class _Start(NamedTuple):
    """Where an entry begins in the stream; its blobs follow."""

    path: bytes
    entry: TarEntry
    lengths: list[int]


class _Seen(NamedTuple):
    """A file with several names: the first of them, and how many are still to come."""

    name: bytes
    node: Node
    left: int


class _Archive:
    """One export: what goes in, in which order, and the bytes of it."""

    def __init__(self, repository: Repository, on_problem: OnProblem) -> None:
        self._repository = repository
        self._on_problem = on_problem
        self._links: dict[tuple[int, int], _Seen] = {}

    def plan(self, tree: str, directory: Entry | None) -> Iterator[_Start | BlobId]:
        """The start of each entry, and the blobs of its content behind it."""
        above = b""
        if directory is not None:
            above = directory.path
            yield _Start(above, _entry(directory, DIRECTORY), [])
        for item in walk(self._repository, tree, on_damage=self._on_problem, above=above):
            kind = _KINDS.get(item.node.type)
            if kind is None:
                self._on_problem(item.path, LeftOutOfArchive())
                continue
            try:
                start = self._start(item, kind)
            except BlobMissing as error:
                self._on_problem(item.path, error)
                continue
            yield start
            if start.lengths:
                yield from map(_blob, item.node.content or ())

    def _start(self, item: Entry, kind: int) -> _Start:
        node = item.node
        # First of all: a file that has to be left out must not become the one that others are links to.
        lengths = [self._length(_blob(name)) for name in node.content or ()] if kind == REGULAR else []
        first = self._earlier_name(item) if node.links > 1 and node.inode and kind != DIRECTORY else None
        if first is not None:
            return _Start(item.path, _entry(item, HARD_LINK, target=first), [])
        target = link_target(node) if kind == SYMBOLIC_LINK else b""
        return _Start(item.path, _entry(item, kind, target=target, size=sum(lengths)), lengths)

    def _earlier_name(self, item: Entry) -> bytes | None:
        """The name under which the same file is in the archive already; None when this is the first one."""
        node, key = item.node, (item.node.device_id, item.node.inode)
        seen = self._links.get(key)
        if seen is None or seen.node.type != node.type or seen.node.content != node.content:
            self._links[key] = _Seen(item.path[1:], node, node.links - 1)
            return None
        if seen.left > 1:
            self._links[key] = seen._replace(left=seen.left - 1)
        else:
            del self._links[key]
        return seen.name

    def _length(self, blob: BlobId) -> int:
        length = self._repository.index.content_length(BlobKind.DATA, blob)
        if length is None:
            raise BlobMissing(kind=BlobKind.DATA.word, id=blob.hex())
        return length

    def pieces(self, stream: Iterator[_Start | bytes | PivoriError]) -> Iterator[bytes]:
        """The bytes of the entries whose starts and contents come in a stream."""
        for start in stream:
            if not isinstance(start, _Start):
                continue  # cannot be: every content is taken by the loop below
            yield header(start.entry)
            for length in start.lengths:
                yield from self._sound(start.path, next(stream), length)
            yield padding(start.entry.size)

    def _sound(self, path: bytes, content: _Start | bytes | PivoriError, length: int) -> Iterator[bytes]:
        """The content, or zeros for what cannot be read."""
        if isinstance(content, bytes) and len(content) == length:
            yield content
            return
        self._on_problem(path, content if isinstance(content, PivoriError) else WrongLength())
        while length > 0:
            yield _ZEROS[:length]
            length -= len(_ZEROS)


def _entry(item: Entry, kind: int, *, target: bytes = b"", size: int = 0) -> TarEntry:
    node = item.node
    return TarEntry(
        name=item.path[1:],
        kind=kind,
        mode=unix_mode(node.mode),
        uid=node.uid,
        gid=node.gid,
        user=node.user,
        group=node.group,
        mtime_ns=parse_time(node.mtime),
        size=size,
        target=target,
        device=node.device,
        attributes=[(os.fsencode(each.name), each.value or b"") for each in node.extended_attributes],
    )


def _blob(name: str) -> BlobId:
    return BlobId(bytes.fromhex(name))
