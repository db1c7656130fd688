"""File names between the raw bytes of the system and the text a node holds.

A node's name is Go's ``strconv.Quote`` of the raw bytes without the outer quotes: bytes that are not UTF-8 and
characters that do not print become backslash escapes, so every name survives as valid Unicode. It is then escaped a
second time by the JSON around it, which is not done here.
"""

import re

from pivori.errors import PivoriError
from pivori.repository.printable import is_printable
from pivori.translation import N_, Phrase

_REMEMBERED_CHARACTERS = 1 << 14

_LETTERS = {7: "a", 8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v", 92: "\\", 34: '"'}
_BYTES = {letter.encode(): bytes((code_point,)) for code_point, letter in _LETTERS.items()}

# The last alternative is empty: it matches a backslash that starts no escape.
_substitute_escapes = re.compile(
    rb'\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\"])|)'
).sub


class TreeDamaged(PivoriError):
    """A tree (the listing of one directory) is not what a sound repository holds."""

    code = "tree-damaged"
    message = N_("The listing of a directory in the repository is damaged: {reason}.")
    hint = N_("Run `pivori verify` to learn which snapshots are hurt, then `pivori repair snapshots`.")


class _Quotes(dict[int, str]):
    """The quoted form of every character met so far, for ``str.translate``."""

    def __missing__(self, code_point: int) -> str:
        quoted = _quote_character(code_point)
        if len(self) < _REMEMBERED_CHARACTERS:
            self[code_point] = quoted
        return quoted


def _quote_character(code_point: int) -> str:
    if code_point in _LETTERS:
        return "\\" + _LETTERS[code_point]
    if is_printable(code_point):
        return chr(code_point)
    if code_point < 0x80:
        return f"\\x{code_point:02x}"
    if 0xDC80 <= code_point <= 0xDCFF:  # a byte that is no UTF-8, as "surrogateescape" hands it over
        return f"\\x{code_point - 0xDC00:02x}"
    return f"\\u{code_point:04x}" if code_point < 0x10000 else f"\\U{code_point:08x}"


_quotes = _Quotes()


def quote_name(name: bytes) -> str:
    """The text a node holds for a raw name."""
    if name.isascii():
        text = name.decode("ascii")
        if text.isprintable() and "\\" not in text and '"' not in text:
            return text
    else:
        text = name.decode("utf-8", "surrogateescape")
    return text.translate(_quotes)


def _unescape(match: re.Match[bytes]) -> bytes:
    byte, short, long, octal, letter = match.groups()
    if letter is not None:
        return _BYTES[letter]
    if byte is not None:
        return bytes.fromhex(byte.decode())
    if octal is not None:
        return bytes((int(octal, 8),))
    digits = short or long
    if digits is None:
        raise ValueError("a backslash that starts no escape")
    return chr(int(digits, 16)).encode()


def unquote_name(stored: str) -> bytes:
    """The raw name a node's text stands for. Raises TreeDamaged where Go's ``strconv.Unquote`` would refuse it."""
    try:
        name = stored.encode()
        if b'"' in name or b"\\" in name or b"\n" in name:
            return _unquote(name)
    except (ValueError, OverflowError) as error:
        reason = Phrase(N_("the name {name!a} is not quoted as it must be"), name=stored[:64])
        raise TreeDamaged(reason=reason) from error
    return name


def _unquote(name: bytes) -> bytes:
    unquoted = _substitute_escapes(_unescape, name)
    bare = _substitute_escapes(b"", name)
    if b'"' in bare or b"\n" in bare:
        raise ValueError("a quote or a line break that is not escaped")
    return unquoted
