"""The options of a component of the kind ``postgres-physical``."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from pivori.components.base import Component
from pivori.components.postgres.server import Server, url_has_password
from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.settings.stack_file.options import Building, ComponentOptions, Duration, SecretReference
from pivori.translation import N_

_A_SIZE = N_("write a size as 500MiB or 1GiB")
_CLEAR = N_("the URL has a password in it: take it out, and say where it is with `password`")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _bytes(value: object) -> object:
    """``500MiB``, ``1GiB``, ``1G`` as a number of bytes."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
        if found is not None:
            return int(float(found[1]) * _UNITS[found[2].upper()])
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(_A_SIZE)


_Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0), WithJsonSchema({"type": ["integer", "string"]})]


class Options(ComponentOptions):
    """A PostgreSQL cluster that can be brought back to any moment."""

    kind: Literal["postgres-physical"] = Field(
        description=N_("A whole PostgreSQL cluster with its transaction log: it can be brought back to any moment.")
    )
    smallest: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description=N_(
            "The share of its usual size below which a capture counts as failed; 0, the default here, switches that"
            " off: a capture shrinks when a new base makes the transaction log before it superfluous."
        ),
    )
    url: str = Field("", description=N_("The server as postgresql://user@host:port/database, without the password."))
    host: str | None = Field(None, description=N_("The server's host, or the folder of its socket."))
    port: int | None = Field(None, ge=1, le=65535, description=N_("The server's port."))
    user: str | None = Field(None, description=N_("A user with the right REPLICATION."))
    database: str | None = Field(
        None, description=N_("The database that is connected to, to ask for the server's settings [postgres].")
    )
    password: SecretReference | None = Field(None, description=N_("Where the user's password is."))
    slot: str | None = Field(
        None,
        pattern=r"^[a-z0-9_]{1,63}$",
        description=N_(
            "The replication slot, made when it is missing; named after the stack's folder and the component."
        ),
    )
    base_every: Duration = Field(86400.0, description=N_("How old a base backup may become before another is taken."))
    lag_warning: _Size = Field(
        1 << 30, description=N_("How much of the transaction log the slot may hold back before a warning.")
    )
    data_directory: str | None = Field(
        None, description=N_("The server's data directory on this machine: where a restore in place puts it.")
    )
    account: str = Field(
        "",
        description=N_(
            "The account that a restored server runs as. When left out: whoever runs this program; for root, the owner"
            " of the data directory, else postgres."
        ),
    )
    programs: str | None = Field(
        None, description=N_("The folder of the server's programs, when it is none of the usual ones.")
    )
    scratch: bool = Field(
        False, description=N_("Whether a verification brings the whole cluster back in a scratch folder.")
    )
    scratch_directory: str | None = Field(
        None,
        description=N_(
            "Where that is: it takes the space of the cluster, and the server's account must be able to enter it."
        ),
    )

    @field_validator("url")
    @classmethod
    def _without_password(cls, value: str) -> str:
        if url_has_password(value):
            raise ValueError(_CLEAR)
        return value

    def build(self, building: Building) -> Component:
        """The component."""
        words = {"host": self.host, "port": self.port, "user": self.user, "dbname": self.database}
        folder = self.data_directory
        return PostgresPhysical(
            name=self.name,
            server=Server(
                url=self.url,
                parameters={name: str(value) for name, value in words.items() if value is not None},
                password=None if self.password is None else self.password.reveal(building),
            ),
            slot=self.slot or _slot_name(building.root.name, self.name),
            base_every=self.base_every,
            lag_warning=self.lag_warning,
            data_directory=None if folder is None else building.path(folder),
            account=self.account,
            programs=None if self.programs is None else building.path(self.programs),
            scratch=self.scratch,
            scratch_directory=None if self.scratch_directory is None else building.path(self.scratch_directory),
        )


def _slot_name(*names: str) -> str:
    """A name for a slot, of letters that a slot may have."""
    return re.sub(r"[^a-z0-9_]", "_", "_".join(("pivori", *names)).lower())[:63]
