"""The command lines that users put around captures, and that what they begin is always undone.

What a hook's ``after`` undoes is noted before its ``before`` is run (:mod:`pivori.stack.undo`), so that a kill at any
moment leaves either nothing, or a note that the next run works off. An ``after`` may therefore run twice, and also
where its ``before`` had only just begun.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.errors import PivoriError
from pivori.events import Event
from pivori.host import CommandNotStarted, folder_lock, kill_shell_line, run_shell_line
from pivori.stack.model import Hook
from pivori.stack.undo import Noted, Owner, Undo, UndoJournal, UndoUnreadable
from pivori.translation import N_, Phrase, as_it_is

_MOST_SAID: Final = 400
"""Characters of what a command line printed that are told."""


class HookFailed(PivoriError):
    """The command line before something failed: what it should have prepared is not done."""

    code = "hook-before-failed"
    message = N_("The hook before {name} failed: {reason}.")
    hint = N_("Run it by hand to see what is wrong: {line}")


class HookNotNoted(HookFailed):
    """What a hook begins cannot be noted, so that it is not begun."""

    code = "hook-not-noted"
    message = N_("The hook before {name} was not run, as what undoes it cannot be noted: {reason}.")
    hint = N_("Check the permissions of {path} and the free space there.")


class HookNotUndone(PivoriError):
    """The command line after something failed: what the one before it did may still stand."""

    code = "hook-not-undone"
    message = N_("The hook after {name} failed, so what the one before it did may still stand: {reason}.")
    hint = N_("It is tried again by the next backup, and by `pivori resume`. By hand: {line}")


class LeftElsewhere(PivoriError):
    """Something is to be undone that belongs to a run which cannot be seen from here."""

    code = "undo-elsewhere"
    message = N_("The hook after {name} is left to a run in a container or on another machine, which may be at work.")
    hint = N_("When that run is over, use `pivori resume --force`, or run by hand: {line}")


@dataclass(frozen=True, kw_only=True, slots=True)
class HookRan(Event):
    """A command line ran well. ``name`` is the component, or the stack; ``stage`` is ``before`` or ``after``."""

    name: str
    stage: str
    line: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UndoFailed(Event):
    """Something was not undone; it stays noted, and the next run tries again."""

    error: PivoriError


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftToOthers(Event):
    """Something was not undone, as it may belong to a run that is at work."""

    error: LeftElsewhere


@contextmanager
def hooks_around(
    hooks: Sequence[Hook],
    journal: UndoJournal,
    directory: Path,
    emit: Callable[[Event], None],
    *,
    stack: str,
    component: str = "",
) -> Iterator[None]:
    """Run what is before, then the body of the ``with``, then what is after, backwards and whatever happened.

    ``directory`` is where the lines run. Raises HookFailed when a line before fails or takes too long: those after it
    are not begun. A line after that fails raises nothing: it is told by UndoFailed, and stays noted.
    """
    pairs = _Pairs(journal, directory, emit, stack, component)
    try:
        for hook in hooks:
            pairs.begin(hook)
        yield
    finally:
        try:
            pairs.undo()
        except KeyboardInterrupt:
            # It comes once: what it has hit is done anew.
            pairs.undo(again=True)
            raise


class _Pairs:
    """The hooks around one thing: those that have begun."""

    def __init__(
        self, journal: UndoJournal, directory: Path, emit: Callable[[Event], None], stack: str, component: str
    ) -> None:
        self._journal = journal
        self._directory = directory
        self._emit = emit
        self._stack = stack
        self._component = component
        self._begun: list[Noted] = []
        self._unfinished: str | None = None
        """The name of the line before that may still run."""

    def begin(self, hook: Hook) -> None:
        """Note what is after, and run what is before. Raises HookFailed."""
        name = self._component or self._stack
        try:
            noted = self._note(hook)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HookNotNoted(name=name, reason=reason, path=self._journal.folder) from None
        if not hook.before:
            return
        self._unfinished = noted.name
        problem = _run(noted.undo, hook.before, "before", noted.name)
        self._unfinished = None
        if problem is not None:
            raise HookFailed(name=name, reason=problem, line=hook.before)
        self._emit(HookRan(name=name, stage="before", line=hook.before))

    def _note(self, hook: Hook) -> Noted:
        noted = self._journal.prepare(
            line=hook.after or "",
            directory=self._directory,
            timeout=hook.timeout,
            stack=self._stack,
            component=self._component,
        )
        if hook.after:
            self._begun.append(noted)
            self._journal.write(noted)
        return noted

    def undo(self, *, again: bool = False) -> None:
        """Run what is after each hook that has begun, the last first; ``again`` when that was interrupted."""
        if self._unfinished is not None:
            kill_shell_line(self._unfinished)
        while self._begun:
            noted = self._begun[-1]
            if again:
                kill_shell_line(_name_after(noted))
            # One that was interrupted while it was written has not begun; one that was struck out is done.
            event = undo(self._journal, noted) if self._journal.is_written(noted) else None
            if isinstance(event, UndoFailed):
                self._journal.give_up(noted)
            self._begun.pop()
            if event is not None:
                self._emit(event)


def undo(journal: UndoJournal, noted: Noted) -> HookRan | UndoFailed:
    """Undo one thing: run its line, and strike it out when that went well."""
    name, line = _name(noted.undo), noted.undo.line
    problem = _run(noted.undo, line, "after", _name_after(noted))
    if problem is None:
        try:
            journal.strike(noted)
        except OSError as error:
            problem = as_it_is(error.strerror or str(error))
    if problem is not None:
        return UndoFailed(error=HookNotUndone(name=name, reason=problem, line=line))
    return HookRan(name=name, stage="after", line=line)


def resume_left(journal: UndoJournal, emit: Callable[[Event], None], *, force: bool = False) -> list[Phrase]:
    """Undo what dead runs have left, the latest first: what was done, as sentences.

    What belongs to a run that is at work is left to it. ``force`` also undoes what belongs to runs that cannot be seen
    from here; otherwise they are told by LeftToOthers. What could not be undone is told by UndoFailed. Raises OSError.
    """
    done = []
    # Two at once would both undo the same.
    with folder_lock(journal.folder):
        for noted in journal.left():
            if isinstance(noted, UndoUnreadable):
                emit(UndoFailed(error=noted))
                continue
            owner = journal.owner(noted)
            if owner is Owner.RUNNING:
                continue
            if owner is Owner.UNSEEN and not force:
                emit(LeftToOthers(error=LeftElsewhere(name=_name(noted.undo), line=noted.undo.line)))
                continue
            # The run was killed, perhaps not what it had started.
            kill_shell_line(noted.name)
            kill_shell_line(_name_after(noted))
            event = undo(journal, noted)
            emit(event)
            if isinstance(event, HookRan):
                done.append(Phrase(N_("The hook after {name} was run: {line}"), name=event.name, line=event.line))
    return done


def _run(undo: Undo, line: str, stage: str, name: str) -> Phrase | None:
    """Run a line: None when it went well, else what was wrong."""
    variables = {"PIVORI_STACK": undo.stack, "PIVORI_COMPONENT": undo.component, "PIVORI_HOOK": stage}
    try:
        status, said = run_shell_line(
            line, directory=undo.directory, timeout=undo.timeout, variables=variables, name=name
        )
    except CommandNotStarted as error:
        if not Path(os.fsdecode(undo.directory)).is_dir():
            return Phrase(N_("the folder {path} is not there"), path=os.fsdecode(undo.directory))
        return as_it_is(str(error.details["reason"]))
    said = said[-_MOST_SAID:]
    if status == 0:
        return None
    if status is None:
        seconds = f"{undo.timeout:g}"
        if said:
            return Phrase(N_('it took longer than {seconds} seconds, saying "{said}"'), seconds=seconds, said=said)
        return Phrase(N_("it took longer than {seconds} seconds"), seconds=seconds)
    # As a shell counts: a signal is 128 and its number.
    shown = status if status > 0 else 128 - status
    if said:
        return Phrase(N_('it ended with status {status}, saying "{said}"'), status=shown, said=said)
    return Phrase(N_("it ended with status {status}"), status=shown)


def _name_after(noted: Noted) -> str:
    """The name under which the line that undoes runs."""
    return f"{noted.name}-after"


def _name(undo: Undo) -> str:
    return undo.component or undo.stack
