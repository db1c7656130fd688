"""Passwords from the keyring of this desktop."""

from pivori.errors import PivoriError
from pivori.translation import N_


class KeyringFailed(PivoriError):
    """The keyring of this desktop gives no password."""

    code = "keyring-failed"
    message = N_("The keyring has no password for {name}: {reason}.")
    hint = N_("Write SERVICE/NAME as the keyring knows it; `keyring set SERVICE NAME` stores a password.")


def keyring_password(name: str) -> str:
    """What the desktop's keyring has under ``SERVICE/NAME``; it may be empty. Raises KeyringFailed."""
    service, _, user = name.partition("/")
    try:
        import keyring  # slow to load
        from keyring.errors import KeyringError
    except ImportError:
        raise KeyringFailed(name=name, reason=N_("the Python package “keyring” is not installed")) from None
    try:
        found = keyring.get_password(service, user)
    except KeyringError as error:
        raise KeyringFailed(name=name, reason=str(error) or type(error).__name__) from None
    if found is None:
        raise KeyringFailed(name=name, reason=N_("there is none"))
    return found
