"""Which client programs are taken."""

from pathlib import Path

import pytest

from pivori.components.base import ClientMissing, ClientTooOld
from pivori.components.postgres import programs
from pivori.components.postgres.programs import client_programs, installed, major_of, version_text


def pretended(folder: Path, version: str, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or ("pg_dump", "pg_restore"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian)'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for version in ("13.20", "15.4", "17.1"):
        pretended(tmp_path / version / "bin", version)
    monkeypatch.setattr(programs, "_PLACES", ((str(tmp_path), "*/bin"),))
    monkeypatch.setenv("PATH", "")
    return tmp_path


@pytest.mark.parametrize(("server", "taken"), [("15.14", "15.4"), ("14.1", "15.4"), ("16.2", "17.1"), ("12", "13.20")])
def test_the_servers_own_version_goes_before_later_ones(several: Path, server: str, taken: str) -> None:
    assert client_programs(["pg_dump", "pg_restore"], server).version == taken


def test_none_that_is_new_enough_is_told_with_what_to_install(several: Path) -> None:
    with pytest.raises(ClientTooOld) as failed:
        client_programs(["pg_dump"], "18.4")
    assert failed.value.details["found"] == "17.1"
    assert "postgresql-client-18" in str(failed.value.details["package"])


def test_a_folder_that_is_named_is_the_only_one(several: Path, tmp_path: Path) -> None:
    assert client_programs(["pg_dump"], "15.1", tmp_path / "17.1/bin").version == "17.1"
    with pytest.raises(ClientMissing):
        client_programs(["pg_dump"], "15.1", tmp_path)


def test_a_folder_that_lacks_a_program_is_not_taken(several: Path, tmp_path: Path) -> None:
    pretended(tmp_path / "19/bin", "19.1", "pg_dump")
    with pytest.raises(ClientMissing) as failed:
        client_programs(["pg_dump", "pg_restore"], "18.1")
    assert failed.value.details["program"] == "pg_restore"


def test_debians_wrapper_is_no_program_of_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pretended(tmp_path / "share", "16.1", "pg_wrapper")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pg_dump").symlink_to(real / "pg_wrapper")
    monkeypatch.setattr(programs, "_PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert installed("pg_dump") == []


def test_versions_are_read_as_the_server_writes_them() -> None:
    assert version_text(150014) == "15.14"
    assert major_of("18beta1") == 18
