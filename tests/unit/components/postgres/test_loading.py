"""Which tables a second stream loads."""

from pivori.components.postgres.archive import Entry
from pivori.components.postgres.catalogue import Table
from pivori.components.postgres.facts import CapturedDatabase
from pivori.components.postgres.loading import second_share


def share_of(**weights: int) -> list[int]:
    tables = [(Table(schema="s", name=name, owner="o"), None) for name in weights]
    entries = [Entry(number, f"TABLE DATA s {name} o") for number, name in enumerate(weights)]
    captured = CapturedDatabase(
        name="d",
        file="d.dump",
        size=0,
        sha256="",
        tables=tables,
        table_bytes={("s", name): weight for name, weight in weights.items()},
    )
    return [entry.number for entry in second_share([*entries, Entry(99, "BLOBS - o")], captured)]


def test_both_streams_have_about_as_much_to_do() -> None:
    assert share_of(a=1, b=10, c=4, d=5) == [0, 2, 3]


def test_one_table_that_is_nearly_all_is_worth_no_second_stream() -> None:
    assert share_of(a=100, b=3, c=4) == []
    assert share_of() == []
