"""From an address a person wrote to the storage it means."""

import re
from collections.abc import Callable
from pathlib import Path

from pivori.errors import PivoriError
from pivori.storage.base import Storage
from pivori.storage.local import LocalStorage
from pivori.storage.memory import MemoryStorage
from pivori.translation import N_

# As in restic: `word:rest` is an address, `./word:rest` and `/word:rest` are paths.
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)


class UnknownStorageScheme(PivoriError):
    """The address names a kind of storage there is none of. Only the scheme is told: the rest may hold a password."""

    code = "unknown-storage-scheme"
    message = N_("There is no storage of the kind `{scheme}:`; known are {known}.")
    hint = N_("For a folder whose name has a colon write `local:` before it; otherwise correct the address.")


class NoStorageAddress(PivoriError):
    """The address is empty, which is no way to say `this folder`."""

    code = "no-storage-address"
    message = N_("The address of the repository is empty.")
    hint = N_("Name a folder; the present one is written `.`.")


def open_storage(address: str | Path) -> Storage:
    """The storage at ``address``: a path, ``local:PATH`` or ``memory:``. Nothing is read or made yet.

    A leading ``~`` of a text is the home folder; a :class:`Path` is taken as it is.
    """
    if isinstance(address, Path):
        return LocalStorage(address)
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return _open_local(address)
    opener = _OPENERS.get(match["scheme"])
    if opener is None:
        # What is in memory is gone when the program ends: it serves tests, and nobody is to look for it.
        known = ", ".join(f"`{scheme}:`" for scheme in sorted(_OPENERS.keys() - {"memory"}))
        raise UnknownStorageScheme(scheme=match["scheme"], known=known)
    return opener(match["rest"])


def _open_local(path: str) -> LocalStorage:
    if not path:
        raise NoStorageAddress()
    try:
        return LocalStorage(Path(path).expanduser())
    except RuntimeError:
        # There is no such user: as for a shell, the name stands for itself.
        return LocalStorage(Path(path))


def _open_memory(_rest: str) -> MemoryStorage:
    return MemoryStorage()


_OPENERS: dict[str, Callable[[str], Storage]] = {"local": _open_local, "memory": _open_memory}
