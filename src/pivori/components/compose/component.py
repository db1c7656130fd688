"""The component: what it looks at, what it takes, and what it says of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Gravity,
    Inspection,
    NotCaptured,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    TreeFacts,
)
from pivori.components.compose.bringing_back import BringingBack
from pivori.components.compose.compose_files import USUAL_NAMES
from pivori.components.compose.engine_api import DEFAULT_SOCKET, Engine
from pivori.components.compose.placing import describe_root
from pivori.components.compose.project import Project, read_project
from pivori.components.compose.quiescing import Quiesce, left_standing, release_left, run_quiesced
from pivori.components.compose.running import (
    Container,
    Volume,
    containers_of,
    find_volume,
    image_facts,
    state_of,
    volume_labels,
)
from pivori.components.compose.selection import Selection, is_machines
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

CONFIGURATION: Final = "configuration.json"
FILES: Final = "compose"

_LOOK_SECONDS: Final = 2.0
_KILLED: Final = 137
"""The exit status of a container that did not end in time and was killed."""


class NothingToCapture(ComponentFailed):
    """A volume was asked for by name and is not part of the project."""

    code = "compose-unknown-name"
    message = N_("The project {project} has no volume {name}.")
    hint = N_("Write the names as they stand in the compose file, or leave the option out.")


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What a capture is going to read: the roots with their facts, and who may write to them meanwhile."""

    volumes: Sequence[Volume]
    binds: Sequence[Path]

    @property
    def roots(self) -> list[Path]:
        return [*(volume.folder for volume in self.volumes), *self.binds]

    def is_written_by(self, container: Container) -> bool:
        """Whether a container may change something in it."""
        names = {volume.name for volume in self.volumes} | {str(volume.folder) for volume in self.volumes}
        paths = [str(path) for path in self.binds]
        return any(
            source in names or any(_overlap(source, path) for path in paths) for source in container.writes if source
        )


