"""The evidence about a virtual environment: every file in it comes from a package of known name and version.

Nothing of it is run: what ``pip freeze`` would say is read from the metadata of the installed packages, and their
``RECORD`` lists the files with length and digest. The list is stored as a document.
"""

import base64
import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from fnmatch import fnmatchcase
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from pivori.engine.smart.candidate import Candidate, Command, NotProven, Proof, read_file
from pivori.engine.smart.documents import document_name
from pivori.engine.smart.rules import ENVIRONMENT_MARK
from pivori.host import read_directory
from pivori.translation import N_, Phrase

_LOCKS: Final = (
    "requirements*.txt",
    "requirements*.in",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "pdm.lock",
    "pylock*.toml",
)
_BUNDLED: Final = frozenset({"pip", "setuptools", "wheel", "distribute"})
"""What comes with a new environment, as ``pip freeze`` sees it."""

_SKELETON: Final = re.compile(
    rb"pyvenv\.cfg|\.gitignore|\.lock|CACHEDIR\.TAG"
    rb"|bin/(?:[Aa]ctivate[\w.]*|deactivate[\w.]*|pydoc\.bat|python[0-9.]*|pypy[0-9.]*)"
    rb"|bin/(?:pip|wheel|easy_install)[0-9.-]*"
    rb"|(?:.*/)?__pycache__/[^/]+\.py[co]"
    rb"|lib(?:64)?/python[0-9.]+/site-packages/(?:_virtualenv\.(?:py|pth)|distutils-precedence\.pth|uv_build\.pth)"
    rb"|(?:.*/)?(?:REQUESTED|INSTALLER|direct_url\.json|uv_cache\.json)"
    rb"|share/jupyter/.*\.json",
    re.DOTALL,
)
_OPTION: Final = re.compile(
    r"\s*(?:-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--trusted-host|--pre|--prefer-binary)(?:[\s=].*)?"
)


class _Record(NamedTuple):
    """What a package says of one of its files, and when it said so."""

    digest: str
    length: str
    written_ns: int


_SLACK_NS: Final = 2_000_000_000


@dataclass
class _Installed:
    """What the packages of an environment say: a line each for the list, and their files with length and digest."""

    lines: list[str] = field(default_factory=list)
    files: dict[bytes, "_Record"] = field(default_factory=dict)


def judge_environment(candidate: Candidate) -> Proof:
    """The proof that a virtual environment can be left out. Raises NotProven."""
    locks = sorted(name for name in map(os.fsdecode, candidate.siblings) if _is_lock(name))
    if not locks:
        raise NotProven(N_("there is no lock or requirements file beside it"))
    candidate.demand_untracked()
    candidate.demand_no_repository()
    configuration = _configuration(candidate.path)
    installed = _Installed()
    for folder in _site_packages(candidate.path):
        _read_packages(candidate, folder, installed)
    _check_files(candidate.path, installed)
    listing = "".join(f"{line}\n" for line in [*_index_options(candidate, locks), *sorted(installed.lines)])
    name = document_name(b"packages", candidate.path, b".txt")
    evidence = Phrase(
        N_("{lock} is beside it, and all files in it belong to its {count} packages"),
        lock=locks[0],
        count=len(installed.lines),
    )
    commands = _commands(candidate.name, configuration, os.fsdecode(name))
    return Proof(evidence, commands, {name: listing.encode()})


def _is_lock(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _LOCKS)


def _commands(name: bytes, configuration: dict[str, str], document: str) -> tuple[Command, ...]:
    try:
        folder = name.decode()
    except UnicodeDecodeError:
        raise NotProven(N_("its name cannot be written into a command")) from None
    version = re.match(r"3\.[0-9]{1,2}", configuration.get("version", configuration.get("version_info", "")))
    python = f"python{version[0]}" if version else "python3"
    options = ("--system-site-packages",) if configuration.get("include-system-site-packages") == "true" else ()
    install = (f"{folder}/bin/python", "-m", "pip", "install", "--no-deps", "--requirement", document)
    return (python, "-m", "venv", *options, folder), install


def _configuration(directory: bytes) -> dict[str, str]:
    """The settings in ``pyvenv.cfg``."""
    text = read_file(os.path.join(directory, ENVIRONMENT_MARK)).decode("utf-8", "replace")
    pairs = (line.partition("=") for line in text.splitlines())
    found = {key.strip().lower(): value.strip() for key, separator, value in pairs if separator}
    if "home" not in found:
        raise NotProven(N_("its pyvenv.cfg does not say which Python made it"))
    return found


def _site_packages(directory: bytes) -> Iterator[bytes]:
    library = os.path.join(directory, b"lib")
    for name in os.listdir(library) if os.path.isdir(library) else []:
        folder = os.path.join(library, name, b"site-packages")
        if name.startswith(b"python") and os.path.isdir(folder) and not os.path.islink(folder):
            yield folder


