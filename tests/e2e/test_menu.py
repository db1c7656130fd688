"""``pivori menu`` at a real terminal (tmux): arrows, numbers, both languages, every way to leave; and without one."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.e2e.test_script import make_project

PATIENCE = 60.0
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*[34][0-8](?:;[0-9]+)*m")
ENGLISH, FRENCH = "What do you want to do?", "Que voulez-vous faire"


class Terminal:
    """A terminal in which the menu runs."""

    def __init__(self, tmux: Path, folder: Path) -> None:
        self._tmux = [tmux, "-u", "-L", f"pivori-{folder.name}", "-f", "/dev/null"]

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Run a command; its exit status is shown at the end."""
        line = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command])
        self("new-session", "-d", "-x", "150", "-y", "50", f"{line}; echo status=$?; exec sleep 600")

    def __call__(self, *arguments: str) -> str:
        result = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=False)
        return result.stdout

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self("send-keys", *keys)

    def screen(self, *, codes: bool = False) -> str:
        """All that was ever shown, with its control codes or without."""
        return self("capture-pane", "-p", "-J", "-S", "-", *(["-e"] if codes else []))

    def wait(self, text: str, times: int = 1) -> str:
        """Wait until a text was shown so many times; returns all that was."""
        deadline = time.monotonic() + PATIENCE
        while (shown := self.screen()).count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} ({times}) in:\n{shown}"
            time.sleep(0.05)
        assert "Traceback" not in shown
        return shown

    def menu(self, number: int, *keys: str) -> str:
        """Wait for the menu to be shown for the time of this number, and press keys; returns what was shown."""
        deadline = time.monotonic() + PATIENCE
        while True:
            shown = self.screen()
            last = shown.rpartition("\nPro")[2]
            if shown.count("\nProjec") + shown.count("\nProjet") >= number and ("0) Quit" in last):
                break
            assert time.monotonic() < deadline, f"no menu number {number} in:\n{shown}"
            time.sleep(0.05)
        assert "Traceback" not in shown
        if keys:
            self.keys(*keys)
        return shown

    def answer(self, question: str, *keys: str, times: int = 1) -> None:
        """Wait for a question and press keys."""
        self.wait(question, times)
        self.keys(*keys)

    def end(self) -> None:
        """Close it."""
        self("kill-server")


