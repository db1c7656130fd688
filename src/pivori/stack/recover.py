"""Recovering a stack: a plan of what is brought back from where and in which order, then its execution, step by step.

What is replaced is moved aside, never removed. A recovery that was interrupted goes on where it was when the same one
is begun again. The first step that fails ends it: later steps may need what that one was to bring.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pivori.clock import Clock
from pivori.components.base import (
    Restored,
    RestorePlan,
    RestoreRequest,
    Surroundings,
    failure_of,
)
from pivori.engine.recovery_point import ComponentReader
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.host.durable import write_durably
from pivori.host.merging import move_missing
from pivori.repository import Repository, format_time
from pivori.stack.choosing import (
    Choice,
    NeverCaptured,
    NothingToRecover,
    choose_capture,
    has_place_in,
    recovery_order,
    spread_seconds,
)
from pivori.stack.model import Member
from pivori.stack.points import RecoveryPoints
from pivori.stack.record import CONFIGURATION_NAME
from pivori.stack.recovery_log import Measured, Move, RecoveryHistory, RecoveryLog
from pivori.stack.recovery_plan import RecoveryPlan, RecoveryRequest, RecoveryStep, endangered, shortages
from pivori.stack.sinks import RecoverySource
from pivori.translation import N_

OWN_FOLDER: Final = ".pivori"
"""In the folder that a recovery goes to: what has no place in the stack's own folder, a folder for each component."""


class TargetNotEmpty(PivoriError):
    """The folder to recover into has something in it."""

    code = "recovery-target-not-empty"
    message = N_("{path} has something in it already.")
    hint = N_("Name a folder that is empty or not there; to replace what is in use, take --in-place.")
    exit_status = 2


class RecoveryImpossible(PivoriError):
    """The plan has findings that keep it from being applied."""

    code = "recovery-impossible"
    message = N_("This recovery cannot be done as planned; nothing was changed.")
    hint = N_("The findings above say what is in the way; mend that, or leave the component out with --component.")


