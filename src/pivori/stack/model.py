"""What a stack is, as the configuration says it: plain values and the components made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pivori.components.base import Component


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A pair of command lines around something.

    ``after`` undoes ``before`` and is always run once that has begun; ``timeout`` in seconds holds for each of the two.
    """

    before: str | None
    after: str | None
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Who to call; empty texts are left out wherever they are shown."""

    email: str = ""
    chat: str = ""
    issues: str = ""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A component in its stack: its objectives in seconds, its hooks, and how small a capture may be.

    ``smallest`` is the share of the usual size of its captures below which one fails (0: never).
    """

    component: Component
    rto: float | None = None
    rpo: float | None = None
    hooks: Sequence[Hook] = ()
    smallest: float = 0.5

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name


@dataclass(frozen=True, kw_only=True)
class Stack:
    """An application. ``members`` are in the order of their capture, ``recovery_order`` are names in that of recovery.

    ``configuration`` are the bytes of ``pivori.toml`` at ``configuration_path``; they go into each recovery point.
    """

    name: str
    root: Path
    members: Sequence[Member]
    recovery_order: Sequence[str]
    hooks: Sequence[Hook] = ()
    contacts: Contacts = Contacts()
    strategy: str = ""
    configuration: bytes = b""
    configuration_path: Path | None = None

    def member(self, name: str) -> Member:
        """The member of a name. Raises KeyError."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)
