import gc
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pivori.host import (
    CommandNotStarted,
    PasswordCommandFailed,
    ProcessIdentity,
    capture_first_line,
    is_alive,
    run_to_stream,
)


def read_all(descriptor_reader: object) -> bytes:
    return b"".join(iter(lambda: descriptor_reader.read(1 << 16), b""))


def gone(pid: int) -> bool:
    """Whether our child was waited for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


class TestStream:
    def test_output_and_status(self) -> None:
        with run_to_stream(
            [sys.executable, "-c", "import sys; sys.stdout.write('x' * 3000000); sys.exit(3)"]
        ) as process:
            assert len(read_all(process.stdout)) == 3_000_000
            assert process.finish() == 3

    def test_arguments_are_not_given_to_a_shell(self, tmp_path: Path) -> None:
        with run_to_stream(["echo", f"$(touch {tmp_path}/made)", ";", "*"]) as process:
            assert read_all(process.stdout) == f"$(touch {tmp_path}/made) ; *\n".encode()
            assert process.finish() == 0
        assert list(tmp_path.iterdir()) == []

    def test_it_reads_nothing_from_our_input(self) -> None:
        code = "from pivori.host import run_to_stream as run; p = run(['cat']); print(p.stdout.read())"
        path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=path, input=b"ours", capture_output=True, check=True)
        assert done.stdout.strip() == b"b''"

    def test_the_end_of_the_error_output_is_kept(self) -> None:
        code = "import sys; sys.stderr.write('n' * 1000000 + '\\x1b[31mthe reason\\n'); sys.exit(1)"
        with run_to_stream([sys.executable, "-c", code], capture_errors=True) as process:
            assert process.finish() == 1
            assert process.stderr_tail.endswith("[31mthe reason")
            assert len(process.stderr_tail) <= 4096
            assert "\x1b" not in process.stderr_tail

    def test_finish_throws_the_rest_away(self) -> None:
        with run_to_stream(["head", "-c", "5000000", "/dev/zero"]) as process:
            process.stdout.read(10)
            assert process.finish() == 0

    def test_the_signal_that_ended_it_is_told(self) -> None:
        with run_to_stream([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) as process:
            assert process.finish() == -signal.SIGKILL

    def test_it_ends_when_left(self) -> None:
        with run_to_stream(["yes"]) as process:
            assert process.stdout.read(4) == b"y\ny\n"
            assert not gone(process._process.pid)
        assert gone(process._process.pid)

    def test_it_ends_when_dropped(self) -> None:
        process = run_to_stream(["sleep", "1000"])
        pid = process._process.pid
        assert not gone(pid)
        del process
        gc.collect()
        assert gone(pid)

    @pytest.mark.parametrize("command", [["/nonexistent/program"], [], ["nul\0"], ["/etc/passwd"]])
    def test_what_cannot_start_is_an_error(self, command: list[str]) -> None:
        with pytest.raises(CommandNotStarted) as caught:
            run_to_stream(command)
        assert caught.value.code == "command-not-started"
        assert str(caught.value)


class TestPasswordCommand:
    @pytest.mark.parametrize(
        ("command", "line"),
        [
            ("printf 'secret\\nsecond\\n'", b"secret"),
            ("printf 'secret'", b"secret"),
            ("printf 'secret\\r\\n'", b"secret"),
            ("printf ' with spaces '", b" with spaces "),
            (["printf", "caf\\xe9"], b"caf\xe9"),
            ("echo '$HOME' \"two words\"", b"$HOME two words"),
        ],
    )
    def test_the_first_line(self, command: str | list[str], line: bytes) -> None:
        assert capture_first_line(command, timeout=60) == line

    @pytest.mark.parametrize(
        "command",
        [
            "sh -c 'echo hunter2; echo sorry >&2; exit 7'",
            "sh -c 'echo hunter2; kill -9 $$'",
            "sh -c 'echo; echo hunter2'",
            "true",
            "/nonexistent hunter2",
            "echo 'hunter2",
            "",
            [],
        ],
    )
    def test_a_failure_says_why_but_never_what_was_printed(self, command: str | list[str]) -> None:
        with pytest.raises(PasswordCommandFailed) as caught:
            capture_first_line(command, timeout=60)
        error = caught.value
        assert error.code == "password-command-failed"
        assert "hunter2" not in f"{error} {error.details} {error.__cause__}"
        assert str(error)
        assert error.hint

    def test_status_and_error_output_are_told(self) -> None:
        with pytest.raises(PasswordCommandFailed, match="status 7") as caught:
            capture_first_line("sh -c 'echo sorry >&2; exit 7'", timeout=60)
        assert caught.value.details == {"command": "sh", "status": 7, "stderr": "sorry"}

    def test_a_command_that_does_not_end_is_killed(self) -> None:
        with pytest.raises(PasswordCommandFailed, match=r"within 0\.2 seconds"):
            capture_first_line("sh -c 'echo hunter2; sleep 30; true'", timeout=0.2)


class TestLiveness:
    def test_this_process_and_init_are_alive(self) -> None:
        assert is_alive(os.getpid())
        assert is_alive(1)

    def test_an_ended_one_is_not(self) -> None:
        process = subprocess.Popen(["true"])
        process.wait()
        assert not is_alive(process.pid)

    @pytest.mark.parametrize("pid", [0, -1, 1 << 40])
    def test_numbers_that_name_no_process(self, pid: int) -> None:
        assert not is_alive(pid)


def test_identity() -> None:
    identity = ProcessIdentity.current()
    assert identity.hostname == subprocess.run(["uname", "-n"], capture_output=True, text=True).stdout.strip()
    assert (identity.uid, identity.gid, identity.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert identity.username == pwd.getpwuid(os.getuid()).pw_name
