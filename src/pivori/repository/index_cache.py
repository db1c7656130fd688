"""The index kept ready on this machine: sorted tables in files that are mapped, keyed by the index objects' names.

The cache can be deleted at any time. A file is used only when it is whole (its checksum fits) and every index object
it was made from is still in the repository; what the files do not cover is read from the repository and added.
Files carry the names of what they were made from, so there is nothing to keep in step.
"""

import hashlib
import mmap
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from pivori.repository.index import Index, IndexedPack
from pivori.repository.table import HEADER_BYTES, BrokenTable, Table, TableBuilder, merge, read_table

_MOST_FILES: Final = 8
_LARGE_FILES: Final = 3
_BUILD_AT_ONCE: Final = 1_000_000
_SUFFIX: Final = ".table"


class IndexCache:
    """The tables of one repository in a directory of its own; ``None`` as directory keeps everything in memory."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def load(self, names: Iterable[str], read: Callable[[str], Iterable[IndexedPack]]) -> Index:
        """The index made of the index objects ``names``; ``read`` gives what one of them lists."""
        wanted = {bytes.fromhex(name) for name in names}
        tables, stale = self._cached(wanted)
        covered = frozenset[bytes]().union(*(table.sources for table in tables))
        missing = sorted(wanted - covered)
        fresh = list(_build(missing, read))
        if len(tables) + len(fresh) > _MOST_FILES:
            kept, merged = _to_merge([*tables, *fresh])
            stale += [self._path(table) for table in tables if table in merged] if self._directory else []
            fresh, tables = [merge(merged)], kept
        for table in fresh:
            self._store(table)
        keep = {self._path(table) for table in (*tables, *fresh)} if self._directory else set()
        for path in stale:
            if path not in keep:
                path.unlink(missing_ok=True)
        return Index([*tables, *fresh])

    def _cached(self, wanted: set[bytes]) -> tuple[list[Table], list[Path]]:
        """The usable tables, none of which overlap, and the files that are of no use."""
        tables: list[Table] = []
        stale: list[Path] = []
        covered: set[bytes] = set()
        for path in self._files():
            try:
                table = _map(path)
            except (OSError, BrokenTable, ValueError):
                stale.append(path)
                continue
            if table.sources <= wanted and not table.sources & covered:
                tables.append(table)
                covered |= table.sources
            else:
                stale.append(path)
        return tables, stale

    def _files(self) -> list[Path]:
        if self._directory is None or not self._directory.is_dir():
            return []
        files = [path for path in self._directory.iterdir() if path.suffix == _SUFFIX]
        return sorted(files, key=lambda path: -path.stat().st_size if path.exists() else 0)

    def _path(self, table: Table) -> Path:
        name = hashlib.sha256(b"".join(sorted(table.sources))).hexdigest()
        return (self._directory or Path()) / (name + _SUFFIX)

    def _store(self, table: Table) -> None:
        if self._directory is None or not table.sources:
            return
        path = self._path(table)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                for part in table.write_parts():
                    file.write(part)
            unfinished.replace(path)
        except OSError:
            # A cache that cannot be written only costs time.
            unfinished.unlink(missing_ok=True)


def _to_merge(tables: list[Table]) -> tuple[list[Table], list[Table]]:
    """Which tables stay, and which become one: a large table is not written anew for the sake of some small ones."""
    by_size = sorted(tables, key=lambda table: table.count)
    together = by_size[:-_LARGE_FILES]
    for table in by_size[-_LARGE_FILES:]:
        if table.count <= 2 * sum(small.count for small in together):
            together.append(table)
    return [table for table in tables if table not in together], together


def _build(missing: list[bytes], read: Callable[[str], Iterable[IndexedPack]]) -> Iterable[Table]:
    builder, sources, rows = TableBuilder(), [], 0
    for source in missing:
        for pack in read(source.hex()):
            builder.add_pack(pack.id, pack.blobs)
            rows += len(pack.blobs)
        sources.append(source)
        if rows >= _BUILD_AT_ONCE:
            yield builder.build(sources)
            builder, sources, rows = TableBuilder(), [], 0
    if sources:
        yield builder.build(sources)


def _map(path: Path) -> Table:
    with path.open("rb") as file:
        checksum, rest = 0, file
        rest.seek(HEADER_BYTES)
        while block := rest.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
        return read_table(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), checksum)
