"""The only commands a rebuild runs: a command of a backup fits one of these forms, or it is refused.

A backup may come from somebody hostile. What the forms allow is what the rules write: git on the repository that is
being made, installers that take a lock file, builds by their usual names.
"""

import os
import re
from collections.abc import Sequence
from typing import Final

from pivori.engine.smart.documents import is_document
from pivori.engine.smart.git_bundle import HEAD_REF, STASH_REFS
from pivori.engine.smart.git_refs import MESSAGE
from pivori.engine.smart.git_settings import is_carried, is_remote_name
from pivori.engine.smart.packages import LOCK_FILES
from pivori.engine.smart.rules import RuleName

_BRANCH: Final = re.compile(r"refs/heads/(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*")
_REMOTE_BRANCH: Final = re.compile(r"refs/remotes/(?!.*\.\.)[A-Za-z0-9_][^\x00-\x20\x7f~^:?*\[\\]*")
_CARRIER: Final = re.compile(rf"{re.escape(HEAD_REF)}|{re.escape(STASH_REFS)}[0-9]{{1,6}}")
_PYTHON: Final = re.compile(r"python3(?:\.[0-9]{1,2})?")

_GIT_PLAIN: Final = (
    ("git", "init", "--quiet"),
    ("git", "reset", "--quiet"),
    ("git", "update-ref", "--no-deref", "HEAD", HEAD_REF),
)
_BUNDLE_BEFORE: Final = ("git", "fetch", "--quiet", "--no-tags", "--update-head-ok")
_STASH_BEFORE: Final = ("git", "stash", "store", "--quiet", "-m")

_INSTALLS: Final = frozenset(manager.install for manager in LOCK_FILES.values())
_BUILDS: Final = frozenset(manager.run for manager in LOCK_FILES.values()) | {
    ("cargo", "build"),
    ("mvn", "--batch-mode", "package", "-DskipTests"),
    ("gradle", "assemble"),
    ("./gradlew", "assemble"),
    ("python3", "-m", "build"),
}


def fits(rule: str, name: str, commands: Sequence[Sequence[str]]) -> bool:
    """Whether all commands that rebuild the entry ``name`` of a directory are such as the rule writes."""
    words = [tuple(command) for command in commands]
    if rule == RuleName.GIT:
        return name == ".git" and words[:1] == [_GIT_PLAIN[0]] and all(map(_is_git, words))
    if rule == RuleName.NODE_MODULES:
        return name == "node_modules" and len(words) == 1 and words[0] in _INSTALLS
    if rule == RuleName.BUILD_OUTPUT:
        return len(words) == 1 and words[0] in _BUILDS
    if rule == RuleName.VIRTUAL_ENVIRONMENT:
        return _is_environment(name, words)
    return False


def _is_git(command: tuple[str, ...]) -> bool:
    if command in _GIT_PLAIN:
        return True
    if command[:3] == ("git", "config", "--add"):
        return len(command) == 5 and is_carried(command[3], command[4])
    if command[:4] == _BUNDLE_BEFORE[:4] and len(command) == 5:
        return is_remote_name(command[4])
    if command[:5] == _BUNDLE_BEFORE:
        return len(command) == 7 and is_document(command[5]) and command[6] == "+refs/*:refs/*"
    if command[:2] == ("git", "symbolic-ref"):
        return len(command) == 4 and _is_pointer(command[2], command[3])
    if command[:3] == ("git", "update-ref", "-d"):
        return len(command) == 4 and _CARRIER.fullmatch(command[3]) is not None
    if command[:5] == _STASH_BEFORE:
        return len(command) == 7 and bool(MESSAGE.fullmatch(command[5]) and _CARRIER.fullmatch(command[6]))
    return False


def _is_pointer(name: str, goal: str) -> bool:
    """Whether a symbolic ref is HEAD on a branch, or the HEAD of a remote on one of its branches."""
    if name == "HEAD":
        return _BRANCH.fullmatch(goal) is not None
    return all(_REMOTE_BRANCH.fullmatch(text) for text in (name, goal))


def _is_environment(name: str, commands: list[tuple[str, ...]]) -> bool:
    """Whether an environment is made first, and then filled by the Python that was just put into it."""
    if len(commands) != 2 or name.startswith("-") or os.path.basename(name) != name or name in ("", ".", ".."):
        return False
    make, install = commands
    options = make[3:-1]
    return (
        _PYTHON.fullmatch(make[0]) is not None
        and make[1:3] == ("-m", "venv")
        and options in ((), ("--system-site-packages",))
        and make[-1] == name
        and install[:-1] == (f"{name}/bin/python", "-m", "pip", "install", "--no-deps", "--requirement")
        and is_document(install[-1])
    )
