"""The verb ``backup``.

``walk`` goes through the sources and finds what changed since the parent snapshot (``previous``); ``reading`` turns
files into blobs and nodes, in worker processes (``crew``); ``assembly`` makes trees of the nodes, to which
``documents`` adds what the backup has to say; ``tree_capture`` ties these together, ``run`` writes the snapshot.
"""

from pivori.engine.backup.documents import DocumentsClash
from pivori.engine.backup.estimate import CountingEstimate, Estimate
from pivori.engine.backup.request import BackupOutcome, BackupRequest
from pivori.engine.backup.run import Backup
from pivori.engine.backup.sources import resolve_source
from pivori.engine.backup.stream import CommandFailed, EmptyStream, backup_stream
from pivori.engine.backup.tree_capture import NothingToBackUp

__all__ = [
    "Backup",
    "BackupOutcome",
    "BackupRequest",
    "CommandFailed",
    "CountingEstimate",
    "DocumentsClash",
    "EmptyStream",
    "Estimate",
    "NothingToBackUp",
    "backup_stream",
    "resolve_source",
]
