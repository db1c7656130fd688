"""The stack a command works with: the one of ``pivori.toml``, or of a recovery point where there is no such file."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

from pivori.cli.session import Session
from pivori.clock import Clock
from pivori.components.base import Surroundings
from pivori.errors import PivoriError
from pivori.repository import LoadedSnapshot, Repository, newest_first
from pivori.stack.model import Stack
from pivori.stack.points import STACK_TAG, RecoveryPoints, read_configuration, stacks_in
from pivori.stack.state import StackState
from pivori.translation import N_


class NoStack(PivoriError):
    """A command needs a stack, and no file says what it is."""

    code = "no-stack"
    message = N_("There is no pivori.toml here or above, so there is no stack to work with.")
    hint = N_("Make one with `pivori init FOLDER`, or name one with --config FILE.")
    exit_status = 2


class NoRecoveryPoints(PivoriError):
    """The repository has no recovery point of any stack."""

    code = "no-recovery-points"
    message = N_("The repository has no recovery point.")
    hint = N_("Its snapshots are brought back with `pivori restore`; `pivori snapshots` lists them.")


class WhichStack(PivoriError):
    """The repository has recovery points of several stacks."""

    code = "which-stack"
    message = N_("The repository has recovery points of several stacks: {stacks}.")
    hint = N_("Name one with --stack.")
    exit_status = 2


class UnknownStack(PivoriError):
    """There is no recovery point of the stack that was named."""

    code = "unknown-stack"
    message = N_("The repository has no recovery point of the stack {stack}; it has: {stacks}.")
    hint = N_("Name one of these with --stack.")
    exit_status = 2


class UnknownComponent(PivoriError):
    """The stack has no component of the name that was given."""

    code = "unknown-component"
    message = N_("The stack {stack} has no component {component}; it has: {components}.")
    hint = N_("Name one of these.")
    exit_status = 2


class NearlyKnownComponent(UnknownComponent):
    """The same, where one has nearly that name."""

    hint = N_("Did you mean {nearest}?")


class NoStateDirectory(PivoriError):
    """Nowhere can be remembered what has to be undone."""

    code = "no-state-directory"
    message = N_("This user has no home directory, so there is no place for what a stack has to remember.")
    hint = N_("Set HOME or XDG_STATE_HOME.")


@dataclass(frozen=True)
class StackInForce:
    """A stack, and where it remembers things on this machine."""

    stack: Stack
    state: StackState

    def surroundings(self, clock: Clock, component: str) -> Surroundings:
        """What a component may use that is only looked at. Raises OSError."""
        return Surroundings(
            clock=clock, emit=lambda _event: None, root=self.stack.root, state=self.state.component(component)
        )


def stack_in_force(session: Session) -> StackInForce:
    """The stack of the configuration file. Raises NoStack, NoStateDirectory, and what is wrong with the file."""
    path = session.settings.stack_file
    if path is None:
        raise NoStack
    from pivori.settings.stack_file import load_stack  # most commands do without, and start sooner

    return _in_force(session, load_stack(path, session.runtime.environment))


def know_contacts(session: Session) -> None:
    """Have errors end with who to call, as the configuration file says; before anything else can fail."""
    path = session.settings.stack_file
    if path is None:
        return
    from pivori.settings.stack_file import load_stack_file  # as above

    # What is wrong with the file is told by whoever needs all of it.
    with suppress(PivoriError):
        _note_contacts(session, load_stack_file(path, session.runtime.environment).contacts.model_dump())


def stack_to_recover(
    session: Session, repository: Repository, snapshots: Sequence[LoadedSnapshot], name: str | None
) -> StackInForce:
    """The stack of the configuration file; without one, of the newest recovery point (of the stack ``name``).

    Raises NoRecoveryPoints, WhichStack, UnknownStack, and what is wrong with the configuration.
    """
    path = session.settings.stack_file
    if path is not None:
        in_force = stack_in_force(session)
        if name in (None, in_force.stack.name):
            return in_force
    stacks = stacks_in(snapshots)
    if not stacks:
        raise NoRecoveryPoints
    if name is None and len(stacks) > 1:
        raise WhichStack(stacks=", ".join(stacks))
    chosen = name or stacks[0]
    if chosen not in stacks:
        raise UnknownStack(stack=chosen, stacks=", ".join(stacks))
    return _in_force(session, _kept_stack(session, repository, snapshots, chosen))


def component_names(stack: Stack, wanted: Sequence[str]) -> list[str]:
    """The names of the components that are wanted, all when none is named. Raises UnknownComponent."""
    known = [member.name for member in stack.members]
    for name in wanted:
        if name not in known:
            details = {"stack": stack.name, "component": name, "components": ", ".join(known)}
            near = get_close_matches(name, known, 1)
            raise NearlyKnownComponent(**details, nearest=near[0]) if near else UnknownComponent(**details)
    return [name for name in known if name in wanted] if wanted else known


def _kept_stack(session: Session, repository: Repository, snapshots: Sequence[LoadedSnapshot], name: str) -> Stack:
    """The stack as its newest recovery point has it."""
    from pivori.settings.stack_file import load_kept_stack  # most commands do without, and start sooner

    tag = STACK_TAG + name
    newest = newest_first(loaded for loaded in snapshots if tag in loaded.snapshot.tags)[0]
    point = RecoveryPoints(repository, name, [newest], lambda _event: None).point(newest)
    root = Path(point.record.root) if point is not None else Path("/")
    content = read_configuration(repository, newest)
    return load_kept_stack(content, root, session.runtime.environment)


def _in_force(session: Session, stack: Stack) -> StackInForce:
    _note_contacts(session, asdict(stack.contacts))
    directory = session.settings.state_directory
    if directory is None:
        raise NoStateDirectory
    return StackInForce(stack, StackState.of(directory, stack.name))


def _note_contacts(session: Session, contacts: Mapping[str, str]) -> None:
    session.runtime.contacts.update({kind: value for kind, value in contacts.items() if value})
