"""Who to call stands below fatal errors of a stack, and nowhere else."""

import io
import json

import pytest

from pivori.cli.failures import UsageError, conclude
from pivori.cli.output import Output
from pivori.clock import SystemClock
from pivori.repository import NoRepository

CONTACTS = {"email": "backup-support@example.org", "chat": "#backup\x1b[31m"}


def told(error: BaseException, contacts: dict[str, str], *, json: bool = False) -> str:
    err = io.StringIO()
    conclude(error, Output(stdout=io.StringIO(), stderr=err, json=json), SystemClock(), None, contacts)
    return err.getvalue()


def test_the_last_line_says_who_to_call() -> None:
    lines = told(NoRepository(location="/r"), CONTACTS).splitlines()
    assert lines[-1].startswith("Who to call: backup-support@example.org · #backup")
    assert lines[-2].startswith("Hint: ")
    assert "\x1b" not in lines[-1]


def test_programs_are_told_too() -> None:
    assert json.loads(told(NoRepository(location="/r"), CONTACTS, json=True))["contacts"] == CONTACTS
    assert "contacts" not in json.loads(told(NoRepository(location="/r"), {}, json=True))


@pytest.mark.parametrize("error", [UsageError(reason="no", command="pivori"), KeyboardInterrupt()])
def test_nobody_is_called_for_a_slip_or_a_wish(error: BaseException) -> None:
    assert "call" not in told(error, CONTACTS)


def test_without_contacts_nothing_is_said() -> None:
    assert "call" not in told(NoRepository(location="/r"), {})
