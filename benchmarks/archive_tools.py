"""The programs that write archives, each behind the same questions as those that make backups.

Every tool checks and restores the archive that it has written itself. `pivori` reads an archive back before it gives
it its name; the variant that writes to standard output does not, and shows what the writing alone takes.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools import FIRST_BACKUP, FULL_RESTORE, VERIFY, Pivori, Place, Tar, Tool, first_line

ZIP, ZIP_VERIFY, ZIP_RESTORE = "zip", "zip, verify", "zip, restore"
TAR, TAR_VERIFY, TAR_RESTORE = "tar.zst", "tar.zst, verify", "tar.zst, restore"
SEVEN_ZIP, SEVEN_ZIP_RESTORE = "7z", "7z, restore"

INFO_ZIP_NAME = "Info-ZIP"
SEVEN_ZIP_NAME = "7zz"
SMALL_MEMBER = "pivori, 1 GiB"
"""This program on a member of a quarter of the size."""
ORDINARY = (INFO_ZIP_NAME, Tar.name, SEVEN_ZIP_NAME)
"""The tools that this program's archives are compared with; at most one of them has an operation."""


class Act(NamedTuple):
    """One of the operations above: what is done, and to which format."""

    verb: str
    format: str


ACTS: Mapping[str, Act] = {
    ZIP: Act("create", "zip"),
    ZIP_VERIFY: Act("verify", "zip"),
    ZIP_RESTORE: Act("restore", "zip"),
    TAR: Act("create", "tar.zst"),
    TAR_VERIFY: Act("verify", "tar.zst"),
    TAR_RESTORE: Act("restore", "tar.zst"),
    SEVEN_ZIP: Act("create", "7z"),
    SEVEN_ZIP_RESTORE: Act("restore", "7z"),
}
STREAMED = (*ACTS,)[:6]
"""The operations on formats that are written in one pass: all but those of the 7z, which takes long."""


class ArchiveTool(Tool):
    """A program that writes archives, one file of each format in the folder of its place."""

    needs: Sequence[str] = ()
    """The programs it is made of."""

    def missing(self) -> list[str]:
        """The programs that are not installed."""
        return [name for name in self.needs if shutil.which(name) is None]

    def archive(self, operation: str, place: Place) -> Path:
        """The file that an operation writes or reads."""
        return place.repository / f"archive.{ACTS[operation].format}"

    def create(self, place: Place) -> None:
        return None

    def restores(self, operation: str) -> bool:
        return ACTS[operation].verb == "restore"

    def written(self, operation: str, place: Place) -> Path | None:
        return self.archive(operation, place) if ACTS[operation].verb == "create" else None


class PivoriArchives(ArchiveTool):
    """This program: complete archives, and compressed ones where the format is 7z."""

    name = "pivori"

    def __init__(self, pivori: Pivori) -> None:
        self.program = pivori.program
        self._environment = pivori.environment

    def environment(self, place: Place) -> dict[str, str]:
        return self._environment(place)

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        act, archive = ACTS[operation], str(self.archive(operation, place))
        strategy = "compressed" if act.format == "7z" else "complete"
        return [
            *self.program, "archive",
            *{
                "create": ["create", "--strategy", strategy, "--format", act.format, "-o", archive, str(source)],
                "verify": ["verify", archive],
                "restore": ["restore", archive, "--target", str(place.target)],
            }[act.verb],
        ]  # fmt: skip

    def restored(self, place: Place, source: Path) -> Path:
        return place.target


class PivoriStream(PivoriArchives):
    """This program writing to standard output: nothing is read back."""

    name = "pivori, writing alone"

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        act = ACTS[operation]
        if act.verb != "create" or act.format == "7z":
            return None
        words = [*self.program, "archive", "create", "--format", act.format, "-o", "-", str(source)]
        return shell(f"exec {shlex.join(words)} > {quoted(self.archive(operation, place))}")


class PivoriLibrary(PivoriArchives):
    """This program where no 7-Zip is installed: the library py7zr does the work."""

    name = "pivori without 7zz"

    def environment(self, place: Place) -> dict[str, str]:
        return {**super().environment(place), "PATH": str(place.root / "home")}


class InfoZip(ArchiveTool):
    """`zip -r` and `unzip`. Links are kept as links (`-y`), as the others do."""

    name = INFO_ZIP_NAME
    needs = ("zip", "unzip")
    whole_seconds = True

    def version(self) -> str:
        of_zip = first_line(["sh", "-c", "zip --version | sed -n 's/^This is //p'"])
        return f"{of_zip.rstrip('.')}; {first_line(['unzip', '-v']).rstrip('.')}"

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        archive = str(self.archive(operation, place))
        script = f"cd {quoted(source.parent)} && exec zip -r -y -q {shlex.quote(archive)} {shlex.quote(source.name)}"
        return {
            ZIP: shell(script),
            ZIP_VERIFY: ["unzip", "-tqq", archive],
            ZIP_RESTORE: ["unzip", "-qq", archive, "-d", str(place.target)],
        }.get(operation)

    def restored(self, place: Place, source: Path) -> Path:
        return place.target / source.name


class TarZstd(ArchiveTool, Tar):
    """`tar | zstd -3 -T0`, with the words that it has as a tool for backups."""

    needs = ("tar", "zstd")

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        same = {TAR: FIRST_BACKUP, TAR_VERIFY: VERIFY, TAR_RESTORE: FULL_RESTORE}.get(operation)
        return Tar.words(self, same, place, source) if same else None


class SevenZip(ArchiveTool):
    """`7zz a -mx=9`. Links are kept as links (`-snl`) and restored wherever they lead (`-snld20`), as the others do."""

    name = SEVEN_ZIP_NAME
    program = ("7zz",)
    needs = ("7zz",)
    whole_seconds = True

    def version(self) -> str:
        return first_line(["7zz"])

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        archive, quiet = str(self.archive(operation, place)), ["-bso0", "-bsp0"]
        return {
            SEVEN_ZIP: ["7zz", "a", "-mx=9", "-snl", *quiet, archive, str(source)],
            SEVEN_ZIP_RESTORE: ["7zz", "x", "-snld20", *quiet, f"-o{place.target}", archive],
        }.get(operation)

    def restored(self, place: Place, source: Path) -> Path:
        return place.target / source.name


def shell(script: str) -> list[str]:
    """The words that run a script of which every program has to succeed."""
    return ["bash", "-o", "pipefail", "-c", script]


def quoted(path: Path) -> str:
    """A path as a word of a script."""
    return shlex.quote(str(path))
