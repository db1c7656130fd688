"""The part of a check that walks the trees: each is read once, and everything it names has to be there."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from pivori.errors import PivoriError
from pivori.repository.check_findings import FindingKind, Findings
from pivori.repository.check_packs import PackCheck
from pivori.repository.crypto import OVERHEAD
from pivori.repository.ids import BlobId, BlobKind, PackId
from pivori.repository.index import Marks
from pivori.repository.reading import BlobReader, Stretch, WantedBlob, stretches
from pivori.repository.repository import BlobDamaged, Repository
from pivori.repository.tree import Node, TreeDamaged, decode_tree, references
from pivori.storage import StorageError
from pivori.translation import N_, Phrase

_TREES_AT_ONCE: Final = 128


class TreeWalk:
    """Visits every tree below some roots, many at a time: trees that were stored together are read together."""

    def __init__(self, repository: Repository, packs: PackCheck, findings: Findings) -> None:
        self._repository = repository
        self._packs = packs
        self._findings = findings
        self._index = packs.index
        self._row_number = packs.table.row_number
        # What every file of every snapshot asks for: no object is made for an answer.
        self._lengths = array(
            "I", [plain or max(0, stored - OVERHEAD) for _, _, _, _, stored, plain in packs.table.rows()]
        )
        self._reader = BlobReader(repository.storage, repository.master)
        self._marks = Marks(packs.index)
        self._read = Marks(packs.index)
        self._missing: set[tuple[BlobKind, BlobId]] = set()
        self._unreadable: list[tuple[BlobId, str]] = []
        self._waiting: list[BlobId] = []
        self.trees = 0

    def steps(self, roots: Iterable[BlobId]) -> Iterator[None]:
        """Walk; whoever iterates can do something else between two steps of some milliseconds."""
        for root in roots:
            self._push(root)
        while self._waiting:
            # From the end: the list then stays as short as the trees are deep.
            batch = self._waiting[-_TREES_AT_ONCE:]
            del self._waiting[-_TREES_AT_ONCE:]
            for stretch in self._stretches(batch):
                self._visit(stretch)
            yield

    @property
    def is_walking(self) -> bool:
        """Whether there are trees left to visit."""
        return bool(self._waiting)

    def conclude(self) -> None:
        """Add the trees that cannot be read, but for those in packs that are found to be damaged themselves."""
        for tree, reason in self._unreadable:
            if (BlobKind.TREE, tree) in self._findings.lost:
                continue
            numbers = [self._packs.finding_about(copy.pack) for copy in self._index.find_all(BlobKind.TREE, tree)]
            known = [number for number in numbers if number is not None]
            if len(known) == len(numbers):
                self._findings.lose(BlobKind.TREE, tree, *known)
            else:
                self._add_damaged(tree, reason)

    def was_read(self, tree: BlobId) -> bool:
        """Whether the first copy of a tree that the index knows was read without fault."""
        return (BlobKind.TREE, tree) in self._read

    def read_raw(self, tree: BlobId) -> bytes | None:
        """The content of a tree, from whichever copy can be read; None when there is none."""
        content = self._read_any(tree)
        return None if isinstance(content, str) else content

    def _push(self, tree: BlobId) -> None:
        try:
            if self._marks.add(BlobKind.TREE, tree):
                self._waiting.append(tree)
        except KeyError:
            if (BlobKind.TREE, tree) not in self._missing:
                self._missing.add((BlobKind.TREE, tree))
                number = self._findings.add(FindingKind.TREE_MISSING, "tree", tree.hex())
                self._findings.lose(BlobKind.TREE, tree, number)

    def _stretches(self, batch: list[BlobId]) -> Iterator[Stretch]:
        wanted: dict[PackId, list[WantedBlob]] = defaultdict(list)
        for tree in batch:
            location = self._index.find(BlobKind.TREE, tree)
            assert location is not None  # noqa: S101 - only indexed trees are waiting
            self._packs.need(BlobKind.TREE, tree, location.pack)
            wanted[location.pack].append(WantedBlob(tree, location.offset, location.length, location.plain_length))
        for pack, blobs in wanted.items():
            yield from stretches(pack, blobs)

    def _visit(self, stretch: Stretch) -> None:
        self.trees += len(stretch.blobs)
        try:
            for blob, content in zip(stretch.blobs, self._reader.read(stretch), strict=True):
                if isinstance(content, bytes):
                    self._read.add(BlobKind.TREE, blob.id)
                    self._take(blob.id, content)
                else:
                    self._take(blob.id, self._read_any(blob.id))
        except StorageError:
            for blob in stretch.blobs:
                self._take(blob.id, self._read_any(blob.id))

    def _read_any(self, tree: BlobId) -> bytes | str:
        """A tree from whichever copy can be read, or the reason why none can."""
        reason = N_("no copy of it is stored")
        for location in self._index.find_all(BlobKind.TREE, tree):
            try:
                return self._repository.read_blob_at(location, BlobKind.TREE, tree)
            except BlobDamaged as error:
                reason = str(error.details["reason"])
            except StorageError as error:
                reason = str(error)
        return reason

    def _take(self, tree: BlobId, content: bytes | str) -> None:
        if isinstance(content, str):
            self._unreadable.append((tree, content))
            return
        try:
            nodes = decode_tree(content)
        except TreeDamaged as error:
            self._add_damaged(tree, str(error.details["reason"]))
            self._follow_references(content)
            return
        for node in nodes:
            if node.subtree is not None:
                self._push(BlobId(bytes.fromhex(node.subtree)))
            if node.content or (node.size and node.type == "file"):
                self._check_content(tree, node)

    def _follow_references(self, content: bytes) -> None:
        """Go on below a tree that is not as it should be, as far as it can be understood."""
        try:
            subtrees, contents = references(content)
        except PivoriError:
            return
        for subtree in subtrees:
            self._push(BlobId(bytes.fromhex(subtree)))
        for name in contents:
            self._content_length(BlobId(bytes.fromhex(name)))

    def _check_content(self, tree: BlobId, node: Node) -> None:
        total, complete = 0, True
        for name in node.content or ():
            length = self._content_length(BlobId(bytes.fromhex(name)))
            if length is None:
                complete = False
            else:
                total += length
        if complete and total != node.size:
            reason = Phrase(N_("{size} bytes instead of {expected}"), size=node.size, expected=total)
            number = self._findings.add(FindingKind.FILE_SIZE_WRONG, "tree", tree.hex(), reason)
            self._findings.nodes.setdefault(tree, {})[node.name] = number

    def _content_length(self, blob: BlobId) -> int | None:
        """The length of a data blob; None when it is missing, which is noted."""
        row = self._row_number(BlobKind.DATA, blob)
        if row >= 0:
            return self._lengths[row]
        location = self._index.find(BlobKind.DATA, blob)
        if location is not None:
            self._packs.need(BlobKind.DATA, blob, location.pack)
            return location.content_length
        if (BlobKind.DATA, blob) not in self._missing:
            self._missing.add((BlobKind.DATA, blob))
            self._findings.add_missing_blob(blob)
        return None

    def _add_damaged(self, tree: BlobId, reason: str) -> None:
        number = self._findings.add(FindingKind.TREE_DAMAGED, "tree", tree.hex(), reason)
        self._findings.lose(BlobKind.TREE, tree, number)
