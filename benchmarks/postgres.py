"""The scenario of a PostgreSQL database of more than 1 GB: capture, a second capture after changes, restore.

Side by side in one run: `pg_dump -Fc -Z0` into nothing and `pivori backup` of a stack with the database alone, then
`pg_restore -j` from a local file and `pivori recover --in-place`. A capture is into a repository that exists and has
nothing in it; the second one follows after one row in a hundred has changed: the newest ones, as applications do,
or rows all over the tables, which is the worst there is for deduplication.

Command line: `python benchmarks/postgres.py [--major 15] [--rows 1000000] [--runs 3] [--place /var/tmp]`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Measurement

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tests.servers import postgres as servers  # noqa: E402

JOBS = 2
WORDS = "(SELECT string_agg(substr(md5((i * 7 + k)::text), 1, 2 + k % 7), ' ') FROM generate_series(1, 24) k)"
TABLES = (
    "CREATE TABLE customer AS SELECT i AS id, 'customer ' || i AS name, md5(i::text) AS token,"
    " now() - i * interval '1 minute' AS since, (i * 37 % 1000)::numeric / 10 AS credit"
    " FROM generate_series(1, {rows}) i",
    "CREATE TABLE note AS SELECT i AS id, i % 1000 AS customer, "
    + WORDS
    + " AS text FROM generate_series(1, {rows}) i",
    "CREATE TABLE line AS SELECT i AS id, i % {rows} AS customer, (i * 31 % 977)::int AS amount, "
    "md5(i::text)::uuid AS key FROM generate_series(1, {rows} * 5) i",
    "ALTER TABLE customer ADD PRIMARY KEY (id)",
    "ALTER TABLE note ADD PRIMARY KEY (id)",
    "ALTER TABLE line ADD PRIMARY KEY (id)",
    "CREATE INDEX ON line (customer)",
    "VACUUM ANALYZE",
)
CHANGES = {
    "newest": "id > (SELECT max(id) FROM {table}) * 0.99",
    "scattered": "id % 100 = 7",
}
UPDATES = {"customer": "credit = credit + 1", "note": "text = text || '.'", "line": "amount = amount + 1"}


class Bench:
    """A server with the database, a stack of it alone, and the commands that are measured."""

    def __init__(self, server: servers.PostgresServer, work: Path) -> None:
        self.server = server
        self.work = work
        self.environment = {
            **os.environ,
            "HOME": str(work / "home"),
            "PGHOST": str(server.folder),
            "PGUSER": servers.SUPERUSER,
        }
        self.rows: list[tuple[str, Measurement, int]] = []
        for name in ("home", "stack"):
            (work / name).mkdir(exist_ok=True)

    def measured(self, name: str, *words: str) -> Measurement:
        """Runs a command, which has to end well."""
        log = self.work / "log"
        before = self.stored()
        # In a process of its own: what measures ends every child of the process it is in, and here that is the server.
        command = [sys.executable, CHECKOUT / "benchmarks/measure.py", "--json", "--log", log, "--", *words]
        said = subprocess.run(command, cwd=self.work / "stack", env=self.environment, stdout=subprocess.PIPE)
        result = Measurement(**json.loads(said.stdout))
        if result.status:
            raise RuntimeError(f"{name}: {log.read_text(errors='replace')[-2000:]}")
        stored = max(0, self.stored() - before)
        self.rows.append((name, result, stored))
        print(f"{name:28} {result.wall:7.2f} s  {result.peak / 1e6:7.1f} MB  stored {stored / 1e6:8.1f} MB", flush=True)
        return result

    def program(self, name: str) -> str:
        return str(self.server.programs / name)

    def pivori(self, name: str, *words: str) -> Measurement:
        return self.measured(name, str(CHECKOUT / "pivori"), *words)

    def stored(self) -> int:
        """Bytes of the repository."""
        return sum(item.stat().st_size for item in (self.work / "repository").rglob("*") if item.is_file())

    def empty_repository(self) -> None:
        """A stack whose repository is there and has nothing in it."""
        for name in ("repository", "home"):
            shutil.rmtree(self.work / name, ignore_errors=True)
        (self.work / "home").mkdir()
        (self.work / "password").write_text("benchmark")
        (self.work / "password").chmod(0o600)
        (self.work / "stack/pivori.toml").write_text(
            f"""
