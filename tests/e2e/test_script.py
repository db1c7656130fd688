"""``backup-scripts-expert.sh``: what stands in crontabs, from a fresh copy, in an empty environment, through links."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.archives import picture
from tests.conftest import Pivori
from tests.e2e.test_checkout import PARTS, ROOT, lone_environment

SCRIPT = Path("scripts/backup/backup-scripts-expert.sh")
NAME = re.compile(r"pivori-(complete|smart|compressed|differential)-\d{8}-\d{6}\.(zip|7z)")


@dataclass(frozen=True)
class Script:
    """The script as cron starts it, with places of its own."""

    path: Path
    project: Path
    archives: Path
    logs: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path, expect: int = 0, **variables: str) -> str:
        """Run it to the end; returns what it said on both streams."""
        result = subprocess.run(
            ["/bin/bash", self.path, *arguments],
            env=self.environment | variables,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == expect, result.stdout
        assert "Traceback" not in result.stdout
        return result.stdout

    def newest(self, strategy: str) -> Path:
        """The newest archive of a strategy."""
        return max(path for path in self.archives.iterdir() if NAME.fullmatch(path.name) and strategy in path.name)

    @property
    def log(self) -> str:
        """The log."""
        return (self.logs / "pivori-backup.log").read_text()


def make_project(folder: Path) -> None:
    """A small project with one of what a stack has."""
    for name in ("services/auth/main.py", "services/api v2/[x].py", "frontend/index.html", ".env"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}\n")
    (folder / ".env").chmod(0o600)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)


def script_in(checkout: Path, folder: Path, environment: dict[str, str]) -> Script:
    """The script of a checkout, for a project in ``folder``."""
    places = {name: folder / name for name in ("projet été", "archives", "logs")}
    project, archives, logs = places.values()
    make_project(project)
    variables = {
        "PIVORI_PROJECT_DIR": str(project),
        "PIVORI_BACKUP_DIR": str(archives),
        "PIVORI_LOG_DIR": str(logs),
        # Otherwise the history of the person who runs the tests would have these runs in it.
        "XDG_STATE_HOME": str(folder / "state"),
    }
    return Script(checkout / SCRIPT, project, archives, logs, environment | variables)


@pytest.fixture
def script(tmp_path: Path, pivori: Pivori) -> Script:
    """The script of this checkout."""
    return script_in(ROOT, tmp_path, pivori.environment)


@pytest.fixture(scope="module")
def fresh_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that was started once, as its owner does before trusting it to cron."""
    folder = tmp_path_factory.mktemp("fresh")
    checkout = folder / "a checkout"
    checkout.mkdir()
    (folder / "home").mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, checkout / part)
    subprocess.run([checkout / "pivori", "--version"], env=lone_environment(folder / "home"), check=True)
    return checkout


def test_cron_with_an_empty_environment(fresh_copy: Path, tmp_path: Path, program: Callable[[str], Path]) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "first").symlink_to(fresh_copy / SCRIPT)
    (tmp_path / "link").symlink_to("bin/first")
    cron = script_in(fresh_copy, tmp_path, {})
    cron = Script(tmp_path / "link", cron.project, cron.archives, cron.logs, cron.environment)

    cron("backup_complete")
    complete = cron.newest("complete")
    assert complete.stat().st_mode & 0o777 == 0o600
    subprocess.run([program("sha256sum"), "-c", f"{complete.name}.sha256"], cwd=cron.archives, check=True)
    subprocess.run([program("unzip"), "-tq", complete], check=True)
    assert "is whole" in cron("verify_backup", complete)
    before = picture(cron.project)

    (cron.project / "services/auth/main.py").write_text("changed\n")
    (cron.project / "frontend/index.html").unlink()
    (cron.project / "new").write_text("new\n")
    cron("backup_differential")
    after = picture(cron.project)
    assert "is whole" in cron("verify_backup")

    shutil.rmtree(cron.project / "services")
    cron("restore_pit", "20991231", "--yes")
    assert picture(cron.project) == after
    cron("restore_complete", complete.name, "--yes")
    assert picture(cron.project) == before
    assert len(list(tmp_path.glob("projet été.before-*"))) == 2

    assert "0 archives removed" in cron("cleanup_old_backups", "30")
    assert cron.log.count("ended with status 0") == 7


