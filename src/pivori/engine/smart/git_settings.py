"""The settings of a repository: which of them can be carried in a manifest, and which remotes count as a proof.

A setting that this program does not know might run a program or change what the content means. So a repository that
has one is kept, and a rebuild sets none.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pivori.engine.smart.candidate import NotProven
from pivori.host.git import Git
from pivori.translation import N_

Setting = tuple[str, str]

_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,200}"
_PLAIN: Final = r"[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]{0,1000}"
_BOOLEAN: Final = r"true|false|yes|no|on|off|0|1"
_ADDRESS: Final = (
    r"(?:https?|git)://(?:[A-Za-z0-9_.+%-]{1,200}@)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]{0,300}/[^\s\x00-\x1f\x7f]{1,1000}"
    r"|(?:git\+)?ssh://(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}@)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]_-]{0,300}"
    r"/[^\s\x00-\x1f\x7f]{1,1000}"
    r"|(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}@)?[A-Za-z0-9][A-Za-z0-9.-]{0,300}:(?!//|[:-])[^\s\x00-\x1f\x7f]{1,1000}"
)
_FOLDER: Final = r"(?:file://)?/[^\x00-\x1f\x7f]{0,1000}"
_HOOKS: Final = r"(?!.*\.\.)[A-Za-z0-9._][A-Za-z0-9._/-]{0,200}"

_CARRIED: Final[Sequence[tuple[str, str]]] = (
    (rf"remote\.{_NAME}\.(?:url|pushurl)", rf"(?:{_ADDRESS}|{_FOLDER})"),
    (rf"remote\.{_NAME}\.fetch", r"\+?refs/[\w./*+-]{1,300}:refs/remotes/[\w./*+-]{1,300}"),
    (rf"remote\.{_NAME}\.(?:prune|prunetags|skipdefaultupdate)", _BOOLEAN),
    (rf"remote\.{_NAME}\.gh-resolved", _PLAIN),
    (rf"branch\.{_NAME}\.(?:remote|pushremote)", rf"\.|{_NAME}"),
    (rf"branch\.{_NAME}\.merge", rf"refs/{_NAME}"),
    (rf"branch\.{_NAME}\.rebase", rf"{_BOOLEAN}|merges|interactive"),
    (rf"branch\.{_NAME}\.(?:description|vscode-merge-base|github-pr-owner-number|gk-[a-z-]+)", _PLAIN),
    (r"user\.(?:name|email)", _PLAIN),
    (r"core\.(?:filemode|logallrefupdates)", rf"{_BOOLEAN}|always"),
    (r"core\.autocrlf", rf"{_BOOLEAN}|input"),
    (r"core\.eol", r"lf|crlf|native"),
    (r"core\.safecrlf", rf"{_BOOLEAN}|warn"),
    (r"core\.hookspath", _HOOKS),
    (r"pull\.(?:rebase|ff)", rf"{_BOOLEAN}|merges|only"),
    (r"push\.(?:default|autosetupremote)", rf"{_BOOLEAN}|nothing|current|upstream|simple|matching"),
    (r"fetch\.(?:prune|prunetags)|rebase\.(?:autosquash|autostash)|merge\.ff", rf"{_BOOLEAN}|only"),
    (r"gc\.auto", r"[0-9]{1,9}"),
    (r"init\.defaultbranch", _NAME),
    (r"color\.ui", rf"{_BOOLEAN}|auto|always"),
)
_MADE_BY_INIT: Final = {
    "core.repositoryformatversion": r"0|1",
    "core.bare": r"false",
    "core.filemode": r"true",
    "core.logallrefupdates": r"true",
    "core.symlinks": r"true",
    "core.ignorecase": rf"{_BOOLEAN}",
    "core.precomposeunicode": rf"{_BOOLEAN}",
}
"""What ``git init`` finds out by itself: nothing to carry."""

_EXPRESSIONS: Final = [(re.compile(key), re.compile(value, re.DOTALL)) for key, value in _CARRIED]
_REMOTE_ADDRESS: Final = re.compile(_ADDRESS)
_FOLDER_ADDRESS: Final = re.compile(_FOLDER)


@dataclass(frozen=True)
class Settings:
    """What a rebuilt repository gets: ``carried`` settings in their order, and the addresses of its ``remotes``.

    ``remotes`` are only those whose branches prove that a commit is kept elsewhere.
    """

    carried: tuple[Setting, ...]
    remotes: Mapping[str, str]


def is_carried(key: str, value: str) -> bool:
    """Whether a setting is one that may be written into a rebuilt repository."""
    return any(keys.fullmatch(key) and values.fullmatch(value) for keys, values in _EXPRESSIONS)


def is_remote_name(name: str) -> bool:
    """Whether a text can be the name of a remote or a branch here; options cannot."""
    return re.fullmatch(_NAME, name) is not None and ".." not in name


def read_settings(git: Git, directory: bytes, sources: Iterable[bytes]) -> Settings:
    """The settings of the repository ``directory`` (a ``.git``). Raises GitFailed, NotProven for what is unknown."""
    listing = git("config", "--file", os.path.join(directory, b"config"), "--no-includes", "-z", "--list")
    carried: list[Setting] = []
    for line in listing.split(b"\0"):
        if not line:
            continue
        key, separator, value = line.decode("utf-8", "surrogateescape").partition("\n")
        if not separator:
            value = "true"
        if key in _MADE_BY_INIT and re.fullmatch(_MADE_BY_INIT[key], value):
            continue
        if not is_carried(key, value):
            raise _unknown(key, value)
        carried.append((key, value))
    return Settings(tuple(carried), _proving_remotes(carried, tuple(sources)))


def _unknown(key: str, value: str) -> NotProven:
    if re.fullmatch(r"remote\..+\.(?:push)?url", key):
        if re.match(r"https?://[^/]*:[^/]*@", value):
            return NotProven(N_("the address of a remote holds a password, which a manifest must not"))
        return NotProven(N_("the address of a remote ({key}) is of a kind that cannot be carried"), key=key)
    return NotProven(N_("it has a setting that cannot be carried: {key}"), key=key)


def _proving_remotes(carried: Sequence[Setting], sources: tuple[bytes, ...]) -> dict[str, str]:
    """The remotes with an address outside of the backup, and with branches that are theirs."""
    found: dict[str, str] = {}
    fetched = {_name_in(key) for key, value in carried if key.endswith(".fetch") and _is_own(_name_in(key), value)}
    for key, address in carried:
        name = _name_in(key)
        if not (key.startswith("remote.") and key.endswith(".url")) or name not in fetched or name in found:
            continue
        if _REMOTE_ADDRESS.fullmatch(address) or _is_folder_elsewhere(address, sources):
            found[name] = address
    return found


def _name_in(key: str) -> str:
    return key.partition(".")[2].rpartition(".")[0]


def _is_own(name: str, refspec: str) -> bool:
    """Whether a refspec brings branches of the remote to where branches of this remote are noted."""
    source, _, goal = refspec.removeprefix("+").partition(":")
    return source.startswith("refs/heads/") and goal.startswith(f"refs/remotes/{name}/")


def _is_folder_elsewhere(address: str, sources: tuple[bytes, ...]) -> bool:
    """Whether an address is a folder of this machine that is there, and no part of what is backed up."""
    if not _FOLDER_ADDRESS.fullmatch(address):
        return False
    folder = os.path.realpath(os.fsencode(address.removeprefix("file://")))
    if not os.path.isdir(folder):
        return False
    return not any(os.path.commonpath([folder, source]) == source for source in sources)


def describe(address: str) -> str:
    """An address as evidence shows it, without what stands before ``@``."""
    return re.sub(r"^([a-z+]+://)?[^/@]*@", lambda match: match[1] or "", address)
