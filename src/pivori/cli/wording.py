"""How things are written for people: file names that cannot harm a terminal, sizes, durations, numbers.

The catalogue decides the notation: a translator who renders ``1.5`` as ``1,5`` and ``1,000`` with a narrow space has
chosen the decimal sign and the separator of thousands, and the units are sentences like any other.
"""

import unicodedata
from datetime import datetime

from pivori.translation import N_, _, duration_phrase

_UNITS = (N_("{number} KiB"), N_("{number} MiB"), N_("{number} GiB"), N_("{number} TiB"), N_("{number} PiB"))
# What moves the cursor, changes colours or the direction of writing, or cannot be seen at all.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def show_path(path: bytes) -> str:
    r"""A file name as text that is safe to print on one line.

    Bytes that are not UTF-8 become ``\xNN``; control, invisible and direction-changing characters become ``\n``,
    ``\x1b`` or ``\u202e``, and a backslash becomes ``\\`` where the name has any of these, so that nothing is
    ambiguous. A name without them is shown as it is.
    """
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return "".join(_escaped(character) for character in path.decode("utf-8", "surrogateescape"))
    if text.isascii() and text.isprintable():
        return text
    if not any(_is_unsafe(character) for character in text):
        return text
    return "".join(_escaped(character) for character in text)


def safe_text(text: str) -> str:
    r"""A message without anything a terminal would obey; line breaks stay, the rest is shown as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character if character == "\n" or not _is_unsafe(character) else _escaped(character) for character in text
    )


def safe_cell(text: str) -> str:
    r"""Like :func:`safe_text`, for a place that has one line: line breaks are shown as ``\n``."""
    return safe_text(text).replace("\n", "\\n")


def show_bytes(count: int) -> str:
    """A number of bytes in the unit that fits: ``512 B``, ``1.4 GiB``; in French ``512 o``, ``1,4 Gio``."""
    if abs(count) < 1024:
        return _("{number} B").format(number=show_number(count))
    size = float(count)
    for unit in _UNITS:
        size /= 1024
        # 1023.96 would be written 1024.0 KiB
        if abs(size) < 1023.95 or unit is _UNITS[-1]:
            break
    return _(unit).format(number=show_decimal(size))


def show_number(count: int) -> str:
    """A whole number with its thousands apart: ``1,234,567``; in French ``1 234 567``."""
    return f"{count:,}".replace(",", _("1,000")[1:-3])


def show_decimal(value: float, digits: int = 1) -> str:
    """A number with ``digits`` decimals: ``1,234.5``; in French ``1 234,5``."""
    whole, point, decimals = f"{value:,.{digits}f}".partition(".")
    whole = whole.replace(",", _("1,000")[1:-3])
    return whole + (_("1.5")[1:-1] + decimals if point else "")


def show_percent(fraction: float) -> str:
    """A part of the whole without decimals, never 100 % before the end: ``42%``; in French ``42 %``."""
    return _("{number}%").format(number=int(min(max(fraction, 0.0), 1.0) * 100))


def show_duration(seconds: float, *, whole: bool = False) -> str:
    """A duration in its two largest units: ``0.4 s``, ``42 s``, ``3 min 12 s``, ``5 h 02 min``, ``3 d 4 h``.

    ``whole``: without parts of a second, for what is not known so exactly.
    """
    if seconds < 10 and not whole:
        return _("{number} s").format(number=show_decimal(max(seconds, 0.0)))
    phrase = duration_phrase(seconds)
    return _(phrase.template).format(**phrase.details)


def show_time(moment: datetime) -> str:
    """A moment in local time, to the second: ``2026-11-08 12:00:00``."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def display_width(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def shorten(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns; the middle goes, the ends of a path say most."""
    if display_width(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    front, back = (width - 1) // 3, 0
    head, tail = "", ""
    for character in text:
        if display_width(head + character) > front:
            break
        head += character
    back = width - 1 - display_width(head)
    for character in reversed(text):
        if display_width(character + tail) > back:
            break
        tail = character + tail
    return f"{head}…{tail}"


def _is_unsafe(character: str) -> bool:
    """Whether a terminal would do something other than show this character."""
    return not character.isprintable() and unicodedata.category(character) in _UNSAFE_CATEGORIES


def _escaped(character: str) -> str:
    """One character of a name that is shown with escapes."""
    if character == "\\":
        return "\\\\"
    if not _is_unsafe(character):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
