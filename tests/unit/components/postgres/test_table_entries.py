"""Which entries of a dump belong to a table."""

from pivori.components.postgres.archive import Entry
from pivori.components.postgres.bringing_table import entries_of
from pivori.components.postgres.catalogue import Table

ENTRIES = [
    Entry(1, "TYPE public mood ada"),
    Entry(2, "TABLE public account ada", [1]),
    Entry(3, "SEQUENCE public account_id_seq ada", [2]),
    Entry(4, "SEQUENCE OWNED BY public account_id_seq ada", [3]),
    Entry(5, "TABLE public account old ada"),
    Entry(6, "TABLE public transfer ada", [1]),
    Entry(7, "VIEW public poor ada", [2]),
    Entry(8, "DEFAULT public account id ada", [3, 2]),
    Entry(9, "TABLE DATA public account ada", [2]),
    Entry(10, "SEQUENCE SET public account_id_seq ada", [3]),
    Entry(11, "CONSTRAINT public account account_pkey ada", [2]),
    Entry(12, "INDEX public by_balance ada", [2, 2]),
    Entry(13, "FK CONSTRAINT public transfer transfer_payer_fkey ada", [11, 6, 2]),
    Entry(14, "ACL public TABLE account ada", [2]),
    Entry(15, "COMMENT public TABLE account ada", [2]),
    Entry(16, "PUBLICATION TABLE public news account ada", [2]),
    Entry(17, "FUNCTION public f(public.account) ada", [2]),
]


def numbers_of(name: str) -> list[int]:
    return [entry.number for entry in entries_of(ENTRIES, Table(schema="public", name=name, owner="ada"))]


def test_a_table_has_its_parts_and_nothing_of_others() -> None:
    assert numbers_of("account") == [2, 3, 4, 8, 9, 10, 11, 12, 14, 15]


def test_a_foreign_key_belongs_to_the_table_that_refers() -> None:
    assert numbers_of("transfer") == [6, 13]


def test_a_name_that_begins_alike_is_another_table() -> None:
    assert numbers_of("account old") == [5]
