"""Any program as a component: what goes wrong, what it costs, what it may see."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pivori.components import command, user_program
from pivori.components.base import Consistency, RestoreRequest, Surroundings, has_failure
from pivori.components.command import (
    CommandComponent,
    CommandSilent,
    CommandUnfinished,
    ContentChanged,
    NoRestoreCommand,
)
from pivori.components.user_program import CommandFailed, CommandFailedMutely, CommandSlow
from pivori.host import CommandNotStarted
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import in_place, move_aside, surroundings_in
from tests.interrupting import Interruption

CANARY = "canary-7f3a'\"%&-secret"
MIB = 1 << 20


@pytest.fixture
def surroundings(tmp_path: Path) -> Surroundings:
    root = tmp_path / "stack"
    root.mkdir()
    return surroundings_in(tmp_path / "own", root)


def shell(line: str, **others: Any) -> CommandComponent:
    return CommandComponent(name="program", capture_command=["sh", "-c", line], **others)


@pytest.fixture
def captured(tmp_path: Path, surroundings: Surroundings) -> Callable[[CommandComponent], FolderCapture]:
    numbers = itertools.count()

    def run(component: CommandComponent) -> FolderCapture:
        sink = FolderSink(tmp_path / f"capture-{next(numbers)}")
        return sink.finish(component.capture(sink, surroundings))

    return run


Capture = Callable[[CommandComponent], FolderCapture]


def test_the_report_says_what_was_taken(captured: Capture) -> None:
    report = captured(shell("printf abc", consistency=Consistency.TRANSACTION)).report
    assert report.consistency is Consistency.TRANSACTION
    assert (report.counts, report.statuses) == ({"bytes": 3}, {"sh": 0})


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("echo half; echo 'no such table' >&2; exit 4", CommandFailed, ["sh", "program", "4", "no such table"]),
        ("echo half; exit 4", CommandFailedMutely, ["sh", "program", "4"]),
        ("kill -TERM $$", CommandFailedMutely, ["143"]),
        ("true", CommandSilent, ["sh", "program"]),
        ("echo warned >&2", CommandSilent, ["printed nothing"]),
    ],
)
def test_what_goes_wrong_fails_loudly(captured: Capture, line: str, error: type[Exception], says: list[str]) -> None:
    with pytest.raises(error) as raised:
        captured(shell(line))
    assert all(text in str(raised.value) for text in says)


def test_a_program_that_is_not_there(captured: Capture) -> None:
    with pytest.raises(CommandNotStarted, match="no-such-program"):
        captured(CommandComponent(name="program", capture_command=["no-such-program"]))


def test_what_it_says_last_is_told_without_control_characters(captured: Capture) -> None:
    with pytest.raises(CommandFailed) as raised:
        captured(shell("yes noise | head -5000 >&2; printf '\\033[31mthe reason\\033[0m' >&2; exit 1"))
    message = str(raised.value)
    assert "the reason" in message
    assert "\033" not in message
    assert len(message) < 5000


def test_a_program_that_takes_too_long_is_stopped_with_its_children(
    captured: Capture, surroundings: Surroundings
) -> None:
    # The child keeps the output open: as long as it lives the capture would wait.
    with pytest.raises(CommandSlow, match="within"):
        captured(shell("sleep 1000 & echo $! > child; wait", timeout=0.5))
    require_gone(int((surroundings.root / "child").read_text()))


def require_gone(pid: int) -> None:
    """The process has ended, or only waits for somebody to hear of it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            os.sched_yield()


def test_variables_are_seen_by_the_program_alone(captured: Capture) -> None:
    taken = captured(shell('printf %s "$SECRET_OF_IT"', variables={"SECRET_OF_IT": lambda: CANARY}))
    assert taken.read("data").decode() == CANARY
    assert "SECRET_OF_IT" not in os.environ
    assert CANARY not in repr(taken.report)


