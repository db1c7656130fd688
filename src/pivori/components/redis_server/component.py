"""The kind ``redis``: everything a Redis server holds, as the dump it gives its replicas."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.private_file import PrivateFile
from pivori.components.redis_server.connection import Connection, RedisServer, Transfer
from pivori.components.redis_server.rdb import FILENAME, CapturedDumpDamaged, Ends, check, watched
from pivori.components.redis_server.replaying import Replay, release
from pivori.errors import PivoriError
from pivori.translation import N_, ByteCount, Phrase

_PART: Final = 1 << 20
_KEEPS_LOG: Final = N_(
    "With `appendonly yes` a server ignores {file} when it starts: start it with `--appendonly no`, then switch it on"
    " again in the running server: `CONFIG SET appendonly yes`."
)


@dataclass(frozen=True, kw_only=True)
class RedisComponent:
    """A Redis server, all its databases. ``file`` is where a stopped server's dump goes; None: it is running."""

    kind: ClassVar[str] = "redis"

    name: str
    server: RedisServer
    file: Path | None = None

    def places(self) -> Sequence[Path]:
        """The server's dump, where it is the file that a restore writes."""
        return (self.file,) if self.file is not None else ()

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look at the server."""
        try:
            with self.server.connect() as connection:
                facts = connection.info("server") | connection.info("memory") | connection.info("replication")
                counts = _counted(connection)
        except PivoriError as error:
            return Inspection(findings=[failure_of(error)])
        findings = []
        if facts.get("role") == "slave" and facts.get("master_link_status") != "up":
            findings.append(_finding(Gravity.FAILURE, N_("The server {server} has lost its master."), self.server))
        return Inspection(
            versions={_flavour(facts): _version(facts)},
            size=int(facts.get("used_memory_dataset", facts.get("used_memory", 0))),
            counts=counts,
            findings=findings,
        )

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Take the dump of one moment, as a replica does.

        Raises RedisUnreachable, RedisRefused, DumpNotWhole.
        """
        ends = Ends()
        with self.server.connect() as connection:
            facts = connection.info("server") | connection.info("cluster")
            about = _counted(connection)
            transfer = Transfer.begin(connection)
            stored = sink.stream(FILENAME, watched(transfer.readinto, ends, str(self.server)))
        warnings = []
        if facts.get("cluster_enabled") == "1":
            warnings.append(Phrase(N_("The server is one of a cluster: the dump holds its own part alone.")))
        return Report(
            consistency=Consistency.TRANSACTION,
            versions={_flavour(facts): _version(facts), "rdb": ends.version},
            position={"replication": transfer.replication, "offset": transfer.offset},
            facts={"size": stored.size, "sha256": stored.sha256, "about": about},
            warnings=warnings,
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing: the server knows of no replica any more."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Check the file, with ``redis-check-rdb`` where that is here."""
        try:
            findings, _keys = check(source.pieces(FILENAME))
        except PivoriError as error:
            return [failure_of(error)]
        return findings

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """What a restore would do."""
        place = self._place(request)
        size = int(source.report.facts.get("size", 0))
        if place is not None:
            there = [Phrase(N_("The file {path}, which is kept aside."), path=str(place))] if place.exists() else []
            return RestorePlan(
                steps=[Phrase(N_("Write the dump to {path}."), path=str(place))],
                replaces=there,
                space={_existing(place): size},
                findings=self._answers(request),
            )
        return self._plan_for_server(source, request, surroundings, size)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Bring it back: into the running server, or as a file; settings are ``server``, ``address`` and ``file``.

        Raises RedisUnreachable, RedisRefused, DumpNotLoaded, DumpNotWhole, CapturedDumpDamaged, and OSError.
        """
        place = self._place(request)
        if place is not None:
            return self._as_file(source, place, request)
        server = self._target(request)
        # Before anything is given up: the file as the server is going to check it.
        findings, keys = check(source.pieces(FILENAME))
        for finding in findings:
            if finding.gravity is Gravity.FAILURE:
                raise CapturedDumpDamaged(reason=finding.message)
        with server.connect() as connection:
            before = _counted(connection)
        kept = self._keep(server, surroundings) if before["keys"] else None
        replay = Replay(
            server=server,
            state=surroundings.state,
            clock=surroundings.clock,
            address=request.settings.get("address", ""),
        )
        size = replay.load(source)
        with server.connect() as connection:
            now = _counted(connection)
        checked = [Phrase(N_("The server has loaded the whole dump and its checksum is right."))]
        if keys is not None:
            checked.append(
                Phrase(N_("Keys in the dump: {keys}; in the server now: {now}."), keys=keys, now=now["keys"])
            )
        return Restored(bytes=size, checked=checked, remaining=_left_over(kept), counts=now)

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Make the server its own master again that a killed restore left without one."""
        if release(surroundings.state, self.server):
            return [Phrase(N_("The Redis server of {component} answers commands again."), component=self.name)]
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """How to give the file to a server."""
        return [
            "# $DATA: the folder that `redis-cli CONFIG GET dir` names; the server must not run meanwhile",
            "redis-cli SHUTDOWN NOSAVE",
            f'install -m 640 -o redis -g redis {FILENAME} "$DATA/{FILENAME}"',
            'redis-server --appendonly no --dir "$DATA" --dbfilename ' + shlex.quote(FILENAME),
            "# with appendonly yes: move $DATA/appendonlydir away first, then redis-cli CONFIG SET appendonly yes",
        ]

    # ------------------------------------------------------------------ where to

    def _target(self, request: RestoreRequest) -> RedisServer:
        address = request.settings.get("server")
        return self.server.at(address) if address else self.server

    def _place(self, request: RestoreRequest) -> Path | None:
        """The file that is written; None when a server gets the dump."""
        if "file" in request.settings:
            return request.root / request.settings["file"]
        if "server" in request.settings:
            return None
        return request.to / FILENAME if request.to is not None else self.file

    def _answers(self, request: RestoreRequest) -> list[Finding]:
        """A running server would write over its dump when it stops."""
        if request.to is not None or "file" in request.settings:
            return []
        with suppress(PivoriError), self.server.connect() as connection:
            connection.info("server")
            return [_finding(Gravity.FAILURE, N_("The server {server} runs: stop it first."), self.server)]
        return []

    # ------------------------------------------------------------------ a running server

    def _plan_for_server(
        self, source: Source, request: RestoreRequest, surroundings: Surroundings, size: int
    ) -> RestorePlan:
        server = self._target(request)
        steps = [
            Phrase(N_("Have the server {server} load the dump in place of all it holds."), server=str(server)),
            Phrase(N_("While it loads, it answers with errors or what it held before.")),
        ]
        try:
            with server.connect() as connection:
                facts = connection.info("server") | connection.info("replication") | connection.info("memory")
                facts |= connection.info("cluster")
                counts = _counted(connection)
        except PivoriError as error:
            return RestorePlan(steps=steps, findings=[failure_of(error)])
        replaces, space = [], {}
        if counts["keys"]:
            steps.insert(0, Phrase(N_("Keep what it holds in a file of the state folder.")))
            replaces.append(
                Phrase(N_("What the server {server} holds (keys: {keys})."), keys=counts["keys"], server=str(server))
            )
            space[surroundings.state] = int(facts.get("used_memory_dataset", 0))
        return RestorePlan(
            steps=steps, replaces=replaces, space=space, findings=_obstacles(source.report, facts, server)
        )

    def _keep(self, server: RedisServer, surroundings: Surroundings) -> Path:
        """What the server holds, as a file of its own."""
        stamp = f"{surroundings.clock.now().astimezone(UTC):%Y%m%dt%H%M%Sz}"
        place = surroundings.state / "aside" / f"{stamp}.rdb"
        ends, buffer = Ends(), memoryview(bytearray(_PART))
        with server.connect() as connection, PrivateFile(place) as file:
            transfer = Transfer.begin(connection)
            read = watched(transfer.readinto, ends, str(server))
            while count := read(buffer):
                file.write(bytes(buffer[:count]))
            file.put()
        return place

    # ------------------------------------------------------------------ a file

    def _as_file(self, source: Source, place: Path, request: RestoreRequest) -> Restored:
        ends = Ends()
        owner = place.stat() if place.exists() else None
        with PrivateFile(place) as file:
            for piece in source.pieces(FILENAME):
                ends.feed(piece)
                file.write(piece)
            if ends.fault is not None:
                raise CapturedDumpDamaged(reason=ends.fault)
            file.put(request.aside)
        if owner is not None:
            with suppress(PermissionError):
                os.chown(place, owner.st_uid, owner.st_gid)
        return Restored(
            bytes=ends.size,
            checked=[
                Phrase(N_("The file {path} is whole: {size}."), path=str(place), size=ByteCount(ends.size)),
            ],
            remaining=[
                Phrase(N_("Give the file to the account of the server, and start the server with it.")),
                Phrase(_KEEPS_LOG, file=FILENAME),
            ],
        )


def _counted(connection: Connection) -> dict[str, int]:
    """How many databases, keys and functions a server has."""
    keyspace = connection.info("keyspace")
    keys = [int(found[1]) for value in keyspace.values() if (found := re.match(r"keys=(\d+)", value))]
    return {"databases": len(keys), "keys": sum(keys)}


def _flavour(facts: Mapping[str, str]) -> str:
    return "valkey" if "valkey_version" in facts else "redis"


def _version(facts: Mapping[str, str]) -> str:
    return facts.get("valkey_version") or facts.get("redis_version", "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _obstacles(report: Report, facts: Mapping[str, str], server: RedisServer) -> list[Finding]:
    """What keeps a server from taking a dump."""
    findings = []
    if facts.get("role") == "slave":
        findings.append(_finding(Gravity.FAILURE, N_("The server {server} is a replica: restore its master."), server))
    if facts.get("cluster_enabled") == "1":
        findings.append(
            _finding(
                Gravity.FAILURE, N_("The server {server} is one of a cluster: restore the dump as a file."), server
            )
        )
    flavour = _flavour(facts)
    captured = report.versions.get(flavour)
    if captured is None or _numbers(_version(facts)) < _numbers(captured):
        taken = ", ".join(f"{name} {report.versions[name]}" for name in ("redis", "valkey") if name in report.versions)
        findings.append(
            Finding(
                gravity=Gravity.FAILURE,
                message=Phrase(
                    N_("The server {server} is {flavour} {found}, but the dump is of {taken}."),
                    server=str(server),
                    flavour=flavour,
                    found=_version(facts),
                    taken=taken,
                ),
                hint=Phrase(N_("Restore it into a server of that version or a later one.")),
            )
        )
    return findings


def _finding(gravity: Gravity, sentence: str, server: RedisServer) -> Finding:
    return Finding(gravity=gravity, message=Phrase(sentence, server=str(server)))


def _left_over(kept: Path | None) -> list[Phrase]:
    if kept is None:
        return []
    return [Phrase(N_("What the server held before is in {path}: remove it when nobody needs it."), path=str(kept))]


def _existing(place: Path) -> Path:
    return next(folder for folder in place.parents if folder.exists())