class StepFailed(PivoriError):
    """A step of a recovery failed."""

    code = "recovery-step-failed"
    message = N_("The component {component} was not brought back: {reason}.")
    hint = N_("Mend that, then run the same command again: it goes on with this step.")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBegan(Event):
    """A component is about to be brought back."""

    component: str
    number: int
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDone(Event):
    """A component is back."""

    component: str
    restored: Restored
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What a recovery did: what each step brought, what was moved aside, and how long it took in seconds.

    ``configuration`` is where the stack's own file was put back.
    """

    restored: Mapping[str, Restored]
    moves: Sequence[Move]
    seconds: float
    configuration: Path | None = None


class Recovery:
    """One recovery: :meth:`plan`, then :meth:`apply`. The repository's index is loaded."""

    def __init__(
        self,
        repository: Repository,
        points: RecoveryPoints,
        request: RecoveryRequest,
        *,
        state: Callable[[str], Path],
        recoveries: Path,
        clock: Clock,
        emit: Callable[[Event], None],
        workers: int,
    ) -> None:
        """``state`` gives the private folder of a component, ``recoveries`` is where recoveries keep their notes."""
        self._repository = repository
        self._points = points
        self._request = request
        self._state = state
        self._recoveries = recoveries
        self._clock = clock
        self._emit = emit
        self._workers = workers
        self._history = RecoveryHistory(recoveries)
        self._stamp = f"{clock.now():%Y%m%d-%H%M%S}"
        self._log: RecoveryLog | None = None

    # The plan

    def plan(self) -> RecoveryPlan:
        """Say what will be done; changes nothing. Raises TargetNotEmpty, NothingToRecover when nothing is there."""
        request = self._request
        choices, lacking = self._choose()
        if not choices:
            raise next(iter(lacking.values()))
        self._log = log = RecoveryLog(self._recoveries, self._key(choices), now_ns=self._clock.now_ns())
        self._demand_target(log)
        members = [member for member in recovery_order(request.stack) if member.name in choices]
        steps = [self._step(member, choices[member.name], log) for member in members]
        return RecoveryPlan(
            stack=request.stack,
            to=request.to,
            at_ns=request.at_ns,
            steps=steps,
            spread=spread_seconds(choices.values()),
            lacking=lacking,
            findings=[
                *shortages([step.plan for step in steps if not step.is_done]),
                *(endangered(members, request.repository) if request.to is None else ()),
            ],
            is_resumed=log.is_resumed,
        )

    def _choose(self) -> tuple[dict[str, Choice], dict[str, NothingToRecover]]:
        request = self._request
        at_ns = request.point.time_ns if request.point is not None else request.at_ns
        choices: dict[str, Choice] = {}
        lacking: dict[str, NothingToRecover] = {}
        for name in request.names:
            # One after the other, and no more than needed: there may be one a minute.
            choice = choose_capture(self._points.captures(name), at_ns)
            if choice is not None:
                choices[name] = choice
            elif at_ns is not None and any(True for _ in self._points.captures(name)):
                moment = datetime.fromtimestamp(at_ns // 1_000_000_000).astimezone()
                lacking[name] = NothingToRecover(
                    component=name, moment=f"{moment:%Y-%m-%d %H:%M:%S}", stack=request.stack.name
                )
            else:
                lacking[name] = NeverCaptured(component=name, stack=request.stack.name)
        return choices, lacking

    def _step(self, member: Member, choice: Choice, log: RecoveryLog) -> RecoveryStep:
        capture = choice.capture
        reader = ComponentReader(self._repository, self._points.folder(capture), workers=self._workers, emit=self._emit)
        source = RecoverySource(member.name, reader, capture.report)
        request = self._restore_request(member, choice, log)
        is_done = member.name in log.done
        plan = RestorePlan(steps=()) if is_done else self._plan_of(member, source, request)
        return RecoveryStep(
            member=member,
            choice=choice,
            source=source,
            request=request,
            plan=plan,
            seconds=self._history.expected_seconds(member.name, member.component.kind, capture.record.size),
            is_done=is_done,
        )

    def _plan_of(self, member: Member, source: RecoverySource, request: RestoreRequest) -> RestorePlan:
        try:
            return member.component.plan(source, request, self._surroundings(member))
        except PivoriError as error:
            return RestorePlan(steps=(), findings=[failure_of(error)])

    def _restore_request(self, member: Member, choice: Choice, log: RecoveryLog) -> RestoreRequest:
        request = self._request
        settings = {**choice.settings, **request.settings.get(member.name, {})}
        to = request.to / OWN_FOLDER / member.name if request.to is not None else None
        root = request.to if request.to is not None else request.stack.root
        return RestoreRequest(
            to=to, root=root, aside=lambda path: self._move_aside(path, member.name, log), settings=settings
        )

    def _key(self, choices: Mapping[str, Choice]) -> str:
        request = self._request
        taken = [f"{name}={choice.capture.point.loaded.id}" for name, choice in sorted(choices.items())]
        settings = [
            f"{name}.{key}={value}" for name, of in sorted(request.settings.items()) for key, value in of.items()
        ]
        return "\n".join([request.stack.name, str(request.to), *taken, *settings])

    def _demand_target(self, log: RecoveryLog) -> None:
        to = self._request.to
        if to is None or log.is_resumed or not os.path.lexists(to):
            return
        if not to.is_dir() or any(to.iterdir()):
            raise TargetNotEmpty(path=to)

    def _surroundings(self, member: Member) -> Surroundings:
        return Surroundings(
            clock=self._clock, emit=self._emit, root=self._request.stack.root, state=self._state(member.name)
        )

    # The execution

    def apply(self, plan: RecoveryPlan) -> Recovered:
        """Do what the plan says. Raises RecoveryImpossible, StepFailed."""
        if not plan.is_possible:
            raise RecoveryImpossible
        log = self._log
        assert log is not None  # noqa: S101 - a plan is made here
        log.begin(self._clock.now_ns())
        if plan.to is not None:
            plan.to.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = self._clock.monotonic()
        waiting = [step for step in plan.steps if not step.is_done]
        restored = {}
        for number, step in enumerate(waiting, 1):
            self._emit(StepBegan(component=step.name, number=number, count=len(waiting)))
            restored[step.name] = self._apply_step(step, plan, log)
        configuration = self._bring_configuration(plan)
        moves = [move for move in log.moves if os.path.lexists(move.aside)]
        log.close()
        return Recovered(
            restored=restored, moves=moves, seconds=self._clock.monotonic() - started, configuration=configuration
        )

    def _bring_configuration(self, plan: RecoveryPlan) -> Path | None:
        """Put the stack's own file back where it is missing, which the next backup needs; where it is then."""
        stack = self._request.stack
        path = (plan.to or stack.root) / (stack.configuration_path or Path(CONFIGURATION_NAME)).name
        if not stack.configuration or os.path.lexists(path):
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, stack.configuration)
        except OSError as error:
            raise StepFailed(component=CONFIGURATION_NAME, reason=error.strerror or str(error)) from error
        return path

    def _apply_step(self, step: RecoveryStep, plan: RecoveryPlan, log: RecoveryLog) -> Restored:
        started = self._clock.monotonic()
        try:
            restored = step.member.component.restore(step.source, step.request, self._surroundings(step.member))
            if plan.to is None:
                self._carry_over(step.member, plan, log)
        except PivoriError as error:
            raise StepFailed(component=step.name, reason=error) from error
        except OSError as error:
            raise StepFailed(component=step.name, reason=error.strerror or str(error)) from error
        seconds = self._clock.monotonic() - started
        log.note_done(step.name, self._clock.now_ns())
        self._history.add(
            Measured(
                component=step.name,
                kind=step.member.component.kind,
                bytes=step.size,
                seconds=seconds,
                ended=format_time(self._clock.now_ns()),
            )
        )
        self._emit(StepDone(component=step.name, restored=restored, seconds=seconds))
        return restored

    def _move_aside(self, path: Path, component: str, log: RecoveryLog) -> Path:
        """Move something out of the way. Raises OSError.

        What an earlier step of this recovery brought is not in the way: what it replaced has been moved already.
        """
        for move in log.moves:
            if move.component != component and Path(move.path) == path and os.path.lexists(move.aside):
                return Path(move.aside)
        *better, last = self._ways_aside(path)
        for aside in better:
            with suppress(OSError):
                return _moved(path, aside, component, log)
        return _moved(path, last, component, log)

    def _ways_aside(self, path: Path) -> Iterator[Path]:
        """Where something may be moved: what lies in the stack's folder into one beside that, so that nothing of it
        is taken for a part of the stack; otherwise, and where that cannot be, beside its place."""
        stamp = self._stamp
        root = self._request.to or self._request.stack.root
        if path != root and path.is_relative_to(root):
            yield _unused(root.with_name(f"{root.name}.aside-{stamp}") / path.relative_to(root))
        yield _unused(path.with_name(f"{path.name}.aside-{stamp}"))

    def _carry_over(self, member: Member, plan: RecoveryPlan, log: RecoveryLog) -> None:
        """Put back what a capture does not have, where a folder was replaced in which others have something too.

        What is theirs stays in use so, unless this recovery brings them back as well.
        """
        recovered = {step.name for step in plan.steps}
        others = [other for other in self._request.stack.members if other.name not in recovered]
        for move in log.moves:
            old, new = Path(move.aside), Path(move.path)
            if move.component == member.name and has_place_in(others, new) and _is_folder(old) and _is_folder(new):
                move_missing(old, new)


def _moved(path: Path, aside: Path, component: str, log: RecoveryLog) -> Path:
    """Move something aside, once that is noted: where it is then. Raises OSError."""
    aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.note_move(path, aside, component)
    return path.rename(aside)


def _unused(path: Path) -> Path:
    """The path, with a number behind it when there is something."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
