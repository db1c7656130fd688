"""Runbooks: what they take from a plan, what the configuration alone can tell, and how they are written."""

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pivori.cli.runbook_display import Commands, runbook_document, runbook_record
from pivori.repository import NoRepository
from pivori.stack.recovery_log import Measured, RecoveryHistory
from pivori.stack.runbook import Runbook, runbook_of_plan, runbook_without_repository
from tests.unit.engine.looking import SECOND, START_NS
from tests.unit.stack.box import Workshop

COMMANDS = Commands(
    options=["--config", "/srv/my app/pivori.toml"], selection=["--component", "two", "--at", "noon"], repository="/r"
)
NOW_NS = START_NS + 3 * 60 * SECOND


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path, "one", "two")
    workshop.fill(one="first", two="second")
    workshop.protect()
    return workshop


def planned(workshop: Workshop, *names: str, **options: object) -> Runbook:
    return runbook_of_plan(workshop.recovery(*names, **options).plan(), NOW_NS)


def blind(workshop: Workshop, *names: str, to: Path | None = None) -> Runbook:
    return runbook_without_repository(
        workshop.stack,
        names or ["one", "two"],
        RecoveryHistory(workshop.state(".recoveries")),
        to=to,
        now_ns=NOW_NS,
        reason=NoRepository(location="/r"),
    )


def blocks(document: str) -> list[str]:
    return [found[2] for found in re.finditer(r"^(`{3,})sh\n(.*?)\n\1$", document, re.MULTILINE | re.DOTALL)]


def titles(document: str) -> Sequence[str]:
    return re.findall(r"^#+ (.*)$", document, re.MULTILINE)


def test_it_begins_with_whom_to_call_and_ends_with_what_comes_after(workshop: Workshop) -> None:
    document = runbook_document(planned(workshop), COMMANDS)
    assert titles(document) == [
        "Runbook: bring `shop` back",
        "Call first",
        "What comes back, and what is lost",
        "The one command",
        "If the machine is lost",
        "Step by step",
        "Step 1: `one` (files)",
        "Step 2: `two` (files)",
        "Afterwards",
    ]
    assert "- `nobody@example.org`" in document


def test_what_is_lost_is_counted_from_the_moment_that_comes_back(workshop: Workshop) -> None:
    book = planned(workshop)
    assert book.oldest_ns == START_NS + 60 * SECOND
    assert [book.lost_seconds(step) for step in book.steps] == [120.0, 120.0]
    assert "is lost: 2 min 00 s so far" in runbook_document(book, COMMANDS)


def test_commands_can_be_copied(workshop: Workshop) -> None:
    document = runbook_document(planned(workshop), COMMANDS)
    first, *_others = blocks(document)
    _dry, recover = first.splitlines()
    words = ["pivori", "recover", "--config", "/srv/my app/pivori.toml", "--in-place", "--component", "two"]
    assert shlex.split(recover) == [*words, "--at", "noon"]
    assert "pivori recover --config '/srv/my app/pivori.toml' --in-place --at noon --component one" in blocks(document)
    script = "\n".join(blocks(document))
    assert subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""


def test_the_way_by_hand_is_that_of_the_capture(workshop: Workshop) -> None:
    book = planned(workshop)
    taken = book.steps[0].taken
    assert taken is not None
    by_hand = next(block for block in blocks(runbook_document(book, COMMANDS)) if "restic" in block)
    assert f"restore {taken.snapshot[:12]} --include /one" in by_hand
    assert by_hand.endswith('cd "$PLACE"/one\ncp -a . $TARGET')


def test_a_folder_of_its_own_for_each_step(workshop: Workshop, tmp_path: Path) -> None:
    book = planned(workshop, to=tmp_path / "new")
    document = runbook_document(book, Commands(options=[], selection=[], repository="/r"))
    assert f"pivori recover --to {tmp_path / 'new-two'} --component two" in blocks(document)
    assert f"`ls -la {tmp_path / 'new-two'}`" in document


def test_expected_times_come_from_the_last_recovery(workshop: Workshop) -> None:
    assert "no measurement yet" in runbook_document(planned(workshop), COMMANDS)
    history = RecoveryHistory(workshop.state(".recoveries"))
    for name, seconds in (("one", 60.0), ("two", 30.0)):
        size = planned(workshop, name).steps[0].taken
        assert size is not None
        history.add(Measured(component=name, kind="files", bytes=size.bytes, seconds=seconds, ended="now"))
    for book in (planned(workshop), blind(workshop)):
        assert book.seconds == 90.0
        assert "about 1 min 30 s, as the last time" in runbook_document(book, COMMANDS)


def test_more_lost_than_the_objective_allows_is_said(workshop: Workshop) -> None:
    from dataclasses import replace

    book = planned(workshop)
    strict = replace(book, steps=[replace(book.steps[0], rpo=60.0), replace(book.steps[1], rpo=3600.0)])
    document = runbook_document(strict, COMMANDS)
    assert "`one`: work of 2 min 00 s is lost; the objective is 1 min 00 s at most." in document
    assert "`two`: 2 min" not in document


def test_what_is_in_the_way_and_what_is_lacking_is_said(workshop: Workshop) -> None:
    workshop.boxes["two"].obstacle = "The server is *gone*."
    document = runbook_document(planned(workshop), COMMANDS)
    assert r"**The server is \*gone\*.**" in document
    workshop.boxes["new"] = type(workshop.boxes["one"])("new", workshop.folder / "app" / "new")
    assert "There is no capture of the component new" in runbook_document(planned(workshop), COMMANDS)


def test_without_the_repository_it_tells_what_the_configuration_knows(workshop: Workshop) -> None:
    workshop.order = ["two", "one"]
    book = blind(workshop)
    assert [step.name for step in book.steps] == ["two", "one"]
    document = runbook_document(book, COMMANDS)
    assert "> **No recovery point could be looked at" in document
    assert "> There is no repository at /r." in document
    assert "dump --tag stack=shop latest /RECOVERY.md" in document
    assert "- `nobody@example.org`" in document
    assert book.oldest_ns is None


def test_programs_get_the_same(workshop: Workshop) -> None:
    book = planned(workshop, "one")
    document = runbook_document(book, COMMANDS)
    record = runbook_record(book, document)
    assert record["document"] == document
    assert record["contacts"] == {"email": "nobody@example.org"}
    assert record["unreachable"] is None
    [step] = record["steps"]
    assert (step["component"], step["lost_seconds"], step["expected_seconds"]) == ("one", 120.0, None)
    assert runbook_record(blind(workshop), "")["unreachable"] == "There is no repository at /r."
