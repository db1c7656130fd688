"""The refs of a repository: what has to come back, and what remotes are known to have."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pivori.engine.smart.candidate import NotProven
from pivori.host.git import Git
from pivori.translation import N_

_FORMAT: Final = "%(refname)%00%(objectname)%00%(objecttype)%00%(*objecttype)%00%(symref)"
_HEADS, _TAGS, _REMOTES, _STASH, _PREFETCH = (
    "refs/heads/",
    "refs/tags/",
    "refs/remotes/",
    "refs/stash",
    "refs/prefetch/",
)
_UNUSABLE: Final = frozenset(" ~^:?*[\\")

MESSAGE: Final = re.compile(r"[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*", re.DOTALL)
"""The message of a stash that a command line can carry."""


@dataclass
class References:
    """``own``: branches and tags by name, with their objects. ``known``: objects that remotes have.

    ``remote_of`` names the remote of each of its branches; ``remote_heads`` are the symbolic refs among them.
    ``stashes`` are (commit, message), the newest first. ``head`` is the commit of HEAD, ``head_branch`` its
    branch, None when HEAD is detached.
    """

    own: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    remote_of: dict[str, str] = field(default_factory=dict)
    remote_heads: dict[str, str] = field(default_factory=dict)
    stashes: list[tuple[str, str]] = field(default_factory=list)
    head: str = ""
    head_branch: str | None = None


def read_references(git: Git, remotes: Mapping[str, str]) -> References:
    """Every ref of the repository. Raises NotProven for kinds that are not carried, GitFailed."""
    found = References()
    has_stash = False
    for line in git("for-each-ref", f"--format={_FORMAT}").decode("utf-8", "surrogateescape").splitlines():
        name, item, kind, peeled, symbolic = line.split("\0")
        if name == _STASH:
            has_stash = True
        elif name.startswith(_REMOTES):
            _take_remote(found, name, item, symbolic, remotes)
        elif symbolic or not name.startswith((_HEADS, _TAGS, _PREFETCH)):
            raise NotProven(N_("it has a ref that no remote keeps: {name}"), name=name)
        elif (peeled or kind) != "commit" or not name.isascii() or _UNUSABLE & set(name):
            raise NotProven(N_("it has a ref that cannot be carried: {name}"), name=name)
        elif not name.startswith(_PREFETCH):
            found.own[name] = item
    if not found.remote_of:
        raise NotProven(N_("nothing was ever fetched from its remote, or pushed there"))
    if has_stash:
        found.stashes = _read_stashes(git)
    _read_head(git, found)
    return found


def _take_remote(found: References, name: str, item: str, symbolic: str, remotes: Mapping[str, str]) -> None:
    remote = _longest(name.removeprefix(_REMOTES), remotes)
    if symbolic:
        if remote is not None and symbolic.startswith(f"{_REMOTES}{remote}/"):
            found.remote_heads[name] = symbolic
        return
    if remote is not None:
        found.remote_of[name] = remote
        found.known.add(item)


def _longest(path: str, remotes: Iterable[str]) -> str | None:
    """The remote whose branch is noted under ``path``."""
    return max((name for name in remotes if path.startswith(name + "/")), key=len, default=None)


def _read_stashes(git: Git) -> list[tuple[str, str]]:
    output = git("log", "-g", "--format=%H%x00%gs", "--no-show-signature", _STASH, "--")
    stashes = []
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        commit, _, message = line.partition("\0")
        if not MESSAGE.fullmatch(message) or message.encode("utf-8", "replace").decode() != message:
            raise NotProven(N_("the message of a stash cannot be carried"))
        stashes.append((commit, message))
    if not stashes:
        raise NotProven(N_("the list of its stashes is not whole"))
    return stashes


def _read_head(git: Git, found: References) -> None:
    status, commit = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if status != 0:
        raise NotProven(N_("nothing is committed on its branch yet"))
    found.head = commit.decode().strip()
    status, branch = git.ask("symbolic-ref", "--quiet", "HEAD")
    if status == 0:
        found.head_branch = branch.decode("utf-8", "surrogateescape").strip()
        if found.head_branch not in found.own:
            raise NotProven(N_("it has a ref that cannot be carried: {name}"), name=found.head_branch)
