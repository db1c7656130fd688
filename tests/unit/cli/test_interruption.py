"""The first signal interrupts, the others do not; SIGHUP never does; what the caller ignores stays ignored."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from pivori.cli.interruption import Interrupted, interruptions, is_interruption
from tests.interrupting import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as caught, interruptions():
        os.kill(os.getpid(), number)
    assert caught.value.number == number


def test_a_probe_by_hangup_does_not_interrupt() -> None:
    with interruptions():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL


def test_a_second_signal_does_not_break_the_clean_up() -> None:
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(Interrupted), interruptions():
        work()
    assert cleaned


def test_afterwards_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with interruptions():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_at_the_end_of_the_process_nothing_interrupts_any_more() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        with interruptions(process_ends=True):
            pass
        assert {signal.getsignal(number) for number in numbers} == {signal.SIG_IGN}
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interruptions():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


class Dying:
    """Its end is code that Python runs of its own accord: an exception there goes nowhere."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10):
            len(())


def test_an_interruption_that_gets_lost_comes_again() -> None:
    before = sys.unraisablehook

    def lose_it_and_go_on() -> None:
        Dying()
        threading.Event().wait(20)

    with pytest.raises(Interrupted) as caught, interruptions():
        lose_it_and_go_on()
    assert caught.value.number == signal.SIGTERM
    assert sys.unraisablehook is before


def test_other_lost_errors_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ZeroDivisionError

    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    with interruptions():
        Failing()
    assert told == [ZeroDivisionError]


def test_what_comes_of_an_interruption_is_one() -> None:
    def fail_at_the_clean_up() -> None:
        try:
            raise Interrupted(signal.SIGINT)
        finally:
            raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        fail_at_the_clean_up()
    assert is_interruption(caught.value)
    assert is_interruption(Interrupted(signal.SIGINT))
    assert not is_interruption(RuntimeError())


def send_signal() -> None:
    """What a user or a service manager does."""
    os.kill(os.getpid(), signal.SIGTERM)


def test_no_lock_of_pythons_own_stays_taken() -> None:
    for number in itertools.count():
        event = threading.Event()
        with suppress(Interrupted), interruptions():
            with Interruption(number, Path(threading.__file__), send_signal) as interruption:
                event.set()
            if interruption.came:
                time.sleep(20)
        other = threading.Thread(target=event.set, daemon=True)
        other.start()
        other.join(20)
        assert not other.is_alive(), f"interrupted at place {number}, the lock stays taken"
        if not interruption.came:
            break
    assert number > 5


@pytest.mark.parametrize(
    "wait",
    [lambda: threading.Event().wait(30), lambda: subprocess.run(["sleep", "30"], check=True)],
    ids=["for a thread", "for a program"],
)
def test_a_wait_is_interrupted(wait: Callable[[], object]) -> None:
    sender = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    sender.start()
    with pytest.raises(Interrupted), interruptions():
        wait()
    sender.join()
