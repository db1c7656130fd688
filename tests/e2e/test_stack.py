"""A whole stack as a person protects it, loses it, and brings it back; the four scenarios a team fears."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Pivori
from tests.e2e.stacks import SECRET, Bank, demand_sound_bank, fill_cache, git_picture, make_source, picture
from tests.servers.postgres import PostgresServer, postgres_server
from tests.servers.redis import PrivateRedis, redis_server


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server(15) as server:
        yield server


@pytest.fixture
def bank(server: PostgresServer) -> Bank:
    bank = Bank(server)
    bank.open()
    return bank


@pytest.fixture
def cache() -> Iterator[PrivateRedis]:
    with redis_server() as cache:
        fill_cache(cache)
        yield cache


@pytest.fixture
def app(tmp_path: Path, server: PostgresServer, bank: Bank, cache: PrivateRedis) -> Path:
    """The folder of the application, as it is when nobody thought of backups yet."""
    folder = tmp_path / "srv" / "shop"
    folder.parent.mkdir()
    make_source(
        folder,
        DATABASE_URL=f"postgresql://postgres@/shop?host={server.folder}&port={server.port}",
        REDIS_URL=f"unix://{cache.socket}",
    )
    return folder


def protect(pivori: Pivori, app: Path, *arguments: str, expect: int = 0) -> dict[str, object]:
    """``pivori backup`` in the folder of the application; its summary."""
    result = pivori("backup", "--json", *arguments, cwd=app, expect=expect)
    return json.loads(result.stdout.splitlines()[-1])


def new_machine(pivori: Pivori, tmp_path: Path) -> tuple[Pivori, list[str]]:
    """The program on an empty HOME, and the options that name what is left: repository and keys, elsewhere."""
    rescued = tmp_path / "rescued"
    shutil.move(pivori.home / ".local/share/pivori/repository", rescued / "repository")
    shutil.move(pivori.home / ".config/pivori", rescued / "keys")
    shutil.rmtree(pivori.home)
    pivori.home.mkdir()
    options = ["-r", str(rescued / "repository"), "--password-file", str(rescued / "keys" / "repository.key")]
    return replace(pivori), [*options, "--set", f"secrets.identity={rescued / 'keys' / 'secrets.key'}"]


def check_database(server: PostgresServer, data: Path) -> int:
    """Put a recovered data directory in the place of the lost one, start it and look: how many moves there are."""
    subprocess.run(["mv", "--", data, server.data], check=True)
    (server.data / "pg_hba.conf").write_text("local all all trust\n")
    server.start()
    with server.connect("shop") as connection:
        return demand_sound_bank(connection)


def test_everything_is_lost_but_the_repository_and_the_keys(
    pivori: Pivori, app: Path, server: PostgresServer, bank: Bank, cache: PrivateRedis, tmp_path: Path
) -> None:
    before, git_before, cache_before = picture(app), git_picture(app), cache.state()
    with bank.at_work():
        pivori("init", "--yes", app)
        summary = protect(pivori, app)
    assert summary["missing"] == []
    moves_made = bank.moves
    server.stop()
    shutil.rmtree(server.data)
    shutil.rmtree(app)
    bare, options = new_machine(pivori, tmp_path)
    new = tmp_path / "new"
    said = bare("recover", *options, "--to", new, cwd=tmp_path).stdout
    assert SECRET not in said
    found = picture(new)
    assert {name: found.get(name) for name in before} == before
    ours = {"?? .pivori/", "?? pivori.toml"}
    git_now = git_picture(new)
    git_now["status"] = "".join(f"{line}\n" for line in git_now["status"].splitlines() if line not in ours)
    assert git_now == git_before
    moves = check_database(server, new / ".pivori" / "database" / "data")
    assert 0 < moves <= moves_made
    cache.stop()
    shutil.copy(new / ".pivori" / "cache" / "dump.rdb", cache.folder / "dump.rdb")
    cache.start()
    assert cache.state() == cache_before


def test_from_any_folder_once_it_is_made(pivori: Pivori, app: Path, tmp_path: Path) -> None:
    before = picture(app)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    pivori("init", "--yes", app, cwd=elsewhere)
    pivori("backup", cwd=elsewhere)
    pivori("recover", "--to", tmp_path / "new", cwd=elsewhere)
    found = picture(tmp_path / "new")
    assert {name: found.get(name) for name in before} == before


def test_one_service_is_lost(pivori: Pivori, app: Path) -> None:
    pivori("init", "--yes", app)
    protect(pivori, app)
    before, git_before = picture(app), git_picture(app)
    (app / "app.py").unlink()
    (app / "half.py").write_text("somebody's mistake\n")
    pivori("recover", "--component", "source", "--in-place", "--yes", cwd=app)
    assert picture(app) == before
    assert git_picture(app) == git_before
    [aside] = app.parent.glob("shop.aside-*")
    assert (aside / "half.py").read_text() == "somebody's mistake\n"


def test_data_is_corrupted_and_comes_back_as_it_was_a_minute_before(
    pivori: Pivori, server: PostgresServer, bank: Bank, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pivori.toml").write_text(
        f"""
        [stack]
        name = "shop"
        [[components]]
        name = "database"
        kind = "postgres-physical"
        host = "{server.folder}"
        user = "postgres"
        data-directory = "{server.data}"
        """
    )
    protect(pivori, folder)
    with bank.at_work():
        while bank.moves < 200:
            time.sleep(0.01)
    [(moment, moves)] = server.rows("SELECT clock_timestamp(), (SELECT count(*) FROM moves)", database="shop")
    server.run("DELETE FROM accounts WHERE id > 10", "TRUNCATE moves", database="shop")
    protect(pivori, folder)
    server.stop(immediately=False)
    options = ["--in-place", "--yes", "--component", "database"]
    pivori("recover", *options, "--at", moment.isoformat(), cwd=folder)
    server.start()
    with server.connect("shop") as connection:
        assert demand_sound_bank(connection) == moves


def test_a_named_clean_point(
    pivori: Pivori, app: Path, server: PostgresServer, bank: Bank, cache: PrivateRedis
) -> None:
    pivori("init", "--yes", app)
    protect(pivori, app, "--tag", "clean")
    before, cache_before = picture(app), cache.state()
    with cache.client() as client:
        client.flushall()
    server.run("DELETE FROM accounts WHERE id > 100", database="shop")
    (app / ".env").write_text("SECRET_KEY=of-an-intruder\n")
    (app / "uploads" / "shell.php").write_text("<?php system($_GET['x']);")
    # A cache that has nothing any more is no capture: that is told, and the older one is kept.
    assert protect(pivori, app, expect=3)["missing"] == ["cache"]
    pivori("recover", "--point", "clean", "--in-place", "--yes", cwd=app)
    after = picture(app)
    assert {name: after.get(name) for name in before} == before
    assert not (app / "uploads" / "shell.php").exists()
    with server.connect("shop") as connection:
        demand_sound_bank(connection)
    assert cache.state() == cache_before


def test_a_component_that_fails_is_loud_and_stops_nobody(pivori: Pivori, app: Path, server: PostgresServer) -> None:
    pivori("init", "--yes", app)
    server.stop()
    result = pivori("backup", cwd=app, expect=3)
    assert "database was NOT captured" in result.stderr
    assert "The recovery point lacks: database." in result.stderr
    document = pivori("dump", "latest", "/RECOVERY.md", cwd=app).stdout
    assert "database" in document
    record = json.loads(pivori("dump", "latest", "/.pivori/recovery-point.json", cwd=app).stdout)
    outcomes = {each["name"]: each["outcome"] for each in record["components"]}
    assert outcomes["database"] == "failed"
    assert outcomes["source"] == outcomes["secrets"] == "captured"


def test_no_secret_is_anywhere_in_clear(pivori: Pivori, app: Path, tmp_path: Path) -> None:
    pivori("init", "--yes", app)
    protect(pivori, app)
    pivori("restore", "latest", "--target", tmp_path / "plain", cwd=app)
    for folder in (tmp_path / "plain", pivori.home):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert SECRET.encode() not in path.read_bytes(), path
