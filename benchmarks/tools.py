"""The programs that are compared, each behind the same few questions.

A tool tells the words of a command line for an operation; it runs nothing itself. Everything it writes lies under
its `Place`: repository, home directory (configuration, caches), temporary files, logs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

FIRST_BACKUP = "first backup"
NOTHING_CHANGED = "nothing changed"
FORCED = "forced re-read"
FULL_RESTORE = "full restore"
VERIFY = "verify, reading data"
OPERATIONS = (FIRST_BACKUP, NOTHING_CHANGED, FORCED, FULL_RESTORE, VERIFY)
"""In the order in which they are run."""

RESTIC_PLACES = (".tools/restic-0.19", "/tmp/restics/restic-0.19")


@dataclass(frozen=True)
class Place:
    """Where one tool works during one repetition."""

    root: Path

    @property
    def repository(self) -> Path:
        """The repository, or the folder of the archive file."""
        return self.root / "repository"

    @property
    def target(self) -> Path:
        """Where a restore goes."""
        return self.root / "restored"

    @property
    def password_file(self) -> Path:
        """The password of the repository, in a file."""
        return self.root / "password"

    @property
    def log(self) -> Path:
        """Output of the last command."""
        return self.root / "log"

    def make(self) -> None:
        """Makes the folders, empty."""
        self.remove()
        for folder in (self.repository, self.root / "home", self.root / "tmp"):
            folder.mkdir(parents=True)
        self.password_file.write_text("a password for benchmarks only\n")
        self.password_file.chmod(0o600)

    def remove(self) -> None:
        """Removes everything."""
        remove(self.root)

    def environment(self) -> dict[str, str]:
        """An environment of its own: nothing of the person who runs the benchmark leaks in."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root / "home"),
            "XDG_CACHE_HOME": str(self.root / "home" / ".cache"),
            "XDG_CONFIG_HOME": str(self.root / "home" / ".config"),
            "XDG_DATA_HOME": str(self.root / "home" / ".local" / "share"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
        }


class Tool(ABC):
    """A program under test."""

    name: str
    whole_seconds = False
    """True when it keeps modification times in whole seconds."""

    program: Sequence[str]
    """The words that every command begins with."""

    def version_words(self) -> list[str]:
        """The command that tells the version."""
        return [*self.program, "--version"]

    def help_words(self) -> list[str]:
        """The command that shows the help text."""
        return [*self.program, "--help"]

    def version(self) -> str:
        """The program's own words about its version."""
        return first_line(self.version_words())

    def environment(self, place: Place) -> dict[str, str]:
        """The environment of its commands."""
        return place.environment()

    @abstractmethod
    def create(self, place: Place) -> list[str] | None:
        """The words that make an empty repository; None when there is nothing to make."""

    @abstractmethod
    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        """The words of an operation on `source`; None when the tool has no such thing."""

    def directory(self, operation: str, place: Place) -> Path:
        """The directory to run an operation in."""
        return place.root

    def restored(self, place: Place, source: Path) -> Path:
        """Where `source` lies after a restore."""
        return place.target / source.relative_to("/")

    def restores(self, operation: str) -> bool:
        """Whether an operation writes a tree into the target."""
        return operation == FULL_RESTORE

    def written(self, operation: str, place: Place) -> Path | None:
        """What an operation has written whose size is of interest; None when it is of none."""
        return place.repository if operation == FIRST_BACKUP else None


class Restic(Tool):
    """The real restic, with its cache in place as a user has it."""

    name = "restic"

    def __init__(self, program: str) -> None:
        self.program = [program]

    def version_words(self) -> list[str]:
        return [*self.program, "version"]

    def environment(self, place: Place) -> dict[str, str]:
        return {
            **place.environment(),
            "RESTIC_REPOSITORY": str(place.repository),
            "RESTIC_PASSWORD_FILE": str(place.password_file),
        }

    def create(self, place: Place) -> list[str]:
        return [*self.program, "init"]

    def words(self, operation: str, place: Place, source: Path) -> list[str]:
        return [
            *self.program,
            *{
                FIRST_BACKUP: ["backup", str(source)],
                NOTHING_CHANGED: ["backup", str(source)],
                FORCED: ["backup", "--force", str(source)],
                FULL_RESTORE: ["restore", "latest", "--target", str(place.target)],
                VERIFY: ["check", "--read-data"],
            }[operation],
        ]


