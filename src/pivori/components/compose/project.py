"""A compose project: its services, what they depend on, and the folders of this machine that they use.

Docker compose itself resolves the configuration where it is installed. Otherwise the files are taken as they are,
merged, with the variables of ``.env``; what is not certain then (``extends``, ``include``, variables of the shell) is
told.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pivori.components.compose.compose_files import (
    ComposeFile,
    ComposeFileMissing,
    find_compose_files,
    merged,
    read_compose_file,
    read_env_file,
    without_values,
)
from pivori.components.env_files import Unresolved, interpolated
from pivori.host import CommandNotStarted, capture_output
from pivori.translation import N_, Phrase

_CLI_SECONDS: Final = 20.0
_MOST_CONFIGURATION: Final = 16 << 20
_NAME_VARIABLE: Final = "COMPOSE_PROJECT_NAME"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """What a service sees of this machine: a named volume by its key, or a path that is bound into it."""

    source: str
    is_volume: bool


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service: its image, the services it needs, and its mounts."""

    name: str
    image: str
    needs: Sequence[str] = ()
    mounts: Sequence[Mount] = ()


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project. ``volumes`` gives the engine's name for each key of a named volume.

    ``shown`` is its configuration without values that may be secret; ``uncertain`` says what could not be resolved.
    """

    name: str
    files: Sequence[ComposeFile]
    services: Mapping[str, Service]
    volumes: Mapping[str, str]
    shown: Mapping[str, Any]
    resolved_by: str
    uncertain: Sequence[Phrase] = field(default_factory=tuple)

    @property
    def binds(self) -> Sequence[str]:
        """The paths that are bound into services, each once."""
        mounts = [mount for service in self.services.values() for mount in service.mounts]
        return list(dict.fromkeys(mount.source for mount in mounts if not mount.is_volume))

    def starting_order(self, names: Iterable[str]) -> Sequence[str]:
        """Services so that each comes after those it needs; a circle is entered at its first name."""
        wanted, order = set(names), list[str]()
        seen: set[str] = set()

        for first in sorted(wanted | set(self.services)):
            waiting = [(first, False)]
            while waiting:
                name, done = waiting.pop()
                if done:
                    order.append(name)
                elif name not in seen:
                    seen.add(name)
                    needs = self.services[name].needs if name in self.services else ()
                    waiting.append((name, True))
                    waiting.extend((needed, False) for needed in sorted(needs, reverse=True))
        return [name for name in order if name in wanted]

    def with_dependants(self, names: Iterable[str]) -> set[str]:
        """The services of these names and all that need them, directly or not."""
        result = set(names)
        while more := {
            service.name
            for service in self.services.values()
            if service.name not in result and result.intersection(service.needs)
        }:
            result |= more
        return result


def read_project(root: Path, files: Sequence[Path], name: str | None, program: str | None) -> Project:
    """The project in some files, or in those of ``root``. ``program`` is docker's, None: it is not asked.

    Raises ComposeFileMissing and ComposeFileUnreadable."""
    paths = list(files) or list(find_compose_files(root))
    if not paths:
        raise ComposeFileMissing(path=root)
    read = [read_compose_file(path) for path in paths]
    variables = read_env_file(paths[0].parent / ".env")
    own = merged(read)
    resolved = None if program is None else _ask_compose(paths, name, program)
    configuration = own if resolved is None else resolved
    reading = _Reading(paths[0].parent, variables)
    if resolved is None:
        reading.note_unresolved_parts(own)
    project = name or reading.project_name(configuration)
    volumes = reading.volumes(configuration, project)
    return Project(
        name=project,
        files=read,
        services=reading.services(configuration),
        volumes=volumes,
        shown=without_values(configuration),
        resolved_by="docker compose" if resolved is not None else "pivori",
        uncertain=reading.uncertain,
    )


def _ask_compose(paths: Sequence[Path], name: str | None, program: str) -> dict[str, Any] | None:
    """The configuration as docker compose resolves it, variables left in place; None where it cannot be asked.

    Variables are left in place because their values may be secrets, which could stand anywhere in the result.
    """
    words = [word for path in paths for word in ("--file", str(path))]
    command = [program, "compose", *(["--project-name", name] if name else []), *words]
    command += ["config", "--format", "json", "--no-interpolate"]
    try:
        said = capture_output(command, timeout=_CLI_SECONDS, most=_MOST_CONFIGURATION)
    except CommandNotStarted:
        return None
    if said.status != 0:
        return None
    try:
        configuration = json.loads(said.output)
    except (ValueError, RecursionError):
        return None
    return configuration if isinstance(configuration, dict) and configuration.get("services") else None


class _Reading:
    """Makes a project's parts of its configuration, and collects what is not certain."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = variables
        self.uncertain: list[Phrase] = []

    def note_unresolved_parts(self, configuration: Mapping[str, Any]) -> None:
        """Say which parts only docker compose can resolve."""
        services = _mapping(configuration.get("services"))
        extending = sorted(name for name, service in services.items() if "extends" in _mapping(service))
        if "include" in configuration:
            self.uncertain.append(
                Phrase(N_("What `include` names was not read: docker compose is not on this machine."))
            )
        for name in extending:
            self.uncertain.append(
                Phrase(N_("What {service} extends was not read: docker compose is not on this machine."), service=name)
            )

    def project_name(self, configuration: Mapping[str, Any]) -> str:
        """The name that docker compose would give the project."""
        given = configuration.get("name")
        name = self._filled(str(given), "name") if given else self._variables.get(_NAME_VARIABLE)
        return name or usual_project_name(self._folder)

    def volumes(self, configuration: Mapping[str, Any], project: str) -> dict[str, str]:
        """The engine's names of the named volumes, by their keys."""
        result = {}
        for key, definition in _mapping(configuration.get("volumes")).items():
            facts = _mapping(definition)
            given = self._filled(str(facts["name"]), f"volumes.{key}") if facts.get("name") else None
            result[key] = given or (key if facts.get("external") else f"{project}_{key}")
        return result

    def services(self, configuration: Mapping[str, Any]) -> dict[str, Service]:
        """The services, by their names."""
        return {
            name: Service(
                name=name,
                image=self._filled(str(facts.get("image") or ""), f"{name}.image") or "",
                needs=_needs(facts),
                mounts=[mount for value in _list(facts.get("volumes")) if (mount := self._mount(name, value))],
            )
            for name, definition in _mapping(configuration.get("services")).items()
            for facts in [_mapping(definition)]
        }

    def _mount(self, service: str, value: Any) -> Mount | None:
        """A mount in the long or the short form; None for what holds nothing of its own."""
        if isinstance(value, Mapping):
            kind, source = value.get("type"), self._filled(str(value.get("source") or ""), f"{service}.volumes")
        else:
            text = self._filled(str(value), f"{service}.volumes")
            source, colon, _target = (text or "").partition(":")
            kind = None if colon else "anonymous"
        if not source or kind not in (None, "volume", "bind"):
            return None
        is_path = source.startswith(("/", ".", "~"))
        if kind == "volume" or (kind is None and not is_path):
            return Mount(source=source, is_volume=True)
        return Mount(source=self._absolute(source), is_volume=False)

    def _absolute(self, source: str) -> str:
        return os.path.normpath(self._folder / Path(source).expanduser())

    def _filled(self, text: str, place: str) -> str | None:
        """A text with its variables; None, and told, where one has no value here."""
        try:
            return interpolated(text, self._variables)
        except Unresolved as error:
            phrase = Phrase(
                N_("The variable {variable} in {place} has no value in .env, so what it stands for is not captured."),
                variable=str(error.args[0]),
                place=place,
            )
            self.uncertain.append(phrase)
            return None


def usual_project_name(folder: Path) -> str:
    """The name docker compose gives a project after its folder."""
    return re.sub(r"[^a-z0-9_-]", "", folder.absolute().name.lower()).lstrip("_-") or "project"


def _needs(facts: Mapping[str, Any]) -> list[str]:
    """What a service has to have running: ``depends_on``, and what shares its namespaces with it."""
    value = facts.get("depends_on")
    names = [str(name) for name in value] if isinstance(value, (list, dict)) else []
    names += [str(link).partition(":")[0] for link in _list(facts.get("links"))]
    shared = (str(facts.get(key) or "") for key in ("network_mode", "ipc", "pid"))
    names += [text.removeprefix("service:") for text in shared if text.startswith("service:")]
    return list(dict.fromkeys(names))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
