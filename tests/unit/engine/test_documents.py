"""Documents: files that a backup adds at the snapshot's root, and that neither harm nor change what is around them."""

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pivori.engine.backup import BackupOutcome, DocumentsClash
from pivori.engine.document_reading import read_document
from pivori.engine.documents import has_documents, is_document
from pivori.engine.restore.items import PathNotInSnapshot, find_subtree
from pivori.repository import LoadedSnapshot, Node, Repository, raw_name, unix_mode
from tests.unit.engine.looking import backup_of, new_repository

FIRST = {b".pivori/manifest.json": b"{}", b".pivori/bundles/a.bundle": b"bundle"}
OTHER = {b".pivori/manifest.json": b"{1}", b".pivori/bundles/a.bundle": b"bundle"}


@dataclass
class Archive:
    """A repository in memory, and the folder that is backed up into it again and again."""

    folder: Path
    cache: Path | None = None
    repository: Repository = field(default_factory=new_repository)
    parent: LoadedSnapshot | None = None

    def keep(self, documents: Mapping[bytes, bytes], *, skip: bool = False, force: bool = False) -> BackupOutcome:
        """One backup, compared with the one before."""
        outcome = backup_of(
            self.repository,
            self.folder,
            parent=self.parent,
            documents=documents,
            skip_if_unchanged=skip,
            force=force,
            cache_directory=self.cache,
        ).run()
        if outcome.snapshot_id is not None:
            self.parent = self.repository.load_snapshot(outcome.snapshot_id)
        return outcome

    def names(self, tree: str) -> list[bytes]:
        """What the root holds."""
        return [raw_name(node) for node in self.repository.read_tree(tree)]

    def documents(self, tree: str) -> Node:
        """The node of the documents' folder."""
        return next(node for node in self.repository.read_tree(tree) if raw_name(node) == b".pivori")

    def read(self, tree: str, path: bytes) -> bytes:
        """The content of a document."""
        return read_document(self.repository, tree, path, snapshot="x")


@pytest.fixture(params=[False, True], ids=["", "with signatures"])
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Archive:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner/file").write_text("content")
    (tmp_path / "cache").mkdir()  # beforehand: it would change the folder that the source lies in
    time.sleep(0.1)  # what changed in this tick of the clock is not recognised
    return Archive(folder, tmp_path / "cache" if request.param else None)


def test_they_are_private_files_of_the_one_who_backs_up(archive: Archive) -> None:
    tree = archive.keep(FIRST).tree
    assert archive.names(tree) == sorted([b".pivori", os.fsencode(archive.folder).split(b"/")[1]])
    _, node = find_subtree(archive.repository, tree, b".pivori/manifest.json")
    assert node is not None
    assert stat.S_IMODE(unix_mode(node.mode)) == 0o600
    assert (node.uid, node.inode, is_document(node)) == (os.getuid(), 0, True)
    assert archive.read(tree, b".pivori/manifest.json") == b"{}"
    assert archive.read(tree, b".pivori/bundles/a.bundle") == b"bundle"
    assert has_documents(archive.repository, tree)
    with pytest.raises(PathNotInSnapshot):
        archive.read(tree, b".pivori/none")


def test_a_document_of_any_size(archive: Archive) -> None:
    large = os.urandom(5_000_000)
    tree = archive.keep({b".pivori/large": large, b".pivori/empty": b""}).tree
    assert archive.read(tree, b".pivori/large") == large
    assert archive.read(tree, b".pivori/empty") == b""


def test_the_same_documents_change_nothing(archive: Archive) -> None:
    first = archive.keep(FIRST)
    for _ in range(9):  # somebody else may have written into a folder above meanwhile
        again = archive.keep(FIRST, skip=True)
        assert again.skipped
        if not again.summary.tree_blobs:
            break
    assert (again.summary.data_blobs, again.summary.tree_blobs, again.summary.files_unmodified) == (0, 0, 1)
    assert archive.documents(again.tree) == archive.documents(first.tree)


def test_they_come_and_go_with_the_strategy(archive: Archive) -> None:
    """Whatever the parent had, the tree is what it would be without one."""
    for documents in ({}, FIRST, {}, FIRST, OTHER, {}, {}):
        outcome = archive.keep(documents, skip=True)
        alone = Archive(archive.folder, repository=archive.repository).keep(documents)
        assert archive.names(outcome.tree) == archive.names(alone.tree)
        assert has_documents(archive.repository, outcome.tree) == bool(documents)
        for path, content in documents.items():
            assert archive.read(outcome.tree, path) == content
        found = find_subtree(archive.repository, outcome.tree, os.fsencode(archive.folder))
        assert found[0] == find_subtree(archive.repository, alone.tree, os.fsencode(archive.folder))[0]


def test_only_the_document_that_changed_gets_a_new_time(archive: Archive) -> None:
    before = archive.keep(FIRST).tree
    after = archive.keep(OTHER).tree
    times = [
        [
            find_subtree(archive.repository, tree, path)[1].mtime
            for path in (b".pivori/manifest.json", b".pivori/bundles", b".pivori/bundles/a.bundle")
        ]
        for tree in (before, after)
    ]
    assert times[0][0] != times[1][0]
    assert times[0][1:] == times[1][1:]


def test_a_forced_backup_keeps_them(archive: Archive) -> None:
    first = archive.keep(FIRST)
    assert archive.documents(archive.keep(FIRST, force=True).tree) == archive.documents(first.tree)


def test_an_entry_of_that_name_among_the_sources_is_refused(archive: Archive) -> None:
    top = os.fsencode(archive.folder).split(b"/")[1]
    with pytest.raises(DocumentsClash) as caught:
        archive.keep({top + b"/manifest.json": b"{}"})
    assert caught.value.details == {"path": b"/" + top}
    assert list(archive.repository.snapshots()) == []


def test_a_folder_of_that_name_inside_a_source_is_not_harmed(archive: Archive) -> None:
    (archive.folder / ".pivori").mkdir()
    (archive.folder / ".pivori/manifest.json").write_text("mine")
    tree = archive.keep(FIRST).tree
    path = os.fsencode(archive.folder) + b"/.pivori/manifest.json"
    _, node = find_subtree(archive.repository, tree, path)
    assert node is not None
    assert not is_document(node)
    assert archive.read(tree, path) == b"mine"
    assert archive.read(tree, b".pivori/manifest.json") == b"{}"
