"""The part of a repository's configuration that a clone needs: nothing that runs a program, no passwords."""

import re
from collections.abc import Sequence
from typing import Final

Setting = tuple[str, str]

_KEPT: Final = re.compile(
    r"remote\.[^\n]+\.(?:url|pushurl|fetch|push|prune|prunetags|tagopt|mirror|skipdefaultupdate|skipfetchall)"
    r"|branch\.[^\n]+\.(?:remote|pushremote|merge|rebase|description)"
    r"|user\.(?:name|email)|core\.(?:filemode|autocrlf|eol|safecrlf|ignorecase|symlinks|logallrefupdates|sharedrepository)"
    r"|core\.(?:sparsecheckout|sparsecheckoutcone)"
    r"|(?:pull\.(?:rebase|ff)|push\.(?:default|autosetupremote|followtags)|fetch\.(?:prune|prunetags))"
    r"|(?:rebase\.(?:autosquash|autostash)|merge\.(?:ff|conflictstyle)|init\.defaultbranch|rerere\.enabled)"
    r"|submodule\.[^\n]+\.(?:url|active|branch)",
    re.IGNORECASE,
)
_MADE_BY_INIT: Final = frozenset({"core.repositoryformatversion", "core.bare", "core.worktree"})
_RUNS: Final = re.compile(r"(?i)[a-z0-9+.-]+::")
_ADDRESS: Final = re.compile(r"(?i)([a-z][a-z0-9+.-]*://)([^/?#]*)@")
_WITH_USER: Final = re.compile(r"(?i)(?:git\+)?ssh(?:\+git)?://")
_QUERY: Final = re.compile(r"(?i)^(https?://[^?#]*)[?#].*$", re.DOTALL)


def kept_settings(listing: bytes) -> tuple[list[Setting], list[str]]:
    """What is kept of the output of ``git config -z --list``, and the names of what is left out."""
    kept: list[Setting] = []
    left_out: list[str] = []
    for line in listing.decode("utf-8", "replace").split("\0"):
        key, separator, value = line.partition("\n")
        if not key or key.lower() in _MADE_BY_INIT:
            continue
        value = value if separator else "true"
        if _KEPT.fullmatch(key) and not _RUNS.match(value):
            kept.append((without_password(key), without_password(value)))
        else:
            left_out.append(without_password(key))
    return kept, sorted(set(left_out))


def without_password(value: str) -> str:
    """An address without a password: a token can stand in the place of a user, so only those of SSH are kept."""

    def bare(found: re.Match[str]) -> str:
        user = found[2].partition(":")[0]
        return f"{found[1]}{user}@" if _WITH_USER.fullmatch(found[1]) and user else found[1]

    return _QUERY.sub(r"\1", _ADDRESS.sub(bare, value))


def remotes_of(settings: Sequence[Setting]) -> dict[str, str]:
    """The addresses of the remotes."""
    return {
        key[len("remote.") : -len(".url")]: value for key, value in settings if re.fullmatch(r"remote\..+\.url", key)
    }
