"""A repository, from a capture: built beside its place, checked, and then moved there."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pivori.components.base import Report, RestoreRequest, Source
from pivori.components.git.bundles import check_whole, take_in
from pivori.components.git.capturing import GIT_FILES, INDEX, REFS, STAGED, STATE, WORK_TREE
from pivori.components.git.errors import CaptureDamaged, RestoreDiffers
from pivori.components.git.ignored import carry_ignored
from pivori.components.git.tars import unpack
from pivori.host.git import Git, GitFailed
from pivori.host.owners import group_number, user_number
from pivori.translation import N_

_MOST: Final = 1 << 30
_QUIET: Final = ("-c", "core.logAllRefUpdates=false", "-c", "core.hooksPath=/dev/null")


def check_files(source: Source) -> None:
    """Compare every file of a capture with its digest. Raises CaptureDamaged, NotCaptured."""
    for path, (size, wanted) in source.report.facts["files"].items():
        digest, length = hashlib.sha256(), 0
        for piece in source.pieces(path):
            digest.update(piece)
            length += len(piece)
        if (length, digest.hexdigest()) != (size, wanted):
            raise CaptureDamaged(path=path, reason=N_("it is not what was captured"))


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """An empty private folder that is removed at the end, where it is still there; what was left there is, too."""
    remove_folder(folder)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        # An interruption hits a clean-up once at most.
        try:
            remove_folder(folder)
        finally:
            remove_folder(folder)


def remove_folder(folder: Path) -> bool:
    """Remove a folder with all that is in it: whether it was there."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    shutil.rmtree(folder)
    return True


def target_of(report: Report, request: RestoreRequest) -> Path:
    """Where a restore puts the work tree."""
    original, root = Path(report.facts["path"]), Path(report.facts["root"])
    if original.is_relative_to(root):
        return request.root / original.relative_to(root)
    return original if request.to is None else request.to


def is_shared(target: Path, request: RestoreRequest) -> bool:
    """Whether the folder has others' things too, or cannot be moved: then only what is captured is replaced in it."""
    return target.is_dir() and not target.is_symlink() and (target == request.root or os.path.ismount(target))


def partial_of(target: Path, request: RestoreRequest) -> Path:
    """Where a repository is built: on the same volume, under a name that only depends on its place."""
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
    return (target if is_shared(target, request) else target.parent) / f".pivori-{digest}.partial"


def in_the_way(source: Source, target: Path, request: RestoreRequest) -> Sequence[Path]:
    """What is moved aside: the folder, or what is in it and in the capture too. Raises NotCaptured, CaptureDamaged."""
    if not is_shared(target, request):
        return [target] if os.path.lexists(target) else []
    index = source.read(INDEX, _MOST).split(b"\0")
    names = {os.fsdecode(line.partition(b"\t")[2]).split("/")[0] for line in index if line}
    names |= {".git", *json.loads(source.read(STATE, _MOST))["tops"]}
    return [target / name for name in sorted(names) if os.path.lexists(target / name)]


