"""The evidence about what nobody needs back: bytecode, caches of tools, logs, droppings of editors and systems."""

import os
from typing import Final

from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, read_beginning
from pivori.engine.smart.candidate import Candidate, NotProven, Proof
from pivori.engine.smart.rules import DATABASE_JOURNAL
from pivori.host import read_directory
from pivori.translation import N_, Phrase

_LOOK: Final = 8 << 10
_COMPRESSED: Final = (b".gz", b".xz", b".zst", b".bz2")
_VIM: Final = b"b0VIM "
_VIM_LENGTH: Final = 1008
_VIM_CHANGED: Final = 1007
"""Where a swap file of vim says whether its text differs from the file on the disk."""


def judge_bytecode(candidate: Candidate) -> Proof:
    """The proof about a ``__pycache__``. Raises NotProven."""
    candidate.demand_untracked()
    candidate.demand_no_repository()
    for entry in read_directory(candidate.path):
        if not entry.name.endswith((b".pyc", b".pyo", b".nbi", b".nbc")) or entry.is_dir(follow_symlinks=False):
            name = entry.name.decode("utf-8", "backslashreplace")
            raise NotProven(N_("it holds {name}, which is no bytecode"), name=name)
    return Proof(Phrase(N_("Python writes it anew when the module is used")))


def judge_tool_cache(candidate: Candidate) -> Proof:
    """The proof about the cache of a tool. Raises NotProven."""
    candidate.demand_untracked()
    candidate.demand_no_repository()
    if candidate.name == b".cache" and not _is_marked(candidate):
        raise NotProven(N_("no CACHEDIR.TAG says that it is a cache"))
    if candidate.name == b".gradle" and not candidate.siblings & {
        b"build.gradle",
        b"build.gradle.kts",
        b"settings.gradle",
        b"settings.gradle.kts",
    }:
        raise NotProven(N_("no build.gradle is beside it"))
    return Proof(Phrase(N_("a tool keeps its cache under this name, and fills it again")))


def _is_marked(candidate: Candidate) -> bool:
    tag = os.path.join(candidate.path, CACHE_DIRECTORY_TAG.name)
    try:
        return read_beginning(tag, len(CACHE_DIRECTORY_TAG.header)) == CACHE_DIRECTORY_TAG.header
    except OSError:
        return False


def judge_log(candidate: Candidate) -> Proof:
    """The proof about a log. Raises NotProven."""
    candidate.demand_untracked()
    if DATABASE_JOURNAL.fullmatch(candidate.name):
        raise NotProven(N_("databases name their journals so"))
    if not candidate.name.endswith(_COMPRESSED) and b"\0" in read_beginning(candidate.path, _LOOK):
        raise NotProven(N_("it is no text, so it may be a database's journal"))
    return Proof(Phrase(N_("it is a log by its name and its content")))


def judge_dropping(candidate: Candidate) -> Proof:
    """The proof about the dropping of an editor or a system. Raises NotProven."""
    candidate.demand_untracked()
    if not candidate.name[:-1].endswith(b".sw"):
        return Proof(Phrase(N_("a system or an editor writes it anew")))
    content = read_beginning(candidate.path, _VIM_LENGTH)
    if content and (not content.startswith(_VIM) or len(content) < _VIM_LENGTH):
        raise NotProven(N_("it is no swap file of vim"))
    if content and content[_VIM_CHANGED] != 0:
        raise NotProven(N_("it holds changes that were never saved"))
    return Proof(Phrase(N_("it is a swap file of vim without unsaved changes")))