class Pivori(Tool):
    """This program. `extra` are options added to every backup, `name` tells the variants apart."""

    def __init__(self, command: Sequence[str], name: str = "pivori", extra: tuple[str, ...] = ()) -> None:
        self.program = command
        self.name = name
        self._extra = extra

    def environment(self, place: Place) -> dict[str, str]:
        return {**place.environment(), "PYTHONPATH": str(CHECKOUT / "src")}

    def _base(self, place: Place) -> list[str]:
        return [*self.program, "-r", str(place.repository), "--password-file", str(place.password_file)]

    def create(self, place: Place) -> list[str]:
        return [*self._base(place), "init"]

    def words(self, operation: str, place: Place, source: Path) -> list[str]:
        return [
            *self._base(place),
            *{
                FIRST_BACKUP: ["backup", *self._extra, str(source)],
                NOTHING_CHANGED: ["backup", *self._extra, str(source)],
                FORCED: ["backup", "--force", *self._extra, str(source)],
                FULL_RESTORE: ["restore", "latest", "--target", str(place.target)],
                VERIFY: ["verify", "--read-data"],
            }[operation],
        ]


class Borg(Tool):
    """borg 1.x, encrypted and compressed as the other two are."""

    name = "borg"
    program = ("borg",)

    def environment(self, place: Place) -> dict[str, str]:
        return {
            **place.environment(),
            "BORG_REPO": str(place.repository),
            "BORG_PASSPHRASE": place.password_file.read_text().strip(),
            "BORG_BASE_DIR": str(place.root / "home"),
        }

    def create(self, place: Place) -> list[str]:
        return ["borg", "init", "--encryption", "repokey-blake2"]

    def words(self, operation: str, place: Place, source: Path) -> list[str]:
        create = ["borg", "create", "--compression", "zstd,3"]
        return {
            FIRST_BACKUP: [*create, "::first", str(source)],
            NOTHING_CHANGED: [*create, "::second", str(source)],
            FORCED: [*create, "--files-cache", "disabled", "::third", str(source)],
            FULL_RESTORE: ["borg", "extract", "::first"],
            VERIFY: ["borg", "check", "--verify-data"],
        }[operation]

    def directory(self, operation: str, place: Place) -> Path:
        return place.target if operation == FULL_RESTORE else place.root


class Tar(Tool):
    """`tar | zstd -3 -T0`: no deduplication, no encryption; the floor for a first backup and a restore."""

    name = "tar+zstd"
    program = ("tar",)
    whole_seconds = True

    def version(self) -> str:
        return f"{first_line(['tar', '--version'])}, {first_line(['zstd', '--version']).strip('* ')}"

    def create(self, place: Place) -> None:
        return None

    def words(self, operation: str, place: Place, source: Path) -> list[str] | None:
        archive = shlex.quote(str(place.repository / "archive.tar.zst"))
        parent, name = shlex.quote(str(source.parent)), shlex.quote(source.name)
        script = {
            FIRST_BACKUP: f"tar -C {parent} -c {name} | zstd -q -3 -T0 -o {archive}",
            FULL_RESTORE: f"zstd -q -d -c {archive} | tar -C {shlex.quote(str(place.target))} -x",
            VERIFY: f"zstd -q -t {archive}",
        }.get(operation)
        return ["bash", "-o", "pipefail", "-c", script] if script else None

    def restored(self, place: Place, source: Path) -> Path:
        return place.target / source.name


def remove(folder: Path) -> None:
    """Removes a folder, if it is there, whatever permissions a tool has set inside."""
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)
    if folder.exists():
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(folder)], check=True)
        subprocess.run(["rm", "-rf", "--", str(folder)], check=True)


def first_line(words: list[str]) -> str:
    """The first line that a program prints."""
    result = subprocess.run(words, capture_output=True, check=True, stdin=subprocess.DEVNULL, cwd=CHECKOUT)
    return result.stdout.decode(errors="replace").strip().splitlines()[0]


def find(names: list[str], restic: str | None, pivori: str | None) -> list[Tool]:
    """The tools that were asked for, in a fixed order; borg is left out where it is not installed.

    Raises SystemExit when another one is missing.
    """
    found: list[Tool] = []
    for name in names:
        if name == "pivori":
            found.append(Pivori(shlex.split(pivori) if pivori else default_pivori()))
        elif name == "restic":
            found.append(Restic(find_restic(restic)))
        elif name == "borg":
            if shutil.which("borg"):
                found.append(Borg())
        elif name == "tar":
            found.append(Tar())
        else:
            raise SystemExit(f"there is no tool {name!r}: choose among pivori, restic, borg, tar")
    return found


def default_pivori() -> list[str]:
    """This checkout's own program."""
    return [str(CHECKOUT / ".venv" / "bin" / "python"), "-m", "pivori"]


def find_restic(given: str | None) -> str:
    """The restic to compare with: the one that was named, the project's own, the system's."""
    candidates = [given] if given else [str(CHECKOUT / RESTIC_PLACES[0]), RESTIC_PLACES[1], shutil.which("restic")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return str(Path(candidate).resolve())
    raise SystemExit("no restic found: name one with --restic PATH")
