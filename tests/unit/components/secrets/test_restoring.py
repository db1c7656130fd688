"""Bringing secrets back: where to, with which permissions, and never wider at any moment."""

import itertools
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pivori.components import private_file
from pivori.components.base import RestoreRequest, has_failure
from pivori.components.private_file import partial_name
from pivori.components.secrets import component, new_identity, ownership, restoring
from pivori.components.secrets.restore_note import RestoreNote
from pivori.components.secrets.restoring import SecretNotWritten
from pivori.components.secrets.sealing import NoIdentity, SealBroken, WrongIdentity
from pivori.host.owners import user_name
from pivori.testing.component_contract import in_place, move_aside
from tests.interrupting import Interruption
from tests.unit.components.secrets.stacks import SecretStack, make_stack

NAMES = (".env", "config/.env.production", "key", "token")


@pytest.fixture
def stack(tmp_path: Path) -> SecretStack:
    return make_stack(tmp_path, {name: f"secret of {name}\n" for name in NAMES})


def modes(folder: Path) -> dict[str, int]:
    """The files and folders below a folder, with their permissions."""
    return {str(item.relative_to(folder)): stat.S_IMODE(item.lstat().st_mode) for item in folder.rglob("*")}


def lose(stack: SecretStack) -> None:
    (stack.root / ".env").unlink()
    (stack.root / "config" / ".env.production").unlink()
    (stack.root / "config").rmdir()


def test_files_come_back_as_they_were(stack: SecretStack) -> None:
    (stack.root / "config").chmod(0o751)
    os.utime(stack.root / ".env", ns=(1, 1_234_567_890_123_456_789))
    before = modes(stack.root)
    taken = stack.capture()
    lose(stack)
    stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert modes(stack.root) == before
    assert (stack.root / ".env").stat().st_mtime_ns == 1_234_567_890_123_456_789


def test_what_is_as_it_was_is_left_alone(stack: SecretStack) -> None:
    taken = stack.capture()
    numbers = {path: path.stat().st_ino for path in stack.root.rglob("*")}
    plan = stack.component.plan(taken, in_place(stack.root), stack.surroundings)
    assert (len(plan.steps), plan.replaces) == (1, [])
    restored = stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert (restored.bytes, restored.counts) == (0, {"secrets": 3})
    assert {path: path.stat().st_ino for path in stack.root.rglob("*")} == numbers


@pytest.mark.parametrize("change", ["content", "mode", "link", "folder"])
def test_what_is_replaced_lies_aside_as_it_was(stack: SecretStack, change: str) -> None:
    taken = stack.capture()
    place = stack.root / ".env"
    if change == "content":
        place.write_text("newer\n")
    elif change == "mode":
        place.chmod(0o644)
    else:
        place.unlink()
        place.symlink_to("/dev/null") if change == "link" else place.mkdir(mode=0o711)
    before = place.lstat()
    stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert place.read_text() == "secret of .env\n"
    assert stat.S_IMODE(place.lstat().st_mode) == 0o600
    aside = place.with_name(".env.aside-1").lstat()
    assert (aside.st_ino, aside.st_mode) == (before.st_ino, before.st_mode)


def test_outputs_of_commands_are_written_where_they_are_wanted(stack: SecretStack, tmp_path: Path) -> None:
    taken = stack.capture()
    restored = stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert any("token" in sentence for sentence in restored.remaining)
    assert not has_failure(stack.component.plan(taken, in_place(stack.root), stack.surroundings).findings)
    wanting = replace(stack.component, restore_commands_to="run")
    assert wanting.restore(taken, in_place(stack.root), stack.surroundings).remaining == []
    assert (stack.root / "run" / "token").read_text() == "secret of token\n"
    assert modes(stack.root / "run") == {"token": 0o600}
    request = RestoreRequest(to=tmp_path / "to" / "secrets", root=tmp_path / "to", aside=move_aside)
    stack.component.restore(taken, request, stack.surroundings)
    assert (tmp_path / "to" / "secrets" / "commands" / "token").read_text() == "secret of token\n"
    assert stat.S_IMODE((tmp_path / "to" / "secrets").stat().st_mode) == 0o700


