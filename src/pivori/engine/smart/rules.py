"""The rules of the smart strategy, as data: which names are candidates, and in which order they are rebuilt.

A name alone proves nothing except where it belongs to one tool (``.mypy_cache``, ``.DS_Store``): everything else is
handed to the module that looks for evidence. What is not proven is kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RuleName(StrEnum):
    """The rules, by the names the manifest has them under."""

    GIT = "git"
    NODE_MODULES = "node-modules"
    VIRTUAL_ENVIRONMENT = "virtual-environment"
    BUILD_OUTPUT = "build-output"
    BYTECODE = "bytecode"
    TOOL_CACHE = "tool-cache"
    LOG = "log"
    DROPPING = "dropping"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. ``names`` are the exact names of its candidates, ``pattern`` fits further ones.

    ``rank`` orders rebuilding: lower ones first. A candidate that is kept is still looked into when ``enters_kept``.
    """

    name: RuleName
    is_directory: bool = True
    names: frozenset[bytes] = frozenset()
    pattern: re.Pattern[bytes] | None = None
    rank: int = 0
    enters_kept: bool = False


ENVIRONMENT_MARK: Final = b"pyvenv.cfg"
"""The file that makes a directory of any name a virtual environment."""

TOOL_CACHES: Final = frozenset(
    {
        b".mypy_cache",
        b".pytest_cache",
        b".ruff_cache",
        b".tox",
        b".nox",
        b".gradle",
        b".parcel-cache",
        b".turbo",
        b".sass-cache",
        b".ipynb_checkpoints",
    }
)

LOG_NAME: Final = re.compile(rb".+\.log(?:[.-][0-9]{1,10})?(?:\.(?:gz|xz|zst|bz2))?", re.DOTALL)
DATABASE_JOURNAL: Final = re.compile(rb"[0-9]+\.log(?:\..*)?|ib_logfile.*|.*-wal\.log", re.DOTALL)
"""Logs by name that are a database's data: LevelDB, RocksDB and Kafka number theirs."""

RULES: Final[Mapping[RuleName, Rule]] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            Rule(name=RuleName.GIT, names=frozenset({b".git"})),
            Rule(name=RuleName.NODE_MODULES, names=frozenset({b"node_modules"}), rank=1),
            Rule(name=RuleName.VIRTUAL_ENVIRONMENT, rank=1),
            Rule(
                name=RuleName.BUILD_OUTPUT,
                names=frozenset({b"dist", b"build", b"target", b".next"}),
                rank=2,
                enters_kept=True,
            ),
            Rule(name=RuleName.BYTECODE, names=frozenset({b"__pycache__"}), enters_kept=True),
            Rule(name=RuleName.TOOL_CACHE, names=TOOL_CACHES | {b".cache"}, enters_kept=True),
            Rule(name=RuleName.LOG, is_directory=False, pattern=LOG_NAME),
            Rule(
                name=RuleName.DROPPING,
                is_directory=False,
                names=frozenset({b".DS_Store", b"Thumbs.db", b".eslintcache", b".stylelintcache"}),
                pattern=re.compile(rb".+\.sw[a-p]", re.DOTALL),
            ),
        )
    }
)


def _by_name(is_directory: bool) -> Mapping[bytes, Rule]:
    return {name: rule for rule in RULES.values() if rule.is_directory == is_directory for name in rule.names}


_DIRECTORIES: Final = _by_name(True)
_FILES: Final = _by_name(False)
_PATTERNS: Final = [rule for rule in RULES.values() if rule.pattern is not None]


def rule_for(name: bytes, is_directory: bool) -> Rule | None:
    """The rule whose candidate an entry of this name is; None for most."""
    if is_directory:
        return _DIRECTORIES.get(name)
    found = _FILES.get(name)
    if found is not None:
        return found
    return next((rule for rule in _PATTERNS if rule.pattern is not None and rule.pattern.fullmatch(name)), None)
