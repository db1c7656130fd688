"""What a backup is asked for, what came of it, and the snapshot that it becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pivori.engine.backup.estimate import Estimate
from pivori.engine.exclusion import EntryFilter
from pivori.host import ProcessIdentity
from pivori.repository import BlobCheck, Compression, LoadedSnapshot, Snapshot, Summary, format_time, path_text


@dataclass(frozen=True, kw_only=True)
class BackupRequest:
    """What to back up, and how. ``sources`` are absolute paths without symbolic links."""

    sources: Sequence[bytes]
    identity: ProcessIdentity
    host: str
    time_ns: int
    parent: LoadedSnapshot | None = None
    tags: Sequence[str] = ()
    excludes: Sequence[str] = ()
    exclusion: EntryFilter | None = None
    one_file_system: bool = False
    with_atime: bool = False
    force: bool = False
    skip_if_unchanged: bool = False
    dry_run: bool = False
    compression: Compression = Compression.AUTO
    check: BlobCheck = BlobCheck.SAMPLE
    workers: int = 1
    program_version: str = ""
    estimate: Estimate = field(default_factory=Estimate)
    documents: Mapping[bytes, bytes] = field(default_factory=dict)
    """Files that the backup adds below ``.pivori/`` at the snapshot's root: paths without a slash in front."""
    cache_directory: Path | None = None
    """The cache of this repository; what directories look like is kept there for the next run."""


@dataclass(frozen=True, kw_only=True)
class BackupOutcome:
    """What came of it. ``snapshot_id`` is None for a dry run and when nothing changed and that was to be skipped."""

    snapshot_id: str | None
    tree: str
    parent: str | None
    summary: Summary
    failures: int
    skipped: bool


def snapshot_of(request: BackupRequest, tree: str, summary: Summary) -> Snapshot:
    """The snapshot that a request makes of a tree."""
    return Snapshot(
        time=format_time(request.time_ns),
        parent=request.parent.id if request.parent else None,
        tree=tree,
        paths=sorted(path_text(path) for path in request.sources),
        hostname=request.host,
        username=request.identity.username,
        uid=request.identity.uid,
        gid=request.identity.gid,
        excludes=list(request.excludes),
        tags=list(request.tags),
        program_version=request.program_version,
        summary=summary,
    )
