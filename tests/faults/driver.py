"""The program on a storage that fails as planned, in this process or, as a script, in one of its own.

``python driver.py STATE AT_WRITE FAILURE MOMENT LASTING WORKERS HOME -- ARGUMENTS…`` runs ``pivori ARGUMENTS…``
with the folders of HOME; the repository and the passwords are named by the arguments.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from pivori.cli.main import Surroundings, run
from pivori.clock import SystemClock
from pivori.repository import WriterSettings, keys
from pivori.settings.load import Environment
from pivori.storage import Storage, open_storage
from pivori.storage.wrap import FaultPlan, FaultStorage
from pivori.storage.wrap.faults import Failure, Moment

ROOT = Path(__file__).resolve().parents[2]

PACK_SIZE = 512 << 10
"""Small packs, so that a small data set makes several."""

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
        stack.enter_context(patch("pivori.engine.backup.run._ALONE_BYTES", -1))
        yield


def pivori(home: Path, arguments: Sequence[str | Path], *, plan: FaultPlan | None = None, workers: int = 1) -> int:
    """Run the program in this process; its exit status."""

    def open_faulty(address: str | Path) -> Storage:
        storage = open_storage(address)
        return storage if plan is None else FaultStorage(storage, plan)

    surroundings = Surroundings(
        environment=Environment(home=home, cache_home=home / "cache"),
        clock=HastyClock(),
    )
    # Worker processes get the storage with the clock of this module: they have to find the module too.
    importable = patch.dict(os.environ, PYTHONPATH=f"{ROOT}:{ROOT / 'src'}")
    with small_scale(workers), importable, patch("pivori.app.open_storage", open_faulty):
        return run([str(argument) for argument in arguments], surroundings)


def main(arguments: list[str]) -> int:
    """The script."""
    state, at_write, failure, moment, lasting, workers, home = arguments[: arguments.index("--")]
    plan = FaultPlan(
        Path(state),
        at_write=int(at_write),
        failure=Failure(failure),
        moment=Moment(moment),
        lasting=lasting == "lasting",
    )
    return pivori(Path(home), arguments[arguments.index("--") + 1 :], plan=plan, workers=int(workers))


if __name__ == "__main__":
    # What travels to worker processes has to belong to a module that they can import.
    from tests.faults import driver

    sys.exit(driver.main(sys.argv[1:]))
