"""The options of a component of the kind ``postgres``."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pivori.components.base import Component
from pivori.components.postgres.catalogue import Excluded
from pivori.components.postgres.logical import PostgresComponent
from pivori.components.postgres.server import Server, url_has_password
from pivori.settings.stack_file.options import Building, ComponentOptions, SecretReference
from pivori.translation import N_, Phrase

_SCHEMES = ("postgresql://", "postgres://")
_NO_URL = N_("a URL of PostgreSQL begins with postgresql://")
_CLEAR = N_("the URL has a password in it: take it out, and say where it is with `password`")
_SEVERAL = N_("write only one of: {options}")


class Options(ComponentOptions):
    """A PostgreSQL server, dumped by its own client programs."""

    kind: Literal["postgres"] = Field(
        description=N_("A PostgreSQL server or some of its databases, each as a dump of one moment.")
    )
    url: str | None = Field(
        None, description=N_("Where the server is: postgresql://USER@HOST:PORT/DATABASE, without a password.")
    )
    service: str | None = Field(
        None, description=N_("A service of pg_service.conf that says where the server is, in place of `url`.")
    )
    host: str | None = Field(None, description=N_("The server's host, when there is no `url`."))
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description=N_("The server's port."))
    socket: str | None = Field(
        None, description=N_("The folder of the server's Unix socket, in place of `host`: /var/run/postgresql.")
    )
    user: str | None = Field(None, description=N_("The server's user that captures and restores."))
    password: SecretReference | None = Field(
        None, description=N_("Where the user's password is; without it, what libpq finds itself (~/.pgpass, peer …).")
    )
    databases: list[str] = Field(
        default_factory=list, description=N_("The databases to capture; all but templates when left out.")
    )
    exclude_tables: list[str] = Field(
        default_factory=list, description=N_("Tables that are left out, as patterns of pg_dump: log_*, audit.*.")
    )
    exclude_table_data: list[str] = Field(
        default_factory=list, description=N_("Tables whose rows are left out, as patterns of pg_dump: sessions.")
    )
    count_rows: bool = Field(
        True, description=N_("Whether the rows of all tables are counted, for the check after a restore.")
    )
    programs: str | None = Field(
        None, description=N_("The folder of pg_dump and pg_restore; without it, the fitting ones of this machine.")
    )
    server_programs: str | None = Field(
        None, description=N_("The folder of initdb and postgres, for restores beside and `scratch`.")
    )
    scratch: bool = Field(
        False,
        description=N_(
            "Whether verify restores each capture into a temporary server, and checks it there with amcheck."
        ),
    )
    jobs: Annotated[int, Field(ge=1)] | None = Field(
        None, description=N_("How many jobs of pg_restore work at a time; one for each processor when left out.")
    )

    @field_validator("url")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(_SCHEMES):
            raise ValueError(_NO_URL)
        if value is not None and url_has_password(value):
            raise ValueError(_CLEAR)
        return value

    @model_validator(mode="after")
    def _one_address(self) -> "Options":
        given = [name for name in ("url", "service", "host", "socket") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(Phrase(_SEVERAL, options=", ".join(f"`{name}`" for name in given)))
        return self

    def build(self, building: Building) -> Component:
        """The component."""
        words = {"service": self.service, "host": self.host or self.socket, "user": self.user}
        words["port"] = str(self.port) if self.port is not None else None
        return PostgresComponent(
            name=self.name,
            server=Server(
                url=self.url or "",
                parameters={name: value for name, value in words.items() if value is not None},
                password=self.password.reveal(building) if self.password is not None else None,
            ),
            databases=self.databases,
            excluded=Excluded(tables=self.exclude_tables, rows=self.exclude_table_data),
            count_rows=self.count_rows,
            programs=_folder(building, self.programs),
            server_programs=_folder(building, self.server_programs),
            scratch=self.scratch,
            jobs=self.jobs,
        )


def _folder(building: Building, path: str | None) -> Path | None:
    return building.path(path) if path is not None else None
