"""The options of a component of the kind ``mysql``."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pivori.components.base import Component
from pivori.components.mysql.component import MysqlComponent
from pivori.components.mysql.server import Server
from pivori.settings.stack_file.options import Building, ComponentOptions, SecretReference
from pivori.translation import N_

_NOT_BOTH = N_("write either `socket`, or `host` and `port`: a socket has neither")
_WITH_DATABASE = N_("a table is named with its database: shop.log_*")


class Options(ComponentOptions):
    """A server of MariaDB or MySQL, dumped by its own client programs."""

    kind: Literal["mysql"] = Field(
        description=N_("A server of MariaDB or MySQL or some of its databases, all of one moment.")
    )
    host: str | None = Field(None, description=N_("The server's host; localhost when left out."))
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description=N_("The server's port; 3306 when left out.")
    )
    socket: str | None = Field(None, description=N_("The path of the server's Unix socket, in place of `host`."))
    user: str = Field("root", description=N_("The server's user that captures and restores."))
    password: SecretReference | None = Field(None, description=N_("Where the user's password is."))
    tls_ca: str | None = Field(
        None,
        description=N_("A file with trusted certificates; the connection is then encrypted with TLS."),
    )
    databases: list[str] = Field(
        default_factory=list, description=N_("The databases to capture; all but the server's own when left out.")
    )
    exclude_tables: list[str] = Field(
        default_factory=list, description=N_("Tables that are left out, with their database: shop.log_*, *.sessions.")
    )
    programs: str | None = Field(
        None, description=N_("The folder of the client programs; without it, the newest ones of this machine.")
    )

    @field_validator("exclude_tables")
    @classmethod
    def _dotted(cls, value: list[str]) -> list[str]:
        if any("." not in pattern for pattern in value):
            raise ValueError(_WITH_DATABASE)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "Options":
        if self.socket and (self.host or self.port):
            raise ValueError(_NOT_BOTH)
        return self

    def build(self, building: Building) -> Component:
        """The component."""
        return MysqlComponent(
            name=self.name,
            server=Server(
                host=self.host or "localhost",
                port=self.port or 3306,
                unix_socket=str(building.path(self.socket)) if self.socket else "",
                user=self.user,
                password=self.password.reveal(building) if self.password is not None else None,
                tls_ca=str(building.path(self.tls_ca)) if self.tls_ca else "",
            ),
            databases=self.databases,
            exclude_tables=self.exclude_tables,
            programs=building.path(self.programs) if self.programs else None,
        )
