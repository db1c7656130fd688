"""Hooks: what is run, in which order, with what, and that what they begin is undone whatever fails."""

import errno
import gc
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import pivori.host.capture
import pivori.host.durable
import pivori.stack.hooks
import pivori.stack.undo
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.host import ProcessMark
from pivori.stack.hooks import (
    HookFailed,
    HookNotNoted,
    HookNotUndone,
    HookRan,
    LeftElsewhere,
    LeftToOthers,
    UndoFailed,
    hooks_around,
    resume_left,
)
from pivori.stack.model import Hook
from pivori.stack.undo import Undo, UndoJournal, UndoUnreadable
from pivori.translation import Phrase
from tests.interrupting import Interruption


class Yard:
    """A folder where lines run and write what they did into ``log``, and a journal."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "journal"
        self.folder.mkdir(mode=0o700)
        self.events: list[Event] = []
        self.journal = UndoJournal(self.folder)

    @property
    def log(self) -> list[str]:
        """What the lines did."""
        path = self.base / "log"
        return path.read_text().split() if path.exists() else []

    @property
    def noted(self) -> list[Undo]:
        """What the journal has, the latest first."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Undo)
            for path in sorted(self.folder.glob("*.json"), reverse=True)
        ]

    def run(self, hooks: Sequence[Hook], body: Callable[[], object] = lambda: None) -> None:
        """Run a body with hooks around it."""
        with hooks_around(hooks, self.journal, self.base, self.events.append, stack="shop", component="db"):
            body()

    def dead(self) -> UndoJournal:
        """The journal as a process sees it that comes after this one."""
        for path in self.folder.glob("*.json"):
            undo = msgspec.json.decode(path.read_bytes(), type=Undo)
            if undo.run is not None:
                gone = msgspec.structs.replace(undo, run=replace(undo.run, started=undo.run.started + 1))
                path.write_bytes(msgspec.json.encode(gone))
        return UndoJournal(self.folder)

    def failures(self) -> list[PivoriError]:
        """The errors of what was not undone."""
        return [event.error for event in self.events if isinstance(event, UndoFailed | LeftToOthers)]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def says(word: str, *, also: str = "") -> str:
    return f"echo {word} >> log; {also}"


def pair(number: int, *, timeout: float = 60) -> Hook:
    return Hook(before=says(f"before{number}"), after=says(f"after{number}"), timeout=timeout)


def test_befores_run_in_order_and_afters_backwards(yard: Yard) -> None:
    yard.run([pair(1), pair(2)], lambda: (yard.base / "log").write_text("before1 before2 body\n"))
    assert yard.log == ["before1", "before2", "body", "after2", "after1"]
    assert yard.noted == []
    ran = [(event.stage, event.name) for event in yard.events if isinstance(event, HookRan)]
    assert ran == [("before", "db"), ("before", "db"), ("after", "db"), ("after", "db")]


