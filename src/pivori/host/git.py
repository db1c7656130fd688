"""git, run so that a hostile repository cannot make it run anything: no hooks, no monitors, no network, no pager.

Filters of the repository's configuration cannot be switched off here: a repository of others is only asked what needs
none of the content of its work tree. What the user or the machine has configured for git plays no part.
"""

import os
from collections.abc import Sequence
from typing import Final

from pivori.host.capture import capture_output
from pivori.host.process import CommandNotStarted
from pivori.translation import N_

_SECONDS: Final = 300.0
_MOST: Final = 256 << 20

_SETTINGS: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.commitGraph=false",
    "core.pager=cat",
    "core.alternateRefsCommand=true",
    "diff.external=",
    "log.showSignature=false",
    "protocol.allow=never",
    "safe.directory=*",
)

_VARIABLES: Final[dict[str, str | None]] = {
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

REPOSITORY_VARIABLES: Final[dict[str, str | None]] = dict.fromkeys(
    (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    )
)
"""What would lead git to another repository than the one it is sent to: taken out of its environment."""


class GitFailed(Exception):
    """git could not answer; ``reason`` is a sentence part for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Git:
    """git on the repository of one work tree, and on no other above it."""

    def __init__(self, work_tree: bytes) -> None:
        self._words: Sequence[str | bytes] = [
            "--no-pager",
            *(word for setting in _SETTINGS for word in ("-c", setting)),
            "-C",
            work_tree,
        ]
        # Otherwise git would look for a repository further up where this one is broken.
        above = os.fsdecode(os.path.dirname(work_tree))
        self._variables = REPOSITORY_VARIABLES | _VARIABLES | {"GIT_CEILING_DIRECTORIES": above}

    def __call__(self, *arguments: str | bytes, stdin: bytes = b"", most: int = _MOST) -> bytes:
        """What git prints. Raises GitFailed when it fails, takes too long or prints more than ``most`` bytes."""
        status, output = self.ask(*arguments, stdin=stdin, most=most)
        if status != 0:
            raise GitFailed(N_("git cannot read the repository"))
        return output

    def ask(self, *arguments: str | bytes, stdin: bytes = b"", most: int = _MOST) -> tuple[int, bytes]:
        """The exit status of git, and what it prints. Raises GitFailed as above, but not for a status."""
        try:
            found = capture_output(
                ["git", *self._words, *arguments], timeout=_SECONDS, most=most, stdin=stdin, variables=self._variables
            )
        except CommandNotStarted:
            raise GitFailed(N_("git is not installed, so nothing can be proven")) from None
        if found.status is None:
            raise GitFailed(N_("git took too long, or had too much to say"))
        return found.status, found.output

    def filter_command(self, *arguments: str) -> Sequence[str]:
        """The words that start git for what streams through it; ``env`` sees to its variables."""
        taken = [word for name, value in self._variables.items() if value is None for word in ("-u", name)]
        given = [f"{name}={value}" for name, value in self._variables.items() if value is not None]
        return ["env", *taken, *given, "git", *map(os.fsdecode, self._words), *arguments]
