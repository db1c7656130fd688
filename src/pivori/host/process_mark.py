"""What tells a process apart from every other one, so that somebody can say later whether it still runs.

A process number alone does not: numbers are given out again, another start of the machine gives them to others, and
every process namespace (a container, say) counts its own. A mark adds the machine, its start, the namespaces and the
moment at which the process began. All of it is Linux's; elsewhere there are no marks, and :meth:`ProcessMark.current`
is None.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROCESSES = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The moments at which processes began are counted from the start of the time namespace.
_NAMESPACES = ("pid", "time")
_STATE_FIELD, _STARTED_FIELD = 0, 19
"""Where they stand in ``/proc/PID/stat``, counted from behind the name: the fields 3 and 22 of proc(5)."""


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process: its number, and what gives the number a meaning. ``machine`` is empty where a machine has no id."""

    machine: str
    boot: str
    namespaces: str
    pid: int
    started: int
    """In ticks since the machine was started."""

    @classmethod
    def current(cls) -> Self | None:
        """The mark of this process; None where the system does not tell enough."""
        try:
            started = int(_fields("self")[_STARTED_FIELD])
            return cls(_machine(), _BOOT_ID.read_text().strip(), _namespaces(), os.getpid(), started)
        except (OSError, ValueError, IndexError):
            return None

    def is_here(self, here: "ProcessMark") -> bool:
        """Whether the numbers of processes mean the same to it as to ``here``, and it is of the same start."""
        return (self.boot, self.namespaces) == (here.boot, here.namespaces)

    def is_before(self, here: "ProcessMark") -> bool:
        """Whether it is of this machine, but of another start than ``here``. Where machines have no id: no."""
        return bool(self.machine) and self.machine == here.machine and self.boot != here.boot

    def is_running(self) -> bool:
        """Whether it still runs; only for a mark that :meth:`is_here`. What cannot be found out counts as running."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass  # somebody else's process
        try:
            if not _shows_our_namespace():
                return True
            fields = _fields(str(self.pid))
            return fields[_STATE_FIELD] not in "ZX" and int(fields[_STARTED_FIELD]) == self.started
        except (OSError, ValueError, IndexError):
            return True


def booted_ns() -> int | None:
    """When this machine was started, by its present clock, in nanoseconds since the epoch; None when it does not say.

    It is whole seconds, and follows when the clock is set.
    """
    try:
        for line in (_PROCESSES / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) * 10**9
    except (OSError, ValueError, IndexError):
        pass
    return None


def _machine() -> str:
    try:
        return _MACHINE_ID.read_text().strip()
    except (OSError, ValueError):
        return ""


def _namespaces() -> str:
    """The namespaces of this process that give its mark a meaning, each by its device and inode."""
    found = []
    for name in _NAMESPACES:
        try:
            status = os.stat(f"/proc/self/ns/{name}")
        except FileNotFoundError:
            if name == "pid":
                raise
            continue  # a kernel without namespaces of time
        found.append(f"{name}:{status.st_dev}:{status.st_ino}")
    return " ".join(found)


def _fields(process: str) -> list[str]:
    """What ``/proc/PID/stat`` says behind the name, which may hold anything."""
    text = (_PROCESSES / process / "stat").read_bytes().decode("latin-1")
    return text.rpartition(")")[2].split()


def _shows_our_namespace() -> bool:
    """Whether ``/proc`` counts processes as this one does: it may be that of a namespace further up."""
    for line in (_PROCESSES / "self" / "status").read_bytes().decode("latin-1").splitlines():
        if line.startswith("NSpid:"):
            return len(line.split()) == 2
    return False
