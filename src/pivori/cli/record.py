"""How values become JSON: plain types as they are, everything else by a rule that loses nothing.

A file name is ``bytes``. When it is UTF-8 it is that text. When it is not, JSON cannot hold it: the text is then the
escaped form people see, and a sibling field with ``_base64`` added to its name holds the exact bytes:
``{"path": "/home/caf\\xe9", "path_base64": "L2hvbWUvY2Fm6Q=="}``. In a list of names with such a member, the sibling is
the list of all of them.
"""

import base64
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from pivori.cli.wording import show_path


def encode(value: object, *, indent: int | None = None) -> str:
    """One JSON document, without a line break unless ``indent`` is given."""
    # Lone surrogates cannot be written as UTF-8, and strict readers refuse their escapes.
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def plain(value: object) -> Any:
    """``value`` made of what JSON has. Times are RFC 3339, durations are seconds."""
    if value is None or (isinstance(value, (str, bool, int, float)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _name(bytes(value))
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _composite(value)


def _composite(value: object) -> Any:
    """Sequences, and the kinds of records this program has; anything else by its text."""
    named = _field_names(value)
    if named:
        return _object({name: getattr(value, name) for name in named})
    if isinstance(value, (Sequence, Set)):
        return [plain(item) for item in value]
    return str(value)


def _field_names(value: object) -> Sequence[str]:
    """The names of the fields of a dataclass, a named tuple or a msgspec struct; empty for other values."""
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    named: Sequence[str] = getattr(value, "_fields", None) or getattr(value, "__struct_fields__", None) or ()
    return named


def _object(values: Mapping[Any, object]) -> dict[str, Any]:
    """A JSON object, with the exact bytes of the names that are not UTF-8 beside them."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result[str(key)] = plain(value)
        exact = _exact(value)
        if exact is not None:
            result[f"{key}_base64"] = exact
    return result


def _exact(value: object) -> str | list[str] | None:
    """The base64 form of a name, or of a list of names, that cannot be written as it is; otherwise None."""
    if isinstance(value, bytes):
        return None if _is_text(value) else base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, bytes) for item in value):
        return None if all(map(_is_text, value)) else [base64.b64encode(item).decode() for item in value]
    return None


def _name(name: bytes) -> str:
    """A file name as JSON text: itself when it is UTF-8, otherwise as people see it."""
    return name.decode() if _is_text(name) else show_path(name)


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
