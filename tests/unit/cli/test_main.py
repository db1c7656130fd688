"""The frame: what is imported when, options on both sides of the command, how wrong command lines are answered."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from pivori.cli.command_table import ARCHIVE, TABLE
from pivori.cli.main import Surroundings, run
from pivori.clock import SystemClock
from pivori.settings import Environment
from tests.conftest import Pivori
from tests.unit.cli.conftest import Here

HEAVY = (
    "rich",
    "cryptography",
    "msgspec",
    "pivori.app",
    "pivori.repository",
    "pivori.engine",
    "pivori.storage",
    "json",
)


def imported(*arguments: str, variables: Mapping[str, str] = os.environ) -> set[str]:
    """The modules loaded by a run of the program."""
    code = (
        "import sys; from pivori.__main__ import main; sys.argv[1:] = " + repr(list(arguments)) + "\n"
        "status = main(); print(status, *sorted(sys.modules), file=sys.stderr)"
    )
    # Without the measuring of coverage, which loads modules of its own.
    environment = {name: value for name, value in variables.items() if not name.startswith("COV")}
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    status, *modules = result.stderr.split()
    assert status == "0"
    return set(modules)


def test_help_imports_no_command() -> None:
    modules = imported("--help")
    assert "click" in modules
    assert not {name for name in modules if name.startswith("pivori.cli.commands.")}
    assert not [name for name in HEAVY if name in modules]


def test_version_imports_nothing() -> None:
    modules = imported("--version")
    assert {name for name in modules if name.startswith("pivori")} == {"pivori", "pivori.__main__"}
    assert "click" not in modules


def test_a_command_that_needs_no_repository_loads_none() -> None:
    assert not {"pivori.app", "cryptography", "msgspec"} & imported("completion", "bash")


def test_a_subcommand_loads_no_other() -> None:
    modules = imported("archive", "list", "--help")
    assert {name for name in modules if name.startswith("pivori.cli.commands.archive_")} == {
        "pivori.cli.commands.archive_list"
    }
    assert not {name for name in imported("archive", "--help") if name.startswith("pivori.cli.commands.archive_")}


def test_help_lists_every_subcommand(pivori: Pivori) -> None:
    text = " ".join(pivori("archive", "--help").stdout.split())
    for name, entry in ARCHIVE.items():
        assert f" {name} {entry.summary} " in text
        explained = " ".join(pivori("archive", name, "--help").stdout.split())
        assert f" {entry.summary} " in explained
        assert explained.startswith(f"Usage: pivori archive {name} ")


def test_a_misspelled_subcommand_is_answered_with_its_like(here: Here) -> None:
    said = here("archive", "creat", expect=2).err
    assert "There is no command `creat`. Did you mean `create`?" in said
    assert "pivori archive --help" in said


def test_help_lists_every_command_in_its_section(pivori: Pivori) -> None:
    text = pivori("--help").stdout
    assert pivori().stdout == text
    assert pivori("-h").stdout == text
    for name, entry in TABLE.items():
        if not entry.section:  # for a script alone
            assert f"\n  {name} " not in text
            continue
        assert f"\n  {name} " in text
        assert entry.summary in " ".join(text.split())
    sections = dict.fromkeys(entry.section for entry in TABLE.values() if entry.section)
    positions = [text.index(f"\n{section}:") for section in sections]
    assert positions == sorted(positions)
    assert "pivori backup ~/project" in text


def test_version_after_other_options(pivori: Pivori) -> None:
    assert pivori("-q", "--version").stdout == pivori("--version").stdout


def test_global_options_on_both_sides(pivori: Pivori) -> None:
    before = pivori("--json", "-r", "r1", "init", PIVORI_PASSWORD="x")
    after = pivori("init", "-r", "r2", "--json", PIVORI_PASSWORD="x")
    for result, name in ((before, "r1"), (after, "r2")):
        record = json.loads(result.stdout)
        assert record["message_type"] == "initialized"
        assert record["repository"] == str(pivori.home / name)
    # The one nearer to the end wins.
    assert json.loads(pivori("-r", "r3", "init", "-r", "r4", "--json", PIVORI_PASSWORD="x").stdout)[
        "repository"
    ].endswith("r4")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bakup"], "`backup`"),
        (["quux"], "quux"),
        (["init", "--no-such-option"], "--no-such-option"),
        (["init", "unexpected"], "unexpected"),
        (["completion"], "bash"),
        (["completion", "tcsh"], "tcsh"),
        (["init", "--retry-lock", "soon"], "soon"),
        (["init", "--password-file", "a", "--password-command", "b"], "--password-command"),
        (["--password-file", "a", "init", "--password-command", "b"], "--password-command"),
        (["init", "-r", ""], "--repository"),
    ],
)
def test_wrong_command_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    surroundings = Surroundings(environment=Environment(home=tmp_path), clock=SystemClock())
    assert run(arguments, surroundings) == 2
    result = capsys.readouterr()
    assert result.out == ""
    assert words in result.err
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) == 2
    assert "Hint: " in result.err
    assert run(["--json", *arguments], surroundings) == 2
    record = json.loads(capsys.readouterr().err)
    assert record["code"] == 2
    assert words in record["message"]


def test_the_hint_names_the_command(pivori: Pivori) -> None:
    assert "`pivori init --help`" in pivori("init", "--nonsense", expect=2).stderr


def test_init_by_default(pivori: Pivori) -> None:
    lines = pivori("init").stdout.splitlines()
    assert len(lines) == 3
    assert str(pivori.home / ".local/share/pivori/repository") in lines[0]
    assert str(pivori.home / ".config/pivori/repository.key") in lines[1]
    assert "loses the backups" in lines[2]
    again = pivori("init", expect=1)
    assert "already" in again.stderr


def test_init_without_a_password(pivori: Pivori) -> None:
    result = pivori("init", "-r", "elsewhere", "--json", expect=1)
    assert json.loads(result.stderr)["name"] == "no-password"
    assert not (pivori.home / "elsewhere").exists()


def test_init_with_a_password_file_and_a_command(pivori: Pivori) -> None:
    file = pivori.home / "password"
    file.write_text("secret\n")
    result = pivori("init", "-r", "r", "--password-file", file, expect=1, PIVORI_PASSWORD="ignored")
    assert "chmod 600" in result.stderr
    assert "secret" not in result.stderr
    file.chmod(0o600)
    pivori("init", "-r", "r", "--password-file", file)
    pivori("init", "-r", "s", "--password-command", "echo secret")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(pivori: Pivori, shell: str) -> None:
    script = pivori("completion", shell).stdout
    assert "_PIVORI_COMPLETE" in script
    assert pivori.json("completion", shell)["script"].strip() == script.strip()


def completed(pivori: Pivori, words: str) -> list[str]:
    split = words.split(" ")
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(split) - 1), "_PIVORI_COMPLETE": "bash_complete"}
    return [line.partition(",")[2] for line in pivori(**variables).stdout.splitlines()]


def test_completion_of_commands_and_options(pivori: Pivori) -> None:
    assert completed(pivori, "pivori sn") == ["snapshots"]
    assert set(completed(pivori, "pivori ")) == set(TABLE)
    assert "--password-file" in completed(pivori, "pivori init --pass")
    assert completed(pivori, "pivori completion z") == ["zsh"]
    assert completed(pivori, "pivori archive im") == ["import"]
    assert set(completed(pivori, "pivori archive ")) == set(ARCHIVE)
    assert "--strategy" in completed(pivori, "pivori archive create --str")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("pivori backup x", "file"),
        ("pivori backup --exclude-file x", "file"),
        ("pivori backup --files-from x", "file"),
        ("pivori backup --files-from-verbatim x", "file"),
        ("pivori backup --files-from-raw x", "file"),
        ("pivori restore latest --target x", "dir"),
        ("pivori restore latest --include-file x", "file"),
        ("pivori restore latest --exclude-file x", "file"),
        ("pivori mount x", "dir"),
        ("pivori copy --to x", "dir"),
        ("pivori copy --to-password-file x", "file"),
        ("pivori key add --new-password-file x", "file"),
    ],
)
def test_completion_of_file_names(here: Here, words: str, kind: str) -> None:
    split = words.split(" ")
    with here.patch.context() as patch:
        patch.setenv("COMP_WORDS", words)
        patch.setenv("COMP_CWORD", str(len(split) - 1))
        assert here(completion="bash_complete").out == f"{kind},x\n"


def test_completion_of_nonsense_is_silent(here: Here) -> None:
    with here.patch.context() as patch:
        for words in ("pivori bogus ", "pivori key bogus ", "pivori restore --target"):
            patch.setenv("COMP_WORDS", words)
            patch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
            said = here(completion="bash_complete", expect=None)
            assert said.err == ""
        patch.setenv("COMP_CWORD", "no number")
        assert here(completion="bash_complete", expect=1).err == ""


def test_a_full_disk_is_an_error_for_help_too(pivori: Pivori) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*pivori.command, "--help"], env=pivori.environment, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert "No space left" in result.stderr
    assert "Exception" not in result.stderr


def test_a_reader_that_goes_away(pivori: Pivori) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        result = subprocess.run(
            [*pivori.command, "--help"], env=pivori.environment, stdout=gone, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_in_an_orderly_way(pivori: Pivori, number: signal.Signals) -> None:
    ready = pivori.home / "ready"
    command = f"sh -c 'touch {ready}; exec sleep 60'"
    with pivori.start("init", "-r", "r", "--password-command", command, "--json") as process:
        try:
            for _ in range(600):
                if ready.exists():
                    break
                time.sleep(0.05)
            process.send_signal(number)
            _out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert json.loads(err)["name"] == "interrupted"
    assert not (pivori.home / "r" / "config").exists()


def test_language(pivori: Pivori) -> None:
    # Whatever the catalogue holds by now, a language without one is English.
    assert pivori("--help", LANG="tlh", LANGUAGE="").stdout == pivori("--help").stdout


@pytest.mark.parametrize("name", TABLE)
def test_every_command_is_there_and_explains_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    surroundings = Surroundings(environment=Environment(home=tmp_path), clock=SystemClock())
    assert run([name, "--help"], surroundings) == 0
    text = capsys.readouterr().out
    assert f"pivori {name}" in text
    assert "--password-file" in text


def test_a_backup_with_nothing_changed_loads_no_more_than_it_needs(pivori: Pivori) -> None:
    """Its start is most of what it takes."""
    (pivori.home / "file").write_text("x")
    arguments = ("backup", "-q", str(pivori.home / "file"))
    pivori(*arguments)
    modules = imported(*arguments, variables=pivori.environment)
    assert "pivori.engine.backup" in modules
    assert not modules & {
        "multiprocessing.connection",
        "pivori.archives.tar_format",
        "pivori.engine.document_reading",
        "pivori.engine.export",
        "pivori.engine.smart",
        "pivori.engine.restore",
        "pivori.engine.smart.rebuild",
        "tempfile",
    }
