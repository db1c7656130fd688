"""The plan of a smart backup: every candidate in the sources, and whether it is left out or kept, and why.

Made before the backup, from what is on the disk then. Nothing is followed out of the sources, nothing of them is run.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pivori.archives.manifest import Omission, as_text
from pivori.engine.exclusion import EntryFilter, kept
from pivori.engine.smart.builds import judge_build
from pivori.engine.smart.candidate import Candidate, Command, Extent, NotProven, Proof
from pivori.engine.smart.environments import judge_environment
from pivori.engine.smart.git_evidence import judge_repository
from pivori.engine.smart.leftovers import judge_bytecode, judge_dropping, judge_log, judge_tool_cache
from pivori.engine.smart.packages import judge_packages
from pivori.engine.smart.rules import ENVIRONMENT_MARK, RULES, Rule, RuleName, rule_for
from pivori.engine.smart.work_tree import WorkTree
from pivori.host import read_directory
from pivori.translation import N_, Phrase

_JUDGES: Final[Mapping[RuleName, Callable[[Candidate], Proof]]] = {
    RuleName.GIT: judge_repository,
    RuleName.NODE_MODULES: judge_packages,
    RuleName.VIRTUAL_ENVIRONMENT: judge_environment,
    RuleName.BUILD_OUTPUT: judge_build,
    RuleName.BYTECODE: judge_bytecode,
    RuleName.TOOL_CACHE: judge_tool_cache,
    RuleName.LOG: judge_log,
    RuleName.DROPPING: judge_dropping,
}
_NOTHING: Final = Extent(0, 0, {}, None, False)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of one candidate. ``path`` is absolute; ``reason`` is the evidence, or what it lacks.

    ``size`` is in bytes.
    ``rebuild`` are the commands that make it again, to be run in the directory it lies in.
    """

    path: bytes
    rule: RuleName
    is_omitted: bool
    reason: Phrase
    size: int
    files: int
    rebuild: tuple[Command, ...] = ()

    @property
    def directory(self) -> bytes:
        """Where its commands are run."""
        return os.path.dirname(self.path)


@dataclass
class SmartPlan:
    """All decisions, in the order of the walk, and the documents that go into the backup with them."""

    decisions: list[Decision] = field(default_factory=list)
    documents: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def omitted(self) -> list[Decision]:
        """What is left out."""
        return [decision for decision in self.decisions if decision.is_omitted]

    def exclusion(self, also: EntryFilter | None = None) -> "SmartExclusion":
        """What leaves out the omitted paths, and what ``also`` leaves out."""
        return SmartExclusion(frozenset(decision.path for decision in self.omitted), also)

    def omissions(self, root: bytes) -> list[Omission]:
        """What is left out, as a manifest has it: paths relative to ``root``."""
        return [_omission(decision, root) for decision in self.omitted]


class SmartExclusion:
    """Leaves out the paths of a plan, besides what another exclusion leaves out."""

    def __init__(self, omitted: frozenset[bytes], also: EntryFilter | None) -> None:
        self._omitted = omitted
        self._also = also

    def leaves_out(self, path: bytes, name: bytes, is_directory: bool) -> bool:
        """Whether the entry ``name``, with the absolute path ``path``, is left out."""
        return path in self._omitted or (self._also is not None and self._also.leaves_out(path, name, is_directory))

    def marker_in(self, path: bytes, names: set[bytes]) -> bytes | None:
        """The entry that says that all others in the directory ``path`` are left out; None when there is none."""
        return self._also.marker_in(path, names) if self._also is not None else None


def plan_smart(
    sources: Sequence[bytes], *, exclusion: EntryFilter | None = None, one_file_system: bool = False
) -> SmartPlan:
    """Decide about every candidate below ``sources``: absolute paths without symbolic links.

    A source itself is never left out: it was asked for by name.
    """
    return _Search(tuple(sources), exclusion, one_file_system).run()


@dataclass
class _Place:
    """A directory to look into."""

    path: bytes
    device: int
    work_tree: WorkTree | None


