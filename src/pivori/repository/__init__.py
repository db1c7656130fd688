"""The restic repository format: the only package that knows that packs exist.

Words: a *blob* is a piece of a file or a tree, named by the SHA-256 of its content; a *pack* holds many sealed blobs;
the *index* says which blob lies where; a *tree* lists a directory; a *snapshot* names a tree, a time and a host;
a *key* opens the master key with a password; a *lock* says who is at work. ``docs/format.md`` has the details.
"""

from pivori.repository.chunker import SMALLEST_CHUNK
from pivori.repository.compression import Compression
from pivori.repository.ids import BlobId, BlobKind, PackId, blob_id, is_object_name
from pivori.repository.index import Index
from pivori.repository.intake import Intake
from pivori.repository.modes import unix_mode
from pivori.repository.names import quote_name
from pivori.repository.nesting import NestedTooDeeply, demand_reachable
from pivori.repository.reading import BlobReader, BlobUnreadable, Stretch, WantedBlob, stretches
from pivori.repository.repository import BlobDamaged, BlobMissing, NoRepository, Repository, tree_id
from pivori.repository.selection import (
    LoadedSnapshot,
    find,
    newest_first,
    parent_for,
    parse_moment,
    parse_tags,
    select,
    split_subtree,
)
from pivori.repository.snapshot import Snapshot, Summary, edited, path_text
from pivori.repository.times import format_time, parse_time
from pivori.repository.tree import (
    EMPTY_TREE,
    ExtendedAttribute,
    Node,
    TreeDamaged,
    assemble_tree,
    decode_tree,
    encode_node,
    link_target,
    node_from_stat,
    raw_name,
    references,
)
from pivori.repository.writer import BlobCheck, BlobNotReproduced, BlobWriter, WriterSettings

__all__ = [
    "EMPTY_TREE",
    "SMALLEST_CHUNK",
    "BlobCheck",
    "BlobDamaged",
    "BlobId",
    "BlobKind",
    "BlobMissing",
    "BlobNotReproduced",
    "BlobReader",
    "BlobUnreadable",
    "BlobWriter",
    "Compression",
    "ExtendedAttribute",
    "Index",
    "Intake",
    "LoadedSnapshot",
    "NestedTooDeeply",
    "NoRepository",
    "Node",
    "PackId",
    "Repository",
    "Snapshot",
    "Stretch",
    "Summary",
    "TreeDamaged",
    "WantedBlob",
    "WriterSettings",
    "assemble_tree",
    "blob_id",
    "decode_tree",
    "demand_reachable",
    "edited",
    "encode_node",
    "find",
    "format_time",
    "is_object_name",
    "link_target",
    "newest_first",
    "node_from_stat",
    "parent_for",
    "parse_moment",
    "parse_tags",
    "parse_time",
    "path_text",
    "quote_name",
    "raw_name",
    "references",
    "select",
    "split_subtree",
    "stretches",
    "tree_id",
    "unix_mode",
]