@pytest.mark.parametrize("line", ['echo "wrong: $S" >&2; exit 1', 'printf "%s\\n" "$S" >&2; exit 1'])
def test_secrets_are_taken_out_of_what_it_says(captured: Capture, line: str) -> None:
    with pytest.raises(CommandFailed) as raised:
        captured(shell(line, variables={"S": lambda: CANARY}))
    assert "canary" not in str(raised.value)
    assert "canary" not in repr(raised.value.details)
    assert "…" in str(raised.value)


def test_braces_in_words_are_nobodys_business(captured: Capture) -> None:
    component = CommandComponent(name="program", capture_command=["printf", "%s", "{secret}"])
    assert captured(component).read("data") == b"{secret}"


def test_it_has_no_input_and_runs_in_the_folder_of_the_stack(captured: Capture, surroundings: Surroundings) -> None:
    assert captured(shell("cat; pwd")).read("data") == b"%s\n" % os.fsencode(surroundings.root)


# ----------------------------------------------------------------------------------------------------- verifying


def test_the_check_gets_the_content(captured: Capture, surroundings: Surroundings) -> None:
    component = shell("echo rows", check_command=["sh", "-c", 'test "$(cat)" = rows'])
    taken = captured(component)
    assert component.verify(taken, surroundings) == []
    strict = replace(component, check_command=["sh", "-c", "cat >/dev/null; echo 'no rows' >&2; exit 1"])
    (finding,) = strict.verify(taken, surroundings)
    assert "no rows" in finding.message
    (finding,) = replace(component, check_command=["no-such-program"]).verify(taken, surroundings)
    assert "no-such-program" in finding.message


def test_a_check_may_read_the_beginning_only(captured: Capture, surroundings: Surroundings) -> None:
    component = shell("head -c 3000000 /dev/zero", check_command=["head", "-c", "5"])
    taken = captured(component)
    assert component.verify(taken, surroundings) == []
    (taken.folder / "data").write_bytes(bytes(2_999_999) + b"x")
    assert has_failure(component.verify(taken, surroundings))


def test_content_that_is_missing_is_found(captured: Capture, surroundings: Surroundings) -> None:
    component = shell("echo rows")
    taken = captured(component)
    (taken.folder / "data").unlink()
    assert has_failure(component.verify(taken, surroundings))


# ----------------------------------------------------------------------------------------------------- restoring


def test_without_a_restore_command_only_a_file_is_written(
    captured: Capture, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = shell("echo rows")
    taken = captured(component)
    (finding,) = component.plan(taken, in_place(surroundings.root), surroundings).findings
    assert "no command" in finding.message
    assert "--to" in str(finding.hint)
    with pytest.raises(NoRestoreCommand):
        component.restore(taken, in_place(surroundings.root), surroundings)
    request = RestoreRequest(to=tmp_path / "to", root=tmp_path / "to", aside=move_aside)
    for _ in range(2):
        component.restore(taken, request, surroundings)
    assert (tmp_path / "to" / "data").read_bytes() == b"rows\n"
    assert (tmp_path / "to" / "data").stat().st_mode & 0o777 == 0o600
    assert component.plan(taken, request, surroundings).replaces
    assert len(list((tmp_path / "to").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["sh", "-c", "cat >/dev/null; echo 'table is locked' >&2; exit 1"], CommandFailed),
        (["sh", "-c", "exit 7"], CommandFailedMutely),
        (["true"], CommandUnfinished),
        (["sleep", "1000"], CommandSlow),
        (["no-such-program"], CommandNotStarted),
    ],
)
def test_a_restore_that_goes_wrong_fails_loudly(
    captured: Capture, surroundings: Surroundings, words: list[str], error: type[Exception]
) -> None:
    component = shell("head -c 3000000 /dev/zero", restore_command=words)
    taken = captured(component)
    component = replace(component, timeout=0.5)
    with pytest.raises(error):
        component.restore(taken, in_place(surroundings.root), surroundings)


