"""The manifest: what an archive holds, member by member, and what was left out of it and why.

It travels in the archive as ``.pivori/manifest.json``, its last member. Whatever a container cannot carry (owners,
nanoseconds, extended attributes, names that are not UTF-8, hard links in a zip) is restored from here, and every
file's content is checked against the digest that stands here.

A path is written as ``path`` when it is UTF-8, otherwise as ``path_raw`` (base64); the other names likewise. Fields
that have their usual value are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pivori.entries import Entry, EntryKind
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

FOLDER: Final = b".pivori"
MANIFEST_NAME: Final = FOLDER + b"/manifest.json"
FORMAT: Final = 1
LARGEST_MANIFEST: Final = 1 << 30
"""A manifest of more bytes than this is not read: some four million files have less."""


class ManifestDamaged(PivoriError):
    """The manifest of an archive cannot be understood."""

    code = "manifest-damaged"
    message = N_("The manifest inside {archive} cannot be read: {reason}.")
    hint = N_("Check the archive with `pivori archive verify`; an ordinary tool can still unpack what is whole.")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The archive that a differential one is relative to: its manifest's id, its file's SHA-256 and name."""

    id: str
    sha256: str
    name: str


class Omission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was left out because it can be made again.

    ``path`` is relative to the root; ``rule`` is the rule's short name, ``evidence`` says why the rule holds here, and
    ``rebuild`` are the commands that make it again, in their order, each as its arguments, to be run in ``directory``
    (relative to the root); both are empty for what nobody needs back (caches, logs). An argument that names a document
    (``.pivori/…``) stands for that file.
    """

    path: str
    path_raw: bytes = b""
    bytes: int = 0
    files: int = 0
    rule: str = ""
    evidence: str = ""
    directory: str = ""
    rebuild: list[list[str]] = []


class NotCaptured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that should be in the archive and is not, and why."""

    path: str
    path_raw: bytes = b""
    reason: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as the manifest's JSON has it. ``name`` is the member's name where it is not the path itself."""

    path: str
    path_raw: bytes = b""
    type: EntryKind = EntryKind.FILE
    mode: int = 0
    mtime_ns: int = 0
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    size: int = 0
    target: str = ""
    target_raw: bytes = b""
    sha256: str = ""
    hard_link: str = ""
    hard_link_raw: bytes = b""
    sparse: bool = False
    ctime_ns: int = 0
    inode: int = 0
    device_id: int = 0
    attributes: list[tuple[bytes, bytes]] = []
    name: str = ""


class _Document(msgspec.Struct, kw_only=True, omit_defaults=True):
    format: int
    id: str
    program: str
    created: str
    host: str
    root: str
    strategy: str
    base: Base | None = None
    entries: list[msgspec.Raw] = []
    deleted: list[str] = []
    deleted_raw: list[bytes] = []
    omitted: list[Omission] = []
    not_captured: list[NotCaptured] = []


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive holds.

    ``id`` is 32 random hexadecimal digits; ``created`` is RFC 3339 with the zone; ``root`` is the absolute path that
    was captured. In a differential archive ``base`` names what it is relative to, ``entries`` are those that are new or
    differ in anything, and ``deleted`` the paths of the base that are gone. ``names`` maps an entry's path to its
    member's name where they differ.
    """

    id: str
    program: str
    created: str
    host: str
    root: str
    strategy: str
    entries: Sequence[Entry]
    base: Base | None = None
    deleted: Sequence[bytes] = ()
    omitted: Sequence[Omission] = ()
    not_captured: Sequence[NotCaptured] = ()
    names: "dict[bytes, bytes] | None" = None

    def name_of(self, entry: Entry) -> bytes:
        """The name of an entry's member in the container."""
        return entry.path if self.names is None else self.names.get(entry.path, entry.path)