@pytest.fixture
def terminal(program: Callable[[str], Path], tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of its own."""
    terminal = Terminal(program("tmux"), tmp_path)
    yield terminal
    terminal.end()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project."""
    make_project(tmp_path / "project")
    return tmp_path / "project"


def start(terminal: Terminal, pivori: Pivori, project: Path, **variables: str) -> None:
    """Start the menu for a project."""
    environment = pivori.environment | places(project) | {"TERM": "screen-256color"} | variables
    terminal.start([*pivori.command, "menu", str(project)], environment)


def places(project: Path) -> dict[str, str]:
    """Where archives and the log are."""
    return {"PIVORI_BACKUP_DIR": str(project.parent / "archives"), "PIVORI_LOG_DIR": str(project.parent / "logs")}


def archives(project: Path) -> list[str]:
    """The archives there are, by strategy."""
    return sorted(path.name.split("-")[1] for path in (project.parent / "archives").glob("pivori-*[pz]"))


def test_a_day_with_the_menu(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    start(terminal, pivori, project)
    shown = terminal.menu(1, "1", "Enter")
    assert "(about" not in shown
    assert "Archives: 0 in" in shown
    shown = terminal.menu(2)
    assert "Complete backup: everything (about" in shown.split("written, read back and compared")[1]
    assert archives(project) == ["complete"]

    # The fourth entry, by arrows: differential.
    (project / "new").write_text("new")
    terminal.keys("Down", "Down", "Down", "Enter")
    assert "Relative to pivori-complete-" in terminal.menu(3, "6", "Enter")
    assert archives(project) == ["complete", "differential"]
    assert " whole" in terminal.menu(4, "7", "Enter")
    terminal.answer("y) All of them", "y", "Enter")
    assert terminal.menu(5).count("is whole:") == 2

    (project / "new").write_text("spoiled")
    terminal.keys("5", "Enter")
    terminal.answer("0) Back", "1", "Enter")
    terminal.answer("Restore now? [y/N]", "n", "Enter")
    assert "You did not agree" in terminal.menu(6, "5", "Enter")
    assert (project / "new").read_text() == "spoiled"
    terminal.answer("0) Back", "Enter")
    terminal.answer("Restore now? [y/N]", "y", "Enter", times=2)
    assert "What was there before is in" in terminal.menu(7, "9", "Enter")
    assert (project / "new").read_text() == "new"

    log = terminal.menu(8, "0", "Enter").partition("The whole log:")[0]
    assert "restore_complete" in log.rpartition("started")[0].rpartition("\n")[2]
    terminal.wait("status=0")


def test_clean_up_shows_first_and_asks(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    for strategy in ("smart", "smart", "complete"):
        pivori("archive", "create", "--strategy", strategy, project, **places(project))
    start(terminal, pivori, project)
    terminal.menu(1, "8", "Enter")
    terminal.answer("older than how many days? 30", "BSpace", "BSpace", "0", "Enter")
    terminal.answer("Remove these archives? [y/N]", "Enter")
    assert "You did not agree" in terminal.menu(2, "8", "Enter")
    assert archives(project) == ["complete", "smart", "smart"]
    terminal.answer("older than how many days? 30", "BSpace", "BSpace", "0", "Enter")
    terminal.answer("Remove these archives? [y/N]", "y", "Enter", times=2)
    assert "2 archives removed" in terminal.menu(3, "0", "Enter")
    assert archives(project) == ["complete"]


def test_ctrl_c_leaves_a_question_then_the_menu(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    pivori("archive", "create", project, **places(project))
    start(terminal, pivori, project)
    terminal.menu(1, "5", "Enter")
    terminal.answer("0) Back", "C-c")
    terminal.menu(2, "5", "Enter")
    terminal.answer("0) Back", "1", "Enter")
    terminal.answer("Restore now? [y/N]", "C-c")
    assert "Interrupted" in terminal.menu(3, "8", "Enter")
    terminal.answer("older than how many days?", "C-c")
    terminal.menu(4, "C-c")
    terminal.wait("status=130")
    assert not list(project.parent.glob("*.before-*"))


def test_ctrl_d_leaves(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    start(terminal, pivori, project)
    terminal.menu(1, "C-d")
    terminal.wait("status=0")


def test_in_french(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    start(terminal, pivori, project, LC_ALL="fr_FR.UTF-8", LANG="fr_FR.UTF-8")
    shown = terminal.menu(1, "1", "Enter")
    assert FRENCH in shown
    assert "flèches" in shown
    terminal.menu(2, "Down", "Down", "Down", "Down", "Enter")
    terminal.answer("0) Retour", "1", "Enter")
    terminal.answer("[o/N]", "o", "Enter")
    terminal.menu(3, "0", "Enter")
    terminal.wait("status=0")
    assert len(list(project.parent.glob("*.before-*"))) == 1


def test_a_terminal_that_cannot_move_its_cursor(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    start(terminal, pivori, project, TERM="dumb")
    terminal.answer(ENGLISH, "11", "Enter")
    terminal.answer("Type one of these: 1 2 3", "1", "Enter")
    terminal.wait("written, read back and compared")
    terminal.answer(ENGLISH, "5", "Enter", times=3)
    terminal.answer("Which archive is to be restored?", "C-c")
    terminal.answer(ENGLISH, "C-c", times=4)
    terminal.wait("status=130")


@pytest.mark.parametrize(("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_only_where_they_are_wanted(
    terminal: Terminal, pivori: Pivori, project: Path, variables: dict[str, str], is_coloured: bool
) -> None:
    start(terminal, pivori, project, **variables)
    terminal.menu(1)
    assert bool(COLOUR.search(terminal.screen(codes=True))) == is_coloured


def test_places_that_cannot_be_written(terminal: Terminal, pivori: Pivori, project: Path) -> None:
    file = project.parent / "file"
    file.touch()
    start(terminal, pivori, project, PIVORI_BACKUP_DIR=str(file / "a"), PIVORI_LOG_DIR=str(file / "b"))
    terminal.menu(1, "1", "Enter")
    assert "No archive can be written to" in terminal.menu(2, "6", "Enter")
    terminal.menu(3, "8", "Enter")
    assert terminal.menu(4, "7", "Enter").count("There is no archive in") == 2
    terminal.answer("0) Back", "0", "Enter")
    terminal.menu(5, "0", "Enter")
    terminal.wait("status=0")


def test_a_closed_terminal_ends_it(terminal: Terminal, pivori: Pivori, project: Path, tmp_path: Path) -> None:
    status = tmp_path / "status"
    inner = shlex.join([*pivori.command, "menu", str(project)])
    command = ["sh", "-c", f"trap '' HUP; {inner}; echo $? > {shlex.quote(str(status))}"]
    terminal.start(command, pivori.environment | places(project) | {"TERM": "screen-256color"})
    terminal.menu(1)
    terminal.end()
    deadline = time.monotonic() + PATIENCE
    while not (status.exists() and status.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (pivori.home / ".cache/pivori/errors").exists()


def test_without_a_terminal_it_prints_commands_that_work(pivori: Pivori, project: Path) -> None:
    printed = pivori("menu", project, **places(project)).stdout
    commands = [shlex.split(line) for line in printed.splitlines() if line.startswith("pivori ")]
    assert len(commands) == 8
    for command in commands:
        if "FILE" in command:
            archive = max((project.parent / "archives").glob("pivori-complete-*.zip"))
            command[command.index("FILE")] = str(archive)
        line = [*command[1:], "--yes"] if "--ask" in command else command[1:]
        pivori(*line)
    assert archives(project) == ["complete", "compressed", "differential", "smart"]
    records = json.loads(pivori("menu", "--json", project, **places(project)).stdout)
    assert [record["command"] for record in records[:3]] == commands[:3]