def test_a_plan_tells_that_the_program_is_missing(captured: Capture, surroundings: Surroundings) -> None:
    component = shell("echo rows", restore_command=["no-such-program"])
    plan = component.plan(captured(component), in_place(surroundings.root), surroundings)
    assert has_failure(plan.findings)


def test_damaged_content_is_not_put_in_place(captured: Capture, surroundings: Surroundings, tmp_path: Path) -> None:
    component = shell("echo rows")
    taken = captured(component)
    (taken.folder / "data").write_bytes(b"rowS\n")
    request = RestoreRequest(to=tmp_path / "to", root=tmp_path / "to", aside=move_aside)
    with pytest.raises(ContentChanged):
        component.restore(taken, request, surroundings)
    assert list((tmp_path / "to").iterdir()) == []


def test_the_way_back_by_hand_works(captured: Capture, surroundings: Surroundings) -> None:
    component = shell(
        "echo rows",
        restore_command=["sh", "-c", 'cat > "back $TOKEN"'],
        filename="a dump",
        variables={"TOKEN": lambda: "t"},
    )
    taken = captured(component)
    lines = "\n".join(component.manual(taken.report))
    subprocess.run(["sh", "-ec", lines], cwd=taken.folder, env={**os.environ, "TOKEN": "mine"}, check=True)
    assert (taken.folder / "back mine").read_bytes() == b"rows\n"


# ----------------------------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("module", [command, user_program], ids=lambda module: module.__name__)
@pytest.mark.parametrize("doing", ["capture", "restore", "verify"])
def test_an_interruption_anywhere_leaves_no_process(
    tmp_path: Path, surroundings: Surroundings, captured: Capture, module: Any, doing: str
) -> None:
    """The program waits for what nobody gives, so that it lives until it is killed."""
    note = surroundings.root / "process"
    line = f"echo $$ > {note}; cat; sleep 1000 & echo $! >> {note}; wait"
    taken = captured(shell("echo rows"))
    component = shell(line, restore_command=["sh", "-c", line], check_command=["sh", "-c", line], timeout=0.3)
    deeds: dict[str, Callable[[], object]] = {
        "capture": lambda: captured(component),
        "restore": lambda: component.restore(taken, in_place(surroundings.root), surroundings),
        "verify": lambda: component.verify(taken, surroundings),
    }
    for step in itertools.count():
        note.unlink(missing_ok=True)
        with Interruption(step, Path(str(module.__file__))) as interruption, suppress(CommandSlow):
            deeds[doing]()
        if note.exists():
            for pid in note.read_text().split():
                require_gone(int(pid))
        if not interruption.came:
            break
    assert step > 3


# ----------------------------------------------------------------------------------------------------- memory

PEAK = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""
"""The system counts for a program also what the process had that started it: so a small one has to."""

RUN = """
import sys
from pathlib import Path
from pivori.components.command import CommandComponent
from pivori.testing.capture_folder import FolderSink
from pivori.testing.component_contract import in_place, surroundings_in
folder, size = Path(sys.argv[1]), sys.argv[2]
surroundings = surroundings_in(folder / "own", folder)
component = CommandComponent(
    name="c", capture_command=["head", "-c", size, "/dev/zero"],
    restore_command=["sh", "-c", "wc -c > size"], check_command=["sh", "-c", "cat > /dev/null"],
)
sink = FolderSink(folder / "capture")
taken = sink.finish(component.capture(sink, surroundings))
assert component.verify(taken, surroundings) == []
component.restore(taken, in_place(folder), surroundings)
"""


def peak(folder: Path, size: int) -> int:
    """The most memory of a process that captures, verifies and restores so many bytes."""
    folder.mkdir()
    words = [sys.executable, "-c", RUN, str(folder), str(size)]
    done = subprocess.run([sys.executable, "-I", "-c", PEAK, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int((folder / "size").read_text()) == size
    return int(done.stdout)


def test_memory_does_not_grow_with_the_content(tmp_path: Path) -> None:
    assert peak(tmp_path / "large", 256 * MIB) < peak(tmp_path / "small", MIB) + 16 * MIB
