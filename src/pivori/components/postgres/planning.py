"""What a restore of a logical capture would do."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pivori.components.base import (
    ComponentFailed,
    Finding,
    Gravity,
    RestorePlan,
    RestoreRequest,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.postgres.bringing_back import Bringing
from pivori.components.postgres.bringing_table import referring_to
from pivori.components.postgres.catalogue import (
    Database,
    ServerFacts,
    connect_anywhere,
    databases_of,
    look_at_server,
    optional,
    tables_of,
)
from pivori.components.postgres.choosing import Wish, wish_of
from pivori.components.postgres.facts import Captured, captured_in
from pivori.components.postgres.filling import needs_file
from pivori.components.postgres.own_server import NoServerAccount, server_owner
from pivori.components.postgres.programs import client_programs, server_programs_from
from pivori.components.postgres.server import Server, refused
from pivori.host.process import available_processors
from pivori.translation import N_, ByteCount, Phrase


@dataclass(frozen=True, kw_only=True)
class Planning:
    """How restores of a component are planned."""

    component: str
    bringing: Bringing

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do; what keeps it from being done is a finding."""
        captured = captured_in(source.report)
        try:
            wish = wish_of(request, captured)
            if request.to is not None:
                return self._beside(captured, wish, request.to)
            return self._into(wish.server or self.bringing.server, captured, wish, surroundings)
        except ComponentFailed as error:
            return RestorePlan(steps=[], findings=[failure_of(error)])

    def _beside(self, captured: Captured, wish: Wish, to: Path) -> RestorePlan:
        size = sum(database.bytes or database.size for database in wish.databases)
        try:
            programs = server_programs_from(captured.major, self.bringing.server_folder)
            server_owner()
        except NoServerAccount as error:
            return RestorePlan(steps=[], findings=[failure_of(error)])
        except ComponentFailed as error:
            # The dumps alone are worth something, too.
            found = failure_of(error)
            finding = Finding(gravity=Gravity.WARNING, message=found.message, hint=found.hint)
            step = Phrase(N_("Write the dumps into {folder}."), folder=to)
            return RestorePlan(steps=[step], space={to: size}, findings=[finding])
        text = N_("Make a data directory of PostgreSQL {version} in {folder}, and restore into it: {names}.")
        names = ", ".join(wish.target_of(database) for database in wish.databases)
        steps = [Phrase(text, version=programs.version, folder=to / "data", names=names)]
        replaces = []
        if (to / "data").exists():
            replaces.append(Phrase(N_("{folder} is moved aside."), folder=to / "data"))
        return RestorePlan(steps=steps, replaces=replaces, space={to: size})

    def _into(self, server: Server, captured: Captured, wish: Wish, surroundings: Surroundings) -> RestorePlan:
        with closing(connect_anywhere(server)) as connection, refused(server):
            facts = look_at_server(connection)
            there = {database.name: database for database in databases_of(connection)}
            folder = optional(connection, "SHOW data_directory")
        findings = list(_rights(self.component, facts, wish, there))
        try:
            client_programs(["pg_restore"], facts.version, self.bringing.folder)
        except ComponentFailed as error:
            findings.append(failure_of(error))
        if facts.number // 10000 < captured.major:
            findings.append(_older(facts, captured))
        if wish.table is not None:
            return _table_plan(server, wish, there, findings)
        return RestorePlan(
            steps=list(_steps(server, wish)),
            replaces=list(_replaces(wish, there)),
            space=_space(folder, wish, surroundings, jobs=wish.jobs or self.bringing.jobs),
            findings=findings,
        )


def _steps(server: Server, wish: Wish) -> Iterator[Phrase]:
    if wish.everything:
        text = N_("Make the roles and tablespaces that are missing on {server}; those that exist become as captured.")
    else:
        text = N_("Make the roles that are missing on {server}.")
    yield Phrase(text, server=server)
    for database in wish.databases:
        yield Phrase(
            N_("Restore the database {database} as {name} and count its rows: {size}."),
            database=database.name,
            name=wish.target_of(database),
            size=ByteCount(database.size),
        )


