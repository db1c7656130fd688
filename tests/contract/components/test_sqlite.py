"""SQLite databases: copied while they are in use, checked, and brought back whole."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pivori.components.base import Consistency, RestoreRequest, Surroundings
from pivori.components.sqlite.component import SqliteComponent
from pivori.components.sqlite.copying import copies_folder, side_files
from pivori.components.sqlite.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseDiffers,
    DatabaseMissing,
    DatabaseNotCaptured,
    NoDatabase,
    NotADatabase,
)
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import ComponentContract, in_place, move_aside, surroundings_in


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def rows(path: Path, query: str = "SELECT * FROM goods ORDER BY id") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def make(path: Path, *, wal: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = "INSERT INTO goods SELECT value, hex(randomblob(200)) FROM generate_series"
    if wal:
        run(path, "PRAGMA journal_mode=WAL")
    run(
        path,
        "CREATE TABLE goods (id INTEGER PRIMARY KEY, text TEXT)",
        fill.replace("SELECT value", "SELECT x").replace(
            "generate_series",
            "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<2000) SELECT x FROM c)",
        ),
    )


class Specimen:
    """A database with a rollback journal, and one in WAL mode that a program has open."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "srv" / "app"
        self.plain, self.wal = self.root / "data" / "shop", self.root / "data" / "deep" / "log.db"
        make(self.plain)
        make(self.wal, wal=True)
        (self.root / "data" / "readme.txt").write_text("no database" * 100)
        self.plain.chmod(0o640)
        self.program: sqlite3.Connection | None = None
        self.open()
        self.component = SqliteComponent(name="databases", paths=[self.root / "data"], patience=1)

    def open(self) -> None:
        self.close()
        self.program = sqlite3.connect(self.wal)
        self.program.execute("PRAGMA wal_autocheckpoint=0")
        self.program.execute("INSERT INTO goods VALUES (100000 + random() % 1000, 'in the log')")
        self.program.commit()

    def close(self) -> None:
        if self.program is not None:
            self.program.close()
            self.program = None

    def state(self) -> Any:
        return [rows(self.plain), stat.S_IMODE(self.plain.stat().st_mode), rows(self.wal)]

    def change(self) -> None:
        run(self.plain, "DELETE FROM goods WHERE id > 1000")
        run(self.wal, "UPDATE goods SET text = 'changed'")

    def destroy(self) -> None:
        self.close()
        shutil.rmtree(self.root / "data")

    def breaks(self) -> None:
        self.destroy()

    def spoil(self, capture: FolderCapture) -> None:
        file = next(capture.folder.rglob("shop"))
        content = bytearray(file.read_bytes())
        content[-100] ^= 1
        file.write_bytes(content)


@pytest.fixture
def specimen(tmp_path: Path) -> Any:
    made = Specimen(tmp_path / "machine")
    yield made
    made.close()


