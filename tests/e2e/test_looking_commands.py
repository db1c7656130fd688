"""The commands that look inside, as processes: damage, closed pipes, wrong command lines."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Pivori


@pytest.fixture
def repository(pivori: Pivori) -> Path:
    """Two snapshots of a folder with many files, in the default repository."""
    source = pivori.home / "source"
    source.mkdir()
    for number in range(3000):
        (source / f"a file with a rather long name, number {number}").touch()
    (source / "big").write_bytes(bytes(range(256)) * 4096)
    pivori("backup", source)
    pivori("backup", source, "--tag", "second")
    return pivori.home / ".local/share/pivori/repository"


def test_a_damaged_snapshot_does_not_hide_the_others(pivori: Pivori, repository: Path) -> None:
    first, second = json.loads(pivori("snapshots", "--json").stdout)
    damaged = repository / "snapshots" / second["id"]
    damaged.chmod(0o600)
    damaged.write_bytes(b"damaged")
    result = pivori("snapshots", "--json", expect=1)
    assert [each["id"] for each in json.loads(result.stdout)] == [first["id"]]
    warning = json.loads(result.stderr)
    assert (warning["message_type"], warning["name"]) == ("warning", "object-damaged")
    text = pivori("snapshots", expect=1)
    assert first["short_id"] in text.stdout
    assert second["short_id"] in text.stderr
    # What “latest” means may have changed by it, so it is said there too.
    assert second["short_id"] in pivori("ls", "latest", expect=3).stderr
    pivori("ls", first["id"])


@pytest.mark.parametrize("command", [("ls", "latest"), ("ls", "--json", "latest"), ("find", "*"), ("dump", "latest")])
def test_a_reader_that_has_gone_is_no_error(pivori: Pivori, repository: Path, command: tuple[str, ...]) -> None:
    process = pivori.start(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    assert not list((repository / "locks").iterdir())


def test_filters_and_names(pivori: Pivori, repository: Path) -> None:
    (tagged,) = json.loads(pivori("snapshots", "--json", "--tag", "second").stdout)
    (untagged,) = json.loads(pivori("snapshots", "--json", "--tag", "").stdout)
    assert json.loads(pivori("ls", "--json", "latest", "--tag", "").stdout.splitlines()[0])["id"] == untagged["id"]
    assert json.loads(pivori("snapshots", "--json", "latest~1", "latest~1").stdout)[0]["id"] == untagged["id"]
    assert json.loads(pivori("snapshots", "--json", "--latest", "1").stdout)[0]["id"] == tagged["id"]
    assert json.loads(pivori("snapshots", "--json", "--path", "source").stdout)
    assert json.loads(pivori("snapshots", "--json", "--host", "nowhere").stdout) == []
    assert pivori("ls", "latest~5", expect=1).stderr.startswith("Error: There is no snapshot latest~5")


def test_wrong_command_lines(pivori: Pivori, repository: Path) -> None:
    for arguments in (("find",), ("find", "--oldest", "soon"), ("find", "--blob", "xyz"), ("snapshots", "-g", "size")):
        assert pivori(*arguments, expect=2).stderr.startswith("Error: ")
    assert "no-such-thing" in pivori("dump", "latest", "no-such-thing", expect=1).stderr


def test_an_archive_is_not_for_a_terminal(pivori: Pivori, repository: Path) -> None:
    script = ["script", "--quiet", "--return", "--command", f"{' '.join(pivori.command)} dump latest", "/dev/null"]
    result = subprocess.run(script, env=pivori.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 2
    assert "tar" in result.stdout
    assert "\0" not in result.stdout
