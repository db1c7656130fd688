"""The evidence about a ``node_modules``: a lock file beside it names every package in it, at the version it has."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pivori.engine.smart.candidate import Candidate, Command, NotProven, Proof, read_file
from pivori.host import read_directory
from pivori.translation import N_, Phrase

_OWN_NAMES: Final = frozenset(
    {
        b".bin",
        b".cache",
        b".package-lock.json",
        b".yarn-integrity",
        b".yarn-state.yml",
        b".modules.yaml",
        b".pnpm",
        b".pnpm-workspace-state.json",
        b".pnpm-workspace-state-v1.json",
        b".vite",
        b".vite-temp",
        b".vitest",
        b".DS_Store",
    }
)
"""What package managers and build tools themselves keep in a ``node_modules``."""

_CHANGING: Final = _OWN_NAMES - {b".pnpm"}
"""Those in which files change after the installation."""

_SLACK_NS: Final = 2_000_000_000


@dataclass(frozen=True)
class Manager:
    """A package manager: the command that installs what the lock file says, and the files it leaves when done.

    ``packages`` reads a lock file: the packages it names, each with its version where the file says so plainly.
    """

    install: Command
    run: Command
    marks: tuple[bytes, ...]
    packages: Callable[[bytes], "Packages"]


class Packages:
    """The packages that a lock file names."""

    def __init__(self, versions: Mapping[str, str | None] | None = None, text: str | None = None) -> None:
        self._versions = versions
        self._text = text

    def names(self, package: str) -> bool:
        """Whether the lock file has the package."""
        if self._versions is not None:
            return package in self._versions
        return self._text is None or re.search(rf"(?<![\w@/.-]){re.escape(package)}['\"]?[@/:]", self._text) is not None

    def version(self, package: str) -> str | None:
        """The version it has; None where the lock file does not say plainly."""
        return self._versions.get(package) if self._versions is not None else None


def _npm(content: bytes) -> Packages:
    lock = _object(content)
    if isinstance(lock.get("packages"), dict):
        found = {
            key.removeprefix("node_modules/"): value.get("version")
            for key, value in lock["packages"].items()
            if key.startswith("node_modules/") and isinstance(value, dict)
        }
    else:
        found = {
            key: value.get("version")
            for key, value in _dictionary(lock.get("dependencies")).items()
            if isinstance(value, dict)
        }
    # What is not a plain version (an address, a link) is not compared.
    return Packages({name: text if _is_version(text) else None for name, text in found.items()})


def _is_version(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+[\w.+-]*", text) is not None


def _text(content: bytes) -> Packages:
    return Packages(text=content.decode("utf-8", "replace"))


def _binary(_content: bytes) -> Packages:
    return Packages()


_NPM: Final = Manager(("npm", "ci"), ("npm", "run", "build"), (b".package-lock.json",), _npm)
_YARN: Final = Manager(
    ("yarn", "install", "--frozen-lockfile"), ("yarn", "run", "build"), (b".yarn-integrity", b".yarn-state.yml"), _text
)
_PNPM: Final = Manager(("pnpm", "install", "--frozen-lockfile"), ("pnpm", "run", "build"), (b".modules.yaml",), _text)
_BUN: Final = Manager(("bun", "install", "--frozen-lockfile"), ("bun", "run", "build"), (), _text)
_BUN_BINARY: Final = Manager(_BUN.install, _BUN.run, (), _binary)

LOCK_FILES: Final[Mapping[bytes, Manager]] = {
    b"npm-shrinkwrap.json": _NPM,
    b"package-lock.json": _NPM,
    b"yarn.lock": _YARN,
    b"pnpm-lock.yaml": _PNPM,
    b"bun.lock": _BUN,
    b"bun.lockb": _BUN_BINARY,
}
"""The lock files, in the order in which they are believed where there are several."""


def judge_packages(candidate: Candidate) -> Proof:
    """The proof that a ``node_modules`` can be left out. Raises NotProven."""
    if b"package.json" not in candidate.siblings:
        raise NotProven(N_("there is no package.json beside it"))
    lock = lock_file(candidate.siblings)
    if lock is None:
        raise NotProven(N_("there is no lock file beside it"))
    manager = LOCK_FILES[lock]
    candidate.demand_untracked()
    candidate.demand_no_repository()
    installed = dict(_installed(candidate.path))
    _check_named(installed, manager.packages(candidate.read_beside(lock)), lock)
    _check_untouched(candidate, manager)
    evidence = Phrase(N_("{lock} names all of the {count} packages in it"), lock=lock.decode(), count=len(installed))
    return Proof(evidence, (manager.install,))


def lock_file(siblings: frozenset[bytes]) -> bytes | None:
    """The lock file among these names that is believed."""
    return next((name for name in LOCK_FILES if name in siblings), None)


def package_json(candidate: Candidate) -> dict[str, Any]:
    """What the ``package.json`` beside a candidate says; empty when there is none, or it is none."""
    if b"package.json" not in candidate.siblings:
        return {}
    return _object(candidate.read_beside(b"package.json"))


def _installed(directory: bytes) -> Iterator[tuple[str, bytes]]:
    """The packages at the top of a ``node_modules`` with their paths. Raises NotProven for what is none."""
    for entry in read_directory(directory):
        if entry.name in _OWN_NAMES:
            continue
        name = entry.name.decode("utf-8", "replace")
        if name.startswith("."):
            raise NotProven(N_("it holds {name}, which no package manager put there"), name=name)
        if not name.startswith("@"):
            yield name, entry.path
            continue
        for inner in read_directory(entry.path):
            yield f"{name}/{inner.name.decode('utf-8', 'replace')}", inner.path


def _check_named(installed: Mapping[str, bytes], packages: Packages, lock: bytes) -> None:
    for name in sorted(installed):
        if not packages.names(name):
            raise NotProven(N_("{lock} does not name {package}, which is in it"), lock=lock.decode(), package=name)
        wanted = packages.version(name)
        if wanted is None:
            continue
        has = _version_of(installed[name])
        if has is not None and has != wanted:
            raise NotProven(
                N_("{package} in it is version {has}, and {lock} says {wanted}"),
                package=name,
                has=has,
                lock=lock.decode(),
                wanted=wanted,
            )


def _version_of(package: bytes) -> str | None:
    try:
        version = _object(read_file(os.path.join(package, b"package.json"))).get("version")
    except OSError:
        return None
    return version if isinstance(version, str) else None


def _check_untouched(candidate: Candidate, manager: Manager) -> None:
    """Raises NotProven when a file of a package was written after the package manager was done."""
    newest = candidate.extent.newest
    done = max((newest[mark][0] for mark in manager.marks if mark in newest), default=None)
    if done is None:
        return
    for name, (written, path) in sorted(newest.items()):
        if written > done + _SLACK_NS and name not in _CHANGING:
            shown = os.path.relpath(path, candidate.path).decode("utf-8", "backslashreplace")
            raise NotProven(N_("{path} in it was changed after it was installed"), path=shown)


def _object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        return _dictionary(json.loads(content))
    except (ValueError, RecursionError):
        return {}


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
