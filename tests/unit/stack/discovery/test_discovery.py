"""What a folder says about the application in it."""

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pivori.components.base import Gravity
from pivori.stack.discovery.evidence import Topic
from pivori.stack.discovery.proposing import Proposal, Proposals, discover

Write = Callable[[str, str | bytes], None]

CANARY = "hunter2-canary"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, content: str | bytes) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return put


def component(proposals: Proposals, name: str) -> Proposal:
    return next(item for item in proposals.components if item.name == name)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def topics(proposals: Proposals) -> set[Topic]:
    return {found.topic for found in proposals.discoveries}


def places(proposals: Proposals, topic: Topic) -> list[str]:
    return [str(place) for found in proposals.discoveries if found.topic is topic for place in found.why]


def test_an_empty_folder_is_taken_as_files(tmp_path: Path) -> None:
    proposals = discover(tmp_path)
    assert [(item.name, item.kind, dict(item.options)) for item in proposals.components] == [
        ("source", "files", {"paths": ["."]})
    ]
    assert not proposals.discoveries
    assert not proposals.attention


def test_a_whole_stack_is_proposed_in_order_with_its_objectives(tmp_path: Path, write: Write) -> None:
    write(
        "compose.yaml",
        "services:\n"
        "  api:\n    build: .\n    volumes: ['./uploads:/u', 'index:/i']\n"
        "  db:\n    image: postgres:15\n    environment: {POSTGRES_PASSWORD: '${DB_PASS}', POSTGRES_USER: app}\n"
        "    ports: ['127.0.0.1:5433:5432']\n    volumes: ['pg:/var/lib/postgresql/data']\n"
        "  redis:\n    image: redis:7\n    ports: ['6379:6379']\n"
        "volumes: {pg: , index: }\n",
    )
    write(".env", f"DB_PASS={CANARY}\nDATABASE_URL=postgresql+asyncpg://app:{CANARY}@db:5432/shop\n")
    write("uploads/photo.jpg", "x")
    write("package-lock.json", "{}")
    write("tls/server.key", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n")
    write(".gitignore", ".env\n*.key\n/uploads/\n/state/\nnode_modules/\n*.log\n*.db\n/index/*\n!/index/.keep\n")
    for name in ("state/x", "node_modules/y", "today.log", "index/one", "index/.keep"):
        write(name, "")
    git(tmp_path, "init", "-q")
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("create table t (a)")
    connection.close()
    proposals = discover(tmp_path)
    found = [(item.name, item.kind, item.rto, item.rpo) for item in proposals.components]
    assert found == [
        ("secrets", "secrets", "5m", "1m"),
        ("database", "postgres", "15m", "1h"),
        ("cache", "redis", "15m", "1h"),
        ("sqlite", "sqlite", "15m", "1h"),
        ("services", "compose", "30m", "1h"),
        ("uploads", "files", "30m", "1h"),
        ("source", "git", "5m", "1m"),
        ("data", "files", "30m", "1h"),
    ]
    assert topics(proposals) == set(Topic)
    assert component(proposals, "database").options == {
        "host": "localhost",
        "port": 5433,
        "user": "app",
        "password": {"env-file": ".env", "key": "DB_PASS"},
    }
    assert component(proposals, "services").options == {
        "file": "compose.yaml",
        "exclude-volumes": ["pg"],
        "bind-mounts": False,
        "quiesce": "pause",
    }
    assert component(proposals, "data").options == {"paths": ["index", "state", "today.log"]}
    assert places(proposals, Topic.DATABASE) == ["compose.yaml:5", ".env:2", "compose.yaml:10"]


def test_no_value_of_an_env_file_is_shown_or_kept(tmp_path: Path, write: Write) -> None:
    write(
        ".env",
        f"SECRET={CANARY}\nDATABASE_URL=mysql://root:{CANARY}@localhost/shop\nREDIS_URL=redis://:{CANARY}@cache:6379/0\n"
        f"POSTGRES_HOST=db.internal\nPOSTGRES_PASSWORD={CANARY}\n",
    )
    write(
        "docker-compose.yml",
        f"services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: {CANARY}\n",
    )
    proposals = discover(tmp_path)
    assert {item.kind for item in proposals.components} >= {"mysql", "redis", "postgres", "command"}
    assert CANARY not in repr(proposals)


@pytest.mark.parametrize(
    ("line", "kind", "options"),
    [
        ("A=postgres://u:p@h.example:6000/d", "postgres", {"host": "h.example", "port": 6000, "user": "u"}),
        ("A=postgresql+psycopg2://u:p@127.0.0.1/d", "postgres", {"host": "localhost", "port": 5432, "user": "u"}),
        (
            "A='mysql+pymysql://u:p%40w@localhost:3307/d?charset=utf8'",
            "mysql",
            {"host": "localhost", "port": 3307, "user": "u"},
        ),
        ("A=mariadb://u:p@db.example/d", "mysql", {"host": "db.example", "port": 3306, "user": "u"}),
        ('export A="redis://:p@localhost:6380/1"', "redis", {"host": "localhost", "port": 6380}),
        ("A=unix://:p@/run/redis/s?db=1", "redis", {"socket": "/run/redis/s"}),
        (
            "A=rediss://default:p@r.example",
            "redis",
            {"host": "r.example", "port": 6379, "user": "default", "tls": True},
        ),
        ("A=postgresql://u:p@/d?host=/run/pg&port=6001", "postgres", {"socket": "/run/pg", "port": 6001, "user": "u"}),
        ("A=postgresql://u:p@%2Frun%2Fpg/d", "postgres", {"socket": "/run/pg", "port": 5432, "user": "u"}),
        ("A=mysql://u:p@/d?unix_socket=/run/my.sock", "mysql", {"socket": "/run/my.sock", "user": "u"}),
        ("A=redis+socket://:p@/run/redis.sock", "redis", {"socket": "/run/redis.sock"}),
    ],
)
def test_the_urls_of_databases_are_understood(
    tmp_path: Path, write: Write, line: str, kind: str, options: dict[str, Any]
) -> None:
    write(".env", f"# first\n{line}\n")
    proposals = discover(tmp_path)
    found = next(item for item in proposals.components if item.kind == kind)
    assert found.options == {**options, "password": {"env-file": ".env", "key": "A"}}
    assert [str(place) for place in found.why] == [".env:2"]


@pytest.mark.parametrize(
    "line",
    [
        "A=postgres://[::1",
        "A=postgres://h:notaport/d",
        "A=https://example.org",
        "A=sqlite:///app.db",
        "A=",
        "=x",
        "A=postgres",
        "\x00\x01",
    ],
)
def test_what_is_no_url_of_a_server_is_passed_over(tmp_path: Path, write: Write, line: str) -> None:
    write(".env", line + "\n")
    assert {item.kind for item in discover(tmp_path).components} == {"files", "secrets"}


def test_laravel_and_django_names_are_known(tmp_path: Path, write: Write) -> None:
    write(".env", "DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\nDB_PORT=5544\nDB_USERNAME=forge\nDB_PASSWORD=x\n")
    assert component(discover(tmp_path), "database").options == {
        "host": "localhost",
        "port": 5544,
        "user": "forge",
        "password": {"env-file": ".env", "key": "DB_PASSWORD"},
    }


def test_a_database_without_a_port_is_dumped_in_its_container(tmp_path: Path, write: Write) -> None:
    write(
        "compose.yaml", "services:\n  db:\n    image: bitnami/postgresql:16\n    volumes: ['pg:/x']\nvolumes: {pg: }\n"
    )
    proposals = discover(tmp_path)
    options = component(proposals, "database").options
    assert options["capture"][:7] == ["docker", "compose", "-f", str(tmp_path / "compose.yaml"), "exec", "-T", "db"]
    assert "pg_dumpall" in options["capture"][-1]
    assert component(proposals, "services").options["exclude-volumes"] == ["pg"]
    assert not proposals.attention


def test_a_redis_without_a_port_keeps_its_volume_and_one_without_any_is_told(tmp_path: Path, write: Write) -> None:
    write("compose.yaml", "services:\n  cache:\n    image: redis\n    volumes: ['r:/data']\nvolumes: {r: }\n")
    proposals = discover(tmp_path)
    assert "exclude-volumes" not in component(proposals, "services").options
    assert not proposals.attention
    write("compose.yaml", "services:\n  cache:\n    image: redis\n")
    assert [finding.gravity for finding in discover(tmp_path).attention] == [Gravity.WARNING]


def test_a_password_that_only_the_service_knows_is_asked_of_it(tmp_path: Path, write: Write) -> None:
    write(
        "compose.yaml",
        f"services:\n  db:\n    image: mariadb\n    ports: ['3306:3306']\n"
        f"    environment:\n      MARIADB_USER: app\n      MARIADB_PASSWORD: {CANARY}\n"
        f"      MARIADB_ROOT_PASSWORD: {CANARY}2\n",
    )
    proposals = discover(tmp_path)
    options = component(proposals, "database").options
    assert options["user"] == "root"
    assert options["password"]["command"].endswith("exec -T db printenv MARIADB_ROOT_PASSWORD")
    assert not proposals.attention
    assert CANARY not in repr(proposals)


def test_a_database_without_a_password_is_told(tmp_path: Path, write: Write) -> None:
    write("compose.yaml", "services:\n  db: {image: postgres, ports: ['5432:5432']}\n")
    assert [finding.gravity for finding in discover(tmp_path).attention] == [Gravity.WARNING]


def test_the_data_folder_of_a_captured_database_is_not_among_the_files(tmp_path: Path, write: Write) -> None:
    write("compose.yaml", "services:\n  db:\n    image: postgres\n    ports: ['5432:5432']\n    volumes: ['./pg:/x']\n")
    write("pg/base/1", "x")
    assert "/pg" in component(discover(tmp_path), "source").options["exclude"]


def test_bound_paths_outside_of_the_folder_are_captured(tmp_path: Path, write: Write) -> None:
    write("compose.yaml", "services:\n  web:\n    image: nginx\n    volumes: ['/srv/elsewhere:/x']\n")
    assert "bind-mounts" not in component(discover(tmp_path), "services").options


def test_an_override_belongs_to_the_project_and_a_folder_below_is_another_one(tmp_path: Path, write: Write) -> None:
    write("docker-compose.yml", "services:\n  a: {image: x}\n")
    write("docker-compose.override.yml", "services:\n  a: {image: y}\n")
    write("tools/compose.yaml", "services:\n  t: {image: z}\n")
    proposals = discover(tmp_path)
    assert component(proposals, "services-main").options["file"] == [
        "docker-compose.yml",
        "docker-compose.override.yml",
    ]
    assert component(proposals, "services-tools").options["file"] == "tools/compose.yaml"


def test_patterns_for_env_files_are_no_secrets(tmp_path: Path, write: Write) -> None:
    for name in (".env.example", ".env.sample", ".env.production", "api/.env", "web.env", "environment"):
        write(name, "A=b\n")
    assert sorted(component(discover(tmp_path), "secrets").options["files"]) == [
        ".env.production",
        "api/.env",
        "web.env",
    ]


def test_secrets_that_git_does_not_ignore_are_told(tmp_path: Path, write: Write) -> None:
    for folder in (tmp_path, tmp_path / "sub"):
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q")
    write(".gitignore", ".env\n")
    for name in (".env", ".env.production", "sub/.env", "sub/.env.local"):
        write(name, "A=b\n")
    write("sub/.gitignore", ".env.local\n")
    found = [finding.message.split()[0] for finding in discover(tmp_path).attention]
    assert found == [".env.production", "sub/.env"]


def test_a_broken_repository_is_captured_as_files(tmp_path: Path, write: Write) -> None:
    write(".git/HEAD", "nonsense")
    write(".env", "A=b\n")
    proposals = discover(tmp_path)
    assert not proposals.attention
    assert [(item.name, item.kind) for item in proposals.components] == [("secrets", "secrets"), ("source", "files")]


def test_what_no_work_tree_keeps_is_captured_as_files_and_nothing_twice(tmp_path: Path, write: Write) -> None:
    for name in ("one", "two/deep"):
        write(f"{name}/app.py", "")
        write(f"{name}/.gitignore", "state/\n")
        write(f"{name}/state/x", "")
        git(tmp_path / name, "init", "-q")
    write("nginx/nginx.conf", "")
    write("top.txt", "")
    found = {item.name: dict(item.options) for item in discover(tmp_path).components}
    assert found == {
        "configuration": {"paths": ["nginx"]},
        "source-one": {"path": "one"},
        "source-deep": {"path": "two/deep"},
        "data": {"paths": ["one/state", "two/deep/state"]},
        "source": {
            "paths": ["."],
            "exclude": ["/nginx", "/one/state", "/two/deep/state", "/one", "/two/deep"],
        },
    }


def test_a_work_tree_in_a_work_tree_keeps_its_own(tmp_path: Path, write: Write) -> None:
    git(tmp_path, "init", "-q")
    write(".gitignore", "inner/\nouter-data/\n")
    write("outer-data/x", "")
    write("inner/.gitignore", "data/\n")
    write("inner/data/x", "")
    write("inner/app.py", "")
    git(tmp_path / "inner", "init", "-q")
    found = {item.name: dict(item.options) for item in discover(tmp_path).components}
    assert found == {
        "source": {"path": "."},
        "source-inner": {"path": "inner"},
        "data": {"paths": ["inner/data", "outer-data"]},
    }


def test_uploads_that_git_keeps_are_not_captured_twice(tmp_path: Path, write: Write) -> None:
    git(tmp_path, "init", "-q")
    write("media/logo.png", "x")
    write("uploads/.gitkeep", "")
    write("uploads/photo.jpg", "x")
    write(".gitignore", "/uploads/*\n!/uploads/.gitkeep\n")
    found = {item.name: dict(item.options) for item in discover(tmp_path).components}
    assert found == {"uploads": {"paths": ["uploads"]}, "source": {"path": "."}}


def test_a_certificate_alone_is_public_and_a_private_key_is_not(tmp_path: Path, write: Write) -> None:
    write("a.pem", "-----BEGIN CERTIFICATE-----\nMII\n")
    write("b.pem", "-----BEGIN RSA PRIVATE KEY-----\nMII\n")
    write("c.p12", b"\x30\x82")
    write(".npmrc", "//registry.npmjs.org/:_authToken=abc\n")
    write("sub/.npmrc", "save-exact=true\n")
    assert sorted(component(discover(tmp_path), "secrets").options["files"]) == [".npmrc", "b.pem", "c.p12"]


def test_wildcards_in_names_are_meant_as_they_are(tmp_path: Path, write: Write) -> None:
    write("a[1]*.key", "-----BEGIN PRIVATE KEY-----\n")
    assert component(discover(tmp_path), "secrets").options["files"] == ["a[[]1][*].key"]


def test_a_database_is_known_by_its_header_not_by_its_name(tmp_path: Path, write: Write) -> None:
    write("fake.db", "no database")
    write("real.dat", b"SQLite format 3\x00" + bytes(84))
    assert component(discover(tmp_path), "sqlite").options["paths"] == ["real.dat"]


def test_what_installers_filled_is_not_entered(tmp_path: Path, write: Write) -> None:
    for folder in ("node_modules/x", ".venv", "deep/env", "a/__pycache__"):
        write(f"{folder}/.env", "A=postgres://u:p@h/d\n")
    write("deep/env/pyvenv.cfg", "home = /usr\n")
    proposals = discover(tmp_path)
    assert {item.kind for item in proposals.components} == {"files"}


@pytest.mark.parametrize(
    "content",
    [
        b"services: [",
        b"services:\n  a: &a [*a]\n",
        b"services: " + b"[" * 200_000,
        b"services:\n" + b"- " * 100_000,
        b"services:\n" + b"".join(b" " * depth + b"a:\n" for depth in range(500)),
        b"\xff\xfe\x00",
        b"services: !!python/object/apply:os.system [touch /tmp/pwned]\n",
        b"x: " + b"a" * (300 << 10),
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((letter, letter) + (letter - 1,) * 9)
            for letter in range(98, 108)
        )
        + b"services: {s: *k}\n",
    ],
    ids=["cut", "circle", "deep", "items", "steps", "bytes", "code", "huge", "laughs"],
)
def test_a_hostile_compose_file_is_told_and_harms_nothing(tmp_path: Path, write: Write, content: bytes) -> None:
    write("compose.yaml", content)
    proposals = discover(tmp_path)
    assert [finding.gravity for finding in proposals.attention] == [Gravity.FAILURE]
    assert places(proposals, Topic.COMPOSE) == ["compose.yaml"]
    assert not [item for item in proposals.components if item.kind == "compose"]


