"""What a fuzzer calls: one function per parser, each given any bytes.

A target returns when the bytes are read or properly refused; whatever it raises is a finding. Seeds for the target
``name`` lie in ``corpus/name``.
"""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pivori.components.compose.compose_files import ComposeFileUnreadable, merged, parse_compose_file, without_values
from pivori.components.env_files import parse_env, password_in
from pivori.repository.compression import DamagedFrame, decompress
from pivori.repository.config import ConfigDamaged, UnsupportedVersion, decode_config, encode_config
from pivori.repository.crypto import OVERHEAD, Box, MasterKey
from pivori.repository.ids import ID_BYTES, BlobId, BlobKind
from pivori.repository.index import Index, IndexDamaged, decode_index, encode_index
from pivori.repository.keys import KeyDamaged, decode_key_object
from pivori.repository.lock_files import LockDamaged, age_seconds, decode_lock, encode_lock
from pivori.repository.modes import unix_mode
from pivori.repository.pack import PackDamaged, open_header, packed_size, read_header, sealed_header_length
from pivori.repository.snapshot import LoadedSnapshot, SnapshotDamaged, decode_snapshot, edited, encode_snapshot
from pivori.repository.table import HEADER_BYTES, BrokenTable, TableBuilder, merge, read_table
from pivori.repository.times import parse_time
from pivori.repository.tree import (
    TreeDamaged,
    assemble_tree,
    decode_tree,
    encode_node,
    link_target,
    raw_name,
    references,
)
from pivori.stack.discovery.compose_evidence import ComposeProject
from pivori.stack.discovery.database_evidence import find_servers
from pivori.stack.discovery.database_urls import parse_database_url

NAME: Final = "ab" * 32
BOX: Final = Box(MasterKey(bytes(32), bytes(16), bytes(16)))
LARGEST_FRAME: Final = 1 << 20


def fuzz_lock(data: bytes) -> None:
    """A lock record is refused, or it has an age and survives being written again."""
    try:
        record = decode_lock(data, NAME)
    except LockDamaged:
        return
    assert age_seconds(record, 0) >= 0
    assert decode_lock(encode_lock(record), NAME) == record


def fuzz_snapshot(data: bytes) -> None:
    """A snapshot is refused, or it has a time and survives being written again, edited or not."""
    try:
        snapshot = decode_snapshot(data, NAME)
    except SnapshotDamaged:
        return
    loaded = LoadedSnapshot(NAME, snapshot)
    assert loaded.time_ns == parse_time(snapshot.time)
    assert decode_snapshot(encode_snapshot(snapshot), NAME) == snapshot
    changed = edited(loaded, tags=["x"])
    assert decode_snapshot(encode_snapshot(changed), NAME) == changed


def fuzz_tree(data: bytes) -> None:
    """A tree is refused, or everything in it can be used as it is and survives being written again."""
    try:
        nodes = decode_tree(data)
    except TreeDamaged:
        return
    names = [raw_name(node) for node in nodes]
    assert len(set(names)) == len(names)
    assert not {b"", b".", b".."} & set(names)
    assert not any(b"/" in name or b"\0" in name for name in names)
    for node in nodes:
        assert b"\0" not in link_target(node)
        assert 0 <= unix_mode(node.mode) <= 0o7777
        for time in (node.mtime, node.atime, node.ctime):
            parse_time(time)
    again = assemble_tree([encode_node(node) for node in nodes])
    assert assemble_tree([encode_node(node) for node in decode_tree(again)]) == again
    assert references(again) == references(data)


def fuzz_pack_header(data: bytes) -> None:
    """A header is refused, or its blobs lie one behind the other; sealed, it is the same. Its length is checked."""
    try:
        length = sealed_header_length(data, len(data))
    except PackDamaged:
        length = OVERHEAD + 1
    assert OVERHEAD < length <= max(len(data), OVERHEAD + 1)
    try:
        blobs = list(read_header(data))
    except PackDamaged:
        return
    offset = 0
    for blob in blobs:
        assert blob.offset == offset
        assert len(blob.id) == ID_BYTES
        assert blob.length >= OVERHEAD
        assert blob.content_length >= 0
        offset += blob.length
    sealed = b"".join(BOX.seal(data))
    assert open_header(sealed, BOX) == blobs
    assert packed_size(blobs) == offset + len(sealed) + 4
    for damaged in (data, sealed[:-1]):
        try:
            open_header(damaged, BOX)
        except PackDamaged:
            continue
        raise AssertionError("a damaged header was opened")


