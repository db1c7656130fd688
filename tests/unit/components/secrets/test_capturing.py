"""Capturing secrets: what is kept, what is sealed anew, what fails."""

import json
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.components.base import Gravity, Report, has_failure
from pivori.components.secrets import SecretCommand, new_identity
from pivori.components.secrets.component import NoSecrets, SecretMissing
from pivori.components.secrets.found_files import SecretUnreadable
from pivori.components.secrets.seal_notes import SealNotes
from pivori.components.secrets.secret_command import (
    SecretCommandFailed,
    SecretCommandSilent,
    SecretCommandStopped,
)
from pivori.host import CommandNotStarted
from pivori.testing.capture_folder import FolderCapture, FolderSink
from tests.unit.components.secrets.stacks import SecretStack, make_stack

SEALS = ["commands/token.age", "files/.env.age", "files/config/.env.production.age"]


@pytest.fixture
def stack(tmp_path: Path) -> SecretStack:
    names = (".env", "config/.env.production", "key", "token")
    return make_stack(tmp_path, {name: f"secret of {name}\n" for name in names})


def seal_of_key(stack: SecretStack) -> str:
    return f"elsewhere{stack.vault}/key.age"


def test_there_is_a_seal_for_each_under_its_name(stack: SecretStack) -> None:
    taken = stack.capture()
    assert [file.path for file in taken.files()] == sorted([*SEALS, seal_of_key(stack)])
    assert taken.report.counts == {"files": 3, "commands": 1}


def test_what_has_not_changed_is_kept(stack: SecretStack) -> None:
    first = stack.capture()
    second = stack.capture(first)
    assert sorted(stack.sinks[-1].kept) == sorted([*SEALS, seal_of_key(stack)])
    (stack.root / ".env").write_text("changed\n")
    (stack.vault / "token").write_text("changed, too\n")
    stack.capture(second)
    assert sorted(stack.sinks[-1].kept) == sorted(["files/config/.env.production.age", seal_of_key(stack)])


def test_a_change_of_permissions_alone_is_noted_and_keeps_the_seal(stack: SecretStack) -> None:
    first = stack.capture()
    (stack.root / ".env").chmod(0o644)
    second = stack.capture(first)
    assert "files/.env.age" in stack.sinks[-1].kept
    modes = [
        secret["ownership"]["mode"]
        for taken in (first, second)
        for secret in taken.report.facts["secrets"]
        if secret["path"] == ".env"
    ]
    assert modes == [0o600, 0o644]


def test_other_recipients_need_other_seals(stack: SecretStack, tmp_path: Path) -> None:
    first = stack.capture()
    added = replace(stack.component, recipients=[*stack.component.recipients, new_identity(tmp_path / "second")])
    taken = stack.capture(first, added)
    assert stack.sinks[-1].kept == []
    opened_by_the_second = replace(added, identity=(tmp_path / "second").read_text)
    assert opened_by_the_second.verify(taken, stack.surroundings) == []
    stack.capture(taken, added)
    assert len(stack.sinks[-1].kept) == 4


@pytest.mark.parametrize("notes", [None, b"", b"{}", b"\xff", b'{"key": "zz", "seals": {}}'])
def test_without_notes_everything_is_sealed_anew(stack: SecretStack, notes: bytes | None) -> None:
    first = stack.capture()
    place = stack.surroundings.state / "seals.json"
    place.unlink() if notes is None else place.write_bytes(notes)
    assert not has_failure(stack.component.verify(stack.capture(first), stack.surroundings))
    assert stack.sinks[-1].kept == []


def test_a_report_of_something_else_is_no_reason_to_fail(stack: SecretStack) -> None:
    first = stack.capture()
    strange = FolderCapture(first.folder, Report(consistency=first.report.consistency, facts={"x": 1}))
    stack.capture(strange)
    assert stack.sinks[-1].kept == []
    assert has_failure(stack.component.verify(strange, stack.surroundings))


def test_notes_are_of_the_newest_capture_alone(stack: SecretStack) -> None:
    first = stack.capture()
    (stack.root / ".env").write_text("changed\n")
    second = stack.capture(first)
    noted = set(json.loads((stack.surroundings.state / "seals.json").read_bytes())["seals"])
    assert noted == {secret["sha256"] for secret in second.report.facts["secrets"]}


def test_notes_of_another_machine_recognise_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = SealNotes(tmp_path / "one"), SealNotes(tmp_path / "two")
    first.add("seal", "path", b"secret")
    first.save()
    again = SealNotes(tmp_path / "one")
    assert (again.holds("seal", "path", b"secret"), again.holds("seal", "path", b"other")) == (True, False)
    assert again.holds("seal", "other", b"secret") is False
    assert second.holds("seal", "path", b"secret") is None
    second.add("seal", "path", b"secret")
    second.save()
    digests = [json.loads((tmp_path / name / "seals.json").read_bytes())["seals"]["seal"] for name in ("one", "two")]
    assert digests[0] != digests[1]
    assert stat.S_IMODE((tmp_path / "one" / "seals.json").stat().st_mode) == 0o600