def _read_packages(candidate: Candidate, folder: bytes, installed: _Installed) -> None:
    for entry in read_directory(folder):
        if entry.name.endswith((b".egg-link", b".egg-info", b".egg")):
            raise NotProven(N_("{name} in it was installed in an old way"), name=os.fsdecode(entry.name))
        if not entry.name.endswith(b".dist-info"):
            continue
        headers = BytesHeaderParser().parsebytes(read_file(os.path.join(entry.path, b"METADATA")))
        name, version = headers.get("Name", ""), headers.get("Version", "")
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or not re.fullmatch(r"[\w.!+-]+", version):
            raise NotProven(N_("{name} in it does not say what it is"), name=os.fsdecode(entry.name))
        if name.lower().replace("_", "-") not in _BUNDLED:
            installed.lines.append(_line(candidate, entry.path, name, version))
        record = os.path.join(entry.path, b"RECORD")
        written = os.lstat(record).st_mtime_ns
        rows = csv.reader(io.StringIO(read_file(record).decode("utf-8", "surrogateescape")))
        for path, digest, length in (row for row in rows if len(row) == 3):
            where = os.path.normpath(os.path.join(folder, os.fsencode(path)))
            installed.files[where] = _Record(digest, length, written)


def _line(candidate: Candidate, metadata: bytes, name: str, version: str) -> str:
    """The line of a package in the list, as ``pip freeze`` writes it; local folders relative to the project."""
    path = os.path.join(metadata, b"direct_url.json")
    if not os.path.lexists(path):
        return f"{name}=={version}"
    try:
        origin = json.loads(read_file(path))
        url, is_editable = str(origin["url"]), bool(origin.get("dir_info", {}).get("editable"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotProven(N_("{name} in it does not say where it comes from"), name=name) from None
    if re.search(r"[\s\x00-\x1f]", url) or re.match(r"[a-z+]+://[^/]*:[^/]*@", url):
        raise NotProven(N_("{name} in it does not say where it comes from"), name=name)
    if not url.startswith("file://"):
        version_control = origin.get("vcs_info", {})
        at = f"@{version_control['commit_id']}" if "commit_id" in version_control else ""
        prefix = f"{version_control['vcs']}+" if "vcs" in version_control else ""
        return f"{name} @ {prefix}{url}{at}"
    source = os.path.realpath(os.fsencode(unquote(urlsplit(url).path)))
    inside = os.path.commonpath([source, candidate.directory]) == candidate.directory
    if not inside or not os.path.lexists(source):
        raise NotProven(N_("{name} in it was installed from {path}, outside of the project"), name=name, path=url)
    relative = os.fsdecode(os.path.relpath(source, candidate.directory))
    if re.search(r"\s|#|;", relative):
        raise NotProven(N_("{name} in it does not say where it comes from"), name=name)
    return f"{'-e ' if is_editable else ''}./{relative}"


def _index_options(candidate: Candidate, locks: Iterable[str]) -> Iterator[str]:
    """The lines of the requirements files that say where packages come from."""
    seen = set()
    for name in locks:
        if not name.startswith("requirements"):
            continue
        for line in candidate.read_beside(os.fsencode(name)).decode("utf-8", "replace").splitlines():
            if _OPTION.fullmatch(line) and line not in seen:
                seen.add(line)
                yield line.strip()


def _check_files(directory: bytes, installed: _Installed) -> None:
    """Raises NotProven for a file of no package, and for one that was changed since it was installed."""
    waiting = [directory]
    while waiting:
        for entry in read_directory(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            relative = os.path.relpath(entry.path, directory)
            known = installed.files.get(entry.path)
            if known is None and not _SKELETON.fullmatch(relative) and not entry.is_symlink():
                raise NotProven(N_("it holds {path}, which no package brought"), path=_shown(relative))
            is_content = entry.is_file(follow_symlinks=False) and not entry.name.endswith((b".pyc", b".pyo"))
            if known is not None and is_content and not _is_intact(entry, known):
                raise NotProven(N_("{path} in it was changed after it was installed"), path=_shown(relative))


def _is_intact(entry: "os.DirEntry[bytes]", known: _Record) -> bool:
    """Whether a file is as its package recorded it. What was written before the record is not read again."""
    status = entry.stat(follow_symlinks=False)
    if known.length and str(status.st_size) != known.length:
        return False
    if status.st_mtime_ns <= known.written_ns + _SLACK_NS:
        return True
    if not known.digest.startswith("sha256="):
        return False
    with open(entry.path, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").digest()
    return base64.urlsafe_b64encode(actual).rstrip(b"=").decode() == known.digest.removeprefix("sha256=").rstrip("=")


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
