"""Finding the programs of PostgreSQL: those of the server's own major version before newer ones, never older ones.

A newer ``pg_dump`` reads an older server, but what it writes may not go back into it. Shared by the two kinds.
"""

import functools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pivori.components.base import ClientMissing, ClientTooOld
from pivori.host.capture import capture_output
from pivori.host.process import CommandNotStarted
from pivori.translation import N_, Phrase

_PLACES: Final = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/usr", "pgsql-*/bin"),
    ("/usr/local", "pgsql*/bin"),
    ("/opt", "pgsql*/bin"),
)
_WRAPPER: Final = "pg_wrapper"
"""What Debian has in /usr/bin: it chooses a version by the clusters of the machine, not by the server we talk to."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """A folder with programs of one version of PostgreSQL."""

    folder: Path
    version: str
    """As the programs say it: ``15.14``."""

    @property
    def major(self) -> int:
        """The major version: 15."""
        return major_of(self.version)

    def path(self, name: str) -> str:
        """The path of a program."""
        return str(self.folder / name)

    def has(self, name: str) -> bool:
        """Whether a program is there."""
        return os.access(self.folder / name, os.X_OK)


def major_of(version: str) -> int:
    """The major version of ``15.14``, of ``18beta1``: its first number, 0 when there is none."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def version_text(number: int) -> str:
    """``server_version_num`` as people write it: 150014 is ``15.14``."""
    return f"{number // 10000}.{number % 10000}"


def client_programs(names: Sequence[str], server: str, folder: Path | None = None) -> Programs:
    """The client programs for a server of a version, in ``folder`` when one is given, else wherever they are.

    Raises ClientMissing when they are nowhere, ClientTooOld when all there are are older than the server.
    """
    wanted = major_of(server)
    found = installed(names[0], folder)
    fit = [programs for programs in found if programs.major >= wanted and all(map(programs.has, names))]
    if fit:
        return min(fit, key=lambda programs: programs.major)
    if not found:
        raise ClientMissing(program=names[0], package=client_package(wanted))
    newest = max(found, key=lambda programs: programs.major)
    if newest.major < wanted:
        raise ClientTooOld(
            server="PostgreSQL", wanted=wanted, program=names[0], found=newest.version, package=client_package(wanted)
        )
    missing = next(name for name in names if not newest.has(name))
    raise ClientMissing(program=missing, package=client_package(wanted))


def server_programs(major: int, folder: Path | None = None) -> Programs:
    """``initdb``, ``pg_ctl`` and ``postgres`` of a major version. Raises ClientMissing."""
    for programs in installed("postgres", folder):
        if programs.major == major and programs.has("initdb") and programs.has("pg_ctl"):
            return programs
    raise ClientMissing(program=f"postgres {major}", package=server_package(major))


def server_programs_from(major: int, folder: Path | None = None) -> Programs:
    """Those of a major version, or of the next later one that is there. Raises ClientMissing."""
    majors = {programs.major for programs in installed("postgres", folder)}
    return server_programs(min((found for found in majors if found >= major), default=major), folder)


def installed(name: str, folder: Path | None = None) -> list[Programs]:
    """The folders that have a program, each once: the one that was named, or all that are known."""
    found = []
    seen: set[Path] = set()
    for place in [folder] if folder is not None else _places(name):
        program = place / name
        real = Path(os.path.realpath(program))
        if real in seen or real.name == _WRAPPER or not os.access(program, os.X_OK):
            continue
        seen.add(real)
        if version := _version(str(program), real.stat().st_mtime_ns):
            found.append(Programs(folder=place, version=version))
    return found


def client_package(major: int) -> Phrase:
    """What to install for the client programs of a version."""
    return Phrase(
        N_("postgresql-client-{major} (Debian, Ubuntu) or postgresql{major} (Red Hat; from postgresql.org)"),
        major=major,
    )


def server_package(major: int) -> Phrase:
    """What to install for the server of a version."""
    return Phrase(
        N_("postgresql-{major} (Debian, Ubuntu) or postgresql{major}-server (Red Hat; from postgresql.org)"),
        major=major,
    )


def _places(name: str) -> Iterator[Path]:
    """The folders where a program may be: those of the distributions, then the one in PATH."""
    for top, pattern in _PLACES:
        yield from sorted(Path(top).glob(pattern))
    if (found := shutil.which(name)) is not None:
        yield Path(found).parent


@functools.cache
def _version(program: str, _changed: int) -> str:
    """The version that a program says of itself; empty when it does not work."""
    try:
        said = capture_output([program, "--version"], timeout=5.0, most=1 << 12)
    except CommandNotStarted:
        return ""
    found = re.search(rb"\(PostgreSQL\) (\d[\w.]*)", said.output) if said.status == 0 else None
    return found[1].decode() if found else ""
