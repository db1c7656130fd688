"""Hooks of a run, and what runs that were killed have left to be undone: how it is done from the terminal, and told."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from pivori.cli.failures import wording
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.stack_in_force import StackInForce
from pivori.cli.stack_wording import said
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.stack.hooks import HookRan, LeftToOthers, UndoFailed, hooks_around, resume_left
from pivori.stack.model import Hook
from pivori.stack.state import StackState
from pivori.stack.undo import UndoJournal
from pivori.translation import Phrase, _


class Hooks:
    """The hooks of one run.

    ``has_failed`` when something was not undone, ``has_left`` when something is left to a run that cannot be seen.
    """

    def __init__(self, session: Session, in_force: StackInForce) -> None:
        self._output = session.output
        self._stack = in_force.stack
        self._journal = UndoJournal(in_force.state.journal)
        self.has_failed = self.has_left = False

    def around(self, hooks: Sequence[Hook], component: str) -> AbstractContextManager[None]:
        """What runs hooks around something. Raises HookFailed when entered."""
        stack = self._stack
        return hooks_around(hooks, self._journal, stack.root, self.hear, stack=stack.name, component=component)

    def hear(self, event: Event) -> None:
        """Tell what became of a hook."""
        self.has_failed = self.has_failed or isinstance(event, UndoFailed)
        self.has_left = self.has_left or isinstance(event, LeftToOthers)
        tell_hook(event, self._output)


class Undone(NamedTuple):
    """How many things were undone; whether some could not be, and whether some are left to runs that are not seen."""

    things: int
    has_failed: bool
    has_left: bool


def undo_what_is_left(session: Session, in_force: StackInForce) -> bool:
    """Undo what runs that were killed have left, and say so; whether none of it could not be undone."""
    return not undo_stack(session, in_force).has_failed


def undo_stack(session: Session, in_force: StackInForce, *, force: bool = False) -> Undone:
    """Undo what killed runs of a stack have left, and say so. ``force`` as for hooks."""
    hooks = Hooks(session, in_force)
    done: list[tuple[str, Phrase]] = []
    journal = UndoJournal(in_force.state.journal)
    done += [("", sentence) for sentence in resume_left(journal, hooks.hear, force=force)]
    has_failed = hooks.has_failed
    for member in in_force.stack.members:
        surroundings = in_force.surroundings(session.clock, member.name)
        try:
            done += [(member.name, sentence) for sentence in member.component.resume(surroundings)]
        except PivoriError as error:
            has_failed = True
            message, hint = wording(error)
            session.output.warn(f"{member.name}: {message} {hint}".rstrip(), name=error.code, component=member.name)
    for component, sentence in done:
        _tell_undone(component, sentence, session.output)
    return Undone(len(done), has_failed, hooks.has_left)


def undo_hooks_of(session: Session, state: StackState, *, force: bool = False) -> None:
    """Undo what killed runs have left of the hooks of a stack whose configuration is not at hand, and say so."""
    for sentence in resume_left(
        UndoJournal(state.journal), lambda event: tell_hook(event, session.output), force=force
    ):
        _tell_undone("", sentence, session.output)


def tell_hook(event: Event, output: Output) -> None:
    """Say what became of a hook; every other event is left to others."""
    if isinstance(event, HookRan):
        text = _("Hook before {name}: {line}") if event.stage == "before" else _("Hook after {name}: {line}")
        output.detail(text.format(name=event.name, line=event.line))
    elif isinstance(event, UndoFailed | LeftToOthers):
        message, hint = wording(event.error)
        output.warn(f"{message} {hint}", name=event.error.code)


def _tell_undone(component: str, sentence: Phrase, output: Output) -> None:
    text = said(sentence)
    output.record({"message_type": "undone", "component": component, "what": text})
    output.say(_("Undone what a killed run had left: {what}").format(what=text))
