"""Names of files, of databases that make way, and patterns of tables."""

import pytest

from pivori.components.postgres.catalogue import Database, Excluded, Table, matches
from pivori.components.postgres.dumping import failure_of, file_of
from pivori.components.postgres.filling import aside_name, temporary_name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("shop", "shop.dump"),
        ("a/b", "a%2Fb.dump"),
        (".hidden.x", "%2Ehidden.x.dump"),
        ("100%", "100%25.dump"),
        ("Größe\n", "Größe%0A.dump"),
    ],
)
def test_a_database_has_a_file_of_its_own(name: str, file: str) -> None:
    assert file_of(name) == file


def test_long_names_stay_different_and_within_what_a_server_takes() -> None:
    first, second = "é" * 30 + "one", "é" * 30 + "two"
    assert temporary_name(first) != temporary_name(second)
    for name in (first, second):
        assert len(temporary_name(name).encode()) <= 63
        assert Database(name=temporary_name(name), owner="", encoding="", lets_in=True).is_ours


def test_what_is_put_aside_has_a_name_of_its_own() -> None:
    first = aside_name("shop", "20260131t120000z", [])
    second = aside_name("shop", "20260131t120000z", [first])
    assert first != second
    for name in (first, second):
        assert Database(name=name, owner="", encoding="", lets_in=True).is_ours
    assert not Database(name="put_aside_shop", owner="", encoding="", lets_in=True).is_ours


@pytest.mark.parametrize(
    ("pattern", "schema", "name", "fits"),
    [
        ("log_*", "public", "log_2025", True),
        ("log_*", "any", "xlog_2025", False),
        ("LOG", "public", "log", True),
        ('"LOG"', "public", "log", False),
        ('"a*"', "public", "ab", False),
        ("audit.*", "audit", "x", True),
        ("audit.*", "other", "x", False),
        ("db.audit.*", "audit", "x", True),
        ("lo?", "public", "log", True),
        ("lo?", "public", "logs", False),
        ("a$", "public", "a$", True),
        ('"a""b.c"', "public", 'a"b.c', True),
        ("(a|b)[0-9]", "public", "b7", True),
    ],
)
def test_patterns_mean_what_they_mean_to_pg_dump(pattern: str, schema: str, name: str, fits: bool) -> None:
    table = Table(schema=schema, name=name, owner="")
    assert matches(pattern, table) is fits
    assert Excluded(rows=[pattern]).keeps_rows_of(table) is not fits


def test_a_program_that_failed_is_told_with_its_reason() -> None:
    said = "pg_dump: warning: odd\npg_dump: error: query failed\npg_dump: detail: Query was: SELECT"
    failed = failure_of("pg_dump", 1, said)
    assert failed.details == {"program": "pg_dump", "status": 1, "reason": "pg_dump: error: query failed"}
    assert failure_of("pg_dump", -9, "").details["status"] == 137
