"""The commands that bring a cluster back without this program."""

from datetime import UTC, datetime

from pivori.components.postgres_physical.by_hand import commands
from pivori.components.postgres_physical.facts import BaseFacts, Facts

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_the_name_of_a_tablespace_stays_within_its_comment() -> None:
    archives = {"base.tar": "", "16400.tar": "/srv/fast\nrm precious #"}
    base = BaseFacts(
        id="one", start="0/1000028", end="0/1000100", timeline=1, taken=NOON, ended=NOON, size=1, archives=archives
    )
    facts = Facts(
        system="1",
        timeline=1,
        segment_size=1 << 24,
        major=15,
        position="0/1000100",
        time=NOON,
        slot="pivori",
        superuser="postgres",
        database="postgres",
        bases=[base],
        settings={},
    )
    lines = "\n".join(commands(facts)).split("\n")
    assert [line for line in lines if "precious" in line] == [
        r"# This was the tablespace in '/srv/fast\nrm precious #'."
    ]
