"""What every directory looked like at the last backup, kept on this machine, so that an unchanged one costs next to
nothing.

A directory's signature is a digest of the names, inodes, sizes and times of all its entries, and of its own device,
mode and owners. Whatever else an entry has changes with its ctime, unless the file system is mounted in another way
(with another device number, or with options that say whose its files are): then that of the directory itself changes
too, which therefore stands for its entries. What is mounted *in* a directory is looked at by itself. When the signature
is what it was, the directory's tree in the parent snapshot is still right, and need not even be read. Signatures are a
cache: they are used only when they were written for exactly this parent snapshot and every index object of that time is
still there, so that no blob it needs has gone since. They can be deleted any time.
"""

import hashlib
import marshal
import os
import struct
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from pivori.engine.backup.assembly import Facts
from pivori.engine.backup.previous import TICK_NS
from pivori.host import Entry, group_name, user_name

_COARSE_TICK_NS: Final = 2_500_000_000
_SECOND_NS: Final = 1_000_000_000
_FORMAT: Final = 4
_DIGEST_BYTES: Final = 16
_RECORD: Final = struct.Struct("<16s32sIQI")

_facts = attrgetter("st_ctime_ns", "st_mtime_ns", "st_size", "st_ino")
_name = attrgetter("name")
_mount = attrgetter("st_dev", "st_mode", "st_uid", "st_gid")


class Signature(NamedTuple):
    """The digest of a directory's entries; ``is_settled`` when no entry can change without changing it."""

    digest: bytes
    is_settled: bool


class Known(NamedTuple):
    """What is known of a directory of the parent snapshot: its signature, its tree, and what is in it."""

    digest: bytes
    tree: str
    files: int
    bytes: int
    others: int


class _Stored(msgspec.Struct, array_like=True):
    format: int
    snapshot: str
    indexes: list[bytes]
    owners: list[tuple[int, str]]
    groups: list[tuple[int, str]]
    directories: dict[bytes, bytes]


class Signatures:
    """The signatures of one set of sources on one host: those of the parent snapshot, and those of this run."""

    def __init__(self, path: Path | None) -> None:
        """``path`` is the cache file; None keeps nothing."""
        self._path = path
        self._known: dict[bytes, bytes] = {}
        self._fresh: dict[bytes, bytes] = {}
        self._owners: set[int] = set()
        self._groups: set[int] = set()
        self.is_trusted = False
        """Whether the parent snapshot was found whole in the index of that time, all of which is still there."""

    @classmethod
    def file_for(cls, directory: Path | None, host: str, paths: Iterable[bytes]) -> Path | None:
        """The cache file for these sources below a repository's cache directory."""
        if directory is None:
            return None
        key = hashlib.blake2b(b"\0".join([os.fsencode(host), *sorted(paths)]), digest_size=16).hexdigest()
        return directory / "scan" / key

    def load(self, snapshot: str, indexes: Iterable[bytes]) -> None:
        """Take the signatures written with ``snapshot``, if they still hold with these index objects."""
        if self._path is None:
            return
        try:
            stored = msgspec.msgpack.decode(self._path.read_bytes(), type=_Stored)
        except (OSError, msgspec.MsgspecError):
            return
        fits = stored.format == _FORMAT and stored.snapshot == snapshot and set(stored.indexes) <= set(indexes)
        named = all(user_name(uid) == name for uid, name in stored.owners)
        if fits and named and all(group_name(gid) == name for gid, name in stored.groups):
            self._known = stored.directories
            self._owners.update(uid for uid, _ in stored.owners)
            self._groups.update(gid for gid, _ in stored.groups)
            self.is_trusted = True

    def sign(self, entries: Sequence[Entry], file_time_ns: int, own: os.stat_result) -> Signature | None:
        """The signature of a directory that is being looked at; None when an entry cannot be looked at.

        ``own`` is the directory's own status.
        ``file_time_ns`` is the earliest time that a change from now on can have. A file that has this time already
        could change once more and keep its times: the directory is then not settled. File systems with clocks of
        their own, or with whole seconds, have longer ticks.
        """
        if self._path is None:
            return None
        try:
            statuses = [entry.stat(follow_symlinks=False) for entry in entries]
        except OSError:
            return None
        facts = [*map(_facts, statuses)]
        newest = max(facts)[0] if facts else 0
        tick = TICK_NS if newest % _SECOND_NS else _COARSE_TICK_NS
        # The format's version 2 depends on values only, not on which objects are shared.
        signed = marshal.dumps((_mount(own), [*map(_name, entries)], facts), 2)
        digest = hashlib.blake2b(signed, digest_size=_DIGEST_BYTES).digest()
        return Signature(digest, newest < file_time_ns - tick)

    def known(self, path: bytes) -> Known | None:
        """What is known of the directory ``path``."""
        found = self._known.get(path)
        if found is None or len(found) != _RECORD.size:
            return None
        digest, tree, files, size, others = _RECORD.unpack(found)
        return Known(digest, tree.hex(), files, size, others)

    def note_owners(self, entries: Sequence[Entry]) -> None:
        """Keep whose the entries of a directory are: the next run asks whether the names are still the same."""
        if self._path is not None:
            statuses = [entry.stat(follow_symlinks=False) for entry in entries]
            self._owners.update([status.st_uid for status in statuses])
            self._groups.update([status.st_gid for status in statuses])

    def note(self, path: bytes, tree: str, facts: Facts) -> None:
        """Keep what this run found out about a directory whose tree is stored."""
        self._fresh[path] = _RECORD.pack(facts.digest, bytes.fromhex(tree), facts.files, facts.bytes, facts.others)

    def save(self, snapshot: str, indexes: Iterable[bytes]) -> None:
        """Write what was noted, for the next run, whose parent ``snapshot`` will be."""
        if self._path is None:
            return
        stored = _Stored(
            _FORMAT,
            snapshot,
            sorted(indexes),
            [(uid, user_name(uid)) for uid in sorted(self._owners)],
            [(gid, group_name(gid)) for gid in sorted(self._groups)],
            self._fresh,
        )
        unfinished = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_bytes(msgspec.msgpack.encode(stored))
            unfinished.replace(self._path)
        except OSError:
            # A cache that cannot be written only costs time.
            unfinished.unlink(missing_ok=True)
