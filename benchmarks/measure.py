"""Runs a program and measures it with all its descendants: wall, user and system time, and peak memory.

Memory is sampled, because no counter of the kernel adds up the processes of a tree: every 50 ms the `Pss` (and
`Rss`) of each descendant is read from /proc/PID/smaps_rollup and summed. `Pss` counts a page that several
processes share once in all; the plain sum of `Rss` counts it once for each. A process that lives shorter than
one interval may be missed, which is why the kernel's exact maximum of the largest single process is kept too.
CPU times are exact: this process is made the reaper of orphans, so that every descendant is waited for.

Linux only. Command line: `python benchmarks/measure.py [--json] -- PROGRAM ARGUMENT…`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

INTERVAL = 0.05
"""Seconds between two samples of memory."""

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Measurement:
    """What one run of a program took. Times in seconds, memory in bytes."""

    wall: float
    user: float
    system: float
    peak_pss: int
    """The largest sum, over all processes at one moment, of proportional set sizes."""
    peak_rss: int
    """The same of resident set sizes: pages shared by several processes count several times."""
    largest_process: int
    """The kernel's maximum of the resident set of the largest single process; never less than this process's own,
    because the kernel starts the count before the program replaces it."""
    processes: int
    """The largest number of processes seen at one moment."""
    samples: int
    status: int
    """The exit status; negative: the number of the signal that ended it."""

    @property
    def peak(self) -> int:
        """Peak memory of all processes together, in bytes.

        A run that is over before the third sample has no useful sum: the kernel's figure stands in.
        """
        return self.peak_pss if self.samples >= 3 else max(self.peak_pss, self.largest_process)


class MemorySampler(threading.Thread):
    """Samples the memory of a process and its descendants until it is told to stop."""

    def __init__(self, root: int, interval: float = INTERVAL) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._interval = interval
        self._over = threading.Event()
        self.peak_pss = self.peak_rss = self.processes = self.samples = 0

    def run(self) -> None:
        """Takes samples at fixed distances; a late one is not made up for."""
        while True:
            self.sample()
            if self._over.wait(self._interval):
                return

    def sample(self) -> None:
        """Adds up the tree once. A process that ends meanwhile counts as nothing."""
        alive = tree(self._root)
        pss = rss = 0
        for process in alive:
            process_pss, process_rss = memory(process)
            pss += process_pss
            rss += process_rss
        if pss:
            self.samples += 1
        self.peak_pss = max(self.peak_pss, pss)
        self.peak_rss = max(self.peak_rss, rss)
        self.processes = max(self.processes, len(alive))

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._over.set()
        self.join()


def tree(root: int) -> list[int]:
    """The process and all its descendants that are alive now."""
    found = [root]
    for process in found:
        try:
            threads = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for thread in threads:
            try:
                with open(f"/proc/{process}/task/{thread}/children", "rb", buffering=0) as children:
                    found += [int(child) for child in children.read(65536).split()]
            except OSError:
                continue
    return found


def memory(process: int) -> tuple[int, int]:
    """Proportional and resident set size of one process in bytes; zeros when it is gone."""
    try:
        with open(f"/proc/{process}/smaps_rollup", "rb", buffering=0) as rollup:
            lines = rollup.read(4096).splitlines()
    except OSError:
        return 0, 0
    figures = {words[0]: int(words[1]) * 1024 for words in map(bytes.split, lines[1:]) if len(words) >= 2}
    return figures.get(b"Pss:", 0), figures.get(b"Rss:", 0)


def run(
    words: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None, log: Path
) -> Measurement:
    """Runs a program in a process group of its own, with both its outputs in `log`; never a terminal.

    Whatever it leaves running is killed and waited for, so that no run disturbs the next one. Not to be called
    while this process has other children.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as output:
        started = time.perf_counter()
        program = subprocess.Popen(
            list(words), cwd=cwd, env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        sampler = MemorySampler(program.pid)
        sampler.start()
        try:
            _, wait_status, usage = os.wait4(program.pid, 0)
            wall = time.perf_counter() - started
        finally:
            sampler.stop()
            end_descendants()
    program.returncode = os.waitstatus_to_exitcode(wait_status)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measurement(
        wall=wall,
        user=after.ru_utime - before.ru_utime,
        system=after.ru_stime - before.ru_stime,
        peak_pss=sampler.peak_pss,
        peak_rss=sampler.peak_rss,
        largest_process=usage.ru_maxrss * 1024,
        processes=sampler.processes,
        samples=sampler.samples,
        status=program.returncode,
    )


def run_apart(words: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> Measurement:
    """The same from a process of its own, for whoever has other children: the servers that the program talks to.

    Whatever ends this also ends the program. `log` is an absolute path.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--json", "--log", str(log), "--", *words]
    with subprocess.Popen(
        command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as measuring:  # fmt: skip
        try:
            said, _ = measuring.communicate()
        except BaseException:
            # Not SIGKILL: it has to end what it has started.
            measuring.terminate()
            raise
    return Measurement(**json.loads(said))


def end_descendants() -> None:
    """Kills every process that is left and waits for it, so that its CPU time is counted and nothing stays.

    Orphans have become children of this process, so no group or session of their own hides them.
    """
    while True:
        for process in tree(os.getpid())[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main() -> None:
    """Measures the program that is named on the command line and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="file for the program's output")
    parser.add_argument("words", nargs="+", metavar="PROGRAM")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = run(arguments.words, log=arguments.log)
    if arguments.json:
        print(json.dumps(asdict(result)))
    else:
        print(
            f"wall {result.wall:.2f} s  user {result.user:.2f} s  system {result.system:.2f} s  "
            f"peak {result.peak / 1e6:.1f} MB (sum of Rss {result.peak_rss / 1e6:.1f} MB, "
            f"largest process {result.largest_process / 1e6:.1f} MB)  status {result.status}"
        )
    sys.exit(result.status if result.status >= 0 else 128 - result.status)


if __name__ == "__main__":
    main()
