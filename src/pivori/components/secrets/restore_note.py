"""Where a restore is writing: a later run can remove what it has left when it is killed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pivori.components.private_file import PrivateFile, partial_name
from pivori.host.partial import is_partial

_NAME: Final = "restoring.json"


class RestoreNote:
    """The note in a folder."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / _NAME

    def write(self, places: Sequence[Path]) -> None:
        """Note which files are about to be written. Raises OSError."""
        with PrivateFile(self._place) as file:
            file.write(msgspec.json.encode([os.fsencode(place) for place in places]))
            file.put()

    def remove(self) -> None:
        """Nothing is being written any more."""
        with suppress(FileNotFoundError):
            self._place.unlink()

    def clean(self) -> Iterator[Path]:
        """Remove what is noted and not whole: the files it was to become."""
        try:
            places = msgspec.json.decode(self._place.read_bytes(), type=list[bytes])
        except (OSError, msgspec.MsgspecError):
            return
        for place in map(Path, map(os.fsdecode, places)):
            partial = partial_name(place)
            if is_partial(os.fsencode(partial.name)):
                with suppress(FileNotFoundError):
                    partial.unlink()
                    yield place
        self.remove()
