"""The scenario of the commands that people have in their crontabs, on a large project: each once, as it is typed.

The npm services of the data set, more than 100,000 files, are copied into a git work tree, as for the strategies. Every
command has to end with status 0, and what a restore brings back is compared with the tree that it moved aside, file by
file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compare import differences
from rows import Row, Table
from scenarios import Failed, create, read_everything, run_once
from strategies import change, project
from tools import CHECKOUT, Pivori, Place, remove

SCRIPT = CHECKOUT / "scripts" / "backup" / "backup-scripts-expert.sh"
COMPONENT = "services/storefront"
SERVICES = ("admin", "api", "storefront")
MENU = "(no command: the menu)"
BEFORE_THE_CHANGE = ("backup_complete", "backup_smart", "backup_compressed")
AFTER_THE_CHANGE = (
    "backup_differential", "verify_backup", "restore_complete", "restore_pit", "restore_partial",
    "cleanup_old_backups", MENU,
)  # fmt: skip


class Script(Pivori):
    """The script of the checkout."""

    def __init__(self, pivori: Pivori) -> None:
        super().__init__(pivori.program, name="the script")

    def environment(self, place: Place) -> dict[str, str]:
        return {
            **place.environment(),
            "PIVORI_PROJECT_DIR": str(place.root.parent / "project"),
            "PIVORI_BACKUP_DIR": str(place.repository),
            "PIVORI_LOG_DIR": str(place.root / "tmp"),
        }

    def create(self, place: Place) -> list[str]:
        # A fresh checkout makes its environment at the first command, which is not what is measured.
        return ["sh", str(SCRIPT), "--help"]

    def words(self, operation: str, place: Place, source: Path) -> list[str]:
        archives = sorted(place.repository.glob("pivori-*"))

        def newest(strategy: str) -> str:
            found = [path for path in archives if f"-{strategy}-" in path.name and path.suffix != ".sha256"]
            return str(found[-1]) if found else ""

        arguments = {
            MENU: [],
            "verify_backup": [newest("complete")],
            "restore_complete": [newest("differential"), "--yes"],
            "restore_partial": [newest("differential"), COMPONENT, "--yes"],
            "restore_pit": [day_of(newest("differential")), "--yes"],
            "cleanup_old_backups": ["30"],
        }
        return ["sh", str(SCRIPT), *([] if operation == MENU else [operation]), *arguments.get(operation, [])]

    def restores(self, operation: str) -> bool:
        return False

    def written(self, operation: str, place: Place) -> Path | None:
        made = sorted(place.repository.glob("pivori-*"), key=lambda path: path.stat().st_mtime_ns)
        archives = [path for path in made if path.suffix != ".sha256"]
        return archives[-1] if operation.startswith("backup_") and archives else None


@contextmanager
def services_of(source: Path, work: Path) -> Iterator[Path]:
    """The services of the data set that the strongest compression can do in some minutes; of another folder all."""
    services = [source / "services" / name for name in SERVICES]
    if not all(service.is_dir() for service in services):
        yield source
        return
    part = work / "part"
    (part / "services").mkdir(parents=True)
    try:
        subprocess.run(["cp", "-a", "--", *map(str, services), str(part / "services")], check=True)
        yield part
    finally:
        remove(part)


def day_of(archive: str) -> str:
    """The day in the name of an archive."""
    return archive.rpartition("-")[0].rpartition("-")[2]


def script_commands(table: Table, pivori: Pivori, source: Path, work: Path) -> None:
    """Every command once. A failure is noted in the table, which is then not kept."""
    script, place = Script(pivori), Place(work / "script")
    try:
        with project(source, work) as tree:
            create(script, place)
            read_everything(tree)
            for operation in BEFORE_THE_CHANGE:
                table.rows.append(measured(script, operation, place, tree))
            change(tree)
            for operation in AFTER_THE_CHANGE:
                table.rows.append(measured(script, operation, place, tree))
                if operation.startswith("restore_"):
                    compare_with_aside(operation, tree)
    except Failed as failure:
        table.failures.append(str(failure))
    finally:
        place.remove()
        for left in work.glob("project.*"):
            remove(left)


def measured(script: Script, operation: str, place: Place, tree: Path) -> Row:
    """One command. Raises Failed."""
    row = run_once(script, operation, place, tree, 0)
    assert row is not None
    return row


def compare_with_aside(operation: str, tree: Path) -> None:
    """What was restored is what was there before; the latter is removed. Raises Failed."""
    asides = list(tree.parent.glob(f"{tree.name}.before-*"))
    if len(asides) != 1:
        raise Failed(f"{operation} moved {len(asides)} trees aside")
    (aside,) = asides
    whole = operation != "restore_partial"
    before, now = (aside, tree) if whole else (aside / COMPONENT, tree / COMPONENT)
    found = differences(before, now) if before.is_dir() and now.is_dir() else ["a tree is missing"]
    remove(aside)
    if found:
        raise Failed(f"{operation} restored something else:\n" + "\n".join(found))
