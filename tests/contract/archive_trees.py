"""A tree with everything an archive has to keep, and what a container holds of it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pivori.archives.container import Captured, OpenArchive, WriteRequest
from pivori.archives.manifest import MANIFEST_NAME
from pivori.entries import Entry, EntryKind
from tests.boxes import entry_of

CONTENTS = {
    b"large": os.urandom(300_000) + b"text " * 200_000,
    b"noise": os.urandom(700_000),
    b"empty": b"",
    b"d/plain.txt": b"text\n" * 400,
    b"d/sub/deep": b"deep",
    b"-dash": b"dash",
    b"@at": b"at",
    b"we*ird [1]?.txt": b"wildcards",
    "d/é accent".encode(): b"accent",
    b"d/two\nlines": b"newline",
    b"d/not utf\xff8": b"bytes",
    b'd/quote"s\\slash': b"quotes",
}
NAMES = {
    b"d/not utf\xff8": b"d/not utf%FF8",
    b"d/two\nlines": b"d/two%0Alines",
    b'd/quote"s\\slash': b'd/quote"s%5Cslash',
}


def make_tree(root: Path) -> Path:
    """The tree on the disk."""
    for path, content in CONTENTS.items():
        file = os.fsencode(root) + b"/" + path
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as handle:
            handle.write(content)
        os.utime(file, ns=(1, 1_700_000_000_123_456_789))
    (root / "d" / "link").symlink_to("sub/deep")
    (root / "dangling").symlink_to("nowhere/é")
    (root / "empty folder").mkdir()
    (root / "large").chmod(0o600)
    (root / "d" / "sub" / "deep").chmod(0o4755)
    return root


def entries_of(root: Path) -> list[Entry]:
    """The tree as entries, without digests."""
    found: list[Entry] = []
    top = os.fsencode(root)
    for directory, folders, files in os.walk(top):
        for name in [*folders, *files]:
            full = directory + b"/" + name
            found.append(entry_of(full, full[len(top) + 1 :]))
    return sorted(found, key=lambda entry: entry.path)


def request_for(root: Path, manifest: list[Captured], **settings: object) -> WriteRequest:
    """A request for the whole tree. What the manifest is asked with is put into the list."""

    def make_manifest(captured: Captured) -> bytes:
        manifest.append(captured)
        return b'{"manifest": true}'

    return WriteRequest(
        root=root,
        entries=entries_of(root),
        documents={b".pivori/note": b"a document"},
        manifest=make_manifest,
        names=NAMES,
        **settings,
    )


def contents(archive: OpenArchive, names: Mapping[bytes, bytes] = NAMES) -> dict[bytes, bytes]:
    """The content of every file in a container, by the path that it has in the tree."""
    paths = {member: path for path, member in names.items()}
    found: dict[int, bytes] = {}
    whole: set[int] = set()
    for job in archive.jobs():
        for piece in job.pieces():
            assert piece.number not in whole
            found[piece.number] = found.get(piece.number, b"") + piece.content
            if piece.is_last:
                whole.add(piece.number)
    assert whole == set(found)
    return {paths.get(archive.members[number].name, archive.members[number].name): found[number] for number in found}


def require_same(captured: Captured) -> None:
    """What a writer says of the tree is what is in it."""
    assert (captured.changed, captured.vanished, captured.not_captured) == ([], [], [])
    files = {entry.path: entry for entry in captured.entries if entry.kind is EntryKind.FILE}
    assert files.keys() == CONTENTS.keys()
    for path, content in CONTENTS.items():
        assert (files[path].size, files[path].sha256) == (len(content), hashlib.sha256(content).hexdigest())


EXPECTED = {**CONTENTS, b".pivori/note": b"a document", MANIFEST_NAME: b'{"manifest": true}'}
