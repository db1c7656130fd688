"""The real restic, for the tests that compare with it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VERSIONS_WANTED = 3


@dataclass(frozen=True)
class Restic:
    """One restic binary; :meth:`run` gives it a controlled environment and never a cache."""

    path: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"restic {self.version[0]}.{self.version[1]}"

    def run(
        self,
        repository: Path | str,
        password_file: Path | str,
        *arguments: str | Path,
        check: bool = True,
        cwd: Path | None = None,
        stdin: bytes | None = None,
        extra_environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a repository. With ``check``, a failure fails the test with restic's own words."""
        return run_restic(
            self.path,
            repository,
            password_file,
            *arguments,
            check=check,
            cwd=cwd,
            stdin=stdin,
            extra_environment=extra_environment,
        )

    def json(self, repository: Path | str, password_file: Path | str, *arguments: str | Path) -> Any:
        """The one JSON document a command prints."""
        return json.loads(self.run(repository, password_file, *arguments, "--json").stdout)

    def check(self, repository: Path | str, password_file: Path | str) -> None:
        """Fail the test unless ``restic check --read-data`` is content."""
        self.run(repository, password_file, "check", "--read-data")


def environment(home: Path | str) -> dict[str, str]:
    """An environment that holds nothing of the person who runs the tests."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def run_restic(
    binary: Path,
    repository: Path | str,
    password_file: Path | str,
    *arguments: str | Path,
    check: bool = True,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    extra_environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run restic on a repository; its output is text, bytes that are not UTF-8 escaped as surrogates."""
    result = subprocess.run(
        [binary, "--no-cache", *arguments],
        env=environment(Path(password_file).parent)
        | {"RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD_FILE": str(password_file)}
        | (extra_environment or {}),
        input=None if stdin is None else stdin.decode("utf-8", "surrogateescape"),
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        check=False,
    )
    if check and result.returncode != 0:
        shown = " ".join(map(str, arguments))
        raise AssertionError(f"restic {shown} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def version_in_name(path: Path) -> tuple[int, int]:
    """``(0, 18)`` for ``restic-0.18``."""
    major, minor = path.name.removeprefix("restic-").split(".")
    return int(major), int(minor)


def found_restics() -> list[Restic]:
    """Every restic at hand, oldest first: of ``PIVORI_RESTICS``, else of ``.tools``, else the one in PATH."""
    folder = Path(os.environ.get("PIVORI_RESTICS") or ROOT / ".tools")
    binaries = sorted(folder.glob("restic-[0-9]*.[0-9]*"), key=version_in_name)
    if binaries:
        return [Restic(path, version_in_name(path)) for path in binaries]
    installed = shutil.which("restic")
    if installed is None:
        return []
    words = subprocess.run([installed, "version"], capture_output=True, text=True, check=True).stdout.split()
    major, minor = words[1].split(".")[:2]
    return [Restic(Path(installed), (int(major), int(minor)))]
