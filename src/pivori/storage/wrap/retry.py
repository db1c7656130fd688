"""A storage that tries again what may succeed the second time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pivori.clock import Clock
from pivori.storage.base import AlreadyExists, Item, Kind, NotFound, Storage, StorageError
from pivori.storage.wrap.base import WrappedStorage

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Retry:
    """What the ``on_retry`` callback learns: the error, which attempt it ended (from 1), the delay to come in s."""

    error: StorageError
    attempt: int
    delay: float


class RetryStorage(WrappedStorage):
    """Repeats calls that end in an error with ``retryable`` set; every other error passes at once.

    ``attempts`` calls are made in all, with delays of ``first_delay`` seconds, doubling up to ``longest_delay``;
    the error of the last one passes. A failure to store a pack behind the caller's back is not retryable (see
    :meth:`Storage.put`), so none is ever covered up. Of a pickled storage the copy has no callback.
    """

    def __init__(
        self,
        inner: Storage,
        clock: Clock,
        attempts: int = 8,
        first_delay: float = 0.5,
        longest_delay: float = 60.0,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._attempts = attempts
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._on_retry = on_retry

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_on_retry": None}

    def create(self) -> None:
        """See :meth:`Storage.create`."""
        self._repeat(lambda _attempt: self.inner.create())

    def get(self, kind: Kind, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See :meth:`Storage.get`."""
        return self._repeat(lambda _attempt: self.inner.get(kind, name, offset, length))

    def put(self, kind: Kind, name: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """See :meth:`Storage.put`. A ``config`` that a failed attempt has brought there all the same is no error."""

        def attempt_to_put(attempt: int) -> None:
            try:
                self.inner.put(kind, name, parts)
            except AlreadyExists:
                if attempt == 1 or self.inner.get(kind, name) != b"".join(parts):
                    raise

        self._repeat(attempt_to_put)

    def delete(self, kind: Kind, name: str) -> None:
        """See :meth:`Storage.delete`. An object that a failed attempt has removed all the same is no error."""

        def attempt_to_delete(attempt: int) -> None:
            try:
                self.inner.delete(kind, name)
            except NotFound:
                if attempt == 1:
                    raise

        self._repeat(attempt_to_delete)

    def list(self, kind: Kind) -> Iterator[Item]:
        """See :meth:`Storage.list`. The listing is complete before the first item comes, so that none comes twice."""
        yield from self._repeat(lambda _attempt: tuple(self.inner.list(kind)))

    def size(self, kind: Kind, name: str) -> int:
        """See :meth:`Storage.size`."""
        return self._repeat(lambda _attempt: self.inner.size(kind, name))

    def sync(self) -> None:
        """See :meth:`Storage.sync`."""
        self._repeat(lambda _attempt: self.inner.sync())

    def _repeat(self, call: Callable[[int], _Result]) -> _Result:
        """The result of ``call``, which is given the number of the attempt, from 1."""
        delay = self._first_delay
        for attempt in range(1, self._attempts):
            try:
                return call(attempt)
            except StorageError as error:
                if not error.retryable:
                    raise
                self._pause(Retry(error, attempt, delay))
            delay = min(delay * 2, self._longest_delay)
        return call(self._attempts)

    def _pause(self, retry: Retry) -> None:
        if self._on_retry is not None:
            self._on_retry(retry)
        self._clock.sleep(retry.delay)