def test_a_restore_beside_leaves_what_is_elsewhere_on_the_machine(stack: SecretStack, tmp_path: Path) -> None:
    taken = stack.capture()
    key = stack.vault / "key"
    key.unlink()
    request = RestoreRequest(to=tmp_path / "to" / "secrets", root=tmp_path / "to", aside=move_aside)
    stack.component.restore(taken, request, stack.surroundings)
    assert not key.exists()
    assert (tmp_path / "to" / "secrets" / str(key).lstrip("/")).read_text() == "secret of key\n"
    assert (tmp_path / "to" / "config" / ".env.production").read_text() == "secret of config/.env.production\n"
    assert modes(tmp_path / "to")["config"] == modes(stack.root)["config"]
    stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("secret of key\n", 0o400)


def test_without_the_private_key_nothing_can_be_done(stack: SecretStack, tmp_path: Path) -> None:
    taken = stack.capture()
    lose(stack)
    new_identity(tmp_path / "wrong")
    for identity, error in ((None, NoIdentity), ((tmp_path / "wrong").read_text, WrongIdentity)):
        blind = replace(stack.component, identity=identity)
        plan = blind.plan(taken, in_place(stack.root), stack.surroundings)
        (finding,) = [finding for finding in plan.findings if "private key" in finding.message]
        assert has_failure([finding])
        assert "identity" in str(finding.hint)
        assert len(plan.steps) == 3
        with pytest.raises(error):
            blind.restore(taken, in_place(stack.root), stack.surroundings)
    assert modes(stack.root) == {}


def test_a_damaged_seal_is_told_and_the_others_before_it_are_back(stack: SecretStack) -> None:
    taken = stack.capture()
    lose(stack)
    place = taken.folder / "files" / "config" / ".env.production.age"
    place.write_bytes(place.read_bytes()[:-1])
    assert has_failure(stack.component.plan(taken, in_place(stack.root), stack.surroundings).findings)
    with pytest.raises(SealBroken, match=r"config/\.env\.production"):
        stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert "config/.env.production" not in modes(stack.root)


def test_a_place_that_cannot_be_written_to(stack: SecretStack) -> None:
    taken = stack.capture()
    lose(stack)
    (stack.root / "config").write_bytes(b"a file where the folder was")
    with pytest.raises(SecretNotWritten, match="Not a directory"):
        stack.component.restore(taken, in_place(stack.root), stack.surroundings)


@pytest.mark.root
def test_owners_come_back_by_their_names(stack: SecretStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has another number here, and the number is another user's."""
    os.chown(stack.root / ".env", 1, 1)
    (stack.root / ".env").chmod(0o640)
    taken = stack.capture()
    (stack.root / ".env").unlink()
    name = user_name(1)
    monkeypatch.setattr(ownership, "user_number", {name: 4242}.get)
    stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    assert ((stack.root / ".env").stat().st_uid, (stack.root / ".env").stat().st_gid) == (4242, 1)
    (stack.root / ".env").unlink()
    monkeypatch.setattr(ownership, "user_number", {}.get)
    monkeypatch.setattr(ownership, "user_name", lambda _number: "somebody-else")
    restored = stack.component.restore(taken, in_place(stack.root), stack.surroundings)
    status = (stack.root / ".env").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), 0o600)
    assert any(name in sentence and "0640" in sentence for sentence in restored.remaining)


