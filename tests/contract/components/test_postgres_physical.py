"""A PostgreSQL cluster with its log as a component, against real servers of two versions."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pivori.components.base import Restored, RestoreRequest, Source, Surroundings
from pivori.components.postgres.server import Server
from pivori.components.postgres_physical.component import PostgresPhysical
from pivori.testing.capture_folder import FolderCapture
from pivori.testing.component_contract import ComponentContract
from tests.servers.postgres import PLACE, VERSIONS, PostgresServer, postgres_server


@dataclass
class Cluster:
    """A server with a bank in it, over a data directory that the component brings back."""

    server: PostgresServer
    root: Path

    def __post_init__(self) -> None:
        self.component = StoppedFirst(
            name="bank",
            server=Server(url=self.server.url),
            slot="pivori_bank",
            data_directory=self.server.data,
            programs=self.server.programs,
            database_server=self.server,
        )

    def fill(self) -> None:
        self.server.run(
            "create table accounts (id int primary key, money int not null)",
            "insert into accounts select n, 100 from generate_series(1, 500) n",
            "create role teller",
            "create database archive",
        )
        self.server.run("create table letters as select 'dear customer' as text", database="archive")

    def state(self) -> object:
        if self.server.process is None:
            self.server.start()
        return (
            self.server.rows("select id, money from accounts order by id"),
            self.server.rows("select rolname from pg_roles order by 1"),
            self.server.rows("select text from letters", database="archive"),
        )

    def change(self) -> None:
        self.server.run("update accounts set money = money + id", "drop role teller")

    def destroy(self) -> None:
        self.server.stop()
        shutil.rmtree(self.server.data)

    def breaks(self) -> None:
        self.server.stop()

    def spoil(self, capture: FolderCapture) -> None:
        segment = next(path for path in sorted((capture.folder / "wal").iterdir()))
        content = bytearray(segment.read_bytes())
        content[8] ^= 1
        segment.write_bytes(content)


@dataclass(frozen=True, kw_only=True)
class StoppedFirst(PostgresPhysical):
    """The component with what its hooks do: the server is stopped before a restore in place."""

    database_server: PostgresServer

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        if request.to is None:
            self.database_server.stop()
        return super().restore(source, request, surroundings)


class TestPostgresPhysical(ComponentContract):
    @pytest.fixture
    def tmp_path(self) -> Iterator[Path]:
        """A folder that the server's user may enter, which pytest's own is not."""
        folder = Path(tempfile.mkdtemp(prefix="physical-", dir=PLACE))
        folder.chmod(0o755)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    @pytest.fixture(params=VERSIONS)
    def specimen(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
        root = tmp_path / "stack"
        root.mkdir()
        with postgres_server(request.param) as server:
            cluster = Cluster(server, root)
            cluster.fill()
            yield cluster
