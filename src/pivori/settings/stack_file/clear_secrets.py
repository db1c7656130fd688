"""Secrets that stand in the configuration themselves, where only a reference to them may be."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pivori.settings.stack_file.lines import Path
from pivori.translation import N_, Phrase

_SECRET_KEY: Final = re.compile(
    r"(?:^|[-_.])(?:password|passwd|passphrase|pwd|secret|token|api-?key|private-?key|secret-?key|access-?key)$", re.I
)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s@/]+)@", re.I)
_ASSIGNED: Final = re.compile(
    r"(?<![$\w])[\w-]*(?:password|passwd|passphrase|_pwd|secret|token|api[_-]?key)=(?P<secret>[^\s;&]+)", re.I
)
_KEY_MATERIAL: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|AGE-SECRET-KEY-1", re.I)

IN_A_KEY: Final = N_(
    'a secret in clear; write where it is: {{ file = "…" }}, or command, env, env-file, keyring in its place'
)
IN_A_URL: Final = N_("an address with a password in it; leave it out, and name its place: password = {{ file = … }}")
IN_A_TEXT: Final = N_("a text with a secret in it; let the command read the secret from a file or a variable")


def secrets_in_clear(data: Mapping[str, object]) -> Iterator[tuple[Path, Phrase]]:
    """The places of secrets in clear, each with what is wrong there and what to write instead."""
    yield from _within((), data)


def _within(path: Path, value: object) -> Iterator[tuple[Path, Phrase]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _within((*path, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _within((*path, number), item)
    elif isinstance(value, str) and (problem := _problem(path, value)) is not None:
        yield path, Phrase(problem)


def _problem(path: Path, value: str) -> str | None:
    key = path[-1] if path else ""
    if value and isinstance(key, str) and _SECRET_KEY.search(key):
        return IN_A_KEY
    if _KEY_MATERIAL.search(value):
        return IN_A_KEY
    if any(_is_secret(found["secret"]) for found in _URL.finditer(value)):
        return IN_A_URL
    if any(_is_secret(found["secret"]) for found in _ASSIGNED.finditer(value)):
        return IN_A_TEXT
    return None


def _is_secret(text: str) -> bool:
    """Whether it is the secret itself, not a variable that a shell puts in its place, or nothing."""
    text = text.strip("'\"")
    return bool(text) and not text.startswith(("$", "`", "<", "{", "%"))