@pytest.fixture
def surroundings(specimen: Specimen, tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", specimen.root)


Take = Callable[[SqliteComponent], FolderCapture]


@pytest.fixture
def take(surroundings: Surroundings, tmp_path: Path) -> Take:
    def run(component: SqliteComponent) -> FolderCapture:
        sink = FolderSink(tmp_path / "captured")
        return sink.finish(component.capture(sink, surroundings))

    return run


class TestSqlite(ComponentContract):
    @pytest.fixture
    def specimen(self, specimen: Specimen) -> Specimen:
        return specimen


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_is_in_the_log_is_captured_and_nothing_beside_the_databases_changes(
    specimen: Specimen, take: Take
) -> None:
    before = {name: content for name, content in files_of(specimen.root).items() if not name.endswith("-shm")}
    captured = take(specimen.component)
    after = {name: content for name, content in files_of(specimen.root).items() if not name.endswith("-shm")}
    assert before == after
    stored = captured.folder / str(specimen.wal).lstrip("/")
    assert rows(stored) == rows(specimen.wal)
    assert captured.report.consistency is Consistency.TRANSACTION
    assert captured.report.counts == {"databases": 2, "tables": 2, "rows": 4001}


def test_a_database_in_wal_mode_that_nobody_has_open_gets_no_files_beside_it(specimen: Specimen, take: Take) -> None:
    specimen.close()
    before = files_of(specimen.root)
    assert not any(name.endswith(("-wal", "-shm")) for name in before)
    take(specimen.component)
    assert files_of(specimen.root) == before


def test_a_program_that_died_leaves_a_journal_that_is_heeded_and_stays(
    specimen: Specimen, take: Take, tmp_path: Path
) -> None:
    before = rows(specimen.plain)
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size=2'); c.execute('BEGIN'); c.execute(\"UPDATE goods SET text = 'half'\");"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(specimen.plain)], check=True)
    journal = side_files(specimen.plain)[2]
    assert journal.exists()
    captured = take(replace(specimen.component, paths=[specimen.plain]))
    assert rows(captured.folder / str(specimen.plain).lstrip("/")) == before
    assert journal.exists()


def test_a_log_without_its_program_is_heeded_and_stays(specimen: Specimen, take: Take) -> None:
    crashed = specimen.root / "crashed.db"
    for ending in ("", "-wal"):
        shutil.copyfile(f"{specimen.wal}{ending}", f"{crashed}{ending}")
    captured = take(replace(specimen.component, paths=[crashed]))
    assert rows(captured.folder / str(crashed).lstrip("/")) == rows(specimen.wal)
    assert sorted(path.name for path in specimen.root.glob("crashed*")) == ["crashed.db", "crashed.db-wal"]


def test_a_damaged_database_fails(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    content = bytearray(specimen.plain.read_bytes())
    content[4096 * 3 : 4096 * 5] = b"\xff" * 8192
    specimen.plain.write_bytes(content)
    with pytest.raises(DatabaseCorrupt):
        take(specimen.component)
    assert not list(surroundings.state.iterdir())


def test_a_locked_database_is_waited_for_and_then_fails(
    specimen: Specimen, take: Take, surroundings: Surroundings
) -> None:
    with closing(sqlite3.connect(specimen.plain, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseBusy):
            take(replace(specimen.component, patience=0.3))
    assert not list(surroundings.state.iterdir())


@pytest.mark.parametrize(
    ("content", "error"), [(b"\x8e\x01" * 2048, NotADatabase), (b"", NoDatabase), (None, DatabaseMissing)]
)
def test_a_named_file_that_is_no_database_fails(
    specimen: Specimen, take: Take, content: bytes | None, error: type[Exception]
) -> None:
    path = specimen.root / "odd.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error):
        take(replace(specimen.component, paths=[path]))


def test_an_encrypted_file_in_a_folder_is_a_warning(specimen: Specimen, take: Take) -> None:
    (specimen.root / "data" / "secret.sqlite").write_bytes(b"\x8e\x01" * 2048)
    assert any("secret.sqlite" in warning for warning in take(specimen.component).report.warnings)


def test_patterns_find_databases_alone(specimen: Specimen, take: Take) -> None:
    captured = take(replace(specimen.component, paths=[specimen.root / "**" / "*"]))
    assert captured.report.counts["databases"] == 2


def test_rows_that_refer_to_nothing_are_a_warning(specimen: Specimen, take: Take) -> None:
    run(
        specimen.plain,
        "CREATE TABLE sold (good INTEGER REFERENCES goods (id))",
        "INSERT INTO sold VALUES (99999)",
    )
    assert any("rows that are not there: 1" in warning for warning in take(specimen.component).report.warnings)


def test_journals_go_aside_with_the_old_database(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    before = specimen.state()
    captured = take(specimen.component)
    specimen.change()
    log = side_files(specimen.wal)[0]
    assert log.stat().st_size
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert log.with_name(f"{log.name}.aside-1").stat().st_size
    specimen.close()
    assert specimen.state() == before


def test_a_damaged_capture_replaces_nothing(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    captured = take(replace(specimen.component, paths=[specimen.plain]))
    specimen.spoil(captured)
    specimen.change()
    before = specimen.state()
    with pytest.raises(DatabaseDiffers):
        specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert specimen.state() == before
    assert not list(specimen.root.rglob("*.partial"))


def test_one_database_alone_comes_back(
    specimen: Specimen, take: Take, surroundings: Surroundings, tmp_path: Path
) -> None:
    captured = take(specimen.component)
    new = tmp_path / "new"
    request = RestoreRequest(to=new / "databases", root=new, aside=move_aside, settings={"path": "data/shop"})
    specimen.component.restore(captured, request, surroundings)
    assert [path.name for path in new.rglob("*") if path.is_file()] == ["shop"]
    with pytest.raises(DatabaseNotCaptured):
        specimen.component.plan(captured, replace(request, settings={"path": "data/other"}), surroundings)


def test_what_a_killed_run_left_is_removed(specimen: Specimen, surroundings: Surroundings) -> None:
    with pytest.raises(KeyboardInterrupt), copies_folder(surroundings.state) as folder:  # noqa: PT012 - it is what is left behind that counts
        (folder / "copy.db").write_bytes(b"secret")
        raise KeyboardInterrupt
    assert not list(surroundings.state.iterdir())
    (surroundings.state / "copies").mkdir()
    (surroundings.state / "copies" / "copy.db").write_bytes(b"secret")
    assert specimen.component.resume(surroundings)
    assert not list(surroundings.state.iterdir())
    assert not specimen.component.resume(surroundings)


def test_the_way_back_by_hand_works(specimen: Specimen, take: Take) -> None:
    if shutil.which("sqlite3") is None:
        if "CI" in os.environ:
            pytest.fail("sqlite3 is not installed")
        pytest.skip("sqlite3 is not installed")
    before = specimen.state()
    captured = take(specimen.component)
    specimen.destroy()
    script = "\n".join(["set -e", *specimen.component.manual(captured.report)])
    said = subprocess.run(["sh", "-c", script], cwd=captured.folder, check=True, capture_output=True, text=True)
    assert said.stdout.split() == ["ok", "ok"]
    assert specimen.state() == before


def test_whoever_writes_a_folder_comes_before_the_databases_in_it(specimen: Specimen) -> None:
    folder = specimen.root / "data"
    inside = replace(specimen.component, paths=[folder, specimen.plain, folder / "*.db"]).places()
    assert inside[0].parent == inside[2].parent == folder
    assert inside[1] == specimen.plain
