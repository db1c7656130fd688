"""SQL of ``pg_dumpall`` and ``pg_restore``, statement by statement."""

import pytest

from pivori.components.postgres.statements import (
    altered_role,
    created_role,
    for_database,
    quoted,
    statements,
    unquoted,
    without_texts,
)


def test_a_script_is_cut_between_statements_only() -> None:
    script = r"""
--
-- a comment; with 'a quote
--
\restrict abc;def
SET client_encoding = 'UTF8';
CREATE ROLE "a;b";
COMMENT ON ROLE x IS 'it''s; -- no comment
\connect in a text';
ALTER ROLE x SET y TO E'back\'slash;';
\connect "other; one"
SELECT 1"""
    assert list(statements(script)) == [
        "SET client_encoding = 'UTF8'",
        'CREATE ROLE "a;b"',
        "COMMENT ON ROLE x IS 'it''s; -- no comment\n\\connect in a text'",
        r"ALTER ROLE x SET y TO E'back\'slash;'",
        "SELECT 1",
    ]


@pytest.mark.parametrize("name", ["plain", 'a "b" c', "Größe", ";", '"'])
def test_a_quoted_name_is_itself(name: str) -> None:
    assert unquoted(quoted(name)) == name


def test_roles_are_recognised() -> None:
    assert created_role('CREATE ROLE "a ""b"""') == 'a "b"'
    assert created_role("CREATE ROLE ada") == "ada"
    assert created_role("ALTER ROLE ada WITH LOGIN") is None
    assert altered_role("ALTER ROLE ada WITH LOGIN PASSWORD 'x'") == "ada"
    assert altered_role('ALTER ROLE "WITH x" SET a TO b') is None
    assert altered_role("ALTER ROLE ada IN DATABASE shop SET a TO b") is None
    assert without_texts("""ALTER ROLE "PASSWORD" WITH LOGIN VALID UNTIL 'PASSWORD'""").count("PASSWORD") == 0


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE DATABASE shop WITH TEMPLATE = template0", 'CREATE DATABASE "n" WITH TEMPLATE = template0'),
        ('ALTER DATABASE "the shop" OWNER TO shop', 'ALTER DATABASE "n" OWNER TO shop'),
        ("COMMENT ON DATABASE shop IS 'DATABASE shop'", "COMMENT ON DATABASE \"n\" IS 'DATABASE shop'"),
        (
            'ALTER ROLE "in DATABASE x" IN DATABASE shop SET a TO b',
            'ALTER ROLE "in DATABASE x" IN DATABASE "n" SET a TO b',
        ),
        (
            "REVOKE CONNECT,TEMPORARY ON DATABASE shop FROM PUBLIC",
            'REVOKE CONNECT,TEMPORARY ON DATABASE "n" FROM PUBLIC',
        ),
        (
            "SELECT set_config('search_path', 'DATABASE shop', false)",
            "SELECT set_config('search_path', 'DATABASE shop', false)",
        ),
    ],
)
def test_a_statement_is_made_one_about_another_database(statement: str, expected: str) -> None:
    assert for_database(statement, "n", tablespaces=True) == expected


def test_a_database_leaves_its_tablespace() -> None:
    statement = "CREATE DATABASE shop WITH TEMPLATE = template0 TABLESPACE = \"fast disk\" ENCODING = 'UTF8'"
    moved = for_database(statement, "shop", tablespaces=False)
    assert moved == "CREATE DATABASE \"shop\" WITH TEMPLATE = template0 ENCODING = 'UTF8'"
    assert "fast disk" in for_database(statement, "shop", tablespaces=True)
