"""Reads blobs in the order they are wanted, ahead of whoever wants them.

Blobs that lie close together in a pack are read with one request, and while the reader is busy with some, threads
fetch, open and decompress the next ones. Memory is bounded by a few windows of some megabytes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from pivori.errors import PivoriError
from pivori.repository import BlobId, BlobKind, BlobReader, PackId, Repository, WantedBlob, stretches

_WINDOW_BYTES: Final = 8 << 20
_WINDOW_ITEMS: Final = 4096
_WINDOWS_AHEAD: Final = 2
_THREADS: Final = 2

Mark = TypeVar("Mark")
Contents = dict[bytes, bytes | PivoriError]


class _Window:
    """Some blobs and marks that follow each other, and where the blobs lie."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self.size = 0
        self.packs: dict[PackId, dict[bytes, WantedBlob]] = {}

    def add_blob(self, repository: Repository, blob: BlobId) -> None:
        """Add a blob; one that is not indexed is found missing when its turn comes."""
        self.items.append(blob)
        location = repository.index.find(BlobKind.DATA, blob)
        if location is not None:
            wanted = WantedBlob(blob, location.offset, location.length, location.plain_length)
            self.packs.setdefault(location.pack, {})[blob] = wanted
            self.size += location.content_length

    @property
    def is_full(self) -> bool:
        """Whether it is time for the next one."""
        return self.size >= _WINDOW_BYTES or len(self.items) >= _WINDOW_ITEMS


def read_ahead(repository: Repository, stream: Iterable["Mark | BlobId"]) -> Iterator["Mark | bytes | PivoriError"]:
    """The stream, with the content of each data blob in place of its id; in place of what cannot be read, the error.

    Everything in the stream that is not ``bytes`` is a mark, which comes out where it went in.
    """
    reading: deque[tuple[_Window, Future[Contents]]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="read-ahead") as threads:
        try:
            for window in _windows(repository, stream):
                reading.append((window, threads.submit(_read, repository, window)))
                if len(reading) > _WINDOWS_AHEAD:
                    yield from _deliver(repository, *reading.popleft())
            while reading:
                yield from _deliver(repository, *reading.popleft())
        finally:
            for _window, future in reading:
                future.cancel()


def _windows(repository: Repository, stream: Iterable["Mark | BlobId"]) -> Iterator[_Window]:
    window = _Window()
    for item in stream:
        if isinstance(item, bytes):
            window.add_blob(repository, BlobId(item))
        else:
            window.items.append(item)
        if window.is_full:
            yield window
            window = _Window()
    if window.items:
        yield window


def _read(repository: Repository, window: _Window) -> Contents:
    """In a thread: the contents of a window. The reader, with its ciphers, belongs to this thread."""
    reader = BlobReader(repository.storage, repository.master)
    contents: Contents = {}
    for pack, wanted in window.packs.items():
        for stretch in stretches(pack, wanted.values()):
            names = [blob.id for blob in stretch.blobs]
            try:
                contents.update(zip(names, reader.read(stretch), strict=True))
            except PivoriError as error:
                contents.update(dict.fromkeys(names, error))
    return contents


def _deliver(
    repository: Repository, window: _Window, future: "Future[Contents]"
) -> Iterator["Mark | bytes | PivoriError"]:
    contents = future.result()
    for item in window.items:
        if not isinstance(item, bytes):
            yield item  # type: ignore[misc]  # a mark, as it came
            continue
        content = contents.get(item)
        yield content if isinstance(content, bytes) else _read_again(repository, BlobId(item))


def _read_again(repository: Repository, blob: BlobId) -> bytes | PivoriError:
    """Another copy may be sound."""
    try:
        return repository.read_blob(BlobKind.DATA, blob)
    except PivoriError as error:
        return error