class _Search:
    def __init__(self, sources: tuple[bytes, ...], exclusion: EntryFilter | None, one_file_system: bool) -> None:
        self._sources = sources
        self._exclusion = exclusion
        self._one_file_system = one_file_system
        self._plan = SmartPlan()

    def run(self) -> SmartPlan:
        waiting = [place for source in reversed(_outermost(self._sources)) if (place := _place(source)) is not None]
        while waiting:
            place = waiting.pop()
            try:
                waiting += reversed(list(self._look_into(place)))
            except OSError:
                continue  # the backup itself reports what cannot be read
        return self._plan

    def _look_into(self, place: _Place) -> Iterator[_Place]:
        """Decide about what is in a directory; the directories to look into next."""
        entries = self._entries(place.path)
        # What is not in the backup proves nothing: siblings are those that the user does not leave out.
        names = frozenset(entry.name for entry in entries)
        has_git = os.path.lexists(os.path.join(place.path, b".git"))
        work_tree = WorkTree(place.path) if has_git else place.work_tree
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if not is_directory and not entry.is_file(follow_symlinks=False):
                continue
            rule = rule_for(entry.name, is_directory)
            if is_directory and rule is None and os.path.lexists(os.path.join(entry.path, ENVIRONMENT_MARK)):
                rule = RULES[RuleName.VIRTUAL_ENVIRONMENT]
            if rule is not None:
                candidate = Candidate(entry.path, names, work_tree, self._sources)
                if self._decide(rule, candidate) or not rule.enters_kept:
                    continue
            if is_directory:
                device = entry.stat(follow_symlinks=False).st_dev
                if not self._one_file_system or device == place.device:
                    yield _Place(entry.path, device, work_tree)

    def _entries(self, path: bytes) -> list["os.DirEntry[bytes]"]:
        entries = read_directory(path)
        exclusion = self._exclusion
        if exclusion is not None and exclusion.marker_in(path, {entry.name for entry in entries}) is not None:
            return []  # a marker is kept whatever it is called, so it is no candidate
        return kept(path, entries, exclusion)

    def _decide(self, rule: Rule, candidate: Candidate) -> bool:
        """Decide about a candidate, and note it; whether it is left out."""
        extent, is_omitted = _NOTHING, False
        rebuild: tuple[Command, ...] = ()
        try:
            extent = candidate.extent
            evidence, rebuild, documents = _JUDGES[rule.name](candidate)
            self._plan.documents.update(documents)
            reason, is_omitted = evidence, True
        except NotProven as error:
            reason = error.reason
        except OSError as error:
            reason = Phrase(N_("it cannot be read: {reason}"), reason=error.strerror or str(error))
        self._plan.decisions.append(
            Decision(
                path=candidate.path,
                rule=rule.name,
                is_omitted=is_omitted,
                reason=reason,
                size=extent.size,
                files=extent.files,
                rebuild=rebuild,
            )
        )
        return is_omitted


def _outermost(sources: Iterable[bytes]) -> list[bytes]:
    """The sources without those that lie in another one."""
    found: list[bytes] = []
    for source in sorted(set(sources)):
        if not any(os.path.commonpath([source, other]) == other for other in found):
            found.append(source)
    return found


def _place(source: bytes) -> _Place | None:
    try:
        status = os.lstat(source)
    except OSError:
        return None
    return _Place(source, status.st_dev, _work_tree_above(source)) if stat.S_ISDIR(status.st_mode) else None


def _work_tree_above(source: bytes) -> WorkTree | None:
    """The work tree that a source is a part of."""
    directory = source
    while directory not in (b"/", b""):
        directory = os.path.dirname(directory)
        if os.path.lexists(os.path.join(directory, b".git")):
            return WorkTree(directory)
    return None


def _omission(decision: Decision, root: bytes) -> Omission:
    path, path_raw = as_text(os.path.relpath(decision.path, root))
    directory, _ = as_text(os.path.relpath(decision.directory, root))
    return Omission(
        path=path,
        path_raw=path_raw,
        bytes=decision.size,
        files=decision.files,
        rule=decision.rule.value,
        evidence=decision.reason[:],  # plain text: a phrase is a kind of text that JSON encoders refuse
        directory="" if not decision.rebuild or directory == "." else directory,
        rebuild=[list(command) for command in decision.rebuild],
    )
