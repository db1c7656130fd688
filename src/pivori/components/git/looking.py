"""What is in a repository and its work tree, without running anything that its configuration names.

Git is never asked to look into files of the work tree: filters would be run. What differs is known from the sizes and
times that the index keeps.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pivori.components.git.errors import NoWorkTree, RepositoryPartial, RepositoryUnreadable
from pivori.components.git.settings import Setting, kept_settings
from pivori.host.git import Git, GitFailed

_REF_FORMAT: Final = "%(objectname) %(objecttype) %(symref) %(refname)"
_ENTRY: Final = re.compile(
    rb"(?P<mode>[0-7]{6}) (?P<id>[0-9a-f]+) (?P<stage>[0-3])\t(?P<name>[^\0]*)\0"
    rb"  ctime: (?P<cs>\d+):(?P<cn>\d+)\n  mtime: (?P<ms>\d+):(?P<mn>\d+)\n  dev: \d+\tino: (?P<ino>\d+)\n"
    rb"  uid: \d+\tgid: \d+\n  size: (?P<size>\d+)\tflags: (?P<flags>[0-9a-f]+)\n"
)
_ASSUMED, _TO_BE_ADDED, _SKIPPED = 0x8000, 0x20000000, 0x40000000
_GITLINK: Final = "160000"
_STATE_FILES: Final = (
    *("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD", "ORIG_HEAD", "SQUASH_MSG"),
    *("AUTO_MERGE", "REBASE_HEAD", "COMMIT_EDITMSG", "BISECT_LOG", "BISECT_START", "BISECT_TERMS", "BISECT_NAMES"),
    *("rebase-merge", "rebase-apply", "sequencer", "info/sparse-checkout"),
)
_SHARED_FILES: Final = ("info/exclude", "info/attributes", "description", "hooks", "shallow", "logs/refs/stash")
_UNFINISHED: Final = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "BISECT_LOG")
_OF_COMMITS: Final = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "ORIG_HEAD", "REBASE_HEAD")


@dataclass(frozen=True)
class Entry:
    """An entry of the index."""

    mode: str
    item: str
    stage: int
    name: str
    flags: int
    times: tuple[int, int, int, int]
    inode: int
    size: int


@dataclass
class Look:
    """A repository at a moment. Names of files are texts with surrogates for bytes that are none.

    ``refs`` are (name, object, kind, symbolic target); ``own_files`` are files of the git folders by their names there;
    ``changed`` are files of the work tree whose content is not known to be that of the index, ``deleted`` those of the
    index that are not there, ``modes`` permissions that git would not bring back.
    """

    work_tree: Path
    own: Path
    shared: Path
    object_format: str
    head_branch: str | None = None
    head: str | None = None
    refs: Sequence[tuple[str, str, str, str]] = ()
    entries: Sequence[Entry] = ()
    settings: Sequence[Setting] = ()
    left_out: Sequence[str] = ()
    own_files: dict[str, Path] = field(default_factory=dict)
    stashes: Sequence[str] = ()
    changed: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)
    folders: dict[str, bool] = field(default_factory=dict)
    newest: int = 0
    fingerprint: str = ""

    @property
    def submodules(self) -> Sequence[str]:
        """The submodules, by their folders."""
        return [entry.name for entry in self.entries if entry.mode == _GITLINK]

    @property
    def unfinished(self) -> Sequence[str]:
        """What is in the middle of something (a merge, a rebase)."""
        return [name for name in _UNFINISHED if (self.own / name).exists()]

    @property
    def hooks(self) -> Sequence[str]:
        """The hooks of the repository."""
        return sorted(name for name in self.own_files if name.startswith("hooks/"))

    def flagged(self, flag: int) -> list[str]:
        """The entries of the index that have a flag."""
        return [entry.name for entry in self.entries if entry.flags & flag]


def git_at(path: Path) -> Git:
    """Git on the work tree at a path."""
    return Git(os.fsencode(path.resolve()))


def look_at(path: Path) -> Look:
    """Look at all of it. Raises NoWorkTree, RepositoryPartial, RepositoryUnreadable."""
    git = git_at(path)
    try:
        look = open_repository(git, path)
        _read_refs(git, look)
        _read_own_files(look)
        _read_stashes(git, look)
        _read_index(git, look)
        _read_work_tree(git, look)
    except GitFailed as error:
        raise RepositoryUnreadable(path=path, reason=error.reason) from None
    except OSError as error:
        raise RepositoryUnreadable(path=error.filename or path, reason=error.strerror or str(error)) from None
    return look


def open_repository(git: Git, path: Path) -> Look:
    """The repository, its folders and settings. Raises NoWorkTree, RepositoryPartial, GitFailed."""
    place = path.resolve()
    if not os.path.lexists(place / ".git"):
        raise NoWorkTree(path=path)
    words = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
    status, output = git.ask("rev-parse", *words)
    lines = os.fsdecode(output).splitlines()
    if status != 0 or len(lines) != len(words) or Path(lines[0]).resolve() != place:
        raise NoWorkTree(path=path)
    look = Look(place, Path(lines[1]), Path(os.path.normpath(place / lines[2])), lines[3])
    listing = git("config", "--file", str(look.shared / "config"), "--no-includes", "-z", "--list")
    names = {line.partition(b"\n")[0].lower() for line in listing.split(b"\0")}
    if b"extensions.partialclone" in names or any(re.fullmatch(rb"remote\..*\.promisor", name) for name in names):
        raise RepositoryPartial(path=path)
    look.settings, look.left_out = kept_settings(listing)
    return look


def _read_refs(git: Git, look: Look) -> None:
    found = []
    for line in git("for-each-ref", f"--format={_REF_FORMAT}").decode("utf-8", "surrogateescape").splitlines():
        item, kind, symbolic, name = line.split(" ", 3)
        found.append((name, item, kind, symbolic))
    look.refs = found
    status, branch = git.ask("symbolic-ref", "--quiet", "HEAD")
    look.head_branch = branch.decode("utf-8", "surrogateescape").strip() if status == 0 else None
    status, commit = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    look.head = commit.decode().strip() if status == 0 else None


def _read_own_files(look: Look) -> None:
    """The files of the git folders that are no objects, refs or settings."""
    for folder, names in ((look.own, _STATE_FILES), (look.shared, _SHARED_FILES)):
        for name in names:
            place = folder / name
            if place.is_symlink() or not place.exists():
                continue
            for file in [place] if place.is_file() else sorted(place.rglob("*")):
                if not file.is_symlink() and file.is_file() and not file.name.endswith(".sample"):
                    look.own_files[str(file.relative_to(folder))] = file


def _read_stashes(git: Git, look: Look) -> None:
    if any(name == "refs/stash" for name, *_rest in look.refs):
        look.stashes = git("rev-list", "-g", "refs/stash", "--").decode().split()


def _read_index(git: Git, look: Look) -> None:
    output = git("ls-files", "--stage", "-z", "--debug")
    entries, end = [], 0
    for found in _ENTRY.finditer(output):
        if found.start() != end:
            break
        end = found.end()
        times = (int(found["cs"]), int(found["cn"]), int(found["ms"]), int(found["mn"]))
        entries.append(
            Entry(
                found["mode"].decode(),
                found["id"].decode(),
                int(found["stage"]),
                os.fsdecode(found["name"]),
                int(found["flags"], 16),
                times,
                int(found["ino"]),
                int(found["size"]),
            )
        )
    if end != len(output):
        raise GitFailed("the index cannot be understood")
    look.entries = entries


def _read_work_tree(git: Git, look: Look) -> None:
    """Compare the work tree with the index, find what is untracked, and make the fingerprint."""
    index = look.own / "index"
    written = index.stat().st_mtime_ns if index.exists() else 0
    others = sorted(git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0"))
    filtered = _filtered(git, look, others)
    states: list[Any] = []
    for name in dict.fromkeys(entry.name for entry in look.entries if entry.mode != _GITLINK):
        facts = _facts(look, name)
        states.append([name, *_state(facts)])
        if facts is None:
            look.deleted.append(name)
            continue
        look.newest = max(look.newest, facts.st_ctime_ns)
        if stat.S_ISREG(facts.st_mode) and stat.S_IMODE(facts.st_mode) not in (0o644, 0o755):
            look.modes[name] = stat.S_IMODE(facts.st_mode)
    for entry in look.entries:
        if entry.stage or entry.mode == _GITLINK or not _is_clean(look, entry, written) or entry.name in filtered:
            look.changed.append(entry.name)
    gone = {*look.deleted, *look.submodules}
    look.changed = sorted({name for name in look.changed if name not in gone})
    for raw in others:
        name = os.fsdecode(raw)
        if name.endswith("/"):
            look.nested.append(name)
        elif name and (facts := _facts(look, name)) is not None:
            states.append([name, *_state(facts)])
            look.newest = max(look.newest, facts.st_ctime_ns)
            look.untracked.append(name)
    look.fingerprint = _fingerprint(look, states)


def _is_clean(look: Look, entry: Entry, written: int) -> bool:
    """Whether a file is as the index knows it, as far as sizes and times can say: as git itself decides."""
    facts = _facts(look, entry.name)
    if facts is None or entry.flags & _TO_BE_ADDED:
        return False
    changed, modified = divmod(facts.st_ctime_ns, 10**9), divmod(facts.st_mtime_ns, 10**9)
    kind = "120000" if stat.S_ISLNK(facts.st_mode) else "100755" if facts.st_mode & 0o100 else "100644"
    low = 0xFFFFFFFF
    return (
        (*changed, *modified) == entry.times
        and facts.st_ino & low == entry.inode
        and facts.st_size & low == entry.size
        and kind == entry.mode
        and facts.st_mtime_ns < written
    )


def _filtered(git: Git, look: Look, others: Sequence[bytes]) -> set[str]:
    """The files that a filter (of LFS, say) stands before: what is in the index is not what is in the work tree."""
    names = [entry.name for entry in look.entries]
    has_attributes = "info/attributes" in look.own_files or any(name.endswith(".gitattributes") for name in names)
    if not has_attributes and not any(name.endswith(b".gitattributes") for name in others):
        return set()
    given = b"".join(os.fsencode(name) + b"\0" for name in names)
    words = git("check-attr", "-z", "--stdin", "filter", "working-tree-encoding", "ident", stdin=given).split(b"\0")
    return {
        os.fsdecode(words[at]) for at in range(0, len(words) - 2, 3) if words[at + 2] not in (b"unspecified", b"unset")
    }


def _facts(look: Look, name: str) -> os.stat_result | None:
    """What lies at a name, when it is a file or a link that can be reached by folders alone."""
    if not _is_inside(look, name.rpartition("/")[0]):
        return None
    try:
        facts = os.lstat(f"{look.work_tree}/{name}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts if stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode) else None


def _is_inside(look: Look, folder: str) -> bool:
    """Whether no part of the way to a folder is a link: what lies behind one belongs to somebody else."""
    if not folder:
        return True
    if folder not in look.folders:
        try:
            is_folder = stat.S_ISDIR(os.lstat(f"{look.work_tree}/{folder}").st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_folder = False
        look.folders[folder] = is_folder and _is_inside(look, folder.rpartition("/")[0])
    return look.folders[folder]


def _state(facts: os.stat_result | None) -> Sequence[int]:
    if facts is None:
        return ()
    return facts.st_mode, facts.st_uid, facts.st_gid, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _fingerprint(look: Look, states: Sequence[Any]) -> str:
    """What is the same as long as nothing changed."""
    own = {}
    for name, path in look.own_files.items():
        facts = path.stat()
        look.newest = max(look.newest, facts.st_ctime_ns)
        own[name] = list(_state(facts))
    entries = [(entry.mode, entry.item, entry.stage, entry.name, entry.flags) for entry in look.entries]
    said = [look.head_branch, look.head, look.refs, look.settings, look.left_out, own, look.stashes, entries, states]
    said += [look.nested, look.object_format]
    return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()


def wanted_objects(look: Look) -> Mapping[str, str]:
    """The names that a bundle gives to what it has to hold: refs, a detached HEAD, stashes, commits in the making."""
    wanted = {name: item for name, item, _kind, symbolic in look.refs if not symbolic and name != "refs/stash"}
    if look.head_branch is None and look.head is not None:
        wanted["refs/pivori/head"] = look.head
    for number, item in enumerate(look.stashes):
        wanted[f"refs/pivori/stash/{number}"] = item
    for name in _OF_COMMITS:
        if name in look.own_files:
            for number, item in enumerate(look.own_files[name].read_text("ascii", "replace").split()):
                if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", item):
                    wanted[f"refs/pivori/state/{name}-{number}"] = item
    return wanted