@pytest.mark.parametrize(
    "services",
    ["[]", "x", "3", "{a: null, b: [], c: 7}", "{a: {volumes: {x: y}, ports: x, depends_on: 3, environment: 4}}"],
)
def test_compose_files_of_a_wrong_shape_do_no_harm(tmp_path: Path, write: Write, services: str) -> None:
    write("compose.yaml", f"services: {services}\nvolumes: 7\n")
    assert discover(tmp_path).components[-1].kind == "files"


def test_pipes_links_and_loops_do_not_keep_it(tmp_path: Path, write: Write) -> None:
    os.mkfifo(tmp_path / ".env")
    os.mkfifo(tmp_path / "compose.yaml")
    os.mkfifo(tmp_path / "app.db")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / ".env.local").symlink_to("/dev/zero")
    write("shared/env", "A=b\n")
    (tmp_path / ".env.production").symlink_to("shared/env")
    proposals = discover(tmp_path)
    assert component(proposals, "secrets").options["files"] == [".env.production"]


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.key"))).write_text("-----BEGIN PRIVATE KEY-----")
    proposals = discover(tmp_path)
    assert [finding.gravity for finding in proposals.attention] == [Gravity.WARNING]
    assert {item.kind for item in proposals.components} == {"files"}


def test_a_walk_ends_after_so_many_entries(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pivori.stack.discovery.walk.MOST_ENTRIES", 10)
    for number in range(30):
        write(f"d{number}/file", "")
    assert len(discover(tmp_path).attention) == 1


def test_a_very_deep_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "/".join("d" * 20)).mkdir(parents=True)
    assert len(discover(tmp_path).attention) == 1


def test_the_name_of_the_stack_is_a_name(tmp_path: Path) -> None:
    for folder, name in (("Mon App é", "mon-app"), ("---", "stack"), ("shop_2", "shop_2")):
        (tmp_path / folder).mkdir()
        assert discover(tmp_path / folder).name == name
