"""The options of a component of the kind ``compose``."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pivori.components.base import Component
from pivori.components.compose.component import ComposeComponent
from pivori.components.compose.engine_api import DEFAULT_SOCKET, EngineElsewhere, socket_path
from pivori.components.compose.quiescing import Quiesce
from pivori.components.compose.selection import Selection
from pivori.settings.stack_file.options import Building, ComponentOptions, Duration
from pivori.translation import N_

_ELSEWHERE = N_("only an engine on a Unix socket of this machine can be captured")
_WHOLE_PATH = N_("write the whole path of the socket, beginning with /")
_BOTH = N_("a volume is both in `volumes` and in `exclude-volumes`")


class Options(ComponentOptions):
    """A docker compose project."""

    kind: Literal["compose"] = Field(
        description=N_("A docker compose project: its configuration, images, volumes and bind mounts.")
    )
    file: str | list[str] = Field(
        default_factory=list,
        description=N_("The compose file, or several; those that docker compose finds itself when it is left out."),
    )
    project: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description=N_("The name of the project; what docker compose makes of the file and the folder when left out."),
    )
    socket: str = Field(
        DEFAULT_SOCKET,
        description=N_("The socket of the Docker engine: a path, or unix:// with one as in DOCKER_HOST."),
    )
    volumes: list[str] | None = Field(
        None, description=N_("The named volumes to capture, as the compose file calls them; all when left out.")
    )
    exclude_volumes: list[str] = Field(default_factory=list, description=N_("Named volumes that are not captured."))
    bind_mounts: bool = Field(
        True, description=N_("Whether folders and files of this machine that services use are captured.")
    )
    exclude_bind_mounts: list[str] = Field(
        default_factory=list, description=N_("Paths of this machine that are not captured, with all that is in them.")
    )
    quiesce: Literal["none", "pause", "stop"] = Field(
        "none",
        description=N_(
            "What happens to the services that write while their files are read: `none` (nothing), `pause`, or `stop`."
        ),
    )
    stop_timeout: Duration = Field(30.0, description=N_("How long a service may take to stop before it is killed."))
    health_timeout: Duration = Field(
        120.0, description=N_("How long services may take to be well again after a restore.")
    )

    @field_validator("socket")
    @classmethod
    def _is_here(cls, value: str) -> str:
        try:
            path = socket_path(value)
        except EngineElsewhere:
            raise ValueError(_ELSEWHERE) from None
        if not path.startswith("/"):
            raise ValueError(_WHOLE_PATH)
        return value

    @model_validator(mode="after")
    def _not_both(self) -> "Options":
        if set(self.volumes or ()) & set(self.exclude_volumes):
            raise ValueError(_BOTH)
        return self

    def build(self, building: Building) -> Component:
        """The component."""
        files = [self.file] if isinstance(self.file, str) else self.file
        excluded = [str(building.path(path)) for path in self.exclude_bind_mounts]
        return ComposeComponent(
            name=self.name,
            folder=building.root,
            files=tuple(building.path(path) for path in files),
            project=self.project,
            socket=self.socket,
            volumes=Selection(only=self.volumes, without=tuple(self.exclude_volumes)),
            bind_mounts=Selection(only=None if self.bind_mounts else (), without=tuple(excluded)),
            quiesce=Quiesce(self.quiesce),
            stop_timeout=self.stop_timeout,
            health_timeout=self.health_timeout,
        )