def _replaces(wish: Wish, there: Mapping[str, Database]) -> Iterator[Phrase]:
    for database in wish.databases:
        if wish.target_of(database) in there:
            text = N_("The database {database} gets another name, and its sessions end.")
            yield Phrase(text, database=wish.target_of(database))


def _table_plan(server: Server, wish: Wish, there: Mapping[str, Database], findings: list[Finding]) -> RestorePlan:
    database, table = wish.databases[0].name, wish.table
    assert table is not None  # noqa: S101 - that is what we are called for
    name = f"{table.schema}.{table.name}"
    replaces = []
    if database not in there:
        text = N_("The server has no database {database} to bring the table back into.")
        findings.append(Finding(gravity=Gravity.FAILURE, message=Phrase(text, database=database)))
    else:
        with closing(server.connect(database)) as connection, refused(server):
            if (table.schema, table.name) in {(item.schema, item.name) for item in tables_of(connection)}:
                replaces.append(Phrase(N_("The table {table} gets another name."), table=name))
            referring = referring_to(connection, table)
        if referring:
            findings.append(
                Finding(
                    gravity=Gravity.WARNING,
                    message=Phrase(
                        N_("These will go on to refer to the table that is there now: {names}."),
                        names="; ".join(referring),
                    ),
                    hint=Phrase(N_("Make them anew after the restore, or copy the rows that you miss.")),
                )
            )
    step = Phrase(N_("Restore the table {table} into the database {database}."), table=name, database=database)
    return RestorePlan(steps=[step], replaces=replaces, findings=findings)


def _rights(component: str, facts: ServerFacts, wish: Wish, there: Mapping[str, Database]) -> Iterator[Finding]:
    if facts.is_standby:
        yield Finding(
            gravity=Gravity.FAILURE,
            message=Phrase(N_("The server is a standby, into which nothing can be restored.")),
            hint=Phrase(N_("Name its primary with `--set {component}.server=URL`."), component=component),
        )
    if wish.table is None and not facts.may_create:
        yield Finding(
            gravity=Gravity.FAILURE,
            message=Phrase(N_("The user {user} may not make databases."), user=facts.user),
            hint=Phrase(N_('Run: ALTER ROLE "{user}" CREATEDB.'), user=facts.user),
        )
    for database in wish.databases:
        target = there.get(wish.target_of(database))
        if wish.table is None and target is not None and target.owner != facts.user and not facts.is_superuser:
            yield Finding(
                gravity=Gravity.WARNING,
                message=Phrase(
                    N_("The database {database} belongs to {owner}: the user {user} may be unable to replace it."),
                    database=target.name,
                    owner=target.owner,
                    user=facts.user,
                ),
                hint=Phrase(
                    N_("Use a superuser, or restore under another name with `--set {component}.as=NAME`."),
                    component=component,
                ),
            )


def _older(facts: ServerFacts, captured: Captured) -> Finding:
    return Finding(
        gravity=Gravity.WARNING,
        message=Phrase(
            N_("The server is PostgreSQL {found}, older than the captured one, {captured}: it may not understand all."),
            found=facts.version,
            captured=captured.server,
        ),
        hint=Phrase(N_("Restore into a server that is not older.")),
    )


def _space(folder: str, wish: Wish, surroundings: Surroundings, *, jobs: int | None) -> dict[Path, int]:
    """What is needed where: on the server's disk when it is this machine's, and for dumps that several jobs read."""
    space = {}
    if folder and Path(folder).is_dir():
        space[Path(folder)] = sum(database.bytes or database.size for database in wish.databases)
    if needs_file(jobs or available_processors()):
        space[surroundings.state] = max((database.size for database in wish.databases), default=0)
    return space
