"""The evidence about a ``.git``: it is left out when a remote, together with a bundle, gives all of it back.

All of it: every commit of every branch, tag and stash, where they point, the settings. Whatever else a repository can
hold (work in progress, hooks, other refs, other work trees, files git leaves elsewhere) is a reason to keep it.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Final

from pivori.engine.smart.candidate import Candidate, Command, NotProven, Proof
from pivori.engine.smart.documents import document_name
from pivori.engine.smart.git_bundle import HEAD_REF, STASH_REFS, Bundle, make_bundle
from pivori.engine.smart.git_refs import References, read_references
from pivori.engine.smart.git_settings import Settings, describe, read_settings
from pivori.host.git import Git, GitFailed
from pivori.translation import N_, Phrase

_ENTRIES: Final = frozenset(
    {
        b"HEAD",
        b"ORIG_HEAD",
        b"FETCH_HEAD",
        b"COMMIT_EDITMSG",
        b"TAG_EDITMSG",
        b"config",
        b"description",
        b"gc.log",
        b"index",
        b"packed-refs",
        b"branches",
        b"hooks",
        b"info",
        b"logs",
        b"objects",
        b"refs",
        b"worktrees",
        b"modules",
        b"rr-cache",
    }
)
_EMPTY: Final = (b"branches", b"worktrees", b"modules", b"rr-cache")
_INFO: Final = frozenset({b"exclude", b"refs"})
_OBJECTS_ELSEWHERE: Final = (b"alternates", b"http-alternates")
_USUAL_DESCRIPTION: Final = b"Unnamed repository"
_GITLINK: Final = b"160000"


def judge_repository(candidate: Candidate) -> Proof:
    """The proof that a ``.git`` can be left out. Raises NotProven."""
    if not os.path.isdir(candidate.path) or os.path.islink(candidate.path) or candidate.work_tree is None:
        raise NotProven(N_("it only points to a repository elsewhere"))
    git = candidate.work_tree.git
    try:
        _check_files(candidate.path)
        settings = read_settings(git, candidate.path, candidate.sources)
        if not settings.remotes:
            raise NotProven(N_("no remote has a recorded address with branches of its own"))
        references = read_references(git, settings.remotes)
        _check_index(git)
        bundle = make_bundle(git, references)
    except GitFailed as error:
        raise NotProven(error.reason) from None
    name = document_name(b"bundles", candidate.path, b".bundle")
    commands = tuple(_commands(settings, references, bundle, os.fsdecode(name)))
    return Proof(_evidence(settings, references, bundle), commands, {name: bundle.content})


def _evidence(settings: Settings, references: References, bundle: Bundle) -> Phrase:
    used = sorted({references.remote_of[name] for name in references.remote_of})
    remotes = ", ".join(f"{name} ({describe(settings.remotes[name])})" for name in used)
    if bundle.commits:
        return Phrase(
            N_("all commits are on {remotes}, but for {count}, which are in a bundle"),
            remotes=remotes,
            count=bundle.commits,
        )
    return Phrase(N_("all commits of all branches, tags and stashes are on {remotes}"), remotes=remotes)


# What lies in the folder


def _check_files(directory: bytes) -> None:
    names = set(os.listdir(directory))
    for name in sorted(names - _ENTRIES):
        raise NotProven(N_("it holds {name}: work in progress, or something only this copy has"), name=_shown(name))
    for name in _EMPTY:
        if name in names and os.listdir(os.path.join(directory, name)):
            raise NotProven(N_("it holds {name}, which no remote has"), name=_shown(name))
    _check_hooks(directory, names)
    _check_info(directory)
    _check_objects(directory)


def _check_hooks(directory: bytes, names: set[bytes]) -> None:
    hooks = os.listdir(os.path.join(directory, b"hooks")) if b"hooks" in names else []
    own = sorted(name for name in hooks if not name.endswith(b".sample"))
    if own:
        raise NotProven(N_("it has a hook of its own: {name}"), name=_shown(own[0]))
    if b"description" in names and not _content(directory, b"description").startswith(_USUAL_DESCRIPTION):
        raise NotProven(N_("it holds {name}, which no remote has"), name="description")


def _check_info(directory: bytes) -> None:
    info = os.path.join(directory, b"info")
    names = os.listdir(info) if os.path.isdir(info) else []
    for name in sorted(set(names) - _INFO):
        raise NotProven(N_("it holds {name}, which no remote has"), name=_shown(b"info/" + name))
    if b"exclude" in names:
        lines = _content(info, b"exclude").splitlines()
        if any(line.strip() and not line.startswith(b"#") for line in lines):
            raise NotProven(N_("it holds {name}, which no remote has"), name="info/exclude")


def _check_objects(directory: bytes) -> None:
    objects = os.path.join(directory, b"objects")
    if any(os.path.lexists(os.path.join(objects, b"info", name)) for name in _OBJECTS_ELSEWHERE):
        raise NotProven(N_("it borrows objects from another repository"))
    packs = os.path.join(objects, b"pack")
    if os.path.isdir(packs) and any(name.endswith(b".promisor") for name in os.listdir(packs)):
        raise NotProven(N_("it is a partial clone"))


def _content(directory: bytes, name: bytes) -> bytes:
    with open(os.path.join(directory, name), "rb") as file:
        return file.read(1 << 20)


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


# What the index holds besides


def _check_index(git: Git) -> None:
    """Raises NotProven when the index says more than HEAD and the files of the work tree do."""
    for line in git("ls-files", "-z", "-s").split(b"\0"):
        facts = line.split(b"\t", 1)[0].split(b" ")
        if facts[0] == _GITLINK:
            raise NotProven(N_("it has submodules"))
        if facts[-1] not in (b"", b"0"):
            raise NotProven(N_("a merge is in conflict"))
    for line in git("ls-files", "-z", "-v").split(b"\0"):
        if line and not line.startswith(b"H "):
            raise NotProven(N_("its index hides changes: files are marked assume-unchanged or skip-worktree"))
    status, _ = git.ask("diff-index", "--cached", "--quiet", "--no-ext-diff", "--no-textconv", "HEAD", "--")
    if status == 1:
        raise NotProven(N_("changes are staged that are not committed yet"))
    if status != 0:
        raise NotProven(N_("git cannot compare its index with HEAD"))


# How it is made again


def _commands(settings: Settings, references: References, bundle: Bundle, document: str) -> Iterator[Command]:
    """The commands, in order: what they may be is in ``forms``."""
    hooks = [setting for setting in settings.carried if setting[0] == "core.hookspath"]
    yield "git", "init", "--quiet"
    for setting in settings.carried:
        if setting not in hooks:
            yield "git", "config", "--add", *setting
    for name in sorted(set(references.remote_of.values())):
        yield "git", "fetch", "--quiet", "--no-tags", name
    yield "git", "fetch", "--quiet", "--no-tags", "--update-head-ok", document, "+refs/*:refs/*"
    for name, goal in sorted(references.remote_heads.items()):
        yield "git", "symbolic-ref", name, goal
    if references.head_branch is not None:
        yield "git", "symbolic-ref", "HEAD", references.head_branch
    else:
        yield "git", "update-ref", "--no-deref", "HEAD", HEAD_REF
        yield "git", "update-ref", "-d", HEAD_REF
    yield from _stash_commands(references)
    yield "git", "reset", "--quiet"
    for setting in hooks:
        yield "git", "config", "--add", *setting


def _stash_commands(references: References) -> Iterator[Command]:
    numbered: Iterable[tuple[int, tuple[str, str]]] = enumerate(references.stashes)
    for number, (_, message) in reversed(list(numbered)):
        yield "git", "stash", "store", "--quiet", "-m", message, f"{STASH_REFS}{number}"
    for number in range(len(references.stashes)):
        yield "git", "update-ref", "-d", f"{STASH_REFS}{number}"