[stack]
name = "bench"
[repository]
location = "{self.work}/repository"
password = {{ file = "{self.work}/password" }}
[[components]]
kind = "postgres"
name = "db"
url = "{self.server.url}"
databases = ["bench"]
programs = "{self.server.programs}"
jobs = {JOBS}
"""
        )
        words = ["init", "--repository", str(self.work / "repository"), "--password-file", str(self.work / "password")]
        subprocess.run(
            [CHECKOUT / "pivori", *words], cwd=self.work / "home", env=self.environment, check=True, capture_output=True
        )

    def drop(self, *names: str) -> None:
        for name in names:
            self.server.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def change(self, which: str) -> None:
        for table, update in UPDATES.items():
            self.server.run(f"UPDATE {table} SET {update} WHERE {CHANGES[which].format(table=table)}", database="bench")
        self.server.run("VACUUM", database="bench")


@contextlib.contextmanager
def bench(major: int, rows: int, place: Path) -> Iterator[Bench]:
    """The server with its database on a disk, gone afterwards."""
    servers.PLACE = str(place)
    settings = {"shared_buffers": "512MB", "max_wal_size": "8GB", "maintenance_work_mem": "256MB", "autovacuum": "off"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=place) as work,
        servers.postgres_server(major, **settings) as server,
    ):
        server.run("CREATE DATABASE bench")
        for statement in TABLES:
            server.run(statement.format(rows=rows), database="bench")
        yield Bench(server, Path(work))


def measure_all(it: Bench, runs: int) -> None:
    """Everything, `runs` times in turn."""
    dump = str(it.work / "local.dump")
    for _ in range(runs):
        it.measured("pg_dump", "sh", "-c", f"exec {it.program('pg_dump')} -Fc -Z0 bench > /dev/null")
        it.empty_repository()
        it.pivori("first capture", "backup")
    it.pivori("nothing changed", "backup")
    for which in CHANGES:
        it.change(which)
        it.pivori(f"1 % changed, {which}", "backup")
    subprocess.run([it.program("pg_dump"), "-Fc", "-Z0", "-f", dump, "bench"], env=it.environment, check=True)
    for _ in range(runs):
        it.drop("copy")
        it.server.run("CREATE DATABASE copy TEMPLATE template0", "CHECKPOINT")
        it.measured("pg_restore -j", it.program("pg_restore"), f"-j{JOBS}", "-d", "copy", dump)
        it.drop("copy")
        it.server.run("CHECKPOINT")
        it.pivori("recover", "recover", "--in-place", "--yes", "--set", "db.as=copy")
    it.drop("copy")


def summary(it: Bench) -> str:
    """The medians as a table, and what they are beside the program that stands for no overhead."""
    names = list(dict.fromkeys(name for name, _, _ in it.rows))
    wall = {name: statistics.median(m.wall for n, m, _ in it.rows if n == name) for name in names}
    stored = {name: statistics.median(s for n, _, s in it.rows if n == name) for name in names}
    lines = ["| | seconds | stored, MB |", "|---|--:|--:|"]
    lines += [f"| {name} | {wall[name]:.2f} | {stored[name] / 1e6:.1f} |" for name in names]
    lines += ["", f"capture: {wall['first capture'] / wall['pg_dump']:.2f} × pg_dump (limit 1.15)"]
    for which in CHANGES:
        share = stored[f"1 % changed, {which}"] / stored["first capture"]
        lines.append(f"1 % changed, {which}: {share:.1%} of the first (limit 10 %)")
    lines.append(f"restore: {wall['recover'] / wall['pg_restore -j']:.2f} × pg_restore -j{JOBS} (limit 1.15)")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--major", type=int, default=15)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--place", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    with bench(arguments.major, arguments.rows, arguments.place) as it:
        ((size,),) = it.server.rows("SELECT pg_database_size('bench')")
        print(f"PostgreSQL {arguments.major}, {int(str(size)) / 1e9:.2f} GB", flush=True)
        measure_all(it, arguments.runs)
        print(summary(it))
        if arguments.json:
            figures = [{"name": name, "wall": m.wall, "peak": m.peak, "stored": stored} for name, m, stored in it.rows]
            arguments.json.write_text(json.dumps({"database": size, "rows": figures}, indent=1))


if __name__ == "__main__":
    main()
