"""What ./test runs: the checks of the source, then the suites; pytest's closing line comes last.

Every stage runs even when one before it failed; the failed ones are listed just above pytest's closing line.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
COVERAGE_WANTED = 90

SUITES = {
    "lint": "ruff, mypy --strict, the import contracts, the syntax of the shell scripts",
    "unit": "one module at a time, some beside the ordinary tools they have to agree with; no network",
    "contract": "what several have to agree on: media of storage, archives and ordinary tools, smart and git, pip, npm",
    "property": "round trips and invariants on generated data",
    "compat": "with the real restic, both directions",
    "faults": "stopped after every write, failing at every read",
    "broken": "damaged repositories and archives, and what is said of them",
    "fuzz": "every parser on generated input, guided by coverage, for a fixed short count",
    "e2e": "the whole program as a person uses it",
}
WITHOUT_TOOLS = {"lint", "unit", "property"}

LINT = {
    "ruff check": ["-m", "ruff", "check", "--quiet", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "--quiet", "."],
    "mypy": ["-m", "mypy"],
    "import contracts": ["-c", "from importlinter.cli import lint_imports_command as check; check()", "--no-logo"],
}
SHELL_SCRIPTS = ("pivori", "test", "scripts/find-python.sh", "scripts/backup/backup-scripts-expert.sh", ".ci/run")


class StageReport:
    """Shows the failed stages above pytest's closing line."""

    def __init__(self, failed: list[str]) -> None:
        self.failed = failed

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.failed:
            terminalreporter.section("failed before the tests", sep="=", red=True)
            for stage in self.failed:
                terminalreporter.write_line(f"FAILED {stage}", red=True)


def command_line() -> tuple[list[str], list[str]]:
    """The suites asked for and what is left for pytest."""
    width = max(map(len, SUITES))
    parser = argparse.ArgumentParser(
        prog="./test",
        usage="./test [SUITE...] [PYTEST OPTIONS...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="suites:\n" + "\n".join(f"  {name:<{width}}  {what}" for name, what in SUITES.items()),
        description="Without a suite: everything, with line coverage. Anything else is handed to pytest.",
        allow_abbrev=False,
    )
    _, arguments = parser.parse_known_args()
    suites = []
    while arguments and arguments[0] in SUITES:
        suites.append(arguments.pop(0))
    return suites, arguments


def run_stage(name: str, *command: str) -> bool:
    """Run one check, its output shown as it comes."""
    print(f"== {name}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def lint() -> list[str]:
    """The names of the checks that failed."""
    failed = [name for name, command in LINT.items() if not run_stage(name, sys.executable, *command)]
    scripts = [script for script in SHELL_SCRIPTS if (ROOT / script).exists()]
    if not all([run_stage(f"sh -n {script}", "sh", "-n", script) for script in scripts]):
        failed.append("shell syntax")
    return failed


def pytest_arguments(suites: list[str], options: list[str]) -> list[str]:
    """The command line of pytest. Options of the caller's take the place of the parallel run."""
    places = [str(TESTS / suite) for suite in suites if suite != "lint" and any((TESTS / suite).glob("**/test_*.py"))]
    if "unit" in suites:
        places += sorted(map(str, TESTS.glob("test_*.py")))
    workers = max(2, min(8, os.cpu_count() or 2))
    if suites and WITHOUT_TOOLS.issuperset(suites):
        workers *= 2  # short tests, which often wait for a file system or a process
    parallel = [] if options else ["-n", str(workers), "--dist", "worksteal"]
    if not suites and not options:
        measure = ["--cov", "--cov-config", str(ROOT / "pyproject.toml"), "--cov-report", "term"]
        return [str(TESTS), *parallel, *measure, f"--cov-fail-under={COVERAGE_WANTED}"]
    return [*places, *parallel, *options]


def main() -> int:
    """Run what the command line asks for."""
    suites, options = command_line()
    os.chdir(ROOT)
    if not suites or not WITHOUT_TOOLS.issuperset(suites):
        run_stage("tools", sys.executable, str(TESTS / "tools.py"))
    failed = lint() if "lint" in suites or not (suites or options) else []
    if suites == ["lint"]:
        print(f"FAILED: {', '.join(failed)}" if failed else "lint passed")
        return 1 if failed else 0
    status = pytest.main(pytest_arguments(suites, options), plugins=[StageReport(failed)])
    return int(status) or (1 if failed else 0)


if __name__ == "__main__":
    sys.exit(main())