def encode(manifest: Manifest) -> bytes:
    """The manifest as JSON. The entries, of which there may be millions, are encoded one by one."""
    names = manifest.names or {}
    deleted_text, deleted_raw = _texts(manifest.deleted)
    document = _Document(
        format=FORMAT,
        id=manifest.id,
        program=manifest.program,
        created=manifest.created,
        host=manifest.host,
        root=manifest.root,
        strategy=manifest.strategy,
        base=manifest.base,
        deleted=deleted_text,
        deleted_raw=deleted_raw,
        omitted=list(manifest.omitted),
        not_captured=list(manifest.not_captured),
    )
    encoder = msgspec.json.Encoder()
    content = bytearray(encoder.encode(document))
    content[-1:] = b',"entries":['
    for number, entry in enumerate(manifest.entries):
        if number:
            content += b","
        encoder.encode_into(_record(entry, names), content, -1)
    content += b"]}"
    return bytes(content)


def decode(content: bytes, *, archive: str) -> Manifest:
    """The manifest from its JSON; ``archive`` names the file in errors. Raises ManifestDamaged.

    Paths are taken as they are written: whoever writes files to them has to refuse what leads elsewhere.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
        if document.format != FORMAT:
            raise ManifestDamaged(
                archive=archive, reason=Phrase(N_("its format {number} is not known here"), number=document.format)
            )
        entries, names = _entries(document.entries)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ManifestDamaged(archive=archive, reason=str(error)) from None
    return Manifest(
        id=document.id,
        program=document.program,
        created=document.created,
        host=document.host,
        root=document.root,
        strategy=document.strategy,
        entries=entries,
        base=document.base,
        deleted=[*(path.encode() for path in document.deleted), *document.deleted_raw],
        omitted=document.omitted,
        not_captured=document.not_captured,
        names=names or None,
    )


def _entries(records: Iterable[msgspec.Raw]) -> tuple[list[Entry], dict[bytes, bytes]]:
    """The entries and the member names that are not the paths themselves. Raises MsgspecError, UnicodeError."""
    decoder = msgspec.json.Decoder(Record)
    entries: list[Entry] = []
    names: dict[bytes, bytes] = {}
    owners: dict[str, str] = {}
    for raw in records:
        record = decoder.decode(raw)
        entry = _entry(record, owners)
        entries.append(entry)
        if record.name:
            names[entry.path] = record.name.encode()
    return entries, names


def as_text(raw: bytes) -> tuple[str, bytes]:
    """A name as the pair of fields that hold it: text, and the exact bytes when the text is not exact."""
    if not raw:
        return "", b""
    try:
        return raw.decode(), b""
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace"), raw


def _texts(names: Iterable[bytes]) -> tuple[list[str], list[bytes]]:
    texts: list[str] = []
    raws: list[bytes] = []
    for name in names:
        text, raw = as_text(name)
        if raw:
            raws.append(raw)
        else:
            texts.append(text)
    return texts, raws


def _record(entry: Entry, names: dict[bytes, bytes]) -> Record:
    path, path_raw = as_text(entry.path)
    target, target_raw = as_text(entry.target)
    link, link_raw = as_text(entry.hard_link or b"")
    return Record(
        path=path,
        path_raw=path_raw,
        type=entry.kind,
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        uid=entry.uid,
        gid=entry.gid,
        user=entry.user,
        group=entry.group,
        size=entry.size,
        target=target,
        target_raw=target_raw,
        sha256=entry.sha256,
        hard_link=link,
        hard_link_raw=link_raw,
        sparse=entry.is_sparse,
        ctime_ns=entry.ctime_ns,
        inode=entry.inode,
        device_id=entry.device_id,
        attributes=list(entry.attributes),
        name=names[entry.path].decode("utf-8", "backslashreplace") if entry.path in names else "",
    )


def _entry(record: Record, owners: dict[str, str]) -> Entry:
    """The entry of a record; the few names in ``owners`` are shared by all."""
    return Entry(
        path=record.path_raw or record.path.encode(),
        kind=record.type,
        mode=record.mode & 0o7777,
        mtime_ns=record.mtime_ns,
        uid=record.uid,
        gid=record.gid,
        user=owners.setdefault(record.user, record.user),
        group=owners.setdefault(record.group, record.group),
        size=record.size,
        target=record.target_raw or record.target.encode(),
        sha256=record.sha256,
        hard_link=record.hard_link_raw or record.hard_link.encode() or None,
        is_sparse=record.sparse,
        ctime_ns=record.ctime_ns,
        inode=record.inode,
        device_id=record.device_id,
        attributes=tuple(record.attributes),
    )
