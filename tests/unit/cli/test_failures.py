"""How commands end: the table of statuses, the wording, and reports that hold no secrets."""

import io
import json
import stat
from pathlib import Path

import pytest

from pivori import translation
from pivori.app import LockNeeded
from pivori.cli.failures import UsageError, conclude, fill
from pivori.cli.interruption import Interrupted
from pivori.cli.output import Output, OutputFailed
from pivori.clock import SystemClock
from pivori.engine.archive.placing import NoSpaceForArchive
from pivori.errors import PivoriError
from pivori.repository.keys import WrongPassword
from pivori.repository.locks import RepositoryLocked
from pivori.repository.repository import NoRepository
from pivori.storage import AccessDenied
from pivori.translation import ByteCount

CLOCK = SystemClock()


def end(error: BaseException, cache: Path | None = None, *, json: bool = False) -> tuple[int, str]:
    err = io.StringIO()
    status = conclude(error, Output(stdout=io.StringIO(), stderr=err, json=json), CLOCK, cache)
    return status, err.getvalue()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AccessDenied(location="/r", operation="read", name="x"), 1),
        (UsageError(reason="no", command="pivori"), 2),
        (LockNeeded(), 2),
        (NoRepository(location="/r"), 10),
        (RepositoryLocked(location="/r", username="u", hostname="h", pid=1, since="s", age="a"), 11),
        (WrongPassword(location="/r"), 12),
        (KeyboardInterrupt(), 130),
        (Interrupted(15), 130),
        (MemoryError(), 1),
        (OSError(28, "No space left on device", "/x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_exit_statuses(error: BaseException, status: int) -> None:
    assert end(error)[0] == status
    found, text = end(error, json=True)
    assert found == status
    record = json.loads(text)
    assert record["message_type"] == "exit_error"
    assert record["code"] == status
    assert record["message"]
    assert "Traceback" not in text


def test_a_sentence_and_what_to_do() -> None:
    status, text = end(NoRepository(location="/r"))
    assert status == 10
    lines = text.splitlines()
    assert lines[0] == "Error: There is no repository at /r."
    assert lines[1].startswith("Hint: ")


def test_json_has_name_hint_and_details() -> None:
    _status, text = end(NoRepository(location="/r"), json=True)
    record = json.loads(text)
    assert record["name"] == "no-repository"
    assert record["details"] == {"location": "/r"}
    assert "pivori init" in record["hint"]


def test_people_read_sizes_and_programs_bytes() -> None:
    error = NoSpaceForArchive(directory="/b", needed=ByteCount(3 << 30), free=ByteCount(1536))
    assert end(error)[1].startswith("Error: There is not enough space in /b: 3.0 GiB are needed, 1.5 KiB are free.")
    assert json.loads(end(error, json=True)[1])["details"] == {"directory": "/b", "needed": 3 << 30, "free": 1536}


def secretive(password: str) -> None:
    raise ValueError(f"cannot use {password}")


def test_a_report_says_where_and_never_what(tmp_path: Path) -> None:
    try:
        try:
            secretive("hunter2")
        except ValueError as error:
            raise RuntimeError("hunter2 again") from error
    except RuntimeError as error:
        status, text = end(error, tmp_path / "cache")
    assert status == 1
    assert "hunter2" not in text
    (report,) = (tmp_path / "cache" / "errors").iterdir()
    assert str(report) in text
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    content = report.read_text()
    assert "in secretive" in content
    assert "builtins.ValueError" in content
    assert "builtins.RuntimeError" in content
    # The line of the program's text may be quoted; the values may not.
    assert "cannot use hunter2" not in content
    assert 'raise ValueError(f"cannot use {password}")' in content


def test_where_no_report_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert end(ValueError("x"), tmp_path / "file")[0] == 1
    assert end(ValueError("x"), None)[0] == 1


def test_the_system_s_refusals_name_the_file(tmp_path: Path) -> None:
    _status, text = end(PermissionError(13, "Permission denied", b"/etc/\xff\x1b"), tmp_path)
    assert "/etc/\\xff\\x1b" in text
    assert "Permission denied" in text


def test_a_reader_that_has_gone_is_not_complained_about(capfd: pytest.CaptureFixture[str]) -> None:
    assert end(BrokenPipeError()) == (141, "")


def test_output_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    status, text = end(OutputFailed(reason="No space left on device"))
    assert status == 1
    assert "No space left" in text


class Broken(PivoriError):
    message = "{path} is broken: {reason}."
    hint = "Mend {path}."


def test_a_translation_that_does_not_fit_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import gettext

    class Wrong(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return {"{path} is broken: {reason}.": "{chemin} est cassé", "Mend {path}.": "Réparez {path}."}.get(
                message, {"the disk": "le disque"}.get(message, message)
            )

    monkeypatch.setattr(translation, "_active", Wrong())
    assert fill(Broken.message, {"path": b"\xff", "reason": "the disk"}) == "\\xff is broken: le disque."
    assert fill(Broken.hint, {"path": Path("/the disk")}) == "Réparez /the disk."
    assert fill("", {}) == ""
