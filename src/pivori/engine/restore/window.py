"""A window of a restore: some thousand files whose blobs are sorted by pack before anything is read.

Windows bound the memory of a restore whatever its size; neighbouring files lie in the same packs, so little is read
twice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pivori.engine.restore.items import FileItem
from pivori.engine.restore.writing import CompareJob, CopyJob, Piece, WholeFile, WriteJob
from pivori.repository import BlobId, BlobKind, Index, PackId, WantedBlob, stretches

FILES_PER_WINDOW: Final = 8192
BYTES_PER_WINDOW: Final = 512 << 20
_ID: Final = 32


@dataclass
class OpenFile:
    """A file that takes several steps: its size, how many pieces are missing, and the path it has until it is whole.

    Without ``partial`` its content is in place already.
    """

    item: FileItem
    size: int
    missing: int = 0
    partial: bytes | None = None
    failed: bool = False


@dataclass
class Window:
    """Files to restore together. ``existing`` have something to compare with in the target."""

    new: list[FileItem] = field(default_factory=list)
    existing: list[FileItem] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.new) + len(self.existing)

    def is_full(self) -> bool:
        """Whether it is time to work on it."""
        return len(self) >= FILES_PER_WINDOW or self.size >= BYTES_PER_WINDOW


@dataclass
class WindowPlan:
    """What a window comes to: files in pieces by number, jobs, and files that lack blobs."""

    open_files: dict[int, OpenFile] = field(default_factory=dict)
    jobs: list[WriteJob | CopyJob] = field(default_factory=list)
    lacking: list[FileItem] = field(default_factory=list)
    bytes_in_place: int = 0
    files_in_place: int = 0


def compare_jobs(window: Window, index: Index) -> Iterator[CompareJob]:
    """One job for each existing file."""
    for number, item in enumerate(window.existing):
        blobs = [(blob, index.content_length(BlobKind.DATA, blob) or 0) for blob in blob_ids(item.content)]
        yield CompareJob(number, item.path, blobs)


Begin = Callable[[FileItem, int], bytes | None]
"""Begins a file of this size; returns the path that it has until it is whole, or None when that failed."""


def plan_window(window: Window, in_place: dict[int, bytes], index: Index, begin: Begin) -> WindowPlan:
    """Sort the missing blobs by pack. ``in_place`` says for each existing file which blobs need not be written."""
    plan = WindowPlan()
    wanted: _Wanted = {}
    for item in window.new:
        if len(item.content) == _ID:
            _want(item, BlobId(item.content), WholeFile(item.path, item.metadata), wanted, plan, index)
        else:
            _want_pieces(item, b"", wanted, plan, index, begin)
    for number, item in enumerate(window.existing):
        if len(item.content) == _ID and not in_place[number][0]:
            _want(item, BlobId(item.content), WholeFile(item.path, item.metadata), wanted, plan, index)
        else:
            _want_pieces(item, in_place[number], wanted, plan, index, begin)
    for pack, blobs in wanted.items():
        for stretch in stretches(pack, [blob for blob, _ in blobs.values()]):
            plan.jobs.append(WriteJob(stretch, [blobs[blob.id][1] for blob in stretch.blobs]))
    return plan


_Wanted = dict[PackId, dict[BlobId, tuple[WantedBlob, list[WholeFile | Piece]]]]


def _want(
    item: FileItem, blob: BlobId, target: WholeFile | Piece, wanted: _Wanted, plan: WindowPlan, index: Index
) -> int:
    """Note that ``target`` wants a blob; returns the blob's plain length, -1 when the repository lacks it."""
    location = index.find(BlobKind.DATA, blob)
    if location is None:
        plan.lacking.append(item)
        return -1
    pack = wanted.setdefault(location.pack, {})
    entry = pack.get(blob)
    if entry is None:
        entry = pack[blob] = (WantedBlob(blob, location.offset, location.length, location.plain_length), [])
    entry[1].append(target)
    return location.content_length


def _want_pieces(
    item: FileItem, in_place: bytes, wanted: _Wanted, plan: WindowPlan, index: Index, begin: Begin
) -> None:
    blobs = blob_ids(item.content)
    lengths = [index.content_length(BlobKind.DATA, blob) for blob in blobs]
    if None in lengths:
        plan.lacking.append(item)
        return
    known = [length or 0 for length in lengths]
    number, size = len(plan.open_files), sum(known)
    if in_place and all(in_place):
        plan.open_files[number] = OpenFile(item, size)
        plan.bytes_in_place += size
        plan.files_in_place += 1
        return
    partial = begin(item, size)
    if partial is None:
        return
    missing = offset = 0
    parts: list[tuple[int, int]] = []
    for blob, length, is_there in zip(blobs, known, in_place or bytes(len(blobs)), strict=True):
        if is_there:
            parts.append((offset, length))
        else:
            _want(item, blob, Piece(number, partial, offset), wanted, plan, index)
            missing += 1
        offset += length
    if parts:
        plan.jobs.append(CopyJob(number, item.path, partial, _joined(parts)))
        plan.bytes_in_place += sum(length for _, length in parts)
    plan.open_files[number] = OpenFile(item, size, missing + bool(parts), partial)


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring parts as one."""
    joined = parts[:1]
    for offset, length in parts[1:]:
        start, so_far = joined[-1]
        if start + so_far == offset:
            joined[-1] = (start, so_far + length)
        else:
            joined.append((offset, length))
    return joined


def blob_ids(content: bytes) -> list[BlobId]:
    """The ids that a file item has joined."""
    return [BlobId(content[start : start + _ID]) for start in range(0, len(content), _ID)]
