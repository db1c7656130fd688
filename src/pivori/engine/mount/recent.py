"""What was used last, up to a limit."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values used last, by name; together they weigh at most ``limit``, or there is only one.

    ``weigh`` gives the weight of a value: bytes of a blob, entries of a directory. Belongs to one thread at a time.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int]) -> None:
        self._limit = limit
        self._weigh = weigh
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self.weight = 0

    def get(self, name: bytes, make: Callable[[], Value]) -> Value:
        """The value with this name; ``make`` is called when it is not at hand, and what it raises is passed on."""
        value = self._values.get(name)
        if value is not None:
            self._values.move_to_end(name)
            return value
        value = make()
        self._values[name] = value
        self.weight += self._weigh(value)
        while self.weight > self._limit and len(self._values) > 1:
            _name, gone = self._values.popitem(last=False)
            self.weight -= self._weigh(gone)
        return value
