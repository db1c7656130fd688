"""Restores: into the server, into another one, or beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from pivori.components.base import (
    ComponentFailed,
    Finding,
    Gravity,
    ReadInto,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Source,
    Stored,
    Surroundings,
    failure_of,
    has_failure,
)
from pivori.components.mysql.catalogue import ServerFacts, look
from pivori.components.mysql.dumping import Dumper, Taking
from pivori.components.mysql.filling import Captured, Filling, present
from pivori.components.mysql.private_server import own_server, server_programs
from pivori.components.mysql.programs import Programs, Version, programs_for
from pivori.components.mysql.server import Server
from pivori.components.mysql.verifying import verify
from pivori.components.private_file import PrivateFile
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

_PART: Final = 1 << 20
_CHECKED: Final = N_("All tables are back ({tables}), with the rows that were counted ({rows}).")


class NotInCapture(ComponentFailed):
    """A database is asked for that the capture does not have, or a name that fits none."""

    code = "mysql-not-in-capture"
    message = N_("The capture has no database {database}.")
    hint = N_("Choose one of: {known}.")


class NameForNone(ComponentFailed):
    """Another name is given, but not for which database."""

    code = "mysql-name-for-none"
    message = N_("The setting `as` names one database, and several are to be restored.")
    hint = N_("Say which one with the setting `database`.")


class CaptureDamaged(ComponentFailed):
    """A capture is not whole, so nothing is replaced by it."""

    code = "mysql-capture-damaged"
    message = N_("The capture is damaged, and nothing was changed: {reason}.")
    hint = N_("Choose an earlier recovery point with --at.")


class FillingFailed(ComponentFailed):
    """A restore broke off when databases had been emptied already."""

    code = "mysql-restore-broke-off"
    message = N_("The databases are not back whole: {reason}.")
    hint = N_("What was there before is in {kept}. Mend what the reason says, then run the command again.")


@dataclass(frozen=True, kw_only=True)
class Bringing:
    """How captures come back. ``folder`` is that of the client programs."""

    server: Server
    folder: Path | None

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do."""
        captured = Captured.of(source.report)
        try:
            names = chosen(captured, request.settings)
            if request.to is not None and "server" not in request.settings:
                return _plan_beside(request.to, source.report)
            server = self._target(request)
            facts = _look(server)
            programs_for(facts.version, self.folder)
            there = present(server, list(names.values()))
        except PivoriError as error:
            return RestorePlan(steps=[Phrase(N_("Restore the databases."))], findings=[failure_of(error)])
        steps = [
            Phrase(N_("Read the whole capture once, to see that it is whole.")),
            Phrase(
                N_("Bring the databases back to {server}: {names}."), server=server, names=", ".join(names.values())
            ),
            Phrase(N_("Compare the tables and the numbers of their rows with the capture.")),
        ]
        replaces = [
            Phrase(N_("The database {name} (tables: {tables})."), name=name, tables=tables)
            for name, tables in there.items()
        ]
        if there:
            steps.insert(1, Phrase(N_("Dump what these databases hold now to files of the state folder.")))
        return RestorePlan(
            steps=steps,
            replaces=replaces,
            space={surroundings.state: int(source.report.facts.get("bytes", 0))} if there else {},
            findings=_version_findings(source.report, facts.version),
        )

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back. Raises the errors of this module, and what the programs and the server have to say."""
        captured = Captured.of(source.report)
        names = chosen(captured, request.settings)
        if request.to is not None and "server" not in request.settings:
            return self._beside(source, captured, names, request.to, surroundings)
        findings = verify(source)
        if has_failure(findings):
            raise CaptureDamaged(reason=findings[0].message)
        server = self._target(request)
        facts = _look(server)
        programs = programs_for(facts.version, self.folder)
        kept = self._keep(server, programs, list(names.values()), surroundings)
        filling = Filling(
            server=server, programs=programs, facts=facts, state=surroundings.state, captured=captured, names=names
        )
        try:
            read = filling.fill(source)
            tables, rows = filling.check()
        except PivoriError as error:
            raise FillingFailed(reason=error.as_reason, kept=str(kept) if kept is not None else "-") from error
        remaining = [] if request.settings.get("database") else filling.accounts(source)
        if kept is not None:
            remaining.append(
                Phrase(
                    N_("What the databases held before is in {path}: remove it when nobody needs it."), path=str(kept)
                )
            )
        return Restored(
            bytes=read,
            checked=[Phrase(_CHECKED, tables=tables, rows=rows)],
            remaining=remaining,
            counts={"databases": len(names), "tables": tables, "rows": rows},
        )

    def _target(self, request: RestoreRequest) -> Server:
        address = request.settings.get("server")
        return self.server.at(address) if address else self.server

    def _keep(
        self, server: Server, programs: Programs, names: Sequence[str], surroundings: Surroundings
    ) -> Path | None:
        """Dump what is there to files that only their owner reads; None when there is nothing."""
        there = present(server, names)
        if not there:
            return None
        with server.connect() as connection:
            facts = look(connection, list(there))
        folder = surroundings.state / "aside" / f"{surroundings.clock.now().astimezone(UTC):%Y%m%dt%H%M%Sz}"
        Dumper(server=server, programs=programs, state=surroundings.state, facts=facts).dump(_into(folder))
        return folder

    def _beside(
        self, source: Source, captured: Captured, names: Mapping[str, str], to: Path, surroundings: Surroundings
    ) -> Restored:
        """A new data directory with the databases in it, or the files where no server can be run."""
        programs = server_programs()
        data = to / "data"
        if programs is None or "mariadb" not in source.report.versions or data.exists():
            return _as_files(source, to)
        with own_server(programs, data, surroundings.clock, surroundings.state) as server:
            facts = _look(server)
            filling = Filling(
                server=server,
                programs=programs_for(facts.version, self.folder),
                facts=facts,
                state=surroundings.state,
                captured=captured,
                names=names,
            )
            read = filling.fill(source)
            tables, rows = filling.check()
            remaining = filling.accounts(source)
        remaining.append(
            Phrase(N_("Start a server on it when it is wanted: mariadbd --datadir={data}"), data=str(data))
        )
        return Restored(
            bytes=read,
            checked=[Phrase(_CHECKED, tables=tables, rows=rows)],
            remaining=remaining,
            counts={"databases": len(names), "tables": tables, "rows": rows},
        )


def chosen(captured: Captured, settings: Mapping[str, str]) -> dict[str, str]:
    """The databases that are wanted, each with its new name. Raises NotInCapture, NameForNone."""
    wanted = settings.get("database")
    if wanted is not None and wanted not in captured.databases:
        raise NotInCapture(database=wanted, known=", ".join(captured.databases))
    names = [wanted] if wanted is not None else list(captured.databases)
    other = settings.get("as")
    if other and len(names) != 1:
        raise NameForNone
    return {name: other or name for name in names}


def _look(server: Server) -> ServerFacts:
    with server.connect() as connection:
        return look(connection, ())


def _plan_beside(to: Path, report: Report) -> RestorePlan:
    size = int(report.facts.get("bytes", 0))
    step = Phrase(N_("Write the dumps to {path}."), path=str(to))
    if server_programs() is not None and "mariadb" in report.versions:
        step = Phrase(N_("Make a new data directory {path}, with all databases in it."), path=str(to / "data"))
    existing = next(folder for folder in (to, *to.parents) if folder.exists())
    return RestorePlan(steps=[step], space={existing: size})


def _version_findings(report: Report, version: Version) -> list[Finding]:
    """A dump of a newer server, or of another flavour, may not go back."""
    taken = report.versions.get(version.flavour.lower())
    if taken is not None and version.numbers[:2] >= Version.of(taken).numbers[:2]:
        return []
    sentence = N_("The server is {flavour} {found}, and the capture is of another flavour or a later version.")
    return [
        Finding(
            gravity=Gravity.WARNING,
            message=Phrase(sentence, flavour=version.flavour, found=version.text),
            hint=Phrase(N_("Restore it into a server of that version or a later one when this fails.")),
        )
    ]


def _into(folder: Path) -> Taking:
    """Files in a folder, for what is kept."""

    def stream(path: str, read: ReadInto) -> Stored:
        size, buffer = 0, memoryview(bytearray(_PART))
        with PrivateFile(folder / path) as file:
            while count := read(buffer):
                file.write(bytes(buffer[:count]))
                size += count
            file.put()
        return Stored(size=size, sha256="")

    def document(path: str, content: bytes) -> Stored:
        with PrivateFile(folder / path) as file:
            file.write(content)
            file.put()
        return Stored(size=len(content), sha256="")

    return Taking(stream=stream, document=document)


def _as_files(source: Source, to: Path) -> Restored:
    findings = verify(source)
    if has_failure(findings):
        raise CaptureDamaged(reason=findings[0].message)
    written = 0
    for captured in source.files():
        with PrivateFile(to / captured.path) as file:
            for piece in source.pieces(captured.path):
                file.write(piece)
                written += len(piece)
            file.put()
    return Restored(
        bytes=written,
        checked=[Phrase(N_("The dumps are whole."))],
        remaining=[Phrase(N_("Give the files in {path} to a server as RECOVERY.md says."), path=str(to))],
    )
