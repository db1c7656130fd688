"""Sealing to age recipients, and opening again; in memory alone."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from pivori.archives.age_envelope import BadIdentity, BadRecipient, parse_identities, parse_recipient, read_recipients
from pivori.components.base import ComponentFailed, Reveal
from pivori.translation import N_

MOST_SEALED: Final = 32 << 20
"""Bytes that a seal may have."""

_FIRST_LINE: Final = b"age-encryption.org/v1"
_RECIPIENTS: Final = ("age1", "ssh-")
_PRIVATE: Final = ("AGE-SECRET-KEY-", "-----BEGIN", "AGE-PLUGIN-")


class RecipientIsPrivate(ComponentFailed):
    """A private key was given where its recipient belongs. The key is no part of the error."""

    code = "recipient-is-private"
    message = N_("A private key is among the recipients of the component {component}.")
    hint = N_("Put its public half there (`age-keygen -y` prints it), and keep the private key away from this machine.")


class NoRecipients(ComponentFailed):
    """Nobody could open what is sealed."""

    code = "no-recipients"
    message = N_("The component {component} has no recipients.")
    hint = N_("Give it the option `recipients`; `age-keygen` makes a private key and prints its recipient.")


class SealFailed(ComponentFailed):
    """What was sealed did not open again."""

    code = "seal-failed"
    message = N_("The secret {path} of the component {component} could not be sealed.")
    hint = N_("Run it again; if it happens again, report it.")


class NoIdentity(ComponentFailed):
    """Nobody said where the private key is."""

    code = "no-identity"
    message = N_("The component {component} cannot be opened without the private key of one of its recipients.")
    hint = N_("Bring the private key to this machine and say where it is with the option `identity`.")


class IdentityUnusable(NoIdentity):
    """What was given as the private key is none. Nothing of it is part of the error."""

    code = "identity-unusable"
    message = N_("What the option `identity` of the component {component} gives is no private key of age or SSH.")


class WrongIdentity(NoIdentity):
    """The private key belongs to none of the recipients."""

    code = "wrong-identity"
    message = N_("The private key of the component {component} belongs to none of the recipients it is sealed to.")


class SealBroken(ComponentFailed):
    """A sealed secret cannot be opened."""

    code = "seal-broken"
    message = N_("The sealed secret {path} of the component {component} is damaged: {reason}.")
    hint = N_("Run `pivori verify`, and choose an earlier recovery point with --at.")


class Sealer:
    """Seals to recipients, which are given as texts or as files of such, seen from ``root``.

    Each seal is opened again at once by a key that is nowhere but in this object. Raises BadRecipient,
    RecipientIsPrivate, NoRecipients.
    """

    def __init__(self, given: Sequence[str], root: Path, component: str) -> None:
        import pyrage  # loaded on demand: few runs seal

        self._component = component
        known = _read(given, root, component)
        self.recipients = list(known)
        self._own = pyrage.x25519.Identity.generate()
        self._parsed = [*known.values(), self._own.to_public()]

    def seal(self, content: bytes, path: str) -> bytes:
        """What only the recipients can open. Raises SealFailed; ``path`` is for that."""
        import pyrage  # loaded on demand: see above

        try:
            sealed: bytes = pyrage.encrypt(content, self._parsed)
            opened = pyrage.decrypt(sealed, [self._own])
        except (pyrage.EncryptError, pyrage.DecryptError):
            raise SealFailed(component=self._component, path=path) from None
        if opened != content:
            raise SealFailed(component=self._component, path=path)
        return sealed


class Opener:
    """Opens seals with the private key that ``identity`` gives, which is looked up when it is needed first.

    The methods raise NoIdentity, IdentityUnusable, and what looking the identity up raises.
    """

    def __init__(self, identity: Reveal | None, component: str) -> None:
        self.component = component
        self._identity = identity
        self._keys: list[Any] = []

    @property
    def is_ready(self) -> bool:
        """Whether the private key has been looked up."""
        return bool(self._keys)

    def look_up(self) -> None:
        """Get the private key."""
        if self._keys:
            return
        if self._identity is None:
            raise NoIdentity(component=self.component)
        try:
            self._keys = parse_identities(self._identity().encode(), "")
        except (BadIdentity, UnicodeEncodeError):
            raise IdentityUnusable(component=self.component) from None

    def open(self, sealed: bytes, path: str) -> bytes:
        """What was sealed. Raises WrongIdentity and SealBroken, too; ``path`` is for that."""
        import pyrage  # loaded on demand: see above

        self.look_up()
        try:
            content: bytes = pyrage.decrypt(sealed, self._keys)
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise WrongIdentity(component=self.component) from None
            raise SealBroken(component=self.component, path=path, reason=N_("it does not open")) from None
        return content


def unsealed_recipients(sealed: bytes, recipients: Sequence[str]) -> list[str]:
    """Those of the recipients whom the head of a seal has no key for, as far as it tells.

    It tells the SSH keys it is for, and how many others. Raises ValueError when it is no seal.
    """
    stanzas = _stanzas(sealed)
    # One more of them is the key that opened the seal when it was made.
    others = sum(stanza.kind == "X25519" for stanza in stanzas) - 1
    marks = {(stanza.kind, stanza.mark) for stanza in stanzas}
    natives = [text for text in recipients if text.startswith("age1")]
    missing = natives if others < len(natives) else []
    return missing + [text for text in recipients if not text.startswith("age1") and _ssh_mark(text) not in marks]


class _Stanza(NamedTuple):
    kind: str
    mark: str


def _stanzas(sealed: bytes) -> list[_Stanza]:
    """The keys in the head of an age file, which is text up to a line that begins with ``---``."""
    first, _, rest = sealed.partition(b"\n")
    head, end, _ = rest.partition(b"\n--- ")
    if first != _FIRST_LINE or not end:
        raise ValueError("no age file")
    lines = [line.split() for line in head.decode("ascii").splitlines() if line.startswith("-> ")]
    return [_Stanza(words[1], words[2] if len(words) > 2 else "") for words in lines if len(words) > 1]


def _ssh_mark(text: str) -> tuple[str, str]:
    """How the head of a seal names an SSH key: its kind, and the first four bytes of its digest."""
    kind, key = text.split()[:2]
    digest = hashlib.sha256(base64.b64decode(key)).digest()[:4]
    return kind, base64.b64encode(digest).decode().rstrip("=")


def _read(given: Sequence[str], root: Path, component: str) -> dict[str, Any]:
    """Recipients by their texts, without the remarks behind SSH keys, as the library knows them.

    A line of a file is never part of an error: who knows what the file is.
    """
    if any(text.upper().startswith(_PRIVATE) for text in given):
        raise RecipientIsPrivate(component=component)
    found: dict[str, Any] = {}
    for name in given:
        is_file = not name.startswith(_RECIPIENTS)
        texts = read_recipients([str(root / name)]) if is_file else [name]
        if any(text.upper().startswith(_PRIVATE) for text in texts):
            raise RecipientIsPrivate(component=component)
        known = {" ".join(text.split()[:2]): _parsed(text) for text in texts}
        if None in known.values():
            raise BadRecipient(recipient=name)
        found |= known
    if not found:
        raise NoRecipients(component=component)
    return dict(sorted(found.items()))


def _parsed(text: str) -> Any:
    """A recipient as the library knows it, or None. The error that shows the text ends here, also as a context."""
    with suppress(BadRecipient):
        return parse_recipient(text)
    return None
