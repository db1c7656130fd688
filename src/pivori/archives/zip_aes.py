"""WinZip's AES encryption of zip members: PBKDF2 per member, AES in counter mode, HMAC-SHA1 cut to ten bytes."""

import hashlib
import hmac
import secrets
from typing import Any, Final

_ROUNDS: Final = 1000
_KEY_BYTES: Final = {1: 16, 2: 24, 3: 32}
STRENGTHS: Final = frozenset(_KEY_BYTES)
_VERIFIER_BYTES: Final = 2
MAC_BYTES: Final = 10
STRONGEST: Final = 3
"""AES-256, by the format's number."""


def header_bytes(strength: int) -> int:
    """How many bytes stand before the encrypted content: salt and password verifier."""
    return _KEY_BYTES[strength] // 2 + _VERIFIER_BYTES


class AesCipher:
    """Encrypts or decrypts one member."""

    def __init__(self, password: bytes, salt: bytes, strength: int = STRONGEST) -> None:
        # Loaded here: only encrypted zips need it. (The cipher of `cryptography` counts the other way round.)
        from Cryptodome.Cipher import AES
        from Cryptodome.Util import Counter

        size = _KEY_BYTES[strength]
        keys = hashlib.pbkdf2_hmac("sha1", password, salt, _ROUNDS, 2 * size + _VERIFIER_BYTES)
        self.header = salt + keys[2 * size :]
        counter = Counter.new(128, little_endian=True)
        self._cipher: Any = AES.new(keys[:size], AES.MODE_CTR, counter=counter)
        self._mac = hmac.new(keys[size : 2 * size], digestmod="sha1")

    def encrypt(self, content: bytes | bytearray | memoryview) -> bytes:
        """The next part of the content, encrypted."""
        secret: bytes = self._cipher.encrypt(content)
        self._mac.update(secret)
        return secret

    def decrypt(self, secret: bytes | bytearray | memoryview) -> bytes:
        """The next part of the content, decrypted."""
        self._mac.update(secret)
        content: bytes = self._cipher.decrypt(secret)
        return content

    def mac(self) -> bytes:
        """What authenticates everything so far."""
        return self._mac.digest()[:MAC_BYTES]


def new_cipher(password: bytes) -> AesCipher:
    """A cipher for a new member: AES-256 with a salt of its own."""
    return AesCipher(password, secrets.token_bytes(_KEY_BYTES[STRONGEST] // 2))
