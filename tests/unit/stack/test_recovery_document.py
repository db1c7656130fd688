"""RECOVERY.md: whole in both languages, loud about what is missing, of use to a shell, and not broken by odd names."""

import re
import shutil
import string
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import fields

import msgspec
import pytest

from pivori.components.base import Consistency, Report
from pivori.stack.model import Contacts
from pivori.stack.record import ComponentRecord, Outcome, RecoveryRecord
from pivori.stack.recovery_document import recovery_document
from pivori.stack.recovery_document_en import ENGLISH
from pivori.stack.recovery_document_fr import FRENCH
from pivori.stack.recovery_texts import RecoveryTexts

REPORT = Report(
    consistency=Consistency.TRANSACTION,
    versions={"PostgreSQL": "15.14"},
    position={"lsn": "0/3000060"},
    counts={"databases": 2},
    replay_from="2026-11-28T07:00:00Z",
)
DATABASE = ComponentRecord(
    name="database",
    kind="postgres-physical",
    outcome=Outcome.CAPTURED,
    started="2026-11-28T08:00:01.5Z",
    ended="2026-11-28T08:00:09Z",
    size=5 << 20,
    file_count=3,
    report=REPORT,
    manual=['pg_restore -d "$DATABASE" app.dump', 'psql -c "SELECT 1"'],
    warnings=["*Slow* disk."],
    rto=5400,
    rpo=60,
)
SECRETS = ComponentRecord(
    name="secrets",
    kind="secrets",
    outcome=Outcome.FAILED,
    started="2026-11-28T08:00:00Z",
    ended="2026-11-28T08:00:01Z",
    error="The file .env cannot be read.",
    error_code="secret-unreadable",
)
RECORD = RecoveryRecord(
    version=1,
    stack="shop",
    root="/srv/shop",
    host="server-1",
    program="pivori 0.1.0",
    started="2026-11-28T08:00:00Z",
    ended="2026-11-28T08:00:10+01:00",
    order=["secrets", "database", "source"],
    asked=["database", "secrets"],
    components=[DATABASE, SECRETS],
    contacts=Contacts(email="backup-support@example.org", chat="#backup-support"),
)


def halves(record: RecoveryRecord) -> tuple[str, str]:
    """The document's two languages."""
    english, french = recovery_document(record).decode().split("\n\n---\n\n")
    return english, french


def changed(component: ComponentRecord, **changes: object) -> RecoveryRecord:
    """The record with this as its only component."""
    return msgspec.structs.replace(RECORD, components=[msgspec.structs.replace(component, **changes)], order=[])


def blocks(text: str) -> list[str]:
    """The commands of its code blocks."""
    return [found[2] for found in re.finditer(r"^(`{3,})sh\n(.*?)\n\1$", text, re.MULTILINE | re.DOTALL)]


def texts(of: RecoveryTexts) -> Iterator[tuple[str, str]]:
    """Each sentence of a language by its name."""
    for field in fields(of):
        value = getattr(of, field.name)
        if isinstance(value, Mapping):
            yield from ((f"{field.name}.{key}", text) for key, text in value.items())
        elif isinstance(value, tuple):
            yield from ((f"{field.name}.{number}", text) for number, text in enumerate(value))
        else:
            yield field.name, value


def places(text: str) -> list[str]:
    return sorted(name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name)


def test_both_languages_say_the_same_things() -> None:
    english, french = dict(texts(ENGLISH)), dict(texts(FRENCH))
    assert list(english) == list(french)
    for name, text in english.items():
        assert places(text) == places(french[name]), name
        assert text.count("**") == french[name].count("**"), name
        assert text.count("`") == french[name].count("`"), name
        assert text, name
        assert french[name], name
    same = {name for name in english if english[name] == french[name] and len(english[name]) > 4}
    assert same == set()


def test_the_kinds_are_those_of_the_configuration() -> None:
    from pivori.settings.stack_file.model import StackFile

    kinds = set(StackFile.model_json_schema()["properties"]["components"]["items"]["discriminator"]["mapping"])
    assert kinds <= set(ENGLISH.kinds)