def test_hooks_run_also_where_no_temporary_file_can_be_made(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> object:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    yard.run([pair(1)])
    assert yard.log == ["before1", "after1"]
    assert yard.noted == []


def test_hooks_are_told_what_they_are_run_for(yard: Yard) -> None:
    line = 'echo "$PIVORI_STACK/$PIVORI_COMPONENT/$PIVORI_HOOK" >> log'
    yard.run([Hook(before=line, after=line, timeout=60)])
    with hooks_around([Hook(before=line, after=None, timeout=60)], yard.journal, yard.base, print, stack="shop"):
        pass
    assert yard.log == ["shop/db/before", "shop/db/after", "shop//before"]


def test_what_is_after_is_noted_privately_before_what_is_before_runs(yard: Yard) -> None:
    seen: list[Undo] = []
    line = "cp -p journal/*.json seen.json"
    hook = Hook(before=line, after="true", timeout=7)
    yard.run([hook], lambda: seen.extend(yard.noted))
    noted = msgspec.json.decode((yard.base / "seen.json").read_bytes(), type=Undo)
    assert (noted.line, noted.timeout, noted.stack, noted.component) == ("true", 7, "shop", "db")
    assert noted.directory == bytes(yard.base)
    assert noted.run == ProcessMark.current()
    assert stat.S_IMODE((yard.base / "seen.json").stat().st_mode) == 0o600
    assert seen == [noted]


def test_a_failing_line_before_stops_the_body_and_is_undone(yard: Yard) -> None:
    hooks = [pair(1), Hook(before=says("before2", also="echo no luck; exit 4"), after=says("after2"), timeout=60)]
    with pytest.raises(HookFailed) as caught:
        yard.run([*hooks, pair(3)], lambda: pytest.fail("the body ran"))
    assert str(caught.value) == 'The hook before db failed: it ended with status 4, saying "no luck".'
    assert yard.log == ["before1", "before2", "after2", "after1"]
    assert yard.noted == []


def test_a_signal_counts_as_in_a_shell(yard: Yard) -> None:
    with pytest.raises(HookFailed, match="ended with status 137"):
        yard.run([Hook(before="kill -9 $$", after=None, timeout=60)])


def test_a_line_that_takes_too_long_is_killed_with_what_it_started(yard: Yard) -> None:
    line = "echo half; (sleep 600 & echo $! > child; wait)"
    with pytest.raises(HookFailed, match=r'took longer than 0\.3 seconds, saying "half"'):
        yard.run([Hook(before=line, after=says("after"), timeout=0.3)])
    assert yard.log == ["after"]
    assert not is_running(int((yard.base / "child").read_text()))


def test_what_a_line_leaves_running_stays(yard: Yard) -> None:
    hook = Hook(before="sleep 600 & echo $! > child", after="kill $(cat child) && echo killed >> log", timeout=60)
    yard.run([hook], lambda: is_running(int((yard.base / "child").read_text())) or pytest.fail("it is gone"))
    assert yard.log == ["killed"]


def test_a_body_that_fails_is_undone(yard: Yard) -> None:
    def body() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        yard.run([pair(1)], body)
    assert yard.log == ["before1", "after1"]


def test_a_failing_line_after_is_told_and_stays_noted_and_the_others_run(yard: Yard) -> None:
    broken = Hook(before=None, after="test -e mended && echo mended >> log", timeout=60)
    yard.run([pair(1), broken, pair(2)])
    assert yard.log == ["before1", "before2", "after2", "after1"]
    assert [type(error) for error in yard.failures()] == [HookNotUndone]
    assert [undo.line for undo in yard.noted] == [broken.after]

    (yard.base / "mended").touch()
    done = resume_left(yard.journal, yard.events.append)
    assert done == [f"The hook after db was run: {broken.after}"]
    assert yard.log[-1] == "mended"
    assert yard.noted == []


def test_a_folder_that_is_gone_is_told_and_stays_noted(yard: Yard) -> None:
    gone = yard.base / "gone"
    gone.mkdir()
    with hooks_around([pair(1)], yard.journal, gone, yard.events.append, stack="shop"):
        (gone / "log").unlink()
        gone.rmdir()
    (error,) = yard.failures()
    assert f"the folder {gone} is not there" in str(error)
    assert len(yard.noted) == 1


def test_nothing_is_begun_that_cannot_be_noted(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pivori.stack.undo, "write_durably", full)
    with pytest.raises(HookNotNoted, match="cannot be noted: No space left on device"):
        yard.run([pair(1)])
    assert yard.log == []


def test_a_hook_may_have_only_one_of_the_two(yard: Yard) -> None:
    yard.run([Hook(before=says("b"), after=None, timeout=60), Hook(before=None, after=says("a"), timeout=60)])
    assert yard.log == ["b", "a"]


def test_one_that_shows_what_happens_and_fails_does_not_keep_anything_from_being_undone(yard: Yard) -> None:
    def broken(event: Event) -> None:
        if isinstance(event, HookRan) and event.stage == "before":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError), hooks_around([pair(1)], yard.journal, yard.base, broken, stack="shop"):
        pytest.fail("the body ran")
    assert yard.log == ["before1", "after1"]


