"""Text that came from elsewhere, put into Markdown so that it stays what it is."""

import re
from collections.abc import Sequence
from typing import Final

_MEANINGFUL: Final = re.compile(r"([\\`*\[\]<~]|&(?=#?\w+;)|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")
"""What Markdown obeys anywhere in a line. Underscores within a word are none of it, so that paths stay readable."""

_MEANINGFUL_FIRST: Final = re.compile(r"^([-+#>=]|[0-9]+(?=[.)]))")


def plain(text: str) -> str:
    """A text in a line of prose: on one line, and nothing in it is Markdown."""
    return _MEANINGFUL_FIRST.sub(_harmless, _MEANINGFUL.sub(r"\\\1", _on_one_line(text).strip()))


def code(text: str) -> str:
    """A text as code within a line, whatever backticks are in it."""
    text = _on_one_line(text)
    if not text:
        return "` `"
    fence = "`" * (_longest_run(text) + 1)
    # CommonMark takes one space off each end, where both ends have one.
    needs_room = text[0] in "` " or text[-1] in "` "
    return f"{fence} {text} {fence}" if needs_room else f"{fence}{text}{fence}"


def code_block(lines: Sequence[str]) -> str:
    """Lines of commands as a block. Those that hold line ends themselves stay as they are."""
    text = "\n".join(_printable(line, keep="\n\t") for line in lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}sh\n{text}\n{fence}"


def _harmless(start: re.Match[str]) -> str:
    """The beginning of a text as no beginning of a heading or of a list."""
    return f"{start[0]}\\" if start[0].isdecimal() else f"\\{start[0]}"


def _on_one_line(text: str) -> str:
    return _printable(" ".join(text.split("\n")), keep="").strip("\r")


def _printable(text: str, *, keep: str) -> str:
    """Characters that a terminal would obey, and bytes that are no text, as escapes."""
    return "".join(
        letter if letter.isprintable() or letter in keep else ascii(letter)[1:-1].replace("\\udc", "\\x")
        for letter in text
    )


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
