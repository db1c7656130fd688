"""What the engine says of a project: its containers, the images they were made from, and where its volumes are."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pivori.components.base import ComponentFailed
from pivori.components.compose.engine_api import Engine
from pivori.translation import N_, Phrase, as_it_is

_PROJECT_LABEL: Final = "com.docker.compose.project"
_SERVICE_LABEL: Final = "com.docker.compose.service"
_ONCE_LABEL: Final = "com.docker.compose.oneoff"


class VolumeUnreadable(ComponentFailed):
    """The content of a named volume is not in a folder that can be read here."""

    code = "volume-unreadable"
    message = N_("The volume {volume} cannot be read: {reason}.")
    hint = N_("Run this as a user who may read it on the engine's machine, or leave it out with `volumes`.")


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container. ``state`` is the engine's word (``running``, ``paused``, ``exited`` …), ``health`` may be empty.

    ``writes`` are the volumes and the paths that it may write to.
    """

    id: str
    name: str
    service: str
    project: str
    image: str
    image_id: str
    state: str
    writes: Sequence[str]

    @property
    def is_running(self) -> bool:
        """Whether it works at this moment."""
        return self.state == "running"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A named volume whose content is in ``folder``; ``driver`` and ``options`` are what makes it anew."""

    key: str
    name: str
    folder: Path
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]


def containers_of(engine: Engine, project: str) -> tuple[Sequence[Container], Sequence[Container]]:
    """The project's containers, and the running ones of others, which may share its volumes."""
    listed = engine.get("containers", "json", all=1)
    found = [_container(facts) for facts in listed or [] if isinstance(facts, dict) and not _is_passing(facts)]
    own = sorted((item for item in found if item.project == project), key=lambda item: (item.service, item.name))
    return own, [item for item in found if item.project != project and item.is_running]


def state_of(engine: Engine, container: str) -> tuple[str, str, int]:
    """A container's state, its health (empty where nobody checks) and its exit status; ``gone`` when it is nowhere."""
    facts = engine.get("containers", container, "json")
    if not isinstance(facts, dict):
        return "gone", "", 0
    state = facts.get("State") or {}
    status = "paused" if state.get("Paused") else str(state.get("Status", ""))
    return status, str((state.get("Health") or {}).get("Status", "")), int(state.get("ExitCode") or 0)


def image_facts(engine: Engine, image: str) -> Mapping[str, Any]:
    """The id and the digests of an image by its name or id; empty when the engine does not have it."""
    facts = engine.get("images", image, "json")
    if not isinstance(facts, dict):
        return {}
    return {"id": str(facts.get("Id", "")), "digests": [str(text) for text in facts.get("RepoDigests") or []]}


def find_volume(engine: Engine, key: str, name: str, *, stopping: bool) -> Volume | None:
    """A named volume and its folder; None when the engine has no such volume, or it is in memory only.

    ``stopping`` says that its containers will be stopped while it is read. Raises VolumeUnreadable.
    """
    facts = engine.get("volumes", name)
    if not isinstance(facts, dict):
        return None
    driver, options = str(facts.get("Driver", "")), _texts(facts.get("Options"))
    if driver != "local":
        raise VolumeUnreadable(volume=name, reason=Phrase(N_("its driver is {driver}"), driver=driver or "?"))
    if options.get("type") == "tmpfs":
        return None
    folder = _folder(name, Path(str(facts.get("Mountpoint", ""))), options, stopping)
    return Volume(key=key, name=name, folder=folder, driver=driver, options=options, labels=_texts(facts.get("Labels")))


def create_volume(engine: Engine, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Make a volume; nothing happens when it is there."""
    body = {"Name": name, "Driver": "local", "DriverOpts": dict(options), "Labels": dict(labels)}
    engine.post("volumes", "create", body=body)


def volume_labels(project: str, key: str) -> dict[str, str]:
    """The labels by which docker compose knows its own volumes."""
    return {_PROJECT_LABEL: project, "com.docker.compose.volume": key}


def _folder(name: str, mountpoint: Path, options: Mapping[str, str], stopping: bool) -> Path:
    """The folder to read a local volume from."""
    device = options.get("device", "")
    if device and "bind" in options.get("o", "").split(","):
        mountpoint = Path(device)
    elif device and (stopping or not os.path.ismount(mountpoint)):
        reason = Phrase(N_("{device} is mounted only while a service uses it; choose quiesce = pause"), device=device)
        raise VolumeUnreadable(volume=name, reason=reason)
    if not mountpoint.is_absolute():
        raise VolumeUnreadable(volume=name, reason=Phrase(N_("the engine does not say where it is")))
    try:
        with os.scandir(mountpoint):
            return mountpoint
    except OSError as error:
        raise VolumeUnreadable(volume=name, reason=as_it_is(error.strerror or str(error))) from None


def _container(facts: Mapping[str, Any]) -> Container:
    labels = _texts(facts.get("Labels"))
    names = [str(name) for name in facts.get("Names") or []]
    mounts = [mount for mount in facts.get("Mounts") or [] if isinstance(mount, dict) and mount.get("RW", True)]
    return Container(
        id=str(facts.get("Id", "")),
        name=(names or [""])[0].lstrip("/"),
        service=labels.get(_SERVICE_LABEL, ""),
        project=labels.get(_PROJECT_LABEL, ""),
        image=str(facts.get("Image", "")),
        image_id=str(facts.get("ImageID", "")),
        state=str(facts.get("State", "")),
        writes=[str(mount.get("Name" if mount.get("Type") == "volume" else "Source", "")) for mount in mounts],
    )


def _is_passing(facts: Mapping[str, Any]) -> bool:
    """Whether a container was made by `docker compose run` and is no service."""
    return _texts(facts.get("Labels")).get(_ONCE_LABEL, "").lower() == "true"


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}
