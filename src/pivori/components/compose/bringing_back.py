"""Bringing a project back: files and folders beside the running services, then one short stop for the exchange.

In place the order is: compose files; images and containers that are missing; volumes and paths, written beside their
places; the services stop, dependants first; the folders take their places; the services start, dependencies first,
each when those it needs are well.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pivori.components.base import Finding, Gravity, Restored, RestorePlan, RestoreRequest, Source, Surroundings
from pivori.components.compose.compose_files import parse_compose_file
from pivori.components.compose.engine_api import Engine
from pivori.components.compose.placing import PlaceUnwritable, Root, discard, partial_of, swap, write_beside
from pivori.components.compose.project import Project, read_project
from pivori.components.compose.running import Container, containers_of, create_volume, find_volume, image_facts
from pivori.components.compose.starting import start_again, start_in_order, stop_in_order
from pivori.errors import PivoriError
from pivori.host import CommandNotStarted, run_to_end
from pivori.translation import N_, Phrase

_FILES: Final = "compose"
_TREE: Final = ""


class BringingBack:
    """One restore: planned, then done."""

    def __init__(
        self,
        *,
        source: Source,
        request: RestoreRequest,
        surroundings: Surroundings,
        socket: str,
        program: str,
        stop_timeout: float,
        health_timeout: float,
    ) -> None:
        """The engine is not asked for anything before :meth:`run`, but by :meth:`plan` when it is in place."""
        self._source = source
        self._request = request
        self._clock = surroundings.clock
        self._engine = Engine(socket)
        self._program = program
        self._stop_timeout = stop_timeout
        self._health_timeout = health_timeout
        self._facts: Mapping[str, Any] = source.report.facts
        self._roots = [Root(**said) for said in self._facts["roots"]]
        self._volumes: Mapping[str, Mapping[str, Any]] = {said["folder"]: said for said in self._facts["volumes"]}
        self._bytes = 0
        self._checked: list[Phrase] = []
        self._remaining: list[Phrase] = []

    def plan(self) -> RestorePlan:
        """The steps, what is replaced, and whether the engine is there."""
        steps = [Phrase(N_("Write the compose file {path}."), path=path) for path in self._file_places()]
        size = self._size()
        if self._request.to is not None:
            steps += [
                Phrase(N_("Write the content of {what} to {path}."), what=root.path, path=self._beside(root))
                for root in self._roots
            ]
            return RestorePlan(steps=steps, space={self._request.to: size})
        findings: list[Finding] = []
        replaces = [Phrase(N_("The compose file {path}."), path=path) for path in self._changed_files()]
        try:
            self._engine.version()
            own, _others = containers_of(self._engine, self._facts["project"])
            if not own:
                steps.append(Phrase(N_("Make the containers with docker compose.")))
        except PivoriError as error:
            hint = Phrase(error.hint, **error.details)
            findings.append(Finding(gravity=Gravity.FAILURE, message=Phrase(error.message, **error.details), hint=hint))
        for root in self._roots:
            said = self._volumes.get(root.path)
            if said is not None:
                steps.append(Phrase(N_("Fill the volume {volume}."), volume=said["name"]))
            else:
                steps.append(
                    Phrase(N_("Write the content of {what} to {path}."), what=root.path, path=self._bind_place(root))
                )
            place = Path(root.path) if said is not None else self._bind_place(root)
            if os.path.lexists(place):
                replaces.append(Phrase(N_("What is in {path}."), path=place))
        steps += [
            Phrase(N_("Start the service {service} and wait until it is well."), service=name)
            for name in self._wanted()
        ]
        return RestorePlan(
            steps=steps, replaces=replaces, space={self._request.root: size} if size else {}, findings=findings
        )

    def run(self) -> Restored:
        """Do it. Raises PlaceUnwritable, and what the engine and the services raise."""
        try:
            return self._run()
        except OSError as error:
            path, reason = error.filename or self._request.root, error.strerror or str(error)
            raise PlaceUnwritable(path=path, reason=reason) from None

    def _run(self) -> Restored:
        for number, place in enumerate(self._file_places()):
            self._write_file(number, place)
        if self._request.to is not None:
            self._write_beside()
        else:
            self._in_place()
        return Restored(
            bytes=self._bytes,
            checked=self._checked,
            remaining=self._remaining,
            counts={"volumes": len(self._volumes), "services": len(self._facts["services"])},
        )

    # ------------------------------------------------------------------ files

    def _file_places(self) -> list[Path]:
        """Where each compose file goes."""
        if self._request.to is not None:
            return [self._request.to / _FILES / Path(path).name for path in self._facts["files"]]
        return [self._moved(Path(path)) for path in self._facts["files"]]

    def _moved(self, path: Path) -> Path:
        """A path of then as one of now: what was in the stack's folder is in the folder that it becomes."""
        root = Path(self._facts["root"])
        return self._request.root / path.relative_to(root) if path.is_relative_to(root) else path

    def _captured_file(self, number: int) -> str:
        return f"{_FILES}/{number}-{Path(self._facts['files'][number]).name}"

    def _changed_files(self) -> list[Path]:
        return [
            place
            for number, place in enumerate(self._file_places())
            if os.path.lexists(place) and _content(place) != self._source.read(self._captured_file(number))
        ]

    def _write_file(self, number: int, place: Path) -> None:
        """A compose file, unless it is there as it was; another one of its name goes aside."""
        content = self._source.read(self._captured_file(number))
        parse_compose_file(place, content)
        if _content(place) == content:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".pivori-partial-{place.name}")
        discard(partial)
        try:
            partial.write_bytes(content)
            if os.path.lexists(place):
                self._request.aside(place)
            partial.rename(place)
        finally:
            discard(partial)
        self._bytes += len(content)

    # ------------------------------------------------------------------ beside

    def _beside(self, root: Root) -> Path:
        """Where a root goes in a restore beside what is there."""
        to = self._request.to or self._request.root
        said = self._volumes.get(root.path)
        return to / "volumes" / said["name"] if said is not None else to / "bind-mounts" / root.path.lstrip("/")

    def _write_beside(self) -> None:
        for root in self._roots:
            target = self._beside(root)
            self._bytes += write_beside(self._source, _TREE, root, target)
            swap(target, root, self._request.aside)
        self._checked.append(
            Phrase(N_("The compose files can be read; folders and files written: {count}."), count=len(self._roots))
        )

    # ------------------------------------------------------------------ in place

    def _bind_place(self, root: Root) -> Path:
        return self._moved(Path(root.path))

    def _in_place(self) -> None:
        version = str(self._engine.version().get("Version", ""))
        project = self._project()
        self._fetch_images()
        places = [(root, self._place(root)) for root in self._roots]
        self._make_containers(project)
        own, _others = containers_of(self._engine, project.name)
        try:
            for root, place in places:
                self._bytes += write_beside(self._source, _TREE, root, place)
            self._stop(own, project)
            for root, place in places:
                swap(place, root, self._request.aside)
        finally:
            for _root, place in places:
                discard(partial_of(place))
        self._checked.append(
            Phrase(
                N_("The engine {version} has the project's folders again: {count}."), version=version, count=len(places)
            )
        )
        self._start(project, {container.id for container in own if container.is_running})

    def _stop(self, own: Sequence[Container], project: Project) -> None:
        """Stop the project; when that fails, what ran runs again: nothing has been replaced yet."""
        order = project.starting_order(project.services)
        try:
            stop_in_order(self._engine, own, order, self._stop_timeout)
        except BaseException:
            start_again(self._engine, [item for item in own if item.is_running], order)
            raise

    def _project(self) -> Project:
        return read_project(self._request.root, self._file_places(), self._facts["project"], self._program)

    def _place(self, root: Root) -> Path:
        """The folder of a volume, which is made when it is missing, or the place of a bound path."""
        said = self._volumes.get(root.path)
        if said is None:
            return self._bind_place(root)
        create_volume(self._engine, said["name"], said["options"], said["labels"])
        volume = find_volume(self._engine, said["key"], said["name"], stopping=False)
        return volume.folder if volume is not None else Path(root.path)

    def _fetch_images(self) -> None:
        """Fetch the images of then that the engine does not have, by their digests; what fails remains to be done."""
        for service, said in self._facts["services"].items():
            image, digests = said["image"], said["digests"]
            wanted = digests[0] if digests else image
            if not wanted:
                continue
            try:
                if not image_facts(self._engine, wanted):
                    self._engine.pull(wanted)
                self._name_image(wanted, image)
            except PivoriError as error:
                phrase = Phrase(
                    N_("The image {image} of {service} is not here and could not be fetched: {reason}."),
                    image=wanted,
                    service=service,
                    reason=error.as_reason,
                )
                self._remaining.append(phrase)

    def _name_image(self, wanted: str, image: str) -> None:
        """See that the name in the compose file stands for the image of then; another one under it is only told."""
        if not image or "@" in image or wanted == image:
            return
        then, now = image_facts(self._engine, wanted), image_facts(self._engine, image)
        if not now:
            name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
            self._engine.post("images", wanted, "tag", repo=name, tag=tag)
        elif then.get("id") != now.get("id"):
            phrase = Phrase(
                N_("The image {image} is another version now; the one of then is {wanted}."), image=image, wanted=wanted
            )
            self._remaining.append(phrase)

    def _make_containers(self, project: Project) -> None:
        """Make the containers that are missing, which only docker compose can."""
        own, _others = containers_of(self._engine, project.name)
        if not self._missing_services(own):
            return
        files = [word for place in self._file_places() for word in ("--file", str(place))]
        command = [self._program, "compose", "--project-name", project.name, *files]
        command += ["up", "--no-start", "--no-recreate"]
        variables: dict[str, str | None] = {"DOCKER_HOST": f"unix://{self._engine.path}"}
        try:
            status, said = run_to_end(command, directory=os.fsencode(self._request.root), variables=variables)
        except CommandNotStarted as error:
            status, said = 127, str(error.as_reason)
        if status != 0:
            reason = said.strip().splitlines()[-1] if said.strip() else str(status)
            phrase = Phrase(
                N_("Make the missing containers with `docker compose up -d`, which could not be done here: {reason}."),
                reason=reason,
            )
            self._remaining.append(phrase)

    def _missing_services(self, own: Sequence[Container]) -> list[str]:
        there = {container.service for container in own}
        return [name for name, said in self._facts["services"].items() if said["containers"] and name not in there]

    def _wanted(self) -> list[str]:
        """The services that ran then, in the order in which they start."""
        services = self._facts["services"]
        return [
            name
            for name in self._facts["order"]
            if any(item["state"] in ("running", "paused", "restarting") for item in services[name]["containers"])
        ]

    def _start(self, project: Project, running: set[str]) -> None:
        """Start what ran then, and what ran until it was stopped just now (``running``, ids)."""
        own, _others = containers_of(self._engine, project.name)
        wanted = [item for item in own if item.service in self._wanted() or item.id in running]
        order = project.starting_order(project.services)
        started = start_in_order(self._engine, wanted, order, seconds=self._health_timeout, clock=self._clock)
        if started:
            self._checked.append(
                Phrase(N_("These services run and are well: {services}."), services=", ".join(started))
            )
        for name in self._missing_services(own):
            if name in self._wanted():
                self._remaining.append(
                    Phrase(N_("Start the service {service}: it has no container yet."), service=name)
                )

    def _size(self) -> int:
        return sum(file.size for file in self._source.files())


def _content(path: Path) -> bytes | None:
    """What is in a regular file; None when it is none."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None
