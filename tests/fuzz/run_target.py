"""Runs one fuzz target: ``python run_target.py NAME CORPUS RUNS [SEED]``.

With atheris the inputs are guided by coverage; without it (no wheel for this Python or machine) seeds are mutated at
random, always the same way. A finding ends the process with another status than 0, its input under ``CORPUS``.

The target runs in a fork of this process. libFuzzer holds the peak of resident memory against its limit, and the
kernel lets that number outlive ``exec``: started by a large process, a program begins with the peak of that one. A fork
counts anew.
"""

import importlib
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST = 4096
INSERTED = (b"\0", b"\xff\xff\xff\xff", b"[", b"{", b'"', b"9" * 20, b"-1", b"null")


def mutated(numbers: random.Random, seeds: list[bytes]) -> bytes:
    """One of the seeds with some bytes flipped, removed, doubled, or taken from another seed."""
    data = bytearray(numbers.choice(seeds))
    for _ in range(numbers.randint(1, 6)):
        place = numbers.randint(0, len(data))
        kind = numbers.randrange(5)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << numbers.randrange(8)
        elif kind == 1:
            del data[place : place + numbers.randint(1, 16)]
        elif kind == 2:
            data[place:place] = data[place : place + numbers.randint(1, 32)]
        elif kind == 3:
            other = numbers.choice(seeds)
            start = numbers.randint(0, len(other))
            data[place : place + 8] = other[start : start + numbers.randint(1, 32)]
        else:
            data[place:place] = numbers.choice(INSERTED)
    return bytes(data[:LONGEST])


def without_guidance(target: Callable[[bytes], None], corpus: Path, runs: int) -> None:
    """Run the seeds, then what is made of them."""
    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())]
    numbers = random.Random(1)
    for number in range(runs):
        data = seeds[number] if number < len(seeds) else mutated(numbers, seeds)
        try:
            target(data)
        except BaseException:
            (corpus / "crash").write_bytes(data)
            print(f"input: {data!r}", file=sys.stderr)
            raise


def fuzz(name: str, corpus: Path, runs: int, seed: int) -> None:
    """Run a target in this process, which may end in it."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError as error:
        print(f"not guided by coverage: {error}", file=sys.stderr)
        without_guidance(importlib.import_module("tests.fuzz.targets").TARGETS[name], corpus, runs)
        return
    with atheris.instrument_imports(include=["pivori.repository"]):
        targets = importlib.import_module("tests.fuzz.targets")
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-rss_limit_mb=1024", "-timeout=20",
               f"-artifact_prefix={corpus}/", "-verbosity=0", "-print_final_stats=1", str(corpus)]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Run the target that the command line names; its exit status."""
    name, corpus, runs, *seed = sys.argv[1:]
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    child = os.fork()
    if child == 0:
        fuzz(name, Path(corpus), int(runs), int(seed[0]) if seed else 1)
        return 0
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
