"""Makes or mends the .venv of a checkout: ``environment.py run`` for the program, ``test`` for its tests as well.

Runs on nothing but the standard library. Several may run at once: they queue on a file lock that the system releases
whatever happens to its holder. The copies in ``.venv/made-for-*`` say what the environment was made for; they are
removed before any change and written last, so the next run knows of an interrupted installation and makes a fresh one
(pip takes a half-unpacked library for an installed one).
"""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = VENV / "lock"
LOG = VENV / "install.log"
UNFINISHED = VENV / "unfinished"
INPUTS = ("constraints.txt", "pyproject.toml")

FRENCH = {
    "Preparing {folder} (once, less than a minute) …": "Préparation de {folder} (une seule fois, moins d’une minute) …",
    "Bringing {folder} up to date …": "Mise à jour de {folder} …",
    "Another run is preparing {folder}: waiting for it …": "Une autre exécution prépare {folder}\xa0: on l’attend …",
    "{folder} cannot be written: {reason}.": "Impossible d’écrire dans {folder}\xa0: {reason}.",
    "Run it once as the owner of the checkout, or clone it where you may write.": (
        "Lancez-le une fois en tant que propriétaire du dossier, ou clonez-le là où vous pouvez écrire."
    ),
    "Python {version} cannot make virtual environments: it lacks ensurepip.": (
        "Python {version} ne sait pas créer d’environnement virtuel\xa0: il lui manque ensurepip."
    ),
    "Install it (Debian, Ubuntu: apt install python{version}-venv), then run the command again.": (
        "Installez-le (Debian, Ubuntu\xa0: apt install python{version}-venv), puis relancez la commande."
    ),
    "The libraries could not be installed: the package index does not answer.": (
        "Les bibliothèques n’ont pas pu être installées\xa0: l’index des paquets ne répond pas."
    ),
    "The libraries could not be installed: {reason}": (
        "Les bibliothèques n’ont pas pu être installées\xa0; pip dit\xa0: «\xa0{reason}\xa0»"
    ),
    "Check the network (or pip's configuration) and run the command again; the whole story is in {log}.": (
        "Vérifiez le réseau (ou la configuration de pip), puis relancez la commande\xa0; le détail est dans {log}."
    ),
    "Disk quota exceeded": "le quota est dépassé",
    "File exists": "le fichier existe déjà",
    "Input/output error": "erreur d’entrée-sortie",
    "No space left on device": "il n’y a plus de place sur le support",
    "Not a directory": "ce n’est pas un dossier",
    "Permission denied": "permission refusée",
    "Read-only file system": "le système de fichiers est en lecture seule",
}


def told(sentence: str) -> str:
    """A sentence in French for a French locale; what a library says has no translation and stays as it is."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return FRENCH.get(sentence, sentence) if locale.startswith("fr") else sentence


def say(sentence: str, **details: object) -> None:
    """Print one line to stderr."""
    print(told(sentence).format(**details), file=sys.stderr, flush=True)


def fail(sentence: str, hint: str, **details: object) -> NoReturn:
    """Say what happened and what to do, and stop."""
    say(sentence, **details)
    print("  → ", end="", file=sys.stderr)
    say(hint, **details)
    sys.exit(1)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the environment's lock."""
    VENV.mkdir(exist_ok=True)
    with LOCK.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is preparing {folder}: waiting for it …", folder=VENV)
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Held by the programs started here too: an orphaned pip keeps others out until it ends.
        os.set_inheritable(handle.fileno(), True)
        yield


def stamp_of(purpose: str) -> Path:
    """The folder that holds copies of the files the environment was made for."""
    return VENV / f"made-for-{purpose}"


def is_made(purpose: str, inputs: dict[str, bytes]) -> bool:
    """Whether the environment is complete and was made for these inputs."""
    stamp = stamp_of(purpose)
    try:
        return os.access(PYTHON, os.X_OK) and all((stamp / name).read_bytes() == inputs[name] for name in inputs)
    except OSError:
        return False


def base_python() -> str:
    """The real file of this Python, so that the environment does not change its version under its libraries."""
    executable = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    return executable if os.access(executable, os.X_OK) else sys.executable


def pip_environment() -> dict[str, str]:
    """The user's environment, minus what would send pip elsewhere; mirrors and proxies stay as configured."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_HASHES", "PIP_CONSTRAINT"):
        environment.pop(name, None)
    if not environment.get("HOME"):
        environment["PIP_NO_CACHE_DIR"] = "1"
    return environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}


def run_logged(*command: str | Path) -> int:
    """Run a command with its output in the log."""
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=pip_environment(),
            cwd=VENV,
            close_fds=False,
            check=False,
        ).returncode


def is_sound() -> bool:
    """Whether the environment's Python runs, is of this version, has pip, and no installation broke off."""
    if UNFINISHED.exists():
        return False
    probe = f"import sys, pip; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return run_logged(PYTHON, "-I", "-c", probe) == 0
    except OSError:
        return False


