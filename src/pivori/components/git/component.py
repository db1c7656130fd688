"""The component: one git repository with its work tree.

In a capture: ``bundles/`` with the history, ``refs``, ``index`` and ``staged.pack`` with what is staged,
``worktree.tar`` with the files that are changed or untracked, ``git-files.tar`` with hooks and unfinished operations,
``state.json`` with the rest.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pivori.components.base import (
    ClientMissing,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.git.capturing import GIT_FILES, STAGED, WORK_TREE, Capturing, unchanged
from pivori.components.git.errors import CaptureDamaged, RepositoryUnreadable
from pivori.components.git.looking import git_at, look_at
from pivori.components.git.restoring import (
    Rebuilding,
    check_files,
    in_the_way,
    partial_of,
    put_in_place,
    remove_folder,
    scratch_folder,
    target_of,
)
from pivori.errors import PivoriError
from pivori.host.git import GitFailed
from pivori.host.process import CommandNotStarted, require_program
from pivori.translation import N_, ByteCount, Phrase


@dataclass(frozen=True, kw_only=True)
class GitComponent:
    """A repository. ``path`` is the top folder of its work tree."""

    kind: ClassVar[str] = "git"
    name: str
    path: Path

    def places(self) -> Sequence[Path]:
        """The work tree."""
        return [self.path.resolve()]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the repository, without its history."""
        try:
            _require_git()
            look = look_at(self.path)
        except PivoriError as error:
            return Inspection(findings=[failure_of(error)])
        counts = {
            "refs": len(look.refs),
            "stashes": len(look.stashes),
            "changed": len(look.changed),
            "untracked": len(look.untracked),
        }
        findings = [
            Finding(
                gravity=Gravity.WARNING,
                message=Phrase(N_("The submodule {path} is not captured."), path=name),
                hint=Phrase(N_("Make it a component of its own.")),
            )
            for name in look.submodules
        ]
        return Inspection(counts=counts, findings=findings)

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take what is new; an unchanged repository is taken over as it is. Raises the errors of this kind."""
        _require_git()
        look = look_at(self.path)
        report = unchanged(look, sink)
        if report is not None:
            return report
        try:
            return Capturing(git_at(self.path), look, sink, surroundings).run()
        except GitFailed as error:
            raise RepositoryUnreadable(component=self.name, path=self.path, reason=error.reason) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise RepositoryUnreadable(component=self.name, path=error.filename or self.path, reason=reason) from None

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing waits for it."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Compare digests, and build the history in a scratch repository of the state folder."""
        try:
            _require_git()
            check_files(source)
            with scratch_folder(surroundings.state / "scratch") as folder:
                Rebuilding(source, folder).history()
        except PivoriError as error:
            return [failure_of(error)]
        except GitFailed as error:
            return [failure_of(CaptureDamaged(path="bundles", reason=error.reason))]
        return []

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say where the work tree goes, and what is moved aside."""
        target = target_of(source.report, request)
        size = sum(size for size, _digest in source.report.facts["files"].values())
        findings = []
        try:
            _require_git()
        except ClientMissing as error:
            findings.append(failure_of(error))
        return RestorePlan(
            steps=[Phrase(N_("Make the repository {path} with its work tree."), path=str(target))],
            replaces=[
                Phrase(N_("{path} is moved aside."), path=str(path)) for path in in_the_way(source, target, request)
            ],
            # Objects are packed, and the files of a work tree are not.
            space={target: ByteCount(2 * size)},
            findings=findings,
        )

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Build it beside its place, check it, put it there. Raises CaptureDamaged, RestoreDiffers, NotCaptured."""
        _require_git()
        check_files(source)
        report = source.report
        target = target_of(report, request)
        try:
            with scratch_folder(partial_of(target, request)) as partial:
                rebuilding = Rebuilding(source, partial)
                written = rebuilding.everything()
                rebuilding.check()
                is_owned = rebuilding.give_to_owner()
                ways = in_the_way(source, target, request)
                left = put_in_place(partial, target, ways, request, rebuilding.submodules)
        except GitFailed as error:
            raise CaptureDamaged(component=self.name, path=self.name, reason=error.reason) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise RepositoryUnreadable(component=self.name, path=error.filename or target, reason=reason) from None
        checked = Phrase(
            N_("{path}: history, {refs} refs, stashes and index are as captured."),
            path=str(target),
            refs=report.counts["refs"],
        )
        size = sum(size for size, _digest in report.facts["files"].values())
        remaining = [
            *self._remaining(report, target, is_owned),
            *(Phrase(N_("{path} is ignored by git and stays aside: move it back."), path=path) for path in left[:20]),
        ]
        return Restored(bytes=max(size, written), checked=[checked], remaining=remaining, counts=dict(report.counts))

    def _remaining(self, report: Report, target: Path, is_owned: bool) -> Sequence[Phrase]:
        facts = report.facts
        remaining = []
        if facts["left_out"]:
            text = N_("Settings of {path} that may run programs or hold passwords are not brought back: {names}.")
            remaining.append(Phrase(text, path=str(target), names=", ".join(facts["left_out"])))
        if not is_owned:
            owner = f"{facts['owner']['user'] or facts['owner']['uid']}"
            remaining.append(Phrase(N_("{path} belonged to {owner}: give it back."), path=str(target), owner=owner))
        return remaining

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Remove the scratch repository of a check that was killed."""
        if remove_folder(surroundings.state / "scratch"):
            return [Phrase(N_("The scratch repository of {component} was removed."), component=self.name)]
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """The git commands, into the folder ``$TARGET``, which must not be there."""
        facts = report.facts
        git = 'git -C "$TARGET"'
        update = f"{git} -c core.logAllRefUpdates=false update-ref --stdin"
        lines = [
            f"TARGET={shlex.quote(facts['path'])}",
            f'git init -q --template= --object-format={facts["format"]} "$TARGET"',
        ]
        if facts["shallow"]:
            lines.append('tar -xf git-files.tar -C "$TARGET/.git" shallow')
        lines += [f"{git} fetch -q --no-tags \"$PWD/{path}\" '+refs/*:refs/back/*'" for path in facts["bundles"]]
        if STAGED in facts["files"]:
            lines.append(f"{git} index-pack --stdin < {STAGED}")
        lines.append(f"{update} < refs")
        lines += [
            f"{git} symbolic-ref {shlex.quote(name)} {shlex.quote(goal)}" for name, goal in facts["symbolic"].items()
        ]
        if facts["head"] and facts["detached"]:
            lines.append(f"{git} update-ref --no-deref HEAD {facts['head']}")
        elif facts["head"]:
            lines.append(f"{git} symbolic-ref HEAD {shlex.quote(facts['head'])}")
        lines += [f"{git} config --add {shlex.quote(key)} {shlex.quote(value)}" for key, value in facts["settings"]]
        lines.append(f"{git} for-each-ref --format='delete %(refname)' refs/back | {update}")
        lines.append(f"{git} update-index -z --index-info < index")
        lines.append(f"{git} checkout-index --all --force")
        if WORK_TREE in facts["files"]:
            lines.append(f'tar -xf {WORK_TREE} -C "$TARGET"')
        if report.counts.get("deleted"):
            lines.append(
                "python3 -c 'import json,os,sys; [os.unlink(os.path.join(sys.argv[1], name)) for name in "
                'json.load(open("state.json"))["deleted"]]\' "$TARGET"'
            )
        if GIT_FILES in facts["files"]:
            lines.append(f'mkdir -p "$TARGET/.git/logs/refs" && tar -xf {GIT_FILES} -C "$TARGET/.git"')
        lines.append(f"{git} status")
        return lines


def _require_git() -> None:
    """Raises ClientMissing."""
    try:
        require_program(["git"])
    except CommandNotStarted:
        raise ClientMissing(program="git", package="git") from None
