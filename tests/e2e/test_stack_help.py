"""What helps when something went wrong with a stack: hooks that are undone, runbooks, and who to call."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.restic import Restic, environment

CONFIGURATION = """
[stack]
name = "shop"

[contacts]
email = "backup-support@example.org"
chat = "#backup-support"

[repository]
location = "{repository}"
password = {{ file = "key" }}

[[components]]
kind = "files"
name = "source"
paths = ["src"]
rto = "15m"

[[components.hooks]]
before = "echo before >> log; {before}"
after = "echo after >> log; {after}"
timeout = "600s"
"""


@pytest.fixture
def app(pivori: Pivori, tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.py").write_text("print('hello')\n")
    (folder / "key").write_text("correct horse\n")
    (folder / "key").chmod(0o600)
    configure(folder)
    pivori("init", "-r", tmp_path / "repository", "--password-file", folder / "key")
    return folder


def configure(folder: Path, *, before: str = "true", after: str = "true") -> None:
    text = CONFIGURATION.format(repository=folder.parent / "repository", before=before, after=after)
    (folder / "pivori.toml").write_text(text)


def log(app: Path) -> list[str]:
    return (app / "log").read_text().split()


def killed(pivori: Pivori, app: Path) -> None:
    """A backup that is killed within its hook."""
    configure(app, before="touch within; sleep 600")
    run = pivori.start("backup", "--config", app / "pivori.toml")
    try:
        while not (app / "within").exists():
            assert run.poll() is None
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    configure(app)


def test_hooks_run_around_a_backup(pivori: Pivori, app: Path) -> None:
    pivori("backup", cwd=app)
    assert log(app) == ["before", "after"]


def test_resume_undoes_what_a_killed_backup_left(pivori: Pivori, app: Path) -> None:
    killed(pivori, app)
    assert log(app) == ["before"]
    said = pivori("resume", "--json", cwd=app).stdout.splitlines()
    assert log(app) == ["before", "after"]
    records = [json.loads(line) for line in said]
    assert [record["message_type"] for record in records] == ["undone", "summary"]
    assert "echo after" in records[0]["what"]
    assert records[1] == {"message_type": "summary", "undone": 1, "whole": True}
    assert pivori("resume", cwd=app).stdout == "There is nothing to undo.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_undoes_its_hooks_itself(pivori: Pivori, app: Path, number: signal.Signals) -> None:
    configure(app, before="echo $$ > within; sleep 600; echo late >> log")
    run = pivori.start("backup", "--config", app / "pivori.toml")
    within = app / "within"
    try:
        while not (within.exists() and within.read_text()):
            assert run.poll() is None
        run.send_signal(number)
        _output, said = run.communicate()
    finally:
        run.kill()
    assert run.returncode == 130, said
    assert log(app) == ["before", "after"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(within.read_text()), 0)
    assert not list((pivori.home / ".local/state/pivori/stacks/shop/undo").iterdir())


def test_the_next_backup_undoes_it_too(pivori: Pivori, app: Path) -> None:
    killed(pivori, app)
    pivori("backup", cwd=app)
    assert log(app) == ["before", "after", "before", "after"]


def test_it_is_undone_also_where_the_repository_is_gone(pivori: Pivori, app: Path) -> None:
    killed(pivori, app)
    (app.parent / "repository").rename(app.parent / "unplugged")
    pivori("backup", cwd=app, expect=10)
    assert log(app) == ["before", "after"]


@pytest.mark.parametrize("configuration", ["[stack]\nnam = 1\n", None])
def test_resume_undoes_hooks_whatever_is_wrong_with_the_configuration(
    pivori: Pivori, app: Path, configuration: str | None
) -> None:
    killed(pivori, app)
    if configuration is None:
        (app / "pivori.toml").unlink()
    else:
        (app / "pivori.toml").write_text(configuration)
    pivori("resume", cwd=app, expect=None if configuration else 2)
    assert log(app) == ["before", "after"]


def test_what_cannot_be_undone_is_told_and_tried_again(pivori: Pivori, app: Path) -> None:
    configure(app, after="test -e mended")
    done = pivori("backup", cwd=app, expect=3)
    assert "The hook after source failed" in done.stderr
    assert "Recovery point" in done.stdout
    refused = pivori("resume", cwd=app, expect=3)
    assert "Not everything could be undone." in refused.stdout
    (app / "mended").touch()
    assert "echo after" in pivori("resume", cwd=app).stdout


def test_a_component_whose_hook_fails_is_not_captured(pivori: Pivori, app: Path) -> None:
    configure(app, before="echo no luck; exit 9")
    failed = pivori("backup", cwd=app, expect=1)
    assert 'The hook before source failed: it ended with status 9, saying "no luck".' in failed.stderr
    assert failed.stderr.splitlines()[-1] == "Who to call: backup-support@example.org · #backup-support"
    assert log(app) == ["before", "after"]


def test_a_runbook_of_the_latest_recovery_point(pivori: Pivori, app: Path) -> None:
    pivori("backup", cwd=app)
    document = pivori("runbook", cwd=app).stdout
    assert document.startswith("# Runbook: bring `shop` back\n")
    assert "- `backup-support@example.org`" in document
    assert f"pivori recover --config {app / 'pivori.toml'} --in-place\n" in document
    assert "Expected to take: no measurement yet." in document
    (command,) = [line for line in document.splitlines() if line.endswith("--in-place --component source")]
    pivori(*command.split()[1:], "--yes")
    assert "as the last time" in pivori("runbook", cwd=app).stdout


def test_a_runbook_without_the_repository(pivori: Pivori, app: Path) -> None:
    (app.parent / "repository").rename(app.parent / "unplugged")
    result = pivori("runbook", cwd=app, expect=3)
    assert "> **No recovery point could be looked at" in result.stdout
    assert "- `backup-support@example.org`" in result.stdout
    assert "Step 1: `source` (files)" in result.stdout
    assert "There is no repository" in result.stderr
    record = pivori.json("runbook", "--config", app / "pivori.toml", expect=3)
    assert record["unreachable"].startswith("There is no repository")


def test_a_runbook_of_the_repository_alone(pivori: Pivori, app: Path, tmp_path: Path) -> None:
    pivori("backup", cwd=app)
    place = ("-r", tmp_path / "repository", "--password-file", app / "key")
    document = pivori("runbook", *place, "--to", tmp_path / "new").stdout
    assert "- `backup-support@example.org`" in document
    words = ["pivori", "recover", *map(str, place), "--to", str(tmp_path / "new")]
    assert "\n" + " ".join(words) + "\n" in document
    pivori(*words[1:])
    assert list((tmp_path / "new").rglob("main.py"))


def test_a_runbook_needs_a_stack_or_a_repository(pivori: Pivori, tmp_path: Path) -> None:
    assert "There is no repository" in pivori("runbook", cwd=tmp_path, expect=10).stderr
    assert pivori("runbook", "--at", "noon", cwd=tmp_path, expect=2).stdout == ""


def test_a_later_recovery_point_that_cannot_be_read_is_not_passed_over(pivori: Pivori, app: Path) -> None:
    pivori("backup", cwd=app)
    assert "sound" in pivori("verify", "--captures", cwd=app).stdout
    pivori("backup", "src", "--tag", "stack=shop", "--tag", "component=source", cwd=app)
    checked = pivori("verify", "--captures", cwd=app, expect=1)
    assert "recovery-point.json" in checked.stderr
    assert "recovery-point.json" in pivori("runbook", cwd=app).stderr


@pytest.mark.parametrize("command", [("backup",), ("recover", "--in-place", "--yes")])
def test_fatal_errors_of_a_stack_end_with_who_to_call(pivori: Pivori, app: Path, command: tuple[str, ...]) -> None:
    (app.parent / "repository").rename(app.parent / "unplugged")
    plain = pivori(*command, cwd=app, expect=10)
    assert plain.stderr.splitlines()[-1] == "Who to call: backup-support@example.org · #backup-support"
    record = json.loads(pivori(*command, "--json", cwd=app, expect=10).stderr.splitlines()[-1])
    assert record["contacts"] == {"email": "backup-support@example.org", "chat": "#backup-support"}


def test_other_commands_do_not_name_anybody(pivori: Pivori, app: Path) -> None:
    (app.parent / "repository").rename(app.parent / "unplugged")
    assert "call" not in pivori("snapshots", cwd=app, expect=10).stderr


@pytest.mark.parametrize("language", [0, 1], ids=["English", "French"])
def test_recovery_md_is_the_way_back_with_restic_alone(
    pivori: Pivori, app: Path, newest_restic: Restic, tmp_path: Path, language: int
) -> None:
    """Its commands, in their order, with only what the reader has to fill in filled in."""
    (app / "src" / "two words.txt").write_text("content\n")
    pivori("backup", cwd=app)
    pivori("backup", "--tag", "later", cwd=app)
    repository, key = app.parent / "repository", app / "key"
    snapshots = newest_restic.json(repository, key, "snapshots")
    document = newest_restic.run(repository, key, "dump", snapshots[0]["id"], "/RECOVERY.md").stdout
    by_hand = document.split("\n---\n")[language]
    by_hand = by_hand[by_hand.index("Sans Pivori" if language else "Without Pivori") :]
    script = "\n".join(re.findall(r"^```sh\n(.*?)\n```$", by_hand, re.MULTILINE | re.DOTALL))
    place = tmp_path / "a place"
    for name, value in (
        ("REPOSITORY", repository),
        ("PASSWORD_FILE", key),
        ("PLACE", place),
        ("SNAPSHOT", snapshots[0]["id"]),
    ):
        assert f"{name}=…" in script
        script = script.replace(f"{name}=…", f"{name}='{value}'")
    was = {path.name: path.read_bytes() for path in (app / "src").iterdir()}
    (app / "src").rename(tmp_path / "lost")
    home = environment(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "restic").symlink_to(newest_restic.path)
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=script,
        text=True,
        capture_output=True,
        check=False,
        env=home | {"PATH": f"{programs}:{home['PATH']}", "RESTIC_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (app / "src").iterdir()} == was