@dataclass(frozen=True, kw_only=True)
class ComposeComponent:
    """A docker compose project in ``folder``. ``files`` empty means the usual ones, ``project`` None what compose says.

    ``stop_timeout`` and ``health_timeout`` are seconds. ``program`` is the docker command.
    """

    kind: ClassVar[str] = "compose"
    name: str
    folder: Path
    files: Sequence[Path] = ()
    project: str | None = None
    socket: str = DEFAULT_SOCKET
    volumes: Selection = field(default_factory=Selection)
    bind_mounts: Selection = field(default_factory=Selection)
    quiesce: Quiesce = Quiesce.NONE
    stop_timeout: float = 30.0
    health_timeout: float = 120.0
    program: str = "docker"

    def places(self) -> Sequence[Path]:
        """The compose files, and the paths that are bound into services."""
        try:
            project = read_project(self.folder, self.files, self.project, None)
        except PivoriError:
            return self.files or [self.folder / USUAL_NAMES[0]]
        binds = [Path(path) for path in project.binds if self.bind_mounts.wants_path(path) and not is_machines(path)]
        return [*(file.path for file in project.files), *_outermost(binds)]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the files, the engine, the volumes."""
        findings: list[Finding] = []
        versions: Mapping[str, str] = {}
        counts: dict[str, int] = {}
        try:
            if standing := left_standing(surroundings.state):
                findings.append(_standing_finding(standing))
            project = read_project(self.folder, self.files, self.project, self.program)
            counts = {"services": len(project.services), "volumes": len(project.volumes)}
            findings += [Finding(gravity=Gravity.WARNING, message=phrase) for phrase in project.uncertain]
            engine = Engine(self.socket, timeout=_LOOK_SECONDS)
            versions = {"docker": str(engine.version().get("Version", ""))}
            own, others = containers_of(engine, project.name)
            taken = self._taken(engine, project)
            counts |= {"containers": len(own), "folders": len(taken.roots)}
            findings += _warnings_about(project, taken, own, others, self.quiesce)
        except PivoriError as error:
            findings.append(_as_failure(error))
        return Inspection(versions=versions, counts=counts, findings=findings)

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take the configuration and the images' digests, then the folders while their writers stand still."""
        engine = Engine(self.socket)
        release_left(engine, surroundings.state, surroundings.clock)
        project = read_project(self.folder, self.files, self.project, self.program)
        version = str(engine.version().get("Version", ""))
        own, others = containers_of(engine, project.name)
        taken = self._taken(engine, project)
        roots = [describe_root(path) for path in taken.roots]
        still = self._standing(project, taken, own)
        for number, file in enumerate(project.files):
            sink.document(f"{FILES}/{number}-{file.path.name}", file.content)
        sink.document(CONFIGURATION, json.dumps(project.shown, indent=2, ensure_ascii=False).encode() + b"\n")
        facts, killed = TreeFacts(files=0, bytes=0), False
        if taken.roots:

            def read() -> tuple[TreeFacts, bool]:
                was_killed = self.quiesce is Quiesce.STOP and any(
                    state_of(engine, item.id)[2] == _KILLED for item in still
                )
                return sink.tree(taken.roots, exclude=self.bind_mounts.excluded_inside), was_killed

            facts, killed = run_quiesced(
                read,
                engine=engine,
                how=self.quiesce,
                containers=still,
                stop_timeout=self.stop_timeout,
                state=surroundings.state,
                clock=surroundings.clock,
            )
        findings = _warnings_about(project, taken, own, others, self.quiesce)
        return Report(
            consistency=_consistency(self.quiesce, killed),
            versions={"docker": version},
            counts={
                "services": len(project.services),
                "containers": len(own),
                "volumes": len(taken.volumes),
                "bind-mounts": len(taken.binds),
                "files": facts.files,
            },
            facts={
                "project": project.name,
                "resolved-by": project.resolved_by,
                "files": [str(file.path) for file in project.files],
                "root": str(surroundings.root),
                "services": _service_facts(engine, project, own),
                "order": list(project.starting_order(project.services)),
                "volumes": [_volume_facts(volume, project.name) for volume in taken.volumes],
                "binds": [str(path) for path in taken.binds],
                "roots": [vars(root) for root in roots],
                "quiesced": [item.service or item.name for item in still],
            },
            warnings=[
                *project.uncertain,
                *(finding.message for finding in findings),
                *(Phrase(N_("{path} could not be read."), path=path) for path in facts.unread),
                *(Phrase(N_("{path} changed each time it was read."), path=path) for path in facts.moving),
            ],
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing is kept at the source."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Whether the configuration is readable and each file that was counted is there."""
        findings: list[Finding] = []
        facts = source.report.facts
        try:
            configuration = json.loads(source.read(CONFIGURATION))
            if not configuration.get("services"):
                raise ValueError("services")
        except (NotCaptured, ValueError, AttributeError) as error:
            reason = str(error)
            message = Phrase(N_("The configuration of the project cannot be read: {reason}."), reason=reason)
            findings.append(Finding(gravity=Gravity.FAILURE, message=message))
        stored = {file.path for file in source.files(FILES)}
        findings += [
            _missing(f"{FILES}/{number}-{Path(path).name}")
            for number, path in enumerate(facts["files"])
            if f"{FILES}/{number}-{Path(path).name}" not in stored
        ]
        return findings + _short_counts(source)

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do."""
        return self._bringing_back(source, request, surroundings).plan()

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring files and folders back; in place also images, containers, and the services in their order."""
        return self._bringing_back(source, request, surroundings).run()

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Let go on what a killed run has left standing still."""
        return release_left(Engine(self.socket), surroundings.state, surroundings.clock)

    def manual(self, report: Report) -> Sequence[str]:
        """The way back with docker and tar alone."""
        facts = report.facts
        project = facts["project"]
        files = [f"{FILES}/{number}-{Path(path).name}" for number, path in enumerate(facts["files"])]
        lines = [f"cp {_quoted(file)} {_quoted(path)}" for file, path in zip(files, facts["files"], strict=True)]
        for service, said in facts["services"].items():
            lines += [f"docker pull {_quoted(digest)}  # {service}" for digest in said["digests"][:1]]
        lines.append(f"docker compose -p {_quoted(project)} -f {_quoted(facts['files'][0])} create")
        for volume in facts["volumes"]:
            path, name = volume["folder"].lstrip("/"), volume["name"]
            lines.append(f"docker volume create {_quoted(name)}")
            lines.append(
                f"tar -C {_quoted(path)} -c . | docker run --rm -i -v {_quoted(name + ':/v')} busybox tar -C /v -x"
            )
        lines += [f"cp -a {_quoted(path.lstrip('/'))} {_quoted(path)}" for path in facts["binds"]]
        lines.append(f"docker compose -p {_quoted(project)} -f {_quoted(facts['files'][0])} up -d")
        return lines

    def _bringing_back(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> BringingBack:
        return BringingBack(
            source=source,
            request=request,
            surroundings=surroundings,
            socket=self.socket,
            program=self.program,
            stop_timeout=self.stop_timeout,
            health_timeout=self.health_timeout,
        )

    def _taken(self, engine: Engine, project: Project) -> _Taken:
        """The volumes and paths that are wanted and there. Raises VolumeUnreadable and NothingToCapture."""
        for name in self.volumes.names:
            if name not in project.volumes:
                raise NothingToCapture(project=project.name, name=name)
        stopping = self.quiesce is Quiesce.STOP
        found = [
            find_volume(engine, key, name, stopping=stopping)
            for key, name in project.volumes.items()
            if self.volumes.wants(key)
        ]
        binds = [Path(path) for path in project.binds if self.bind_mounts.wants_path(path) and not is_machines(path)]
        volumes = [volume for volume in found if volume is not None]
        return _Taken(volumes=volumes, binds=_outermost([path for path in binds if _is_content(path)]))

    def _standing(self, project: Project, taken: _Taken, own: Sequence[Container]) -> Sequence[Container]:
        """The containers that have to stand still: the running ones that may write, and what needs them, first."""
        if self.quiesce is Quiesce.NONE:
            return []
        running = [item for item in own if item.is_running]
        writers = {item.service for item in running if taken.is_written_by(item)}
        order = list(project.starting_order(project.with_dependants(writers)))
        chosen = [item for item in running if item.service in order]
        return sorted(chosen, key=lambda item: order.index(item.service), reverse=True)


def _consistency(how: Quiesce, killed: bool) -> Consistency:
    if how is Quiesce.STOP and not killed:
        return Consistency.TRANSACTION
    return Consistency.FILES if how is Quiesce.NONE else Consistency.FROZEN


def _service_facts(engine: Engine, project: Project, own: Sequence[Container]) -> dict[str, Any]:
    """Per service: its image by name, id and digests, and its containers."""
    result: dict[str, Any] = {}
    for name, service in project.services.items():
        containers = [item for item in own if item.service == name]
        image_id = next((item.image_id for item in containers if item.image_id), "")
        image = service.image or next((item.image for item in containers), "")
        known = image_facts(engine, image_id or image) if image_id or image else {}
        result[name] = {
            "image": image,
            "id": known.get("id", image_id),
            "digests": known.get("digests", []),
            "containers": [{"id": item.id, "name": item.name, "state": item.state} for item in containers],
        }
    return result


def _volume_facts(volume: Volume, project: str) -> dict[str, Any]:
    return {
        "key": volume.key,
        "name": volume.name,
        "folder": str(volume.folder),
        "options": dict(volume.options),
        "labels": dict(volume.labels) or volume_labels(project, volume.key),
    }


def _warnings_about(
    project: Project, taken: _Taken, own: Sequence[Container], others: Sequence[Container], how: Quiesce
) -> list[Finding]:
    """What somebody should know, though the capture works."""
    findings = []
    for other in others:
        if taken.is_written_by(other):
            message = Phrase(
                N_("The container {container} is not part of the project and may write to what is captured."),
                container=other.name,
            )
            findings.append(Finding(gravity=Gravity.WARNING, message=message))
    if how is Quiesce.NONE and any(item.is_running and taken.is_written_by(item) for item in own):
        message = Phrase(N_("The services go on writing while their volumes are read."))
        hint = Phrase(N_("Set quiesce to pause or stop, or capture databases by a component of their own kind."))
        findings.append(Finding(gravity=Gravity.WARNING, message=message, hint=hint))
    for path in filter(is_machines, project.binds):
        message = Phrase(N_("{path} belongs to the machine, not to the project, so it is not captured."), path=path)
        findings.append(Finding(gravity=Gravity.WARNING, message=message))
    if not own:
        message = Phrase(N_("The project {project} has no containers."), project=project.name)
        hint = Phrase(N_("Check `project`, or run `docker compose up -d`."))
        findings.append(Finding(gravity=Gravity.WARNING, message=message, hint=hint))
    return findings


def _standing_finding(services: Sequence[str]) -> Finding:
    return Finding(
        gravity=Gravity.WARNING,
        message=Phrase(
            N_("An earlier run has left services standing still: {services}."), services=", ".join(services)
        ),
        hint=Phrase(N_("Run `pivori resume`; the next capture does it, too.")),
    )


def _as_failure(error: PivoriError) -> Finding:
    hint = Phrase(error.hint, **error.details) if error.hint else None
    return Finding(gravity=Gravity.FAILURE, message=Phrase(error.message, **error.details), hint=hint)


def _missing(path: str) -> Finding:
    return Finding(gravity=Gravity.FAILURE, message=Phrase(N_("The capture has no file {path}."), path=path))


def _short_counts(source: Source) -> list[Finding]:
    """Whether as many files are there as were counted."""
    wanted = source.report.counts.get("files", 0)
    own = {CONFIGURATION}
    there = sum(1 for file in source.files() if file.path not in own and not file.path.startswith(f"{FILES}/"))
    if there >= wanted:
        return []
    message = Phrase(
        N_("The capture has {there} files of volumes where {wanted} were taken."), there=there, wanted=wanted
    )
    return [Finding(gravity=Gravity.FAILURE, message=message)]


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Paths without those that are inside others."""
    return [path for path in paths if not any(other in path.parents for other in paths)]


def _is_content(path: Path) -> bool:
    """Whether a bound path is a folder or a file: sockets and devices hold nothing to keep."""
    return path.is_dir() or path.is_file()


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other.rstrip('/')}/") or other.startswith(f"{one.rstrip('/')}/")


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