def empty() -> None:
    """Remove the environment's content, except the lock others may be waiting on and the log."""
    for entry in VENV.iterdir():
        if entry not in (LOCK, LOG):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def install_venv_package() -> bool:
    """As root on a Debian machine, install the part of Python that Debian leaves out."""
    apt_get = shutil.which("apt-get")
    if os.geteuid() != 0 or apt_get is None:
        return False
    package = f"python{sysconfig.get_python_version()}-venv"
    install = (apt_get, "-qq", "install", "-y", "--no-install-recommends", package)
    return run_logged(*install) == 0 or (run_logged(apt_get, "-qq", "update") == 0 and run_logged(*install) == 0)


def make_venv(purpose: str) -> None:
    """Make a fresh environment with pip."""
    empty()
    UNFINISHED.touch()
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of python3
    except ImportError:
        if purpose != "test" or not install_venv_package():
            fail(
                "Python {version} cannot make virtual environments: it lacks ensurepip.",
                "Install it (Debian, Ubuntu: apt install python{version}-venv), then run the command again.",
                version=sysconfig.get_python_version(),
            )
    if run_logged(base_python(), "-I", "-m", "venv", VENV) != 0:
        fail_installation()


def fail_installation() -> NoReturn:
    """Stop with the last thing the log says."""
    lines = [line.strip() for line in LOG.read_text(errors="replace").splitlines() if line.strip()]
    hint = "Check the network (or pip's configuration) and run the command again; the whole story is in {log}."
    if any("Retrying (" in line for line in lines):
        fail("The libraries could not be installed: the package index does not answer.", hint, log=LOG)
    errors = [line for line in lines if line.lower().startswith("error")]
    reason = errors[0] if errors else lines[-1]
    fail("The libraries could not be installed: {reason}", hint, reason=reason, log=LOG)


def requirements(project: dict[str, Any], purpose: str) -> list[str]:
    """What to install: the program's libraries, and for ``test`` the tools."""
    return project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if purpose == "test" else [])


def install(purpose: str, inputs: dict[str, bytes]) -> None:
    """Install the libraries, wheels only, and put ``src`` on the environment's path."""
    wanted = requirements(tomllib.loads(inputs["pyproject.toml"].decode()), purpose)
    constraints = ROOT / "constraints.txt"
    options = ("--progress-bar", "off", "--only-binary", ":all:", "-c", constraints)
    UNFINISHED.touch()
    status = run_logged(PYTHON, "-I", "-m", "pip", "install", *options, *wanted)
    if status >= 0:  # pip undoes what it began, unless it was killed
        UNFINISHED.unlink()
    if status != 0:
        fail_installation()
    packages = Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(VENV)}))
    # Relative to the folder it lies in: a checkout that is moved goes on working.
    (packages / "pivori.pth").write_text(os.path.relpath(ROOT / "src", packages) + "\n")


def stamp(purpose: str, inputs: dict[str, bytes]) -> None:
    """Record what the environment was made for; its appearance is what makes the environment complete."""
    target = stamp_of(purpose)
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name, content in inputs.items():
        (fresh / name).write_bytes(content)
    fresh.rename(target)


def prepare(purpose: str) -> None:
    """Make the environment fit for ``run`` or ``test``."""
    with locked():
        inputs = {name: (ROOT / name).read_bytes() for name in INPUTS}
        purposes = ["run", "test"] if purpose == "test" else ["run"]
        if all(is_made(each, inputs) for each in purposes):
            return
        LOG.write_bytes(b"")
        sound = is_sound()
        first = "Bringing {folder} up to date …" if sound else "Preparing {folder} (once, less than a minute) …"
        say(first, folder=VENV)
        for each in purposes:
            shutil.rmtree(stamp_of(each), ignore_errors=True)
        if not sound:
            make_venv(purpose)
        install(purpose, inputs)
        for each in purposes:
            stamp(each, inputs)


def main() -> int:
    """Prepare for the purpose given on the command line."""
    try:
        prepare(sys.argv[1])
    except OSError as error:
        fail(
            "{folder} cannot be written: {reason}.",
            "Run it once as the owner of the checkout, or clone it where you may write.",
            folder=VENV,
            reason=told(error.strerror or str(error)),
        )
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
