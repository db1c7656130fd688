"""The program on a storage that fails as planned, in this process or in one of its own.

The processes are the children of one that does nothing else (:class:`Nursery`): it has loaded the program already, so
that a process to be killed costs a few milliseconds.
"""

import faulthandler
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

from pivori.cli.main import Surroundings, run
from pivori.clock import SystemClock
from pivori.repository import WriterSettings, keys
from pivori.settings.load import Environment
from pivori.storage import Storage, open_storage
from pivori.storage.wrap import FaultPlan, FaultStorage
from pivori.storage.wrap.faults import Failure, Moment
from tests.faults.places import Place

ROOT = Path(__file__).resolve().parents[2]

PACK_SIZE = 512 << 10
"""Small packs, so that a small data set makes several."""

PATIENCE = 60.0
"""Seconds after which a program that was to end is told to say where it stands, and is ended."""

WEAK_SCRYPT = 1 << 10
"""Keys that open quickly; what a key costs is not under test here."""


class HastyClock(SystemClock):
    """Never waits long: neither for listings of slow media nor between attempts."""

    def sleep(self, seconds: float) -> None:
        """Let at most a hundredth of a second pass."""
        super().sleep(min(seconds, 0.01))


@contextmanager
def small_scale(workers: int) -> Iterator[None]:
    """Small packs, quick keys, and with two or more ``workers`` processes for however little there is to do.

    Nothing is made durable: processes are killed here, machines are not, and a shared disk would be waited for.
    """
    defaults = WriterSettings.__init__.__kwdefaults__
    assert defaults["pack_size"] > PACK_SIZE
    with ExitStack() as stack:
        stack.enter_context(patch.dict(defaults, pack_size=PACK_SIZE))
        stack.enter_context(patch.object(keys, "SCRYPT_N", WEAK_SCRYPT))
        stack.enter_context(patch("os.fsync", lambda _descriptor: None))
        stack.enter_context(patch("pivori.app.available_processors", lambda: workers))
        stack.enter_context(patch("pivori.engine.backup.tree_capture._ALONE_BYTES", -1))
        stack.enter_context(patch("pivori.engine.copy_work._LITTLE", -1))
        yield


def pivori(
    home: Path,
    arguments: Sequence[str | Path],
    *,
    plan: FaultPlan | None = None,
    only: Path | None = None,
    workers: int = 1,
) -> int:
    """Run the program in this process; its exit status. The plan is for all media, or for the one at ``only``."""

    def open_faulty(address: str | Path) -> Storage:
        storage = open_storage(address)
        is_sound = plan is None or (only is not None and storage.location != str(only))
        return storage if is_sound else FaultStorage(storage, plan)

    surroundings = Surroundings(
        environment=Environment(home=home, cache_home=home / "cache"),
        clock=HastyClock(),
    )
    # Worker processes get the storage with the clock of this module: they have to find the module too.
    importable = patch.dict(os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'src'}")
    with small_scale(workers), importable, patch("pivori.app.open_storage", open_faulty):
        return run([str(argument) for argument in arguments], surroundings)


class Nursery:
    """A process that starts children, each of which runs the program once."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            env=environment | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        home: Path,
        arguments: Sequence[str | Path],
        *,
        plan: FaultPlan | None = None,
        place: Place | None = None,
        workers: int,
    ) -> int:
        """Run the program in a child; its exit status, negative for the signal that killed it.

        It is disturbed by what the ``plan`` says, or interrupted at the ``place``. What it says is in the file ``said``
        beside its home; where it does not end, that is where it stands.
        """
        writes = plan and [str(plan.state), plan.at_write, plan.failure.value, plan.moment.value, plan.lasting]
        order = [str(home), writes, place and asdict(place), workers, [str(argument) for argument in arguments]]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve() -> None:
    """The inside of the nursery: an order in each line, a status for each; it ends when nobody orders any more."""
    for name in ("backup", "copy", "forget", "key", "prune", "repair"):
        importlib.import_module(f"pivori.cli.commands.{name}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_obey(*json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _obey(
    home: str,
    writes: tuple[str, int, str, str, bool] | None,
    place: dict[str, object] | None,
    workers: int,
    arguments: list[str],
) -> int:
    """What a child does; its exit status."""
    said = os.open(Path(home).with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    plan = None
    if writes is not None:
        state, at_write, failure, moment, lasting = writes
        plan = FaultPlan(
            Path(state), at_write=at_write, failure=Failure(failure), moment=Moment(moment), lasting=lasting
        )
    try:
        with Place(**place).disturbed() if place is not None else nullcontext():
            return pivori(Path(home), arguments, plan=plan, workers=workers)
    finally:
        # As at the end of a process: threads that do not end keep it.
        threading._shutdown()
        sys.stdout.flush()


if __name__ == "__main__":
    # What travels to worker processes has to belong to a module that they can import.
    from tests.faults import driver

    driver.serve()