def test_what_a_dead_run_left_is_undone_backwards(yard: Yard) -> None:
    leave(yard, [pair(1), pair(2)])
    assert yard.log == ["before1", "before2"]
    done = resume_left(yard.dead(), yard.events.append)
    assert yard.log == ["before1", "before2", "after2", "after1"]
    assert len(done) == 2
    assert all(isinstance(phrase, Phrase) for phrase in done)
    assert yard.noted == []
    assert resume_left(yard.journal, yard.events.append) == []


def test_what_belongs_to_a_living_run_is_left_alone(yard: Yard) -> None:
    def body() -> None:
        assert resume_left(yard.journal, yard.events.append) == []

    yard.run([pair(1)], body)
    assert yard.log == ["before1", "after1"]
    assert yard.failures() == []


def test_what_another_machine_left_is_told_and_undone_only_by_force(yard: Yard) -> None:
    leave(yard, [pair(1)])
    here = ProcessMark.current()
    assert here is not None
    elsewhere = UndoJournal(yard.folder, replace(here, boot="another", machine="another"))
    assert resume_left(elsewhere, yard.events.append) == []
    assert [type(error) for error in yard.failures()] == [LeftElsewhere]
    assert yard.log == ["before1"]
    assert len(resume_left(elsewhere, yard.events.append, force=True)) == 1
    assert yard.log == ["before1", "after1"]


def test_what_was_left_before_the_machine_was_started_anew_is_undone(yard: Yard) -> None:
    leave(yard, [pair(1)])
    here = ProcessMark.current()
    assert here is not None
    if not here.machine:
        pytest.skip("this machine has no id")
    assert len(resume_left(UndoJournal(yard.folder, replace(here, boot="later")), yard.events.append)) == 1


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_undone(yard: Yard) -> None:
    leave(yard, [pair(1)])
    journal = yard.dead()
    torn = yard.folder / "00000009-abc.json"
    torn.write_bytes(b'{"line"')
    assert len(resume_left(journal, yard.events.append)) == 1
    (error,) = yard.failures()
    assert isinstance(error, UndoUnreadable)
    assert error.details["path"] == torn
    assert torn.exists()


# A file that is interrupted between its opening and its "with" is closed by the collector, which complains.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_anywhere_undoes_exactly_what_was_begun(yard: Yard) -> None:
    """At each place of the modules: what has begun is undone before the interruption goes on its way."""
    for module in (pivori.stack.hooks, pivori.stack.undo, pivori.host.durable, pivori.host.capture):
        number = 0
        came = True
        while came:
            with Interruption(number, Path(str(module.__file__))) as interruption:
                yard.run([pair(1), pair(2)])
            came = interruption.came
            assert yard.noted == [], number
            log = yard.log
            for hook in ("1", "2"):
                # What is after may run once more, never be missing, and never run where nothing was begun.
                assert f"before{hook}" not in log or f"after{hook}" in log[log.index(f"before{hook}") :], (number, log)
            assert "after2" not in log or "before1" in log, (number, log)
            (yard.base / "log").unlink(missing_ok=True)
            number += 1
        assert number > 20
    gc.collect()


def test_an_interruption_while_undoing_undoes_at_once(yard: Yard) -> None:
    """Not only the next run: the second attempt comes at once."""

    def interrupted(event: Event) -> None:
        yard.events.append(event)
        if isinstance(event, HookRan) and event.stage == "after" and len(yard.log) == 3:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        hooks_around([pair(1), pair(2)], yard.journal, yard.base, interrupted, stack="shop"),
    ):
        pass
    assert yard.log == ["before1", "before2", "after2", "after1"]
    assert yard.noted == []


def leave(yard: Yard, hooks: Sequence[Hook]) -> None:
    """Begin hooks, and leave them as a kill would."""
    pairs = pivori.stack.hooks._Pairs(yard.journal, yard.base, yard.events.append, "shop", "db")
    for hook in hooks:
        pairs.begin(hook)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(autouse=True)
def _nothing_stays(yard: Yard) -> Iterator[None]:
    """A child that a test left is killed."""
    yield
    child = yard.base / "child"
    if child.exists() and is_running(int(child.read_text())):
        os.kill(int(child.read_text()), signal.SIGKILL)
