"""What a reading command does about damage: say it, go on with the rest, and end with the status for incomplete."""

from pivori.cli.failures import DONE, INCOMPLETE, wording
from pivori.cli.output import Output
from pivori.cli.wording import show_path
from pivori.errors import PivoriError
from pivori.translation import _


class Damage:
    """Counts and tells. :attr:`status` is what the command returns at its end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_incomplete = False

    @property
    def status(self) -> int:
        """The exit status: 0, or 3 after damage."""
        return INCOMPLETE if self._is_incomplete else DONE

    def of_object(self, error: PivoriError) -> None:
        """Something in the repository, such as another snapshot, cannot be read."""
        self._is_incomplete = True
        message, hint = wording(error)
        self._output.warn(f"{message} {hint}".strip(), name=error.code, details=error.details)

    def of_path(self, path: bytes, error: PivoriError) -> None:
        """A file or directory cannot be read as it should be."""
        self._is_incomplete = True
        self.note(path, error)

    def note(self, path: bytes, error: PivoriError) -> None:
        """Like :meth:`of_path`, for what leaves nothing incomplete."""
        message, hint = wording(error)
        text = _("{path}: {message}").format(path=show_path(path), message=f"{message} {hint}".strip())
        self._output.warn(text, name=error.code, path=path)
