"""Sealing and opening: AES-256-CTR with Poly1305-AES, as restic does it.

A sealed thing is ``IV(16) || ciphertext || MAC(16)``. The MAC covers the ciphertext only; its one-time key is
``r(16) || AES-128_k(IV)(16)`` (D. J. Bernstein, "The Poly1305-AES message-authentication code", 2005). The MAC is
always checked before anything is decrypted.
"""

import os
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from pivori.errors import PivoriError
from pivori.translation import N_

IV_BYTES = 16
MAC_BYTES = 16
OVERHEAD = IV_BYTES + MAC_BYTES
_NONCES_AT_ONCE = 512

Buffer = bytes | bytearray | memoryview


class Tampered(PivoriError):
    """The MAC does not fit: the bytes were changed, or sealed with another key."""

    code = "tampered"
    message = N_("A sealed object is damaged: its authentication code does not fit.")
    inner = N_("its authentication code does not fit")
    hint = N_("Run `pivori verify --read-data` to learn what is hurt.")


class MasterKey(NamedTuple):
    """The three secrets of a repository (or of a password): cipher key, and the two halves of the MAC key."""

    encrypt: bytes  # 32 bytes
    k: bytes  # 16 bytes
    r: bytes  # 16 bytes

    def __repr__(self) -> str:
        return "MasterKey(…)"


class Box:
    """Seals and opens with one key. Keeps cipher contexts, so it belongs to one thread."""

    def __init__(self, key: MasterKey) -> None:
        self._r = key.r
        self._stream = Cipher(algorithms.AES(key.encrypt), modes.CTR(bytes(16))).encryptor()
        self._block = Cipher(algorithms.AES(key.k), modes.ECB()).encryptor()  # noqa: S305 - one block of nonce each
        self._nonces = b""
        self._pads = b""
        self._next = 0

    def seal(self, plain: Buffer) -> tuple[bytes, bytes, bytes]:
        """``plain`` sealed, as the three parts that are written one after the other."""
        start = self._next
        if start >= len(self._nonces):
            # Nonces come in batches: one system call and one cipher call for many small blobs.
            self._nonces = os.urandom(IV_BYTES * _NONCES_AT_ONCE)
            self._pads = self._block.update(self._nonces)
            start = 0
        end = self._next = start + IV_BYTES
        nonce = self._nonces[start:end]
        self._stream.reset_nonce(nonce)
        ciphertext = self._stream.update(plain)
        return nonce, ciphertext, Poly1305.generate_tag(self._r + self._pads[start:end], ciphertext)

    def open(self, sealed: Buffer) -> bytes:
        """The plain bytes of a sealed thing. Raises Tampered."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD:
            raise Tampered
        return self.open_parts(bytes(view[:IV_BYTES]), view[IV_BYTES:-MAC_BYTES], bytes(view[-MAC_BYTES:]))

    def open_parts(self, nonce: bytes, ciphertext: Buffer, tag: bytes) -> bytes:
        """Like :meth:`open`, for the three parts as :meth:`seal` gives them."""
        try:
            Poly1305.verify_tag(self._r + self._block.update(nonce), ciphertext, tag)
        except InvalidSignature:
            raise Tampered from None
        self._stream.reset_nonce(nonce)
        return self._stream.update(ciphertext)
