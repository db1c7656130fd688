"""The options of a component of the kind ``redis``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pivori.components.base import Component
from pivori.components.redis_server.component import RedisComponent
from pivori.components.redis_server.connection import RedisServer
from pivori.settings.stack_file.options import Building, ComponentOptions, SecretReference
from pivori.translation import N_

_NOT_BOTH = N_("write either `socket`, or `host`, `port` and `tls`: a socket has none of these")


class Options(ComponentOptions):
    """A Redis server, as a replica sees it."""

    kind: Literal["redis"] = Field(
        description=N_("A Redis server: everything it holds at one moment, taken as a replica takes it.")
    )
    host: str | None = Field(None, description=N_("The server's host; localhost when left out."))
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description=N_("The server's port; 6379 when left out.")
    )
    socket: str | None = Field(None, description=N_("The path of the server's Unix socket, in place of `host`."))
    user: str | None = Field(None, description=N_("The server's user; its default user when left out."))
    password: SecretReference | None = Field(None, description=N_("Where the user's password is."))
    tls: bool = Field(False, description=N_("Whether the connection is encrypted with TLS."))
    tls_ca: str | None = Field(
        None, description=N_("A file with the certificates that are trusted; those of this machine when left out.")
    )
    file: str | None = Field(
        None,
        description=N_("The server's dump.rdb: a restore in place writes this file, for a server that is stopped."),
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Options":
        if self.socket and (self.host or self.port or self.tls):
            raise ValueError(_NOT_BOTH)
        return self

    def build(self, building: Building) -> Component:
        """The component."""
        return RedisComponent(
            name=self.name,
            server=RedisServer(
                host=self.host or "localhost",
                port=self.port or 6379,
                unix_socket=str(building.path(self.socket)) if self.socket else "",
                user=self.user or "",
                password=self.password.reveal(building) if self.password is not None else None,
                tls=self.tls,
                tls_ca=str(building.path(self.tls_ca)) if self.tls_ca else "",
            ),
            file=building.path(self.file) if self.file else None,
        )
