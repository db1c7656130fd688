"""Bringing a cluster back: a data directory beside its place, its log replayed by a private server, then a rename."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from pivori.components.base import (
    ComponentFailed,
    Finding,
    Gravity,
    Restored,
    RestorePlan,
    RestoreRequest,
    Source,
    Surroundings,
    failure_of,
    has_failure,
)
from pivori.components.postgres.programs import Programs, server_programs
from pivori.components.postgres.server import first_line
from pivori.components.postgres_physical.account import Account
from pivori.components.postgres_physical.checking import Reading, read_all
from pivori.components.postgres_physical.facts import BaseFacts, Facts
from pivori.components.postgres_physical.lsn import format_lsn, parse_lsn
from pivori.components.postgres_physical.private_server import (
    PrivateServer,
    PrivateServerFailed,
    postmaster,
    private_server,
    stop_left_behind,
)
from pivori.components.postgres_physical.target import Target
from pivori.components.postgres_physical.unpacking import LOG_FOLDER, Unpacking, link_tablespaces
from pivori.components.postgres_physical.workshop import clear_up, move, top_for, workshop
from pivori.errors import PivoriError
from pivori.host.process import is_alive
from pivori.translation import N_, ByteCount, Phrase

_SIGNAL: Final = "recovery.signal"
_TARGETS: Final = tuple(f"recovery_target{kind}" for kind in ("", "_name", "_time", "_lsn", "_xid"))
_ENDED_EARLY: Final = "recovery ended before configured recovery target was reached"
_REPLAYED: Final = "select pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()"


class CannotRestore(ComponentFailed):
    """A cluster cannot be brought back where and how it is asked for."""

    code = "postgres-cannot-restore"
    message = N_("The cluster cannot be brought back: {reason}.")
    hint = N_("{advice}")


_PARTS: Final = (
    (
        "database",
        N_("A physical capture can only be restored whole, not one database of it."),
        N_("Restore it beside with --to, start it, and take the database from there with pg_dump."),
    ),
    (
        "table",
        N_("A physical capture can only be restored whole, not one table of it."),
        N_("Restore it beside with --to, start it, and take the table from there with pg_dump."),
    ),
)
"""The settings for a part of a cluster, which this kind does not have: what is said of each."""


@dataclass(frozen=True, kw_only=True)
class _Reached:
    """How far the log was replayed, and what was read then."""

    lsn: int
    committed: datetime | None
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Recovering:
    """What bringing a capture back needs; the component has the same fields."""

    name: str
    source: Source
    surroundings: Surroundings
    data_directory: Path | None
    account: str
    programs: Path | None

    def plan(self, request: RestoreRequest) -> RestorePlan:
        """What would be done."""
        facts = self._facts()
        place = self._place(request)
        findings = list(self._findings(facts, place, request))
        steps = [
            Phrase(N_("The base backup is unpacked beside {place}."), place=str(place)),
            Phrase(N_("A temporary server replays the transaction log.")),
            Phrase(N_("Every database is read, the server is stopped, and the directory gets its final name.")),
        ]
        space = {}
        with contextlib.suppress(PivoriError):
            target = Target.of(request.settings, self.surroundings.clock)
            base = target.base_of(facts)
            steps[0] = Phrase(
                N_("The base backup of {time} is unpacked beside {place}."),
                time=base.ended.isoformat(sep=" ", timespec="seconds"),
                place=str(place),
            )
            if target.text:
                steps[1] = Phrase(N_("A temporary server replays the transaction log to {target}."), target=target.text)
            if place is not None:
                space[place.parent] = base.size + 2 * len(facts.log_files(base)) * facts.segment_size
        replaces = []
        if place is not None and place.exists():
            replaces.append(Phrase(N_("The data directory {place} is moved aside."), place=str(place)))
        return RestorePlan(steps=steps, replaces=replaces, space=space, findings=findings)

    def restore(self, request: RestoreRequest) -> Restored:
        """Do it. Raises ComponentFailed, OSError and what reading raises."""
        clear_up_after_kill(self.surroundings.state)
        findings = self.plan(request).findings
        if has_failure(findings):
            raise CannotRestore(reason=findings[0].message, advice=findings[0].hint or "")
        facts, place = self._facts(), self._place(request)
        assert place is not None  # noqa: S101 - its absence is a finding
        target = Target.of(request.settings, self.surroundings.clock)
        account = Account.find(self.account, self.data_directory)
        if request.to is not None:
            request.to.mkdir(mode=0o700, parents=True, exist_ok=True)
            account.own(request.to)
        base = target.base_of(facts)
        spaces = place.with_name(f"{place.name}.tablespaces")
        with workshop(top_for(place, account), account, self.surroundings.state) as folder:
            data, made = folder / "data", folder / "tablespaces"
            written = _unpacked(Unpacking(self.source, facts, base, data, made, account))
            reached = self._replay(facts, base, target, data, account)
            _make_ordinary(data)
            moves = {made: spaces, data: place} if made.exists() else {data: place}
            for there in moves.values():
                if there.exists():
                    request.aside(there)
            link_tablespaces(data, made, spaces, account)
            for new, there in moves.items():
                move(new, there, account)
        return Restored(
            bytes=written,
            checked=_checked(reached, target),
            remaining=[*reached.reading.damage, *_remaining(facts, place, account, request)],
            counts={"databases": reached.reading.databases, "tables": reached.reading.tables},
        )

    def try_out(self, scratch: Path | None) -> None:
        """Bring it back in a scratch folder and throw it away. Raises ComponentFailed when that does not work."""
        clear_up_after_kill(self.surroundings.state)
        facts = self._facts()
        account = Account.find(self.account, self.data_directory)
        state = self.surroundings.state
        top = scratch or (state if account.owner is None else Path(tempfile.gettempdir()))
        if (finding := _closed(account, top / "data")) is not None:
            raise CannotRestore(reason=finding.message, advice=finding.hint or "")
        with workshop(top, account, state) as folder:
            data = folder / "data"
            _unpacked(Unpacking(self.source, facts, facts.bases[-1], data, folder / "tablespaces", account))
            reached = self._replay(facts, facts.bases[-1], Target(), data, account)
            if reached.reading.damage:
                raise PrivateServerFailed(reason=reached.reading.damage[0])

    def _facts(self) -> Facts:
        facts = Facts.of(self.source.report)
        if facts is None:
            raise CannotRestore(
                reason=Phrase(N_("what the capture says of itself cannot be read")),
                advice=Phrase(N_("Choose another recovery point with --at.")),
            )
        return facts

    def _place(self, request: RestoreRequest) -> Path | None:
        """Where the data directory goes; None when nobody said."""
        return self.data_directory if request.to is None else request.to / "data"

    def _findings(self, facts: Facts, place: Path | None, request: RestoreRequest) -> Iterator[Finding]:
        """What keeps a restore from being done."""
        for attempt in (
            lambda: Target.of(request.settings, self.surroundings.clock).base_of(facts),
            lambda: self._programs(facts),
            lambda: Account.find(self.account, self.data_directory),
        ):
            if (finding := _failure_of(attempt)) is not None:
                yield finding
        for setting, what, hint in _PARTS:
            if request.settings.get(setting):
                yield _failure(Phrase(what), Phrase(hint))
        if place is None:
            yield _failure(
                Phrase(N_("Nothing says where the data directory of {name} is."), name=self.name),
                Phrase(N_("Set the option data-directory, or restore beside with --to.")),
            )
            return
        yield from _obstacles(place)
        with contextlib.suppress(ComponentFailed):
            account = Account.find(self.account, self.data_directory)
            closed = _closed(account, request.to or place)
            if closed is not None and request.to is not None and len(facts.bases[-1].archives) == 1:
                # It is made elsewhere, and goes there when it is done.
                closed = replace(closed, gravity=Gravity.WARNING)
            if closed is not None:
                yield closed

    def _programs(self, facts: Facts) -> Programs:
        return server_programs(facts.major, self.programs)

    def _replay(self, facts: Facts, base: BaseFacts, target: Target, data: Path, account: Account) -> _Reached:
        """Let a private server replay the log to the target, and read everything then."""
        try:
            return self._serve(facts, base, target, data, account)
        except PrivateServerFailed as error:
            if _ENDED_EARLY not in str(error.details["reason"]):
                raise
        if target.time is None:
            raise target.out_of_reach(facts)
        # Nothing was committed between that moment and the capture, which is later: the end of the log is its state.
        return self._serve(facts, base, Target(), data, account)

    def _serve(self, facts: Facts, base: BaseFacts, target: Target, data: Path, account: Account) -> _Reached:
        signal = data / _SIGNAL
        signal.touch(mode=0o600)
        account.own(signal)
        settings = {
            "restore_command": f'cp "{LOG_FOLDER}/%f" "%p"',
            "recovery_target_timeline": "current",
            **facts.settings,
            # Whatever the data directory says of a target is forgotten before another one is named.
            **dict.fromkeys(_TARGETS, ""),
        }
        chosen = target.settings()
        settings = {name: value for name, value in settings.items() if name not in chosen} | chosen
        with private_server(
            self._programs(facts),
            data,
            account,
            self.surroundings.state,
            settings=settings,
            superuser=facts.superuser,
            database=facts.database,
        ) as server:
            server.wait(self.surroundings.clock)
            return _look_around(server, facts, base, target)


def _look_around(server: PrivateServer, facts: Facts, base: BaseFacts, target: Target) -> _Reached:
    """Find out how far the log was replayed, and read everything. Raises PrivateServerFailed."""
    import psycopg

    try:
        with server.connect() as connection:
            row = connection.execute(_REPLAYED).fetchone()
        lsn, committed = row if row is not None else ("0/0", None)
        reached = _Reached(lsn=parse_lsn(lsn or "0/0"), committed=committed, reading=read_all(server))
    except psycopg.Error as error:
        raise PrivateServerFailed(reason=first_line(error)) from None
    is_whole = reached.lsn >= parse_lsn(base.end)
    if target.time is not None and reached.committed is not None:
        is_whole = is_whole and reached.committed <= target.time
    elif not target.text:
        # The last record may reach beyond the position. A hole in the log ends recovery a segment or more before it.
        is_whole = is_whole and reached.lsn + facts.segment_size > facts.end
    if not is_whole:
        raise PrivateServerFailed(
            reason=Phrase(
                N_("the transaction log was replayed to {reached} only, not to {wanted}"),
                reached=format_lsn(reached.lsn),
                wanted=target.text or facts.position,
            )
        )
    return reached


def _obstacles(place: Path) -> Iterator[Finding]:
    """What is in the way at a place."""
    if is_running_over(place):
        yield _failure(
            Phrase(N_("A server runs over {place}."), place=str(place)),
            Phrase(N_("Stop it first, or restore beside with --to.")),
        )
    if place.is_mount():
        yield _failure(
            Phrase(N_("{place} is a mount point and cannot be moved aside."), place=str(place)),
            Phrase(N_("Restore beside with --to, then move the files by hand.")),
        )


def _closed(account: Account, place: Path) -> Finding | None:
    """That a server could not get to its own data directory; None when it can."""
    closed = account.closed_folder(place)
    if closed is None:
        return None
    return _failure(
        Phrase(N_("The user {user} may not enter {folder}."), user=account.name, folder=str(closed)),
        Phrase(N_("Choose another folder, or let the user in with chmod, before the server is started there.")),
    )


def clear_up_after_kill(state: Path) -> Sequence[Phrase]:
    """Stop and remove what a run that was killed has left: what was done, as sentences."""
    done = list(stop_left_behind(state))
    if (folder := clear_up(state)) is not None:
        done.append(Phrase(N_("The folder {path} of a restore that was killed was removed."), path=str(folder)))
    return done


def _unpacked(unpacking: Unpacking) -> int:
    """Write a data directory: how many bytes. Raises ComponentFailed and what reading raises."""
    try:
        return unpacking.run()
    except OSError as error:
        raise CannotRestore(
            reason=error.strerror or str(error), advice=Phrase(N_("Make room in {folder}."), folder=str(unpacking.data))
        ) from None


def is_running_over(data: Path) -> bool:
    """Whether a server runs over a data directory, as its ``postmaster.pid`` says."""
    process = postmaster(data)
    return process is not None and is_alive(process)


def _make_ordinary(data: Path) -> None:
    """Take out what only served to bring it back."""
    shutil.rmtree(data / LOG_FOLDER)
    for name in ("postmaster.opts", _SIGNAL):
        (data / name).unlink(missing_ok=True)


def _failure(message: Phrase, hint: Phrase) -> Finding:
    return Finding(gravity=Gravity.FAILURE, message=message, hint=hint)


def _failure_of(attempt: Callable[[], object]) -> Finding | None:
    """What an attempt fails with, as a finding."""
    try:
        attempt()
    except PivoriError as error:
        return failure_of(error)
    return None


def _checked(reached: _Reached, target: Target) -> list[Phrase]:
    """What was checked, as sentences."""
    checked = [
        Phrase(
            N_("The transaction log was replayed to {lsn}, and the server was promoted."),
            lsn=format_lsn(reached.lsn),
        ),
        reached.reading.summary,
    ]
    if target.text:
        checked.insert(0, Phrase(N_("The target {target} was reached."), target=target.text))
    if reached.committed is not None:
        checked.append(
            Phrase(N_("The last replayed transaction ended at {time}."), time=reached.committed.isoformat(sep=" "))
        )
    return checked


def _remaining(facts: Facts, place: Path, account: Account, request: RestoreRequest) -> Iterator[Phrase]:
    """What the user has to do."""
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    if request.to is None:
        yield Phrase(N_("Start PostgreSQL over {place} as usual, then take a backup."), place=str(place))
    else:
        yield Phrase(
            N_(
                "A cluster of PostgreSQL {major} ({size}) is in {place}: start it as the user {user} with"
                " `pg_ctl -D {place} -o '-p 5433' start`. To take a single database from there, use pg_dump."
            ),
            major=facts.major,
            size=ByteCount(size),
            place=str(place),
            user=account.name,
        )
    if (closed := _closed(account, place)) is not None:
        yield closed.message
    if not (place / "postgresql.conf").exists():
        yield Phrase(
            N_("The server's configuration is not in its data directory: give it with `-c config_file=…`, or copy it.")
        )
