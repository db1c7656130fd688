"""A look at a server before a capture."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.components.base import ClientMissing, ClientTooOld, Finding, Gravity, Inspection, failure_of
from pivori.components.postgres.catalogue import (
    Database,
    ServerFacts,
    connect_anywhere,
    databases_of,
    look_at_server,
    sizes_of,
)
from pivori.components.postgres.programs import Programs, client_programs
from pivori.components.postgres.server import Server, refused
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase

DUMPERS: Final = ("pg_dump", "pg_dumpall", "pg_restore")
_TIMEOUT: Final = 1
_SIZES: Final = 800
"""Milliseconds for asking how large the databases are."""


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Where to look, and what is to be captured: databases of these names, all when there are none."""

    server: Server
    folder: Path | None
    wanted: Sequence[str]

    def inspect(self) -> Inspection:
        """What is there; what keeps it from being captured is a finding."""
        try:
            with closing(connect_anywhere(self.server, timeout=_TIMEOUT)) as connection, refused(self.server):
                facts = look_at_server(connection)
                there = databases_of(connection)
                sizes = sizes_of(connection, [database.name for database in there], milliseconds=_SIZES)
        except PivoriError as error:
            return Inspection(findings=[failure_of(error)])
        chosen = chosen_databases(there, self.wanted)
        findings = [*self._missing(there), *_rights(facts), *_left_over(there, sizes)]
        versions = {"postgres": facts.version}
        try:
            versions["pg_dump"] = client_programs(DUMPERS, facts.version, self.folder).version
        except (ClientMissing, ClientTooOld) as error:
            findings.append(failure_of(error))
        if facts.amcheck:
            versions["amcheck"] = facts.amcheck
        return Inspection(
            versions=versions,
            size=sum(sizes[database.name] for database in chosen) if sizes else None,
            counts={"databases": len(chosen), "roles": facts.roles},
            findings=findings,
        )

    def programs(self, version: str) -> Programs:
        """The client programs for a server. Raises ClientMissing, ClientTooOld."""
        return client_programs(DUMPERS, version, self.folder)

    def _missing(self, there: Sequence[Database]) -> Iterator[Finding]:
        names = {database.name for database in there}
        for name in self.wanted:
            if name not in names:
                yield Finding(
                    gravity=Gravity.FAILURE,
                    message=Phrase(N_("The server has no database {database}."), database=name),
                    hint=Phrase(N_("Correct the option `databases`: the server has {names}."), names=shown(names)),
                )
        for database in there:
            if not database.lets_in and (not self.wanted or database.name in self.wanted):
                yield Finding(
                    gravity=Gravity.FAILURE if database.name in self.wanted else Gravity.WARNING,
                    message=Phrase(
                        N_("The database {database} lets nobody in, so it is not captured."), database=database.name
                    ),
                    hint=Phrase(N_("Run: ALTER DATABASE … ALLOW_CONNECTIONS true.")),
                )


def chosen_databases(there: Sequence[Database], wanted: Sequence[str]) -> list[Database]:
    """Those that are captured: the wanted ones, or all that let us in but what restores have left."""
    if wanted:
        return [database for database in there if database.name in wanted]
    return [database for database in there if database.lets_in and not database.is_ours]


def shown(names: Iterable[str]) -> str:
    """Some names, for a person."""
    return ", ".join(sorted(names))


def _rights(facts: ServerFacts) -> Iterator[Finding]:
    if not facts.reads_all:
        yield Finding(
            gravity=Gravity.WARNING,
            message=Phrase(N_("The user {user} may not read everything, so a capture can fail."), user=facts.user),
            hint=Phrase(N_('Run: GRANT pg_read_all_data TO "{user}".'), user=facts.user),
        )
    if not facts.reads_passwords:
        yield Finding(
            gravity=Gravity.WARNING,
            message=Phrase(
                N_("The user {user} may not read the passwords of roles: they are not captured."), user=facts.user
            ),
            hint=Phrase(N_("Use a superuser, or set the passwords of roles again after a restore.")),
        )


def _left_over(there: Sequence[Database], sizes: Mapping[str, int]) -> Iterator[Finding]:
    left = [database.name for database in there if database.is_ours]
    if left:
        yield Finding(
            gravity=Gravity.WARNING,
            message=Phrase(
                N_("Restores have left databases that take {size}: {names}."),
                size=ByteCount(sum(sizes.get(name, 0) for name in left)),
                names=shown(left),
            ),
            hint=Phrase(N_("Drop them when nobody needs them any more; they are not captured.")),
        )
