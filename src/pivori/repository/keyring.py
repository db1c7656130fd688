"""Changing who can open a repository: adding, removing and replacing passwords.

A new key object is read back from the storage and opened with its password before anything old is removed, and it is
durable by then: an end at any point leaves at least one password that opens the repository. Removing a password does
not change the master key: whoever copied a key object and knew its password can still read what they copied.
"""

from collections.abc import Callable

from pivori.errors import PivoriError
from pivori.repository.keys import KeyDamaged, add_key, list_keys, load_key_object, make_key_object, open_key_object
from pivori.repository.keys import KeyInfo as KeyDescription
from pivori.repository.last_seen import SeenKey
from pivori.repository.repository import Repository
from pivori.storage import Kind
from pivori.translation import N_

_SHOWN_DIGITS = 8


class KeyNotFound(PivoriError):
    """No key object has such a name."""

    code = "key-not-found"
    message = N_("There is no key {text}.")
    hint = N_("List the keys with `pivori key list`, and write the first digits of one.")


class AmbiguousKey(PivoriError):
    """The beginning of a name fits several key objects."""

    code = "ambiguous-key"
    message = N_("{text} fits {count} keys.")
    hint = N_("Write more digits of the key's name.")


class KeyInUse(PivoriError):
    """The key to be removed is the one that opened the repository, maybe the last one."""

    code = "key-in-use"
    message = N_("The key {name} opened the repository just now, so it cannot be removed.")
    hint = N_("Open the repository with another password to remove this one, or replace it with `pivori key passwd`.")


class KeyNotStored(PivoriError):
    """A new key object does not open when it is read back."""

    code = "key-not-stored"
    message = N_("The new key {name} does not open when it is read back; no password was changed.")
    hint = N_("Check that the medium is healthy, then try again.")


def keys(repository: Repository, *, on_damage: Callable[[PivoriError], None]) -> list[KeyDescription]:
    """Every readable key, oldest first; ``on_damage`` hears of the others. Raises storage errors."""
    return list_keys(repository.storage, repository.key_name, on_damage=on_damage)


def add_password(repository: Repository, password: str, *, username: str, hostname: str, created: str) -> str:
    """Let ``password`` open the repository too; returns the new key's name. ``created`` is RFC 3339 text.

    Raises KeyNotStored and storage errors.
    """
    storage, master = repository.storage, repository.master
    name = add_key(storage, make_key_object(master, password, username=username, hostname=hostname, created=created))
    storage.sync()
    try:
        opened = open_key_object(name, load_key_object(storage, name), password)
    except KeyDamaged:
        opened = None
    if opened != master:
        repository.remove(Kind.KEY, [name])
        raise KeyNotStored(name=name[:_SHOWN_DIGITS])
    repository.last_seen.add(keys={name: SeenKey(created, hostname, username)})
    return name


def remove_password(repository: Repository, text: str) -> str:
    """Remove the key whose name begins with ``text``; returns its name. A damaged key object can be removed too.

    Raises KeyNotFound, AmbiguousKey, KeyInUse (so one key always stays) and storage errors.
    """
    name = _find(repository, text)
    if name == repository.key_name:
        raise KeyInUse(name=name[:_SHOWN_DIGITS])
    repository.remove(Kind.KEY, [name])
    repository.storage.sync()
    return name


def change_password(
    repository: Repository,
    password: str,
    *,
    username: str,
    hostname: str,
    created: str,
    before_removal: Callable[[], None] = lambda: None,
) -> str:
    """Replace the password that opened the repository; returns the new key's name.

    ``before_removal`` is called while both passwords open it: the place to record the new one. If it raises, both stay.
    Raises what :func:`add_password` raises; the old password opens the repository then.
    """
    old = repository.key_name
    name = add_password(repository, password, username=username, hostname=hostname, created=created)
    before_removal()
    repository.remove(Kind.KEY, [old])
    repository.storage.sync()
    repository.key_name = name
    return name


def _find(repository: Repository, text: str) -> str:
    prefix = text.lower()
    found = sorted(item.name for item in repository.storage.list(Kind.KEY) if item.name.startswith(prefix))
    if not found or not prefix:
        raise KeyNotFound(text=text)
    if len(found) > 1:
        raise AmbiguousKey(text=text, count=len(found))
    return found[0]


__all__ = [
    "AmbiguousKey",
    "KeyDescription",
    "KeyInUse",
    "KeyNotFound",
    "KeyNotStored",
    "add_password",
    "change_password",
    "keys",
    "remove_password",
]
