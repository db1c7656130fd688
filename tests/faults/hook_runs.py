"""Runs with hooks in processes of their own, for the tests that kill them.

``python -m tests.faults.hook_runs run FOLDER NAME`` runs two pairs of hooks, and within them waits until its standard
input ends. ``… resume FOLDER`` undoes what dead runs have left. ``… die FOLDER`` starts such runs one after the other,
each killed by itself one place later than the one before, and undoes what it left; a line of JSON says what came of it.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pivori.host.durable
import pivori.stack.hooks
import pivori.stack.undo
from pivori.events import Event
from pivori.stack.hooks import hooks_around, resume_left
from pivori.stack.model import Hook
from pivori.stack.undo import UndoJournal
from tests.interrupting import Interruption

MODULES = (pivori.stack.hooks, pivori.stack.undo, pivori.host.durable)


def run(folder: Path, name: str) -> None:
    """Two pairs of hooks around a wait for the end of the standard input."""
    hooks = [
        Hook(before=f"echo before-{name}-{number} >> log", after=f"echo after-{name}-{number} >> log", timeout=60)
        for number in (1, 2)
    ]
    with hooks_around(hooks, journal(folder), folder, ignore, stack="shop"):
        print("within", flush=True)
        sys.stdin.read()


def slow(folder: Path) -> None:
    """A line before that never ends."""
    hook = Hook(before="echo $$ > shell; sleep 600; echo late >> log", after="echo after >> log", timeout=6000)
    with hooks_around([hook], journal(folder), folder, ignore, stack="shop"):
        pass


def resume(folder: Path) -> None:
    """Undo what is left, and say how much that was."""
    print(len(resume_left(journal(folder), ignore)))


def die(folder: Path) -> None:
    """A run that is killed at each place there is, in each module."""
    for module in MODULES:
        number = 0
        while (status := _die_at(folder, number, Path(str(module.__file__)))) == -signal.SIGKILL:
            noted = len(list((folder / "journal").glob("*.json")))
            undone = len(resume_left(journal(folder), ignore))
            log = folder / "log"
            report = {
                "module": module.__name__,
                "number": number,
                "noted": noted,
                "undone": undone,
                "left": [path.name for path in (folder / "journal").iterdir() if path.suffix == ".json"],
                "log": log.read_text().split() if log.exists() else [],
            }
            print(json.dumps(report), flush=True)
            log.unlink(missing_ok=True)
            number += 1
        assert status == 0, status
        (folder / "log").unlink()


def _die_at(folder: Path, number: int, module: Path) -> int:
    """Run in a child that kills itself at a place: how it ended, minus the signal's number when it was killed."""
    child = os.fork()
    if child == 0:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        with Interruption(number, module, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            hooks = [
                Hook(before=f"echo before-{each} >> log", after=f"echo after-{each} >> log", timeout=60)
                for each in (1, 2)
            ]
            with hooks_around(hooks, journal(folder), folder, ignore, stack="shop"):
                pass
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def journal(folder: Path) -> UndoJournal:
    """The journal below a folder."""
    (folder / "journal").mkdir(mode=0o700, exist_ok=True)
    return UndoJournal(folder / "journal")


def ignore(_event: Event) -> None:
    """Hear of nothing."""


if __name__ == "__main__":
    {"run": run, "slow": slow, "resume": resume, "die": die}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