def test_notes_that_cannot_be_written_are_a_warning(stack: SecretStack) -> None:
    shutil.rmtree(stack.surroundings.state)
    stack.surroundings.state.write_bytes(b"")
    sink = FolderSink(stack.folder / "captures" / "warned")
    report = stack.component.capture(sink, stack.surroundings)
    (warning,) = report.warnings
    assert "anew" in warning


def test_it_is_verified_without_the_private_key(stack: SecretStack) -> None:
    taken = stack.capture()
    blind = replace(stack.component, identity=None)
    assert blind.verify(taken, stack.surroundings) == []
    for path in SEALS:
        whole = (taken.folder / path).read_bytes()
        for damaged in (whole[:-1], b"PASSWORD=clear\n", (taken.folder / SEALS[SEALS.index(path) - 1]).read_bytes()):
            (taken.folder / path).write_bytes(damaged)
            assert has_failure(blind.verify(taken, stack.surroundings))
        (taken.folder / path).unlink()
        assert has_failure(blind.verify(taken, stack.surroundings))
        (taken.folder / path).write_bytes(whole)
    assert blind.verify(taken, stack.surroundings) == []


def test_an_identity_that_is_elsewhere_does_not_keep_it_from_being_verified(stack: SecretStack) -> None:
    def nowhere() -> str:
        raise SecretMissing(component="c", path="identity")

    taken = stack.capture()
    assert replace(stack.component, identity=nowhere).verify(taken, stack.surroundings) == []


def test_a_seal_with_other_content_is_found_with_the_private_key(stack: SecretStack) -> None:
    taken = stack.capture()
    notes = SealNotes(stack.surroundings.state)
    for secret in taken.report.facts["secrets"]:
        if secret["path"] == ".env":
            notes.add(secret["sha256"], "files/.env.age", b"what was read then")
    notes.save()
    assert has_failure(stack.component.verify(taken, stack.surroundings))


def test_what_is_missing_fails(stack: SecretStack) -> None:
    with pytest.raises(SecretMissing, match=r"\.env\.staging"):
        stack.capture(component=replace(stack.component, files=[".env", ".env.staging"]))
    with pytest.raises(NoSecrets):
        stack.capture(component=replace(stack.component, files=["*.none"], commands=[]))


def test_a_pattern_without_files_is_a_warning(stack: SecretStack) -> None:
    component = replace(stack.component, files=[".env", "**/.env.staging"])
    assert any("**/.env.staging" in warning for warning in stack.capture(component=component).report.warnings)
    findings = component.inspect(stack.surroundings).findings
    assert [(finding.gravity, "**/.env.staging" in finding.message) for finding in findings] == [
        (Gravity.WARNING, True)
    ]


def test_a_name_that_is_no_text_fails(stack: SecretStack) -> None:
    (stack.root / "\udcff.env").write_text("x")
    with pytest.raises(SecretUnreadable, match="no text"):
        stack.capture(component=replace(stack.component, files=["*.env"]))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["sh", "-c", "echo half; exit 2"], SecretCommandFailed),
        (["sh", "-c", "echo half; kill $$"], SecretCommandFailed),
        (["true"], SecretCommandSilent),
        (["echo"], SecretCommandSilent),
        (["sh", "-c", "echo half; sleep 1000"], SecretCommandStopped),
        (["head", "-c", "17000000", "/dev/zero"], SecretCommandStopped),
        (["no-such-program"], CommandNotStarted),
    ],
)
def test_a_command_that_goes_wrong_fails(stack: SecretStack, words: list[str], error: type[Exception]) -> None:
    command = SecretCommand(name="token", words=words, timeout=0.5)
    with pytest.raises(error, match=words[0]):
        stack.capture(component=replace(stack.component, commands=[command]))


def test_a_command_runs_in_the_folder_of_the_stack(stack: SecretStack) -> None:
    (stack.root / "tell").write_text("#!/bin/sh\ncat .env\n")
    (stack.root / "tell").chmod(0o755)
    component = replace(stack.component, commands=[SecretCommand(name="it", words=["./tell"])])
    assert not has_failure(component.inspect(stack.surroundings).findings)
    assert stack.capture(component=component).report.counts["commands"] == 1


def test_inspection_tells_what_would_fail(stack: SecretStack) -> None:
    for mistake in (
        {"files": [".env.staging"]},
        {"recipients": []},
        {"recipients": ["age1x"]},
        {"commands": [SecretCommand(name="x", words=["no-such-program"])]},
        {"files": ["*.none"], "commands": []},
    ):
        assert has_failure(replace(stack.component, **mistake).inspect(stack.surroundings).findings), mistake


def test_the_places_are_those_of_the_configuration(stack: SecretStack) -> None:
    component = replace(
        stack.component, files=[".env", "**/.env.production", "/etc/app/key"], restore_commands_to="run"
    )
    names = (".env", "**/.env.production", "run")
    assert set(component.places()) == {*(stack.root / name for name in names), Path("/etc/app/key")}
