"""Choosing from a list at the terminal: with the arrow keys or a number where the terminal can, else with a number.

Ctrl-C raises KeyboardInterrupt, Ctrl-D and a terminal that has gone EOFError.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pivori.cli.interruption import interruptions
from pivori.cli.output import Output
from pivori.cli.wording import safe_cell, shorten
from pivori.translation import _

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPressEvent

_BESIDE_TITLE = 8
"""So many columns stand before a title."""


class Option(NamedTuple):
    """Something to choose: the key that means it, what is shown, and what it is."""

    key: str
    title: str
    value: str


class Chooser(Protocol):
    """A way to ask."""

    def choose(self, question: str, options: Sequence[Option]) -> str:
        """The value of the option that somebody chose."""
        ...

    def type(self, question: str, default: str) -> str:
        """What somebody typed."""
        ...


def chooser_for(output: Output) -> Chooser:
    """The best way to ask at this terminal."""
    if output.is_dumb:
        return NumberChooser(output)
    try:
        import questionary  # noqa: F401 - whether it is there; numbers do without it
    except ImportError:
        return NumberChooser(output)
    return ArrowChooser(output)


@contextmanager
def _asking() -> Iterator[None]:
    """While somebody is asked, Ctrl-C ends only that. Raises EOFError when the terminal has gone."""
    try:
        with interruptions():
            yield
    except OSError as error:
        raise EOFError from error


class NumberChooser:
    """For any terminal: a list of lines, and a number that is typed."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def choose(self, question: str, options: Sequence[Option]) -> str:
        """Ask until the key of an option is typed."""
        output = self._output
        for option in options:
            output.result(f"  {option.key}) {safe_cell(option.title)}")
        while True:
            typed = self.type(question, "")
            for option in options:
                if typed == option.key:
                    return option.value
            output.result(_("Type one of these: {keys}").format(keys=" ".join(option.key for option in options)))

    def type(self, question: str, default: str) -> str:
        """One line; an empty one means the default."""
        with _asking():
            self._output.ask(f"{question} [{default}]" if default else question)
            line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip() or default


class ArrowChooser:
    """For terminals that can move their cursor."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def choose(self, question: str, options: Sequence[Option]) -> str:
        """Ask with a list in which the arrow keys move and a key jumps; Enter chooses."""
        import questionary

        room = self._output.width - _BESIDE_TITLE
        self._output.flush()
        asked = questionary.select(
            question,
            choices=[
                questionary.Choice(shorten(safe_cell(each.title), room), value=each.value, shortcut_key=each.key)
                for each in options
            ],
            instruction=_("(arrow keys or a number, then Enter)"),
            use_shortcuts=True,
            use_jk_keys=False,
            **self._looks(),
        )
        bindings: Any = asked.application.key_bindings

        @bindings.add("c-d", eager=True)  # type: ignore[untyped-decorator]  # of what questionary keeps as Any
        def leave(event: "KeyPressEvent") -> None:
            event.app.exit(exception=EOFError)

        with _asking():
            answer: str = asked.unsafe_ask()
        return answer

    def type(self, question: str, default: str) -> str:
        """One line, which begins as the default."""
        import questionary

        self._output.flush()
        with _asking():
            answer: str = questionary.text(question, default=default, **self._looks()).unsafe_ask()
        return answer.strip()

    def _looks(self) -> dict[str, Any]:
        """Colours only where somebody wants them."""
        if self._output.color:
            return {}
        from prompt_toolkit.output import ColorDepth

        return {"color_depth": ColorDepth.DEPTH_1_BIT}
