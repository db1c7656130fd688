"""Values as JSON, without losing the names that are not UTF-8."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pivori.cli.record import encode, plain


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    TWO = 2


@dataclass(frozen=True)
class Thing:
    path: bytes
    when: datetime


class Pair(NamedTuple):
    left: int
    right: Path


class Struct(msgspec.Struct):
    name: str


def test_values() -> None:
    moment = datetime(2026, 11, 8, 12, tzinfo=UTC)
    assert plain(Thing(b"a", moment)) == {"path": "a", "when": "2026-11-08T12:00:00+00:00"}
    assert plain(Pair(1, Path("/x"))) == {"left": 1, "right": "/x"}
    assert plain([Colour.RED, Number.TWO, timedelta(seconds=90), Struct("s"), {3}, None, True]) == [
        "red", 2, 90.0, {"name": "s"}, [3], None, True,
    ]  # fmt: skip
    assert plain(Thing) == str(Thing)


def test_names_that_are_not_text_come_with_their_bytes() -> None:
    assert plain({"path": b"caf\xe9"}) == {"path": "caf\\xe9", "path_base64": base64.b64encode(b"caf\xe9").decode()}
    found = plain({"paths": [b"ok", b"\xff"]})
    assert found["paths"] == ["ok", "\\xff"]
    assert [base64.b64decode(name) for name in found["paths_base64"]] == [b"ok", b"\xff"]
    assert "path_base64" not in plain({"path": "café\n".encode()})


@given(st.binary(max_size=20))
def test_no_name_is_lost(name: bytes) -> None:
    text = encode({"path": name})
    assert "\n" not in text
    found = json.loads(text.encode())
    exact = base64.b64decode(found["path_base64"]) if "path_base64" in found else found["path"].encode()
    assert exact == name


def test_lone_surrogates_do_not_break_the_output() -> None:
    assert encode({"text": "a\udce9"}).encode()
    assert encode({"é": 1}) == '{"é": 1}'
