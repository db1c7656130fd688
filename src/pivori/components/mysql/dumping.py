"""Taking the content of a server with its own dump program."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pivori.components.base import ComponentFailed, Json, ProgramFailed, ReadInto, Stored
from pivori.components.mysql.catalogue import ServerFacts, Table, accounts
from pivori.components.mysql.programs import Programs
from pivori.components.mysql.scanning import DumpScanner
from pivori.components.mysql.server import Server
from pivori.host.filter import Filter, start_filter
from pivori.host.process import as_text
from pivori.translation import N_

DATA: Final = "data.sql"
DATABASES: Final = "databases.sql"
USERS: Final = "users.sql"
ACCOUNT: Final = "-- Account "

_ALWAYS: Final = ("--single-transaction", "--hex-blob", "--skip-dump-date", "--max-allowed-packet=1G")
_WITHOUT_TABLES: Final = ("--no-data", "--no-create-info", "--no-create-db")


class DumpNotWhole(ComponentFailed):
    """A dump program ended well, but what it wrote has no end."""

    code = "mysql-dump-not-whole"
    message = N_("{program} ended well, but its dump {what} is empty or not whole.")
    hint = N_("Run it by hand to see what is wrong.")


@dataclass(frozen=True, kw_only=True)
class Taking:
    """Where a dump goes: ``stream`` and ``document`` are those of a sink."""

    stream: Callable[[str, ReadInto], Stored]
    document: Callable[[str, bytes], Stored]


@dataclass(frozen=True, kw_only=True)
class Dumper:
    """How a server is dumped. ``leave_out`` are tables that are not."""

    server: Server
    programs: Programs
    state: Path
    facts: ServerFacts
    leave_out: Sequence[Table] = field(default_factory=tuple)

    def dump(self, taking: Taking) -> dict[str, Json]:
        """Everything but accounts: facts of the files. Raises ProgramFailed, DumpNotWhole, CommandNotStarted."""
        names = list(self.facts.databases)
        made = "".join(f"{_if_missing(statement)};\n" for statement in self.facts.databases.values())
        files = {DATABASES: taking.document(DATABASES, made.encode("utf-8", "surrogateescape"))}
        scanner = DumpScanner()
        if names:
            options = [*self._position(), "--skip-triggers", "--no-create-db"]
            options += [f"--ignore-table={table.database}.{table.name}" for table in self.leave_out]
            files[DATA] = self._stream(taking, DATA, [*options, "--databases", *names], scanner)
        for name in names:
            for path, options in (
                (routines_file(name), ["--skip-triggers", "--routines"]),
                (triggers_file(name), ["--triggers", "--events"]),
            ):
                words = [*_WITHOUT_TABLES, *options, "--", name]
                files[path] = self._stream(taking, path, words, DumpScanner())
        return {
            "files": {path: {"size": stored.size, "sha256": stored.sha256} for path, stored in files.items()},
            "databases": {name: dict(scanner.tables.get(name, {})) for name in names},
            "position": scanner.position,
        }

    def accounts(self, taking: Taking) -> tuple[int, Stored]:
        """Users, roles and rights: how many. Raises QueryFailed, ServerUnreachable."""
        with self.server.connect() as connection:
            found = accounts(connection, self.facts.version)
        text = "".join(
            f"{ACCOUNT}{account}\n" + "".join(f"{statement};\n" for statement in statements)
            for account, statements in found
        )
        stored = taking.document(USERS, text.encode("utf-8", "surrogateescape"))
        return len({account for account, _statements in found}), stored

    def _position(self) -> list[str]:
        """What has the dump say where the server's log was."""
        version = self.facts.version
        if version.mariadb:
            return ["--master-data=2", "--gtid"] if self.facts.logs else []
        # The clients of MySQL alone know these.
        options = ["--set-gtid-purged=OFF", "--no-tablespaces"]
        if self.facts.logs:
            new = self.programs.version.numbers >= (8, 0, 26)
            options.append("--source-data=2" if new else "--master-data=2")
        return options

    def _stream(self, taking: Taking, path: str, options: Sequence[str], scanner: DumpScanner) -> Stored:
        with client(self.server, self.programs.dump, [*_ALWAYS, *options], self.state, self.facts) as dump:

            def read(buffer: memoryview) -> int:
                count = (dump.stdout.readinto(buffer) or 0) if dump.stdout is not None else 0
                scanner.feed(buffer[:count])
                if not count:
                    # Before this is taken for the end: half a dump is none.
                    end(dump, self.programs.dump)
                    if not scanner.is_whole:
                        raise DumpNotWhole(program=Path(self.programs.dump).name, what=path)
                return count

            return taking.stream(path, read)


@contextmanager
def client(
    server: Server, program: str, options: Sequence[str], state: Path, facts: ServerFacts, **more: Any
) -> Iterator[Filter]:
    """A client program that is let in, while the context lasts. Raises CommandNotStarted."""
    with (
        server.option_file(state, mariadb=facts.version.mariadb) as (path, descriptor),
        start_filter(
            [program, f"--defaults-file={path}", *options],
            descriptors=[descriptor],
            with_children=True,
            variables={"LC_ALL": "C.UTF-8"},
            **more,
        ) as running,
    ):
        yield running


def end(running: Filter, program: str) -> None:
    """Wait for the end of a client. Raises ProgramFailed."""
    status, errors = running.finish()
    if status:
        lines = [line for line in as_text_lines(errors) if line]
        reason = lines[-1] if lines else N_("it said nothing")
        raise ProgramFailed(program=Path(program).name, status=status, reason=reason.rstrip("."))


def as_text_lines(errors: str) -> list[str]:
    """What a program said, line by line, without control characters."""
    return [as_text(line.encode("utf-8", "surrogateescape")) for line in errors.splitlines()]


def routines_file(database: str) -> str:
    """Where a database's functions and procedures are."""
    return f"{_file_name(database)}.routines.sql"


def triggers_file(database: str) -> str:
    """Where a database's triggers and events are."""
    return f"{_file_name(database)}.triggers.sql"


def digest_of(pieces: Iterator[bytes], scanner: DumpScanner) -> str:
    """The SHA-256 of a file, which the scanner sees as well."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        scanner.feed(piece)
    return digest.hexdigest()


def _file_name(database: str) -> str:
    """A database's name as a part of the name of a file: only what such a name cannot have is written otherwise."""
    return "".join(
        letter if letter.isprintable() and letter not in "/%" else quote(letter, safe="") for letter in database
    )


def _if_missing(statement: str) -> str:
    return statement.replace("CREATE DATABASE ", "CREATE DATABASE IF NOT EXISTS ", 1)
