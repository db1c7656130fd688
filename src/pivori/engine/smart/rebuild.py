"""Rebuilding what a smart backup left out: the commands of its manifest, in order, in the restored tree.

A manifest may be hostile. A command that does not fit a form of ours is refused and shown; so is one whose directory
leads out of the target, over a link or by its name. What is there already is never touched; what a failed command
left half made is taken away again. Where root rebuilds, the commands run as the owner of the folder they run in.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pivori.archives.manifest import Omission
from pivori.engine.smart.documents import is_document
from pivori.engine.smart.forms import fits
from pivori.engine.smart.rules import RULES, RuleName
from pivori.host import CommandNotStarted, run_to_end
from pivori.host.git import REPOSITORY_VARIABLES
from pivori.translation import N_, Phrase

_VARIABLES: Final[dict[str, str | None]] = REPOSITORY_VARIABLES | {
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_TERMINAL_PROMPT": "0",
    "VIRTUAL_ENV": None,
    "PYTHONHOME": None,
    "PYTHONPATH": None,
}


class StepState(StrEnum):
    """What came of one thing to rebuild."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Nothing was run: its program is missing, or it is there already."""
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One omitted path to rebuild. ``path`` is relative to the target; ``commands`` run in ``directory``."""

    path: bytes
    rule: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def directory(self) -> bytes:
        """Where the commands are run, relative to the target; empty for the target itself."""
        return os.path.dirname(self.path)


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What came of a step: ``reason`` says why it was not done, ``output`` is the end of what its command printed."""

    step: Step
    state: StepState
    reason: str = ""
    output: str = ""

    @property
    def is_trouble(self) -> bool:
        """Whether what was to come back did not."""
        return self.state in (StepState.FAILED, StepState.REFUSED)


def rebuild_steps(omissions: Iterable[Omission], *, below: bytes = b"") -> list[Step]:
    """What a manifest asks to rebuild, in the order it has to be done.

    ``below`` narrows to what lies in that directory of the root, without slashes around; paths are then relative to
    it, as in a target that it was restored into.
    """
    prefix = below + b"/" if below else b""
    steps = [
        Step(
            path=path.removeprefix(prefix),
            rule=omission.rule,
            commands=tuple(tuple(command) for command in omission.rebuild),
        )
        for omission in omissions
        if omission.rebuild
        for path in [omission.path_raw or os.fsencode(omission.path)]
        if path.startswith(prefix)
    ]
    return sorted(steps, key=lambda step: (_rank(step.rule), step.path))


def documents_of(steps: Iterable[Step]) -> set[bytes]:
    """The names of the documents that the steps need."""
    words = (word for step in steps for command in step.commands for word in command)
    return {os.fsencode(word) for word in words if is_document(word)}


def check_step(step: Step, target: bytes, *, restored: bool = True) -> StepOutcome:
    """Whether a step can be done: PLANNED, or what is in the way, without running anything.

    ``restored`` is false while the files are still to be restored: a folder that is not there yet may come.
    """
    if not fits(step.rule, os.fsdecode(os.path.basename(step.path)), step.commands):
        reason = N_("this is not a command that a backup of this program asks for")
        return StepOutcome(step=step, state=StepState.REFUSED, reason=reason)
    if not _stays_inside(target, step.directory):
        reason = N_("it would lead out of the folder that was restored into")
        return StepOutcome(step=step, state=StepState.REFUSED, reason=reason)
    if restored and not os.path.isdir(os.path.join(target, step.directory)):
        return StepOutcome(step=step, state=StepState.SKIPPED, reason=N_("its folder was not restored"))
    if os.path.lexists(os.path.join(target, step.path)):
        return StepOutcome(step=step, state=StepState.SKIPPED, reason=N_("it is there already"))
    return StepOutcome(step=step, state=StepState.PLANNED)


