import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

FAULTS = """
import resource, sys
from pivori.host.memory import keep_large_buffers
if sys.argv[1] == "keep":
    assert keep_large_buffers() is True
bytes(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(1 << 20).replace(b"a", b"b")
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

CRASH = """
import os, sys
from pivori.host.memory import forbid_core_dumps
if sys.argv[1] == "forbid":
    forbid_core_dumps()
os.abort()
"""


def test_large_buffers_are_used_again() -> None:
    def faults(choice: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, choice], check=True, capture_output=True, env=_path())
        return int(done.stdout)

    if platform.libc_ver()[0] == "glibc":
        assert faults("keep") * 5 < faults("default")


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    def cores(choice: str) -> list[str]:
        place = tmp_path / choice
        place.mkdir()
        subprocess.run([sys.executable, "-c", CRASH, choice], cwd=place, env=_path(), preexec_fn=_allow_cores)
        return [entry.name for entry in place.iterdir()]

    assert cores("forbid") == []
    if Path("/proc/sys/kernel/core_pattern").read_text().strip() == "core":
        assert cores("allow") != []


def test_the_limit_is_lowered_and_can_be_raised_again() -> None:
    code = "import resource as r; from pivori.host import *; forbid_core_dumps(); print(r.getrlimit(r.RLIMIT_CORE))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=_path())
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert done.stdout.strip() in (f"(1, {hard})", f"(0, {hard})")


def _allow_cores() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