def test_without_anything_it_names_the_defaults(fresh_copy: Path) -> None:
    said = subprocess.run(
        ["/bin/bash", fresh_copy / SCRIPT], env={}, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert f"pivori archive create --strategy complete --directory /backups '{fresh_copy}'" in said.stdout
    assert "/var/log/pivori-backup/pivori-backup.log" in said.stdout


def test_the_checkout_restores_itself(fresh_copy: Path, tmp_path: Path) -> None:
    cron = script_in(fresh_copy, tmp_path, {})
    del cron.environment["PIVORI_PROJECT_DIR"]
    cron("backup_complete")
    (fresh_copy / "pyproject.toml").write_text("broken by somebody\n")
    archive = cron.newest("complete")
    # By the program itself: ./pivori would try to install what pyproject.toml asks for.
    subprocess.run(
        [fresh_copy / ".venv/bin/python", "-I", "-m", "pivori", "script", "restore_complete", archive, "--yes"],
        env=cron.environment | {"PIVORI_PROJECT_DIR": str(fresh_copy)},
        check=True,
    )
    assert "is whole" in cron("verify_backup")
    assert len(list(fresh_copy.parent.glob("a checkout.before-*"))) == 1


def test_all_strategies_have_their_names(script: Script) -> None:
    for strategy in ("complete", "smart", "compressed", "differential"):
        script(f"backup_{strategy}")
    names = {NAME.fullmatch(path.name) for path in script.archives.iterdir() if path.suffix != ".sha256"}
    assert {name and (name[1], name[2]) for name in names} == {
        ("complete", "zip"), ("smart", "zip"), ("compressed", "7z"), ("differential", "zip"),
    }  # fmt: skip
    assert "is whole" in script("verify_backup", "--all")


@pytest.mark.parametrize("component", ["services/api v2", "services/api v2/", "./services/api v2/[x].py", ".env"])
def test_one_component_comes_back_and_nothing_else_changes(script: Script, component: str) -> None:
    script("backup_complete")
    before = picture(script.project)
    for name in ("services/api v2/[x].py", "frontend/index.html", ".env"):
        (script.project / name).write_text("changed\n")
    changed = picture(script.project)
    script("restore_partial", script.newest("complete"), component, "--yes")
    now = picture(script.project)
    inside = {path for path in before if path and (b"/" + path).startswith(b"/" + os.path.normpath(component).encode())}
    assert {path: now[path] for path in inside} == {path: before[path] for path in inside}
    above = {os.path.dirname(path) for path in inside}  # their times
    assert {path: now[path] for path in changed.keys() - inside - above} == {
        path: changed[path] for path in changed.keys() - inside - above
    }


def test_an_absolute_component_and_one_outside(script: Script) -> None:
    script("backup_complete")
    archive = script.newest("complete")
    (script.project / ".env").unlink()
    script("restore_partial", archive, script.project / ".env", "--yes")
    assert (script.project / ".env").exists()
    for outside in ("../x", "/etc/passwd", "."):
        assert "is not below" in script("restore_partial", archive, outside, "--yes", expect=2)
    assert "nothing that fits" in script("restore_partial", archive, "nowhere", "--yes", expect=1)


def test_a_restore_is_refused_where_nobody_can_agree(script: Script) -> None:
    script("backup_complete")
    (script.project / "new").write_text("new\n")
    before = picture(script.project)
    said = script("restore_complete", script.newest("complete"), expect=1)
    assert "What is there now is moved to" in said
    assert "Add --yes" in said
    assert picture(script.project) == before
    assert not list(script.project.parent.glob("*.before-*"))


def test_two_restores_in_one_second_have_a_place_each(script: Script) -> None:
    script("backup_complete")
    for _ in range(3):
        script("restore_partial", script.newest("complete"), ".env", "--yes")
    assert len(list(script.project.parent.glob("*.before-*"))) == 3


def test_a_point_in_time(script: Script) -> None:
    script("backup_complete")
    first = script.newest("complete")
    for number, day in enumerate(("20250101-020000", "20250102-020000", "20250103-020000")):
        if number:
            (script.project / "day").write_text(day)
            script("backup_complete")
        path = script.newest("complete") if number else first
        name = f"pivori-complete-{day}.zip"
        path.rename(script.archives / name)
        (script.archives / f"{path.name}.sha256").rename(script.archives / f"{name}.sha256")
    assert "There is no usable archive" in script("restore_pit", "20241231", "--yes", expect=1)
    script("restore_pit", "20250101", "--yes")
    assert not (script.project / "day").exists()
    script("restore_pit", "20250103-015959", "--yes")
    assert (script.project / "day").read_text() == "20250102-020000"
    newest = script.archives / "pivori-complete-20250103-020000.zip"
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    said = script("restore_pit", "20250103", "--yes")
    assert f"{newest} is passed over" in said
    assert (script.project / "day").read_text() == "20250102-020000"
    for bad in ("yesterday", "2025011", "20250230", "20250101-2"):
        assert "Write it as 20251108" in script("restore_pit", bad, "--yes", expect=2)


def test_archives_of_the_old_script(script: Script, program: Callable[[str], Path]) -> None:
    script.archives.mkdir()
    want = picture(script.project)
    for name, command in (
        ("rubi-studio-complete-20251101-020000.zip", ("zip", "-qry")),
        ("rubi-studio-compressed-20251102-020000.7z", ("7zz", "a", "-bso0", "-snl")),
    ):
        path = script.archives / name
        subprocess.run([program(command[0]), *command[1:], path, "."], cwd=script.project, check=True)
        line = subprocess.run([program("sha256sum"), path], capture_output=True, check=True).stdout
        path.with_name(f"{name}.sha256").write_bytes(line)
    # The size of a folder's time stamp in a zip is two seconds: content and modes are what these have.
    for path in sorted(script.archives.glob("rubi*[p7]*[pz]")):
        assert "is whole" in script("verify_backup", path)
        (script.project / "frontend/index.html").write_text("spoiled")
        (script.project / "added").touch()
        script("restore_complete", path, "--yes")
        now = picture(script.project)
        assert {each: (facts[0], facts[4]) for each, facts in now.items() if each} == {
            each: (facts[0], facts[4]) for each, facts in want.items() if each
        }
    path.write_bytes(path.read_bytes()[:-100])
    script("verify_backup", path, expect=1)


def test_cleaning_up_leaves_the_last_good_one(script: Script) -> None:
    script("backup_complete")
    new = script.newest("complete")
    for day in ("20200101-020000", "20200102-020000"):
        shutil.copy2(new, script.archives / f"pivori-complete-{day}.zip")
    foreign = script.archives / "holiday.zip"
    foreign.write_bytes(b"not ours")
    said = script("cleanup_old_backups")
    assert "archives removed" in said or "archive removed" in said
    assert new.exists()
    assert foreign.exists()
    assert "not a number of days" in script("cleanup_old_backups", "soon", expect=2)


def test_options_are_handed_on_and_no_secret_is_in_the_log(script: Script) -> None:
    script("backup_complete", "--encrypt", "aes", PIVORI_ARCHIVE_PASSWORD="swordfish")
    archive = script.newest("complete")
    assert "is whole" in script("verify_backup", archive, "--require", "services", PIVORI_ARCHIVE_PASSWORD="swordfish")
    script("verify_backup", archive, "--archive-password-command", "echo swordfish")
    script("verify_backup", archive, "--archive-password-command", "echo flounder", expect=12)
    assert not [word for word in ("swordfish", "flounder") if word in script.log]
    script("verify_backup", archive, "--require", "database", expect=1, PIVORI_ARCHIVE_PASSWORD="swordfish")


def test_what_it_does_not_know_is_answered_with_what_there_is(script: Script) -> None:
    for wrong in ("backup_everything", "restore"):
        said = script(wrong, expect=2)
        assert f"There is no command `{wrong}`" in said
        assert "restore_pit YYYYMMDD" in said
    assert "It is used as: restore_partial FILE COMPONENT" in script("restore_partial", "x.zip", expect=2)
    assert "cleanup_old_backups [DAYS]" in script("--help")
    said = script("sauvegarde", expect=2, LC_ALL="fr_FR.UTF-8")
    assert "restore_complete FICHIER" in said
    assert "Il n’y a pas de commande" in said or "Il n’existe pas de commande" in said


def test_no_log_stops_no_backup(script: Script, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = script("backup_complete", PIVORI_LOG_DIR=str(tmp_path / "file" / "logs"))
    assert "The log cannot be written to" in said
    assert "PIVORI_LOG_DIR" in said
    assert (tmp_path / "state" / "pivori" / "pivori-backup.log").exists()
    said = script("backup_complete", PIVORI_LOG_DIR=str(tmp_path / "file"), XDG_STATE_HOME=str(tmp_path / "file"))
    assert "There is no log of this run" in said
    assert len(list(script.archives.glob("*.zip"))) == 2


def test_no_place_for_archives_is_one_sentence_with_the_way_out(script: Script, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = script("backup_complete", PIVORI_BACKUP_DIR=str(tmp_path / "file" / "archives"), expect=1)
    assert "No archive can be written to" in said
    assert "PIVORI_BACKUP_DIR" in said
    assert "ended with status 1" in script.log


def test_a_long_log_is_set_aside(script: Script) -> None:
    script.logs.mkdir()
    log = script.logs / "pivori-backup.log"
    for number in range(7):
        log.write_bytes(b"%d\n" % number * (5 << 20))
        script("verify_backup", "nowhere.zip", expect=1)
        assert "nowhere.zip" in log.read_text()
    older = sorted(path.name for path in script.logs.iterdir())
    assert older == ["pivori-backup.log", *(f"pivori-backup.log.{number}" for number in range(1, 6))]
    assert (script.logs / "pivori-backup.log.1").read_bytes()[:1] == b"6"


def test_a_copy_of_the_script_says_what_it_lacks(tmp_path: Path) -> None:
    copy = tmp_path / "a" / "b" / "script"
    copy.parent.mkdir(parents=True)
    shutil.copy2(ROOT / SCRIPT, copy)
    said = subprocess.run([copy, "backup_complete"], env={"LANG": "fr_FR.UTF-8"}, capture_output=True, text=True)
    assert said.returncode == 1
    assert "faites un lien" in said.stderr
