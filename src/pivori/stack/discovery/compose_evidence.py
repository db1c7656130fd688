"""Docker compose: its files, and the services, volumes and bound paths in them."""

import os.path
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pivori.components.compose.compose_files import (
    USUAL_NAMES,
    ComposeFile,
    ComposeFileUnreadable,
    merged,
    parse_compose_file,
)
from pivori.components.compose.selection import is_machines
from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_MOST: Final = 256 << 10
_MOST_PROJECTS: Final = 10
_DEEPEST: Final = 2
"""Folders below the top in which a project is looked for."""


@dataclass(frozen=True, kw_only=True)
class ComposeProject:
    """The files of a project in one folder, by relative paths, and what they say together."""

    paths: Sequence[str]
    files: Sequence[ComposeFile]
    configuration: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services that are mappings, as they should be."""
        services = self.configuration.get("services")
        found = services.items() if isinstance(services, dict) else ()
        return {name: service for name, service in found if isinstance(service, dict)}

    @property
    def volumes(self) -> Sequence[str]:
        """The keys of the named volumes."""
        volumes = self.configuration.get("volumes")
        return list(volumes) if isinstance(volumes, dict) else []

    def evidence(self, *keys: str) -> Evidence:
        """Where a key stands: in the last file that has it."""
        for path, file in reversed(list(zip(self.paths, self.files, strict=True))):
            if keys in file.lines:
                return Evidence(path=path, line=file.lines[keys])
        return Evidence(path=self.paths[0], line=self.files[0].line(*keys))

    def volumes_of(self, services: Collection[str]) -> Sequence[str]:
        """The named volumes that these services use, and no others."""
        users: dict[str, set[str]] = {}
        for name, service in self.services.items():
            for source in _sources(service):
                users.setdefault(source, set()).add(name)
        return [key for key in self.volumes if users.get(key) and users[key].issubset(services)]

    def binds_inside(self, services: Collection[str], root: Path) -> Sequence[str]:
        """The folders below ``root`` that are bound into these services, relative to it."""
        folder = root / PurePosixPath(self.paths[0]).parent
        found = []
        for name in services:
            for source in _sources(self.services.get(name, {})):
                path = Path(os.path.normpath(folder / source))
                if source.startswith((".", "/")) and path.is_relative_to(root) and path != root and path.is_dir():
                    found.append(str(path.relative_to(root)))
        return sorted(set(found))

    def binds_outside(self, root: Path) -> bool:
        """Whether services use paths of this machine that are not below ``root``, or may be elsewhere."""
        folder = root / PurePosixPath(self.paths[0]).parent
        sources = [source for service in self.services.values() for source in _sources(service)]
        paths = [source for source in sources if source.startswith(("/", ".", "~", "$"))]
        return any(
            source.startswith(("~", "$")) or not Path(os.path.normpath(folder / source)).is_relative_to(root)
            for source in paths
            if not is_machines(source)
        )


def find_compose_projects(inventory: Inventory) -> tuple[Sequence[ComposeProject], Sequence[Discovery]]:
    """The projects, the topmost first, and what is said of files that cannot be read."""
    found: list[ComposeProject] = []
    broken: list[Discovery] = []
    files = set(inventory.files)
    folders = dict.fromkeys(str(PurePosixPath(path).parent) for path in inventory.files if _is_usual(path))
    for folder in list(folders)[:_MOST_PROJECTS]:
        read: list[tuple[str, ComposeFile]] = []
        for path in _project_files(folder, files):
            try:
                read.append((path, parse_compose_file(Path(path), inventory.read(path, _MOST) or b"")))
            except ComposeFileUnreadable as error:
                broken.append(_broken(path, error.details["reason"]))
        if read:
            project = ComposeProject(
                paths=[path for path, _file in read],
                files=[file for _path, file in read],
                configuration=merged([file for _path, file in read]),
            )
            if project.services:
                found.append(project)
            else:
                broken.append(_broken(project.paths[0], Phrase(N_("it has no services"))))
    return found, broken


def _broken(path: str, reason: object) -> Discovery:
    what = Phrase(N_("{path} cannot be read as a compose file: {reason}."), path=path, reason=reason)
    return Discovery(topic=Topic.COMPOSE, what=what, why=[Evidence(path=path)])


def describe_compose(project: ComposeProject) -> Discovery:
    """A project, with the names of its services."""
    return Discovery(
        topic=Topic.COMPOSE,
        what=Phrase(
            N_("A docker compose project with the services {services}."),
            services=", ".join(project.services),
        ),
        why=[project.evidence("services")],
    )


def _sources(service: Mapping[str, Any]) -> Sequence[str]:
    """What the mounts of a service come from: names of volumes, and paths."""
    volumes = service.get("volumes")
    found = []
    for entry in volumes if isinstance(volumes, list) else ():
        if isinstance(entry, dict):
            found.append(str(entry.get("source") or ""))
        elif ":" in str(entry):
            found.append(str(entry).partition(":")[0])
    return [source for source in found if source]


def _is_usual(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[-1] in USUAL_NAMES and len(parts) <= _DEEPEST + 1


def _project_files(folder: str, files: set[str]) -> Sequence[str]:
    """The file that docker compose takes in a folder, and the one that overrides it."""
    for name in USUAL_NAMES:
        path = PurePosixPath(folder) / name
        if str(path) in files:
            override = str(path.with_name(f"{path.stem}.override{path.suffix}"))
            return [str(path), override] if override in files else [str(path)]
    return []
