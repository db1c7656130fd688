"""Password files, commands and prompts, and the generated key file."""

import os
import pickle
import stat
import threading
from pathlib import Path

import pytest

from pivori.settings import PasswordFrom, PasswordSource, Secret
from pivori.settings import credentials as c


def password_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def never(_new: bool) -> Secret:
    raise AssertionError("nobody should be asked")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Each was tried with the real restic.
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"  abc \t\n\n", "abc"),
        (b"abc\nsecond\n", "abc\nsecond"),
        (b"\xef\xbb\xbfabc\n", "abc"),
        ("abc\u2003\xa0".encode(), "abc"),
        (b"abc\x1c", "abc\x1c"),
        ("dé".encode("utf-16"), "dé"),
        (b"\xe9\xff", "\udce9\udcff"),
    ],
)
def test_a_password_file_is_read_as_restic_reads_it(tmp_path: Path, content: bytes, expected: str) -> None:
    assert c.read_password_file(password_file(tmp_path, content)).reveal() == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = password_file(tmp_path, b"abc", mode)
    with pytest.raises(c.KeyFilePermissions) as caught:
        c.read_password_file(path)
    assert f"{mode:04o}" in str(caught.value)
    assert str(path) in caught.value.hint.format(**caught.value.details)


def test_the_permissions_of_a_pipe_mean_nothing() -> None:
    read, write = os.pipe()
    os.fchmod(read, 0o666)
    os.write(write, b"from a pipe\n")
    os.close(write)
    try:
        assert c.read_password_file(Path(f"/dev/fd/{read}")).reveal() == "from a pipe"
    finally:
        os.close(read)


def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = password_file(tmp_path, b"abc")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        assert c.read_password_file(path).reveal() == "abc"  # root's files may serve a user
        os.chown(path, 12345, -1)
    with pytest.raises(c.KeyFileOwner):
        c.read_password_file(path)


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n"])
def test_an_empty_password_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(c.EmptyPassword):
        c.read_password_file(password_file(tmp_path, content))


def test_what_is_no_password_file(tmp_path: Path) -> None:
    with pytest.raises(c.PasswordFileUnreadable, match="No such file"):
        c.read_password_file(tmp_path / "nothing")
    with pytest.raises(c.PasswordFileUnreadable):
        c.read_password_file(tmp_path)
    with pytest.raises(c.PasswordFileUnreadable, match="too large"):
        c.read_password_file(password_file(tmp_path, b"x" * 70_000))


def test_a_password_command() -> None:
    assert c.run_password_command("printf ' abc \\n'").reveal() == "abc"
    assert c.run_password_command("printf 'first\\nsecond\\n'").reveal() == "first"


@pytest.mark.parametrize(
    "command", ["false", "/nonexistent/program", "sh -c 'echo hunter2; exit 3'", "'unbalanced", " "]
)
def test_a_password_command_that_fails_shows_no_secret(command: str) -> None:
    with pytest.raises(c.PasswordCommandFailed) as caught:
        c.run_password_command(command)
    assert "hunter2" not in str(caught.value) + repr(caught.value.details)


def test_the_order_is_the_sources() -> None:
    value = PasswordSource(kind=PasswordFrom.ENVIRONMENT, value=Secret("e"))
    assert c.find_password(value, "r", ask=never).reveal() == "e"
    command = PasswordSource(kind=PasswordFrom.COMMAND, command="echo c")
    assert c.find_password(command, "r", ask=never).reveal() == "c"
    asked: list[bool] = []

    def ask(new: bool) -> Secret:
        asked.append(new)
        return Secret("t")

    terminal = PasswordSource(kind=PasswordFrom.TERMINAL)
    assert c.find_password(terminal, "r", ask=ask, new=True).reveal() == "t"
    assert asked == [True]
    with pytest.raises(c.NoPassword, match="my-repository"):
        c.find_password(PasswordSource(kind=PasswordFrom.NOWHERE), "my-repository", ask=never)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    source = PasswordSource(kind=PasswordFrom.KEY_FILE, path=tmp_path / "key")
    with pytest.raises(c.KeyFileMissing) as caught:
        c.find_password(source, "/the/repository", ask=never)
    assert "/the/repository" in str(caught.value)


def test_a_generated_key_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "repository.key"
    old = os.umask(0)
    try:
        assert c.make_key_file(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    content = path.read_bytes()
    assert len(content) == 45
    assert content.endswith(b"\n")
    assert c.read_password_file(path).reveal() == content.decode().strip()
    assert [entry.name for entry in path.parent.iterdir()] == ["repository.key"]


def test_a_key_file_is_never_replaced(tmp_path: Path) -> None:
    path = password_file(tmp_path, b"precious\n")
    assert not c.make_key_file(path)
    assert path.read_bytes() == b"precious\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["password"]


def test_two_at_once_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made: list[bool] = []
    threads = [threading.Thread(target=lambda: made.append(c.make_key_file(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert c.make_key_file(tmp_path / "key")
    first = (tmp_path / "key").read_bytes()
    assert not c.make_key_file(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == first


def test_a_failure_leaves_no_half_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        c.make_key_file(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def ask_with(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    remaining = iter(answers)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(remaining))


def test_asking_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_with(monkeypatch, "one")
    assert c.ask_at_terminal("?", None, "r").reveal() == "one"
    ask_with(monkeypatch, "one", "one")
    assert c.ask_at_terminal("?", "again?", "r").reveal() == "one"
    ask_with(monkeypatch, "one", "two")
    with pytest.raises(c.PasswordsDiffer):
        c.ask_at_terminal("?", "again?", "r")
    ask_with(monkeypatch, "")
    with pytest.raises(c.NothingTyped):
        c.ask_at_terminal("?", None, "r")


def test_an_end_of_input_is_nothing_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(c.NothingTyped):
        c.ask_at_terminal("?", None, "r")


def test_a_password_that_would_show_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass
    import warnings

    def echoing(_prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return "seen"

    monkeypatch.setattr("getpass.getpass", echoing)
    with pytest.raises(c.NoPassword):
        c.ask_at_terminal("?", None, "r")


def test_a_secret_is_not_shown() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert secret != "hunter2"
    assert not Secret("")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
