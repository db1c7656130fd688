"""Fetches the programs the tests compare with: every restic of Debian's suites, side by side in .tools.

Nothing is installed for that: the packages are downloaded with a private apt configuration and unpacked, so no rights
are needed. The mirror is the one this machine uses. As root, the small system tools the tests call are installed.
What is there already is not fetched again.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
COMPLETE = TOOLS / "complete"
SUITES = ("bookworm", "trixie", "sid")  # restic 0.14, 0.18 and the newest
PACKAGE_OF = {
    "fusermount3": "fuse3",
    "setfattr": "attr",
    "setfacl": "acl",
    "7zz": "7zip",
    "age": "age",
    "git": "git",
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client",
    "redis-cli": "redis-tools",
    "gpg": "gpg",
    "npm": "npm",
    "ssh-keygen": "openssh-client",
    "tmux": "tmux",
    "unzip": "unzip",
    "zip": "zip",
    "zstd": "zstd",
}
POSTGRESQL_PACKAGE = "postgresql-15"
POSTGRESQL = Path("/usr/lib/postgresql/15/bin/initdb")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
"""Debian's package makes and starts a server of its own unless this file says otherwise; the tests start theirs."""
KEYRINGS = Path("/usr/share/keyrings")
FALLBACK_MIRROR = "http://deb.debian.org/debian"
DEBIAN_ARCHIVE = re.compile(r"/debian/?$|/debian\.list$|/archive/debian/")
ATTEMPTS = 3


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return what it printed; raises CalledProcessError."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def deb822_entries(text: str) -> Iterator[tuple[list[str], list[str], str]]:
    """The (addresses, suites, keyring) of the enabled stanzas of a ``.sources`` file."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
        fields = {
            name.lower(): " ".join(value.split())
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", lines, re.MULTILINE)
        }
        if "uris" in fields and "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            yield fields["uris"].split(), fields.get("suites", "").split(), fields.get("signed-by", "")


def one_line_entries(text: str) -> Iterator[tuple[list[str], list[str], str]]:
    """The (address, suite, keyring) of the lines of a ``sources.list`` file."""
    for match in re.finditer(r"^\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE):
        keyring = re.search(r"signed-by=(\S+)", match[1] or "")
        yield [match[2]], [match[3]], keyring[1] if keyring else ""


def apt_entries(etc_apt: Path) -> Iterator[tuple[list[str], list[str], str]]:
    """Every enabled source of binary packages of this machine, in both styles."""
    for path in [etc_apt / "sources.list", *sorted(etc_apt.glob("sources.list.d/*"))]:
        if path.suffix == ".sources":
            yield from deb822_entries(path.read_text(errors="replace"))
        elif path.suffix == ".list" and path.exists():
            yield from one_line_entries(path.read_text(errors="replace"))


def mirror_and_keyring(etc_apt: Path = Path("/etc/apt")) -> tuple[str, Path]:
    """Debian's mirror as this machine reaches it, and the keys it is signed with."""
    keyring = next(iter(sorted(KEYRINGS.glob("debian-archive-keyring.[gp][gp][gp]"))), None)
    for addresses, suites, signed_by in apt_entries(etc_apt):
        archive = [address for address in addresses if DEBIAN_ARCHIVE.search(address)]
        if archive and not all("-security" in suite for suite in suites):
            own = Path(signed_by)
            return archive[0], own if own.is_absolute() and own.exists() else keyring or own
    if keyring is None:
        raise SystemExit("tools: the keys of Debian's archive are missing; install debian-archive-keyring.")
    return FALLBACK_MIRROR, keyring


def apt_options(folder: Path) -> list[str]:
    """Options that make apt work in ``folder`` only, on Debian's suites only, without rights."""
    mirror, keyring = mirror_and_keyring()
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text("".join(f"deb [signed-by={keyring}] {mirror} {suite} main\n" for suite in SUITES))
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Retries": ATTEMPTS,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
    }
    return [f"-o{name}={value}" for name, value in settings.items()]


def fetch_restics(folder: Path) -> None:
    """Download and unpack every version the suites carry into ``TOOLS``."""
    options = apt_options(folder)
    run("apt-get", "-qq", *options, "update")
    listing = run("apt-cache", *options, "madison", "restic")
    ready = folder / "ready"
    ready.mkdir()
    for version in {line.split("|")[1].strip() for line in listing.splitlines() if "Sources" not in line}:
        run("apt-get", "-qq", *options, "download", f"restic={version}", cwd=folder)
        package = next(folder.glob("restic_*.deb"))
        run("dpkg", "-x", package, folder / version)
        package.unlink()
        (folder / version / "usr/bin/restic").rename(ready / f"restic-{'.'.join(version.split('.')[:2])}")
    for restic in ready.iterdir():
        restic.rename(TOOLS / restic.name)
    COMPLETE.touch()


def ensure_restics() -> bool:
    """Whether the restics are there, fetched when they were not."""
    if COMPLETE.exists():
        return True
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        print("tools: restic is fetched with apt, which this machine lacks; the restic in PATH is used.")
        return shutil.which("restic") is not None
    TOOLS.mkdir(exist_ok=True)
    print("tools: fetching restic from Debian's suites …", flush=True)
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            try:
                fetch_restics(Path(folder))
            except (subprocess.CalledProcessError, OSError) as error:
                print(f"tools: attempt {attempt} of {ATTEMPTS} failed: {error}", flush=True)
            else:
                print(f"tools: {', '.join(sorted(path.name for path in TOOLS.glob('restic-*')))}")
                return True
    return False


def ensure_system_tools() -> bool:
    """Whether the system's small tools are there, installed when this is root on a machine with apt."""
    missing = missing_packages()
    if not missing:
        return True
    if platform.system() != "Linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"tools: not installed: {', '.join(missing)}; the tests that need them are skipped (in CI they fail).")
        return False
    if POSTGRESQL_PACKAGE in missing and not NO_CLUSTER.exists():
        NO_CLUSTER.parent.mkdir(exist_ok=True)
        NO_CLUSTER.write_text("create_main_cluster = false\n")
    install = ("apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing)
    for command in (install, ("apt-get", "-qq", "update"), install):
        subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if not missing_packages():
            return True
    return False


def missing_packages() -> list[str]:
    """The packages of the system's tools that are not there."""
    missing = {PACKAGE_OF[program] for program in PACKAGE_OF if shutil.which(program) is None}
    return sorted(missing if POSTGRESQL.exists() else {*missing, POSTGRESQL_PACKAGE})


if __name__ == "__main__":
    sys.exit(0 if all([ensure_system_tools(), ensure_restics()]) else 1)
