"""Stopping and starting a project's containers in the order of their dependencies, and waiting for their health."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pivori.clock import Clock
from pivori.components.base import ComponentFailed
from pivori.components.compose.engine_api import Engine
from pivori.components.compose.running import Container, state_of
from pivori.errors import PivoriError
from pivori.translation import N_

_BREATH: Final = 0.5
"""Seconds between two looks at a service that is not well yet."""
_START_SECONDS: Final = 30.0


class ServiceNotWell(ComponentFailed):
    """A service did not become healthy in time, or ended."""

    code = "service-not-well"
    message = N_("The service {service} is `{state}` after {seconds:.0f} seconds.")
    hint = N_("Its files are back. See `docker compose logs {service}`, mend it, and run the command again.")


def stop_in_order(engine: Engine, containers: Sequence[Container], order: Sequence[str], stop_timeout: float) -> None:
    """Stop what runs, dependants first. Raises what the engine says."""
    for container in sorted(containers, key=lambda item: _rank(item, order), reverse=True):
        if container.state == "paused":
            engine.post("containers", container.id, "unpause")
        if container.state in ("running", "paused", "restarting"):
            engine.post("containers", container.id, "stop", t=round(stop_timeout), patience=stop_timeout)


def start_in_order(
    engine: Engine, containers: Sequence[Container], order: Sequence[str], *, seconds: float, clock: Clock
) -> Sequence[str]:
    """Start containers, dependencies first, each when the one before is well; the services that are.

    ``seconds`` are for all of them together. Raises ServiceNotWell and what the engine says.
    """
    began = clock.monotonic()
    started = []
    for container in sorted(containers, key=lambda item: _rank(item, order)):
        engine.post("containers", container.id, "start", patience=_START_SECONDS)
        while (state := _ill(engine, container)) is not None:
            passed = clock.monotonic() - began
            if passed >= seconds or state in ("exited", "dead", "gone"):
                raise ServiceNotWell(service=container.service or container.name, state=state, seconds=passed)
            clock.sleep(_BREATH)
        started.append(container.service or container.name)
    return started


def start_again(engine: Engine, containers: Sequence[Container], order: Sequence[str]) -> None:
    """Start what was stopped in vain, as far as the engine does it."""
    for container in sorted(containers, key=lambda item: _rank(item, order)):
        with suppress(PivoriError):
            engine.post("containers", container.id, "start", patience=_START_SECONDS)


def _ill(engine: Engine, container: Container) -> str | None:
    """The state of a container that is not well (yet); None when it is well, or has done its work and ended."""
    state, health, status = state_of(engine, container.id)
    if state == "running":
        return None if health in ("", "none", "healthy") else health
    return None if state == "exited" and status == 0 else state


def _rank(container: Container, order: Sequence[str]) -> tuple[int, str]:
    place = order.index(container.service) if container.service in order else len(order)
    return place, container.name