class Rebuilding:
    """A repository that is being made from a capture in an empty folder."""

    def __init__(self, source: Source, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self._facts = source.report.facts
        self._files = self._facts["files"]
        self._git = Git(os.fsencode(folder))
        self.state: Mapping[str, Any] = json.loads(source.read(STATE, _MOST))

    def history(self) -> None:
        """All objects. Raises CaptureDamaged, NotCaptured, GitFailed."""
        self._git("init", "-q", "--template=", f"--object-format={self._facts['format']}", ".")
        if GIT_FILES in self._files:
            unpack(self._source, GIT_FILES, self._folder / ".git", only="shallow", is_git_folder=True)
        for path in self._facts["bundles"]:
            take_in(self._git, self._source, path, is_bundle=True)
        if STAGED in self._files:
            take_in(self._git, self._source, STAGED, is_bundle=False)
        try:
            check_whole(self._git, self.state["objects"])
        except GitFailed:
            raise CaptureDamaged(path="bundles", reason=N_("parts of the history are missing")) from None

    @property
    def submodules(self) -> Sequence[str]:
        """The folders of submodules."""
        lines = self._source.read(INDEX, _MOST).split(b"\0")
        return [os.fsdecode(line.partition(b"\t")[2]) for line in lines if line.startswith(b"160000 ")]

    def everything(self) -> int:
        """The whole work tree: how many bytes of files git did not have. As :meth:`history`, and RestoreDiffers."""
        self.history()
        for key, value in self.state["settings"]:
            self._git("config", "--add", key, value)
        self._refs()
        self._index()
        return self._work_tree()

    def _refs(self) -> None:
        self._git(*_QUIET, "update-ref", "--stdin", stdin=self._source.read(REFS, _MOST))
        for name, goal in self.state["symbolic"].items():
            self._git(*_QUIET, "symbolic-ref", name, goal)
        if self.state["head_branch"]:
            self._git(*_QUIET, "symbolic-ref", "HEAD", self.state["head_branch"])
        elif self.state["head"]:
            self._git(*_QUIET, "update-ref", "--no-deref", "HEAD", self.state["head"])
        if GIT_FILES in self._files:
            (self._folder / ".git" / "logs" / "refs").mkdir(parents=True, exist_ok=True)
            unpack(self._source, GIT_FILES, self._folder / ".git", is_git_folder=True)

    def _index(self) -> None:
        self._git("update-index", "-z", "--index-info", stdin=self._source.read(INDEX, _MOST))
        self._git("checkout-index", "--all", "--force", "--quiet")

    def _work_tree(self) -> int:
        for name in self.state["deleted"]:
            self._delete(name)
        written = unpack(self._source, WORK_TREE, self._folder) if WORK_TREE in self._files else 0
        for name, mode in self.state["modes"].items():
            place = self._folder / name
            if place.is_file() and not place.is_symlink():
                place.chmod(mode)
        if self.state["to_be_added"]:
            self._git("add", "--intent-to-add", "--force", "--", *self.state["to_be_added"])
        for option, key in (("--assume-unchanged", "assumed"), ("--skip-worktree", "skipped")):
            if self.state[key]:
                names = b"".join(os.fsencode(name) + b"\0" for name in self.state[key])
                self._git("update-index", option, "-z", "--stdin", stdin=names)
        # Says with its status whether anything differs, which is no failure.
        self._git.ask("update-index", "-q", "--refresh")
        return written

    def _delete(self, name: str) -> None:
        place = self._folder / name
        if place.is_symlink() or place.is_file():
            place.unlink()
        folder = place.parent
        while folder != self._folder and folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def check(self) -> None:
        """Compare refs, HEAD, stashes and the index with the capture. Raises RestoreDiffers, GitFailed."""
        listing = self._git("for-each-ref", "--format=update %(refname) %(objectname)%(symref)")
        symbolic = self.state["symbolic"]
        lines = [line for line in listing.splitlines() if os.fsdecode(line.split(b" ")[1]) not in symbolic]
        if sorted(lines) != sorted(self._source.read(REFS, _MOST).splitlines()):
            raise self._differs(N_("its refs are others"))
        if self._git("ls-files", "--stage", "-z") != self._expected_index():
            raise self._differs(N_("its index is another"))
        stashes = self._git("rev-list", "-g", "refs/stash", "--").decode().split() if self.state["stashes"] else []
        if stashes != self.state["stashes"]:
            raise self._differs(N_("its stashes are others"))

    def _expected_index(self) -> bytes:
        added = set(self.state["to_be_added"])
        if not added:
            return self._source.read(INDEX, _MOST)
        return self._git("ls-files", "--stage", "-z")

    def _differs(self, reason: str) -> RestoreDiffers:
        return RestoreDiffers(path=self._folder, reason=reason)

    def give_to_owner(self) -> bool:
        """Give everything the owner it had, and the folder its permissions: whether that was possible."""
        owner = self._facts["owner"]
        uid = user_number(owner["user"]) if owner["user"] else None
        gid = group_number(owner["group"]) if owner["group"] else None
        wanted = (owner["uid"] if uid is None else uid, owner["gid"] if gid is None else gid)
        self._folder.chmod(owner["mode"])
        found = self._folder.stat()
        if (found.st_uid, found.st_gid) == wanted:
            return True
        try:
            os.chown(self._folder, *wanted)
        except PermissionError:
            return False
        for folder, folders, names in os.walk(self._folder):
            for name in (*folders, *names):
                os.chown(os.path.join(folder, name), *wanted, follow_symlinks=False)  # noqa: PTH118 - one of many
        return True


def put_in_place(
    partial: Path, target: Path, ways: Sequence[Path], request: RestoreRequest, submodules: Sequence[str]
) -> list[str]:
    """Move aside what is in the way, what was built to its place, and what git ignores back into it.

    Ignored files that stay aside come back. Raises OSError, GitFailed.
    """
    shared = is_shared(target, request)
    moved = [(path, request.aside(path)) for path in ways]
    if not shared:
        partial.rename(target)
    else:
        # The repository comes last: with it the restore is complete.
        for item in sorted(partial.iterdir(), key=lambda path: path.name == ".git"):
            place = target / item.name
            if os.path.lexists(place):
                request.aside(place)
            item.rename(place)
    left = []
    for path, old in moved:
        if path.name != ".git" and old.is_dir() and not old.is_symlink():
            within = "" if path == target else path.name
            left += carry_ignored(target, old, within, submodules)
    return left
