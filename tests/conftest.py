"""What every suite may use: deterministic Hypothesis, the real restics, and the program as a person runs it."""

import functools
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.restic import VERSIONS_WANTED, Restic, environment, found_restics

settings.register_profile("default", derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Whoever starts the tests in the background has them ignore signals, and every program that they start.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
# What is drawn on a terminal is the same wherever the tests run.
os.environ["TERM"] = "xterm-256color"

IN_CI = os.environ.get("CI") == "true"
COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")


def pytest_collection_finish() -> None:
    """Leave what lasts as long as the run out of garbage collection.

    A full collection comes when the young objects are a quarter of the old ones. The tests themselves are so many that
    it would come too seldom: repositories that tests are done with would pile up to gigabytes.
    """
    gc.collect()
    gc.freeze()


def missing(what: str) -> NoReturn:
    """A tool is not there: a failure in continuous integration, a skip elsewhere."""
    if IN_CI:
        pytest.fail(f"{what} is missing; in CI every tool has to be there", pytrace=False)
    pytest.skip(f"{what} is missing")


@contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory at ``folder``, which exists; ``size`` is as ``mount`` takes it. Only root makes one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "pivori-test", folder]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        missing("the right to mount a file system (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@functools.cache
def restics_at_hand() -> list[Restic]:
    """The restics of this machine, looked up once."""
    return found_restics()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``restic`` runs once with every version."""
    if "restic" in metafunc.fixturenames:
        metafunc.parametrize(
            "restic", restics_at_hand() or [None], indirect=True, ids=lambda each: str(each or "no restic")
        )


@pytest.fixture(scope="session")
def restic(request: pytest.FixtureRequest) -> Restic:
    """Every restic in turn, oldest first."""
    if request.param is None or (IN_CI and len(restics_at_hand()) < VERSIONS_WANTED):
        missing(f"restic in {VERSIONS_WANTED} versions (./test fetches them into .tools)")
    return request.param


@pytest.fixture(scope="session")
def restics() -> dict[str, Path]:
    """All of them at once: the binaries by version (``"0.18"``)."""
    found = {f"{each.version[0]}.{each.version[1]}": each.path for each in restics_at_hand()}
    if not found or (IN_CI and len(found) < VERSIONS_WANTED):
        missing(f"restic in {VERSIONS_WANTED} versions (./test fetches them into .tools)")
    return found


@pytest.fixture(scope="session")
def newest_restic() -> Restic:
    """The newest restic."""
    if not restics_at_hand():
        missing("restic (./test fetches it into .tools)")
    return restics_at_hand()[-1]


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Gives the path of a program of the system that a test cannot do without."""

    def find(name: str) -> Path:
        found = shutil.which(name)
        return Path(found) if found else missing(name)

    return find


@dataclass(frozen=True)
class Pivori:
    """The program under test, as a process with a HOME of its own."""

    home: Path
    command: tuple[str, ...] = (sys.executable, "-I", "-m", "pivori")
    is_measured: bool = True
    """Whether its coverage counts; another user cannot write into the checkout."""

    @property
    def environment(self) -> dict[str, str]:
        """What the program sees: nothing of the person who runs the tests."""
        folders = {
            "XDG_CONFIG_HOME": ".config",
            "XDG_DATA_HOME": ".local/share",
            "XDG_CACHE_HOME": ".cache",
            "XDG_STATE_HOME": ".local/state",
        }
        return (
            environment(self.home)
            | {name: str(self.home / folder) for name, folder in folders.items()}
            | {name: os.environ[name] for name in COVERAGE if name in os.environ and self.is_measured}
        )

    def __call__(
        self,
        *arguments: str | bytes | Path,
        expect: int | None = 0,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        **extra_environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; fails unless the exit status is ``expect`` (``None``: any).

        Keywords are further environment variables. Output is text, bytes that are not UTF-8 as surrogates.
        """
        result = subprocess.run(
            [*self.command, *arguments],
            env=self.environment | extra_environment,
            input=None if stdin is None else stdin.decode("utf-8", "surrogateescape"),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            cwd=cwd or self.home,
            check=False,
        )
        if expect is not None and result.returncode != expect:
            shown = " ".join(map(str, arguments))
            raise AssertionError(
                f"pivori {shown} ended with {result.returncode}, not {expect}:\n{result.stdout}{result.stderr}"
            )
        return result

    def json(self, *arguments: str | bytes | Path, expect: int | None = 0, **extra_environment: str) -> Any:
        """The last JSON document of a command run with ``--json`` (the lines before it are progress)."""
        result = self(*arguments, "--json", expect=expect, **extra_environment)
        return json.loads(result.stdout.splitlines()[-1])

    def start(self, *arguments: str | bytes | Path, **extra_environment: str) -> subprocess.Popen[bytes]:
        """Start without waiting, in a process group of its own, both outputs piped; the test ends it."""
        return subprocess.Popen(
            [*self.command, *arguments],
            env=self.environment | extra_environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            start_new_session=True,
        )


@pytest.fixture
def pivori(tmp_path: Path) -> Pivori:
    """The program, with an empty HOME."""
    home = tmp_path / "home"
    home.mkdir()
    return Pivori(home)
