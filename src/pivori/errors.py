"""The errors a person may see.

Every error has a stable kebab-case ``code``, a ``message`` (what happened to which thing), a ``hint`` (what to do)
and an ``exit_status``. Both texts are English templates with named fields; the edge of the program translates the
template first and fills in the details after. Specific errors are defined beside the code that raises them:

    PivoriError                      exit status 1
     ├─ storage.base.StorageError    the medium: not found, already there, denied, full, read-only
     ├─ repository.*                 format, keys, locks, damage, refused snapshots
     ├─ engine.*                     what a verb cannot do
     └─ settings.*                   what the user wrote

Exit statuses are restic's: 0 done, 1 error, 2 usage, 3 incomplete, 10 no repository, 11 locked, 12 wrong password,
130 interrupted.
"""

from typing import ClassVar

from pivori.translation import Phrase


class PivoriError(Exception):
    """Something a person has to know: one sentence of what happened, one of what to do.

    Subclasses set the class attributes; the keyword arguments of the constructor fill the templates and are kept
    in ``details`` for ``--json``. Details never hold passwords or key material.
    """

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "{reason}"
    hint: ClassVar[str] = ""
    inner: ClassVar[str] = ""
    """What it says as the reason of another error, where the message would say again what that one says."""
    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, **details: object) -> None:
        super().__init__()
        self.details = details

    def __str__(self) -> str:
        # A phrase, so that an error given as the reason of another is translated with it.
        return Phrase(self.message, **self.details)

    @property
    def as_reason(self) -> Phrase:
        """What it says as the reason of another error."""
        return Phrase(self.inner or self.message, **self.details)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.details)


def _rebuild(kind: type[PivoriError], details: dict[str, object]) -> PivoriError:
    """Unpickle an error that crossed a process boundary."""
    return kind(**details)