def fuzz_index(data: bytes) -> None:
    """An index is refused, or everything in it can be looked up, and it survives being written again."""
    try:
        packs = list(decode_index(NAME, data))
    except IndexDamaged:
        return
    builder = TableBuilder()
    for pack in packs:
        assert len(pack.id) == ID_BYTES
        builder.add_pack(pack.id, pack.blobs)
    index = Index([builder.build()])
    for pack in packs:
        for blob in pack.blobs:
            assert index.has(blob.kind, blob.id)
            places = [tuple(place)[:3] for place in index.find_all(blob.kind, blob.id)]
            assert (pack.id, blob.offset, blob.length) in places
    again = encode_index((pack.id, pack.blobs) for pack in packs)
    assert list(decode_index(NAME, again)) == packs


def fuzz_table(data: bytes) -> None:
    """A cache file is refused, or it can be searched and listed; when its checksum fits, it can be merged too.

    The second round pretends that the checksum fits, so that more than the header is looked at.
    """
    true_checksum = zlib.crc32(data[HEADER_BYTES:])
    for checksum in (true_checksum, int.from_bytes(data[24:28], "little")):
        try:
            table = read_table(data, checksum)
        except BrokenTable:
            continue
        rows = list(table.rows())
        assert len(rows) == table.count
        for kind in BlobKind:
            table.row_number(kind, BlobId(data[-ID_BYTES:].ljust(ID_BYTES, b"x")))
        for _, blob, *_rest in rows[:8]:
            for kind in BlobKind:
                list(table.locations(kind, BlobId(blob)))
        if checksum == true_checksum:
            assert list(merge([table]).rows()) == rows


def fuzz_key(data: bytes) -> None:
    """A key object is refused, or scrypt can be asked for what it says."""
    try:
        key = decode_key_object(NAME, data)
    except KeyDamaged:
        return
    assert key.kdf == "scrypt"
    assert key.n > 1
    assert 128 * key.n * key.r <= 2 << 30
    assert key.p > 0


def fuzz_config(data: bytes) -> None:
    """A config is refused, or it survives being written again."""
    try:
        config = decode_config(data)
    except (ConfigDamaged, UnsupportedVersion):
        return
    assert config.version in (1, 2)
    assert decode_config(encode_config(config)) == config


def fuzz_frame(data: bytes) -> None:
    """A compressed object is refused, or is no larger than what was allowed."""
    for length in (None, len(data), 100):
        try:
            plain = decompress(data, length, most=LARGEST_FRAME)
        except DamagedFrame:
            continue
        assert len(plain) <= LARGEST_FRAME
        assert length in (None, len(plain))


def fuzz_env_file(data: bytes) -> None:
    """Assignments are found on their lines, and looking for servers in them finds or finds not."""
    text = data.decode(errors="replace")
    for variable in parse_env(text):
        assert 1 <= variable.line <= text.count("\n") + 1
        assert variable.name
        password_in(variable.value)
        address = parse_database_url(variable.value)
        assert address is None or 0 <= address.port < 1 << 20


def fuzz_compose_file(data: bytes) -> None:
    """A compose file is refused, or it is JSON, also without what may be secret, and no value of a variable is left."""
    try:
        file = parse_compose_file(Path("compose.yaml"), data)
    except ComposeFileUnreadable:
        return
    both = merged([file, file])
    json.dumps(without_values(both))
    project = ComposeProject(paths=["compose.yaml"], files=[file], configuration=both)
    find_servers([], [project])
    project.volumes_of(set(project.services))
    project.binds_outside(Path("/srv"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "compose-file": fuzz_compose_file,
    "config": fuzz_config,
    "env-file": fuzz_env_file,
    "frame": fuzz_frame,
    "index": fuzz_index,
    "key": fuzz_key,
    "lock": fuzz_lock,
    "pack-header": fuzz_pack_header,
    "snapshot": fuzz_snapshot,
    "table": fuzz_table,
    "tree": fuzz_tree,
}