def test_both_halves_have_the_same_structure_and_the_same_commands() -> None:
    english, french = halves(RECORD)
    assert re.findall(r"^#+", english, re.MULTILINE) == re.findall(r"^#+", french, re.MULTILINE)
    without_comments = [[re.sub(r"  # .*", "", commands) for commands in blocks(half)] for half in (english, french)]
    assert without_comments[0] == without_comments[1]
    assert len(without_comments[0]) >= 4


def test_it_is_the_same_for_the_same_record() -> None:
    assert recovery_document(RECORD) == recovery_document(RECORD)


def test_what_is_missing_is_said_first_and_where_it_would_be() -> None:
    for half, failed, unasked in zip(
        halves(RECORD),
        ("its capture failed: The file .env cannot be read.", "sa capture a échoué : The file .env cannot be read."),
        ("was not asked for", "n’était pas demandé"),
        strict=True,
    ):
        assert half.count(failed) == 2
        assert half[: half.index(failed)].count("## ") == 1
        assert unasked in half
        assert "--tag component=source" in half
        assert "--tag component=secrets" in half


def test_a_whole_one_does_not_speak_of_missing_things() -> None:
    english, french = halves(msgspec.structs.replace(RECORD, components=[DATABASE], order=["database"]))
    assert ENGLISH.missing_title not in english
    assert FRENCH.missing_title not in french
    assert "Not in this" not in english


def test_components_stand_in_the_order_of_recovery() -> None:
    for half in halves(RECORD):
        assert re.findall(r"^### (\d)\. `(\w+)`", half, re.MULTILINE) == [
            ("1", "secrets"),
            ("2", "database"),
            ("3", "source"),
        ]


def test_what_is_known_of_a_component_is_there() -> None:
    english, french = halves(RECORD)
    for words in ("PostgreSQL `15.14`", "lsn `0/3000060`", "databases `2`", "`backup-support@example.org`"):
        assert words in english
        assert words in french
    assert "Captured from 2026-11-28 08:00:01 UTC to 2026-11-28 08:00:09 UTC" in english
    assert "any moment from 2026-11-28 07:00:00 UTC" in english
    assert "Size: 5.0 MiB in 3 files" in english
    assert "Taille : 5,0 Mio en 3 fichiers" in french
    assert "back within 1 h 30 min" in english
    assert "au plus 1 min de travail perdu" in french
    assert r"**Warning:** \*Slow\* disk." in english
    assert "AGE-SECRET-KEY-" in english


def test_the_commands_are_those_of_the_component_in_its_folder() -> None:
    for half in halves(RECORD):
        wanted = 'cd "$PLACE"/database\npg_restore -d "$DATABASE" app.dump\npsql -c "SELECT 1"'
        assert wanted in blocks(half)


def test_the_commands_are_understood_by_a_shell() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    for half in halves(RECORD):
        script = "\n".join(blocks(half))
        done = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", ["a`b", "it's", "two\nlines", "$(reboot)", "| x |", "```", "\x1b[31m", "caf\udce9", ""]
)
def test_odd_names_break_neither_the_text_nor_the_commands(name: str) -> None:
    record = changed(DATABASE, name=name, kind=name, warnings=[name])
    record = msgspec.structs.replace(record, stack=name, host=name, root=name, program=name, strategy=name)
    plain = halves(changed(DATABASE))
    for half, usual in zip(halves(record), plain, strict=True):
        assert len(re.findall(r"^#+ ", half, re.MULTILINE)) == len(re.findall(r"^#+ ", usual, re.MULTILINE))
        assert "\x1b" not in half
        script = "\n".join(blocks(half))
        done = subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.stderr == ""


def test_nobody_to_call_is_said() -> None:
    english, french = halves(msgspec.structs.replace(RECORD, contacts=Contacts()))
    assert ENGLISH.no_contacts in english
    assert FRENCH.no_contacts in french


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    assert "soon" in halves(msgspec.structs.replace(RECORD, started="soon"))[0]
