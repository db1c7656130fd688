"""The client programs of MariaDB and MySQL: those that fit a server."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.components.base import ClientMissing, ClientTooOld
from pivori.host.capture import capture_output
from pivori.host.process import CommandNotStarted

_FOLDERS: Final = ("/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/homebrew/bin")
_NAMES: Final = {True: ("mariadb-dump", "mysqldump"), False: ("mysqldump",)}
_CLIENTS: Final = {True: ("mariadb", "mysql"), False: ("mysql",)}
_PACKAGES: Final = {True: "mariadb-client", False: "mysql-client"}
_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a server or of its clients."""

    text: str
    mariadb: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its numbers, to compare."""
        return tuple(int(number) for number in self.text.split("."))

    @property
    def flavour(self) -> str:
        """Whose version it is."""
        return "MariaDB" if self.mariadb else "MySQL"

    @classmethod
    def of(cls, said: str) -> "Version":
        """The version in what a server or a program says of itself."""
        found = re.search(r"([0-9]+\.[0-9]+\.[0-9]+)-MariaDB", said)
        if found is not None:
            return cls(text=found[1], mariadb=True)
        found = re.search(r"(?:Ver |^)([0-9]+\.[0-9]+\.[0-9]+)", said)
        return cls(text=found[1] if found else "0.0.0", mariadb="mariadb" in said.lower())


@dataclass(frozen=True, kw_only=True)
class Programs:
    """A client to dump with, and one to restore with."""

    dump: str
    client: str
    version: Version


def programs_for(server: Version, folder: Path | None) -> Programs:
    """The newest clients of the server's flavour, in ``folder`` or wherever they are.

    Raises ClientMissing, ClientTooOld.
    """
    found = list(_installed(server.mariadb, folder))
    name, package = _NAMES[server.mariadb][0], _PACKAGES[server.mariadb]
    if not found:
        raise ClientMissing(program=name, package=package)
    # Of several equal ones the first: it has the name of its flavour.
    newest = max(found, key=lambda programs: programs.version.numbers)
    if newest.version.numbers[:2] < server.numbers[:2]:
        raise ClientTooOld(
            server=server.flavour, wanted=server.text, program=name, found=newest.version.text, package=package
        )
    return newest


def _installed(mariadb: bool, folder: Path | None) -> Iterator[Programs]:
    places = [str(folder)] if folder is not None else [None, *_FOLDERS]
    for place in places:
        for dump_name, client_name in zip(_NAMES[mariadb], _CLIENTS[mariadb], strict=True):
            dump, client = shutil.which(dump_name, path=place), shutil.which(client_name, path=place)
            if dump is None or client is None:
                continue
            try:
                said = capture_output([dump, "--version"], timeout=_SECONDS, most=4096)
            except CommandNotStarted:
                continue
            version = Version.of(said.output.decode(errors="replace"))
            if version.mariadb is mariadb and version.text != "0.0.0":
                yield Programs(dump=dump, client=client, version=version)
