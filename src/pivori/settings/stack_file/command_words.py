"""Commands in the configuration file: a list of words, or a text that is split into words as a shell does."""

import shlex
from typing import Annotated

from pydantic import BeforeValidator, Field

from pivori.translation import N_

_NOT_CLOSED = N_("a quotation mark is not closed, or the last character is a backslash")
_FOR_A_SHELL = N_(
    "no shell runs it: put what only a shell understands (pipes, redirections, variables …) between single quotation"
    ' marks, or write ["sh", "-c", "…"]'
)
_ALWAYS = frozenset("|&;<>()$`")
_IN_QUOTES = frozenset("$`")


def _split(value: object) -> object:
    """The words of a text; anything else is left to the validation of a list."""
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError:
        raise ValueError(_NOT_CLOSED) from None
    if _is_for_a_shell(value):
        raise ValueError(_FOR_A_SHELL)
    return words


def _is_for_a_shell(text: str) -> bool:
    """Whether a shell would do more than split it: then whoever wrote it expects that."""
    quote, escaped = "", False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        elif (not quote and letter in _ALWAYS) or (quote == '"' and letter in _IN_QUOTES):
            return True
    return False


_Word = Annotated[str, Field(pattern=r"^[^\x00]*$")]
CommandWords = Annotated[tuple[_Word, ...], BeforeValidator(_split, json_schema_input_type=str | list[str])]
"""The words of a command; empty when there is none."""

ACommand = Annotated[CommandWords, Field(min_length=1)]
"""The words of a command, the first of which is its program."""
