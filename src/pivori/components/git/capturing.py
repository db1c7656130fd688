"""A capture of a repository: bundles, the index with its objects, the files that git does not have yet."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pivori.components.base import Consistency, Report, Sink, Stored, Surroundings
from pivori.components.git.bundles import (
    MOST_BUNDLES,
    MOST_KNOWN,
    adds_something,
    existing,
    missing_objects,
    store_bundle,
    store_objects,
)
from pivori.components.git.looking import Look, look_at, wanted_objects
from pivori.components.git.tars import tar_of
from pivori.host.git import Git
from pivori.host.owners import group_name, user_name
from pivori.translation import N_, Phrase

VERSION: Final = 1
STATE, REFS, INDEX = "state.json", "refs", "index"
STAGED, WORK_TREE, GIT_FILES = "staged.pack", "worktree.tar", "git-files.tar"
_SETTLED: Final = 2_000_000_000
"""Nanoseconds after which a file that is written again certainly has another time."""
_MOST_REMOTE: Final = 200


@dataclass(frozen=True)
class Chain:
    """Bundles in their order, and the objects that they bring, with all that these need."""

    bundles: Sequence[str]
    known: Sequence[str]


def unchanged(look: Look, sink: Sink) -> Report | None:
    """The report of the previous capture, everything of it taken over, when nothing has changed since; else None."""
    previous = sink.previous
    if previous is None or previous.facts.get("version") != VERSION:
        return None
    if not look.fingerprint or previous.facts.get("fingerprint") != look.fingerprint:
        return None
    files: Mapping[str, Any] = previous.facts["files"]
    if not set(files) <= {*sink.names(""), *sink.names("bundles")}:
        return None
    for path, (size, digest) in files.items():
        if sink.keep(path) != Stored(size=size, sha256=digest):
            return None
    return previous


class Capturing:
    """One capture of one repository."""

    def __init__(self, git: Git, look: Look, sink: Sink, surroundings: Surroundings) -> None:
        self._git = git
        self._look = look
        self._sink = sink
        self._surroundings = surroundings
        self._files: dict[str, Stored] = {}

    def run(self) -> Report:
        """Take it. Raises GitFailed and the errors of this kind."""
        look = self._look
        began = self._surroundings.clock.now_ns()
        wanted = existing(self._git, wanted_objects(look))
        chain = self._store_history(wanted)
        staged = self._store_index()
        self._store_files()
        self._store_state(wanted)
        warnings = list(_warnings(look))
        is_settled = look.newest + _SETTLED < began
        if look_at(look.work_tree).fingerprint != look.fingerprint:
            is_settled = False
            warnings.append(Phrase(N_("{path} changed while it was captured"), path=str(look.work_tree)))
        return Report(
            consistency=Consistency.FILES,
            versions={"git": self._git("version").decode().split()[2]},
            position=self._position(),
            counts=self._counts(staged),
            facts={
                "version": VERSION,
                "fingerprint": look.fingerprint if is_settled else "",
                "path": str(look.work_tree),
                "root": str(self._surroundings.root.resolve()),
                "files": {path: [stored.size, stored.sha256] for path, stored in self._files.items()},
                "bundles": chain.bundles,
                "known": chain.known,
                "head": _shown(look.head_branch or look.head or ""),
                "detached": look.head_branch is None,
                "format": look.object_format,
                "shallow": "shallow" in look.own_files,
                "hooks": [_shown(name) for name in look.hooks],
                "settings": [[key, value] for key, value in look.settings],
                "left_out": look.left_out,
                "tracking": self._tracking(),
                "unfinished": look.unfinished,
                "staged": staged,
                "symbolic": {_shown(name): _shown(goal) for name, _item, _kind, goal in look.refs if goal},
                "owner": self._owner(),
            },
            warnings=warnings,
        )

    def _owner(self) -> Mapping[str, Any]:
        facts = self._look.work_tree.stat()
        return {
            "uid": facts.st_uid,
            "gid": facts.st_gid,
            "user": user_name(facts.st_uid),
            "group": group_name(facts.st_gid),
            "mode": facts.st_mode & 0o7777,
        }

    # What is committed

    def _store_history(self, wanted: Mapping[str, str]) -> Chain:
        chain = self._chain()
        items = sorted(set(wanted.values()))
        if chain is None:
            chain = Chain([], [])
        for path in chain.bundles:
            stored = self._sink.keep(path)
            if stored is not None:
                self._files[path] = stored
        if not items or not adds_something(self._git, items, chain.known):
            return chain
        path = f"bundles/{self._next_number():06d}.bundle"
        self._files[path] = store_bundle(
            self._git, self._sink, path, wanted, chain.known, self._look.object_format, self._surroundings.state
        )
        known = sorted({*chain.known, *items})
        return Chain([*chain.bundles, path], known)

    def _chain(self) -> Chain | None:
        """The bundles of the previous capture, when this one can build on them."""
        previous = self._sink.previous
        if previous is None or previous.facts.get("version") != VERSION:
            return None
        facts = previous.facts
        bundles, known = facts["bundles"], facts["known"]
        if facts["format"] != self._look.object_format or not 0 < len(bundles) < MOST_BUNDLES:
            return None
        # Bundles of a deeper history would not fit a shallow one, and the other way round.
        if len(known) > MOST_KNOWN or "shallow" in self._look.own_files or facts["path"] != str(self._look.work_tree):
            return None
        if not set(bundles) <= set(self._sink.names("bundles")) or missing_objects(self._git, known):
            return None
        return Chain(bundles, known)

    def _next_number(self) -> int:
        names = self._sink.names("bundles")
        return 1 + max((int(found[1]) for name in names if (found := re.search(r"(\d+)\.bundle$", name))), default=0)

    # What is staged

    def _store_index(self) -> int:
        """Store the index and the objects that no commit has: how many entries differ from HEAD."""
        lines = [f"{e.mode} {e.item} {e.stage}\t{e.name}\0" for e in self._look.entries if e.flags & 0x20000000 == 0]
        self._files[INDEX] = self._sink.document(INDEX, "".join(lines).encode("utf-8", "surrogateescape"))
        committed = self._committed()
        staged = {entry.item for entry in self._look.entries if entry.mode != "160000" and entry.item not in committed}
        if staged:
            self._files[STAGED] = store_objects(self._git, self._sink, STAGED, sorted(staged), self._surroundings.state)
        there = {(entry.mode, entry.item, entry.name) for entry in self._look.entries}
        return len(self._in_head ^ there)

    def _committed(self) -> set[str]:
        self._in_head: set[tuple[str, str, str]] = set()
        if self._look.head is not None:
            for line in self._git("ls-tree", "-r", "-z", self._look.head).split(b"\0"):
                if line:
                    facts, _, name = line.decode("utf-8", "surrogateescape").partition("\t")
                    mode, _kind, item = facts.split(" ")
                    self._in_head.add((mode, item, name))
        return {item for _mode, item, _name in self._in_head}

    # What git does not have

    def _store_files(self) -> None:
        look = self._look
        names = sorted({*look.changed, *look.untracked})
        if names:
            files = [(name, look.work_tree / name) for name in names]
            self._files[WORK_TREE] = self._sink.stream(WORK_TREE, tar_of(files))
        if look.own_files:
            self._files[GIT_FILES] = self._sink.stream(GIT_FILES, tar_of(sorted(look.own_files.items())))

    def _store_state(self, wanted: Mapping[str, str]) -> None:
        look = self._look
        refs = {name: item for name, item in wanted.items() if not name.startswith("refs/pivori/")}
        if look.stashes:
            refs["refs/stash"] = look.stashes[0]
        lines = "".join(f"update {name} {item}\n" for name, item in sorted(refs.items()))
        self._files[REFS] = self._sink.document(REFS, lines.encode("utf-8", "surrogateescape"))
        state = {
            "head": look.head,
            "head_branch": look.head_branch,
            "symbolic": {name: goal for name, _item, _kind, goal in look.refs if goal},
            "stashes": list(look.stashes),
            "settings": [list(setting) for setting in look.settings],
            "deleted": look.deleted,
            "tops": sorted({name.split("/")[0] for name in look.untracked}),
            "modes": look.modes,
            "assumed": look.flagged(0x8000),
            "to_be_added": look.flagged(0x20000000),
            "skipped": look.flagged(0x40000000),
            "objects": sorted(set(wanted.values())),
        }
        self._files[STATE] = self._sink.document(STATE, json.dumps(state, indent=1).encode())

    # What people want to know

    def _position(self) -> Mapping[str, str]:
        look = self._look
        position = {"commit": look.head or "", "branch": look.head_branch or ""}
        remote = [
            (name, item) for name, item, _kind, goal in look.refs if name.startswith("refs/remotes/") and not goal
        ]
        pairs = [*position.items(), *remote[:_MOST_REMOTE]]
        return {_shown(name): _shown(value) for name, value in pairs if value}

    def _counts(self, staged: int) -> Mapping[str, int]:
        look = self._look
        heads = ["--branches", "--tags", *(["HEAD"] if look.head else [])]
        unpushed = self._git("rev-list", "--count", *heads, "--not", "--remotes") if look.refs else b"0"
        return {
            "refs": len(look.refs),
            "stashes": len(look.stashes),
            "unpushed commits": int(unpushed),
            "staged": staged,
            "changed": len(look.changed),
            "deleted": len(look.deleted),
            "untracked": len(look.untracked),
        }

    def _tracking(self) -> Sequence[Mapping[str, Any]]:
        """Each branch with what it tracks, and by how many commits it is ahead and behind."""
        form = "%(refname:short)%00%(upstream:short)%00%(upstream:track,nobracket)"
        found = []
        output = self._git("for-each-ref", "--count=200", f"--format={form}", "refs/heads")
        for line in output.decode("utf-8", "replace").splitlines():
            branch, upstream, track = line.split("\0")
            if upstream:
                ahead, behind = re.search(r"ahead (\d+)", track), re.search(r"behind (\d+)", track)
                found.append(
                    {
                        "branch": branch,
                        "upstream": upstream,
                        "ahead": int(ahead[1]) if ahead else 0,
                        "behind": int(behind[1]) if behind else 0,
                        "gone": track == "gone",
                    }
                )
        return found


def _warnings(look: Look) -> Sequence[Phrase]:
    """What of the repository is not in the capture."""
    warnings = [
        Phrase(N_("the submodule {path} is not captured: make it a component of its own"), path=_shown(name))
        for name in look.submodules
    ]
    warnings += [
        Phrase(N_("the repository in {path} is not captured: make it a component of its own"), path=_shown(name))
        for name in look.nested
    ]
    worktrees = look.shared / "worktrees"
    if worktrees.is_dir() and any(worktrees.iterdir()) and look.own == look.shared:
        warnings.append(Phrase(N_("changes in other work trees of {path} are not captured"), path=str(look.work_tree)))
    if (look.shared / "lfs" / "objects").is_dir():
        text = N_("files that Git LFS keeps of other commits than the present one are not captured")
        warnings.append(Phrase(text))
    if "shallow" in look.own_files:
        text = N_("the history of {path} is shallow: older commits are not captured")
        warnings.append(Phrase(text, path=str(look.work_tree)))
    return warnings


def _shown(name: str) -> str:
    """A name as text for a report: bytes that are no text are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