@pytest.mark.parametrize("module", [private_file, restoring, ownership], ids=lambda module: module.__name__)
def test_nobody_else_may_read_it_at_any_moment(stack: SecretStack, module: object) -> None:
    taken = stack.capture()
    seen = 0

    def look() -> None:
        nonlocal seen
        for item in stack.root.rglob("*"):
            if item.is_file() and item.stat().st_size:
                seen += 1
                wanted = 0o640 if item.parent.name == "config" else 0o600
                assert not stat.S_IMODE(item.stat().st_mode) & ~wanted, item

    before = os.umask(0)
    try:
        for step in itertools.count():
            for item in [stack.root / ".env", stack.root / "config" / ".env.production"]:
                item.unlink(missing_ok=True)
            with Interruption(step, Path(str(module.__file__)), look) as interruption:
                stack.component.restore(taken, in_place(stack.root), stack.surroundings)
            if not interruption.came:
                break
    finally:
        os.umask(before)
    assert seen > 10


@pytest.mark.parametrize("module", [private_file, restoring, ownership, component], ids=lambda module: module.__name__)
def test_an_interruption_anywhere_is_completed_by_the_next_run(stack: SecretStack, module: object) -> None:
    (stack.root / ".env").chmod(0o644)
    before = modes(stack.root)
    taken = stack.capture()
    for step in itertools.count():
        lose(stack)
        with Interruption(step, Path(str(module.__file__))) as interruption:
            stack.component.restore(taken, in_place(stack.root), stack.surroundings)
        assert set(modes(stack.root)) <= set(before), step
        stack.component.restore(taken, in_place(stack.root), stack.surroundings)
        assert set(modes(stack.root)) == set(before), step
        assert modes(stack.root)[".env"] == 0o644
        if not interruption.came:
            break
    assert step > 3


def test_what_a_killed_restore_has_left_is_removed(stack: SecretStack) -> None:
    place = stack.root / ".env"
    RestoreNote(stack.surroundings.state).write([place, stack.root / "other"])
    partial_name(place).write_text("secr")
    (stack.root / ".other").write_text("untouched")
    (sentence,) = stack.component.resume(stack.surroundings)
    assert str(place) in sentence
    assert not partial_name(place).exists()
    assert (stack.root / ".other").exists()
    assert list(stack.component.resume(stack.surroundings)) == []


def test_the_way_back_by_hand_works(stack: SecretStack, tmp_path: Path) -> None:
    """With `age` and the shell, in a folder that holds the capture's files."""
    (stack.root / "config" / "a 'name'").write_text("odd\n")
    odd = replace(stack.component, files=[*stack.component.files, "config/a*"])
    taken = stack.capture(component=odd)
    key = stack.vault / "key"
    key.unlink()
    variables = {"ROOT": str(tmp_path / "back"), "SECRETS": str(tmp_path / "outputs"), "IDENTITY": str(stack.identity)}
    lines = "\n".join(odd.manual(taken.report))
    subprocess.run(["sh", "-ec", lines], cwd=taken.folder, env={**os.environ, **variables}, check=True)
    for name in (".env", "config/.env.production", "config/a 'name'"):
        assert (tmp_path / "back" / name).read_bytes() == (stack.root / name).read_bytes()
        assert (tmp_path / "back" / name).stat().st_mode == (stack.root / name).stat().st_mode
    assert key.read_text() == "secret of key\n"
    assert (tmp_path / "outputs" / "token").read_text() == "secret of token\n"


def test_the_key_is_in_another_file_than_the_configuration_says(stack: SecretStack, tmp_path: Path) -> None:
    before = modes(stack.root)
    taken = stack.capture()
    lose(stack)
    assert stack.component.identity is not None
    (tmp_path / "brought").write_text("# brought here\n" + stack.component.identity())
    elsewhere = replace(stack.component, identity=None)
    with pytest.raises(NoIdentity):
        elsewhere.restore(taken, in_place(stack.root), stack.surroundings)
    request = in_place(stack.root, identity=str(tmp_path / "brought"))
    elsewhere.restore(taken, request, stack.surroundings)
    assert modes(stack.root) == before
    missing = in_place(stack.root, identity=str(tmp_path / "nowhere"))
    assert has_failure(elsewhere.plan(taken, missing, stack.surroundings).findings)
