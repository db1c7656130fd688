"""A text that must never be shown: every way Python has of showing a value gives ``Secret(…)``."""

from typing import NoReturn


class Secret:
    """A password in memory. Only :meth:`reveal` gives it back; it refuses to be pickled or formatted into a text."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would survive in tables and dumps

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._value == other._value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not leave its process")