def rebuild(
    steps: Sequence[Step],
    target: bytes,
    documents: Mapping[bytes, bytes],
    *,
    starting: Callable[[Step, tuple[str, ...]], None] = lambda _step, _command: None,
) -> Iterator[StepOutcome]:
    """Do the steps, in their order; the outcome of each when it is done.

    ``target`` is the folder that was restored into. ``documents`` have the content of those the steps need.
    ``starting`` hears of every command before it is run. Raises OSError when no temporary folder can be made.
    """
    done: set[tuple[bytes, tuple[tuple[str, ...], ...]]] = set()
    target = os.path.realpath(target)
    with tempfile.TemporaryDirectory(prefix="pivori-rebuild-") as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - the owners of other folders come through, and cannot list it
        places = _write_documents(os.fsencode(folder), documents)
        for step in steps:
            checked = check_step(step, target)
            key = step.directory, step.commands
            if checked.state is StepState.PLANNED and key in done:
                yield StepOutcome(step=step, state=StepState.DONE)
            elif checked.state is StepState.PLANNED:
                outcome = _try(step, target, places, starting)
                if outcome.state is StepState.DONE:
                    done.add(key)
                yield outcome
            else:
                yield checked


def _try(
    step: Step,
    target: bytes,
    places: Mapping[str, str],
    starting: Callable[[Step, tuple[str, ...]], None],
) -> StepOutcome:
    """Do a step whole, or leave nothing of it."""
    is_done = False
    try:
        outcome = _do(step, target, places, starting)
        is_done = outcome.state is StepState.DONE
        return outcome
    finally:
        if not is_done:
            _take_away(os.path.join(target, step.path))


def _do(
    step: Step,
    target: bytes,
    places: Mapping[str, str],
    starting: Callable[[Step, tuple[str, ...]], None],
) -> StepOutcome:
    directory = os.path.join(target, step.directory)
    owner = _owner_of(directory)
    for command in step.commands:
        missing = next((word for word in command if is_document(word) and word not in places), None)
        if missing is not None:
            reason = Phrase(N_("the backup does not hold {name}"), name=missing)
            return StepOutcome(step=step, state=StepState.FAILED, reason=reason)
        starting(step, command)
        if owner is not None:
            for word in command:
                if word in places:
                    os.chown(places[word], *owner)
        try:
            status, output = run_to_end(
                [places.get(word, word) for word in command],
                directory=directory,
                variables=_VARIABLES,
                owner=owner,
            )
        except CommandNotStarted:
            reason = Phrase(N_("the program {name} is missing"), name=command[0])
            return StepOutcome(step=step, state=StepState.SKIPPED, reason=reason)
        if status:
            reason = Phrase(N_("{command} ended with status {status}"), command=" ".join(command), status=status)
            return StepOutcome(step=step, state=StepState.FAILED, reason=reason, output=output)
    return StepOutcome(step=step, state=StepState.DONE)


def _owner_of(directory: bytes) -> tuple[int, int] | None:
    """Who the commands in a folder run as; None for the one who runs this program."""
    status = os.stat(directory)
    return (status.st_uid, status.st_gid) if os.geteuid() == 0 and status.st_uid != 0 else None


def _take_away(path: bytes) -> None:
    """Remove what a command made that then failed: it was not there before."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)


def _write_documents(folder: bytes, documents: Mapping[bytes, bytes]) -> dict[str, str]:
    """Put the documents into a folder of this process; returns where each word that names one leads."""
    places = {}
    for number, (name, content) in enumerate(sorted(documents.items())):
        path = os.path.join(folder, b"%d%s" % (number, os.path.splitext(name)[1]))
        with open(path, "wb") as file:
            file.write(content)
        places[os.fsdecode(name)] = os.fsdecode(path)
    return places


def _stays_inside(target: bytes, directory: bytes) -> bool:
    """Whether a relative path names a place below the target without passing a link."""
    names = directory.split(b"/") if directory else []
    if any(name in (b"", b".", b"..") or b"\0" in name for name in names):
        return False
    path = target
    for name in names:
        path = os.path.join(path, name)
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return False
        except OSError:
            return True
    return True


def _rank(rule: str) -> int:
    try:
        return RULES[RuleName(rule)].rank
    except ValueError:
        return 0
