"""Key objects: a password opens one of them, and it holds the master key.

A key object is plain JSON with the parameters of scrypt (C. Percival, RFC 7914) and the master key sealed with what
scrypt makes of the password. A repository may have several; each opens everything.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from pivori.errors import PivoriError
from pivori.repository.crypto import Box, MasterKey, Tampered
from pivori.repository.ids import is_object_name
from pivori.storage import Kind, Storage
from pivori.translation import N_, Phrase

SCRYPT_N: Final = 1 << 15
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
_SALT_BYTES: Final = 64
_MOST_MEMORY: Final = 2 << 30
_MOST_WORK: Final = 1 << 30
_LARGEST_KEY_OBJECT: Final = 64 << 10


class WrongPassword(PivoriError):
    """No key object opens with the password."""

    code = "wrong-password"
    message = N_("The password opens none of the keys of {location}.")
    hint = N_("Check which password or key file belongs to this repository.")
    exit_status = 12


class NoKeys(PivoriError):
    """The repository has no key object at all."""

    code = "no-keys"
    message = N_("{location} has no key: nobody can open it.")
    hint = N_("Restore the folder `keys` of the repository from a copy.")


class KeyDamaged(PivoriError):
    """A key object is not what a key is."""

    code = "key-damaged"
    message = N_("The key {name} is damaged: {reason}.")
    hint = N_("Open the repository with another password, then remove this key with `pivori key remove`.")


class KeyFile(msgspec.Struct, frozen=True, rename={"n": "N"}):
    """The JSON of a key object. ``salt`` and ``data`` are base64."""

    created: str
    username: str
    hostname: str
    kdf: str
    n: int
    r: int
    p: int
    salt: str
    data: str


class _MacKey(msgspec.Struct):
    k: str
    r: str


class _SealedKey(msgspec.Struct):
    mac: _MacKey
    encrypt: str


class KeyInfo(NamedTuple):
    """A key as ``pivori key list`` shows it."""

    name: str
    username: str
    hostname: str
    created: str
    current: bool


class OpenedKey(NamedTuple):
    """Which key object opened, and the master key it held."""

    name: str
    master: MasterKey


def new_master_key() -> MasterKey:
    """A fresh random master key."""
    return MasterKey(secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(16))


def make_key_object(master: MasterKey, password: str, *, username: str, hostname: str, created: str) -> bytes:
    """The JSON of a new key object that opens with ``password``; ``created`` is RFC 3339 text."""
    salt = secrets.token_bytes(_SALT_BYTES)
    box = Box(_derive(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P))
    secret = _SealedKey(_MacKey(_text(master.k), _text(master.r)), _text(master.encrypt))
    sealed = b"".join(box.seal(msgspec.json.encode(secret)))
    return msgspec.json.encode(
        KeyFile(created, username, hostname, "scrypt", SCRYPT_N, SCRYPT_R, SCRYPT_P, _text(salt), _text(sealed))
    )


def decode_key_object(name: str, data: bytes) -> KeyFile:
    """Read a key object's JSON, trusting nothing. Raises KeyDamaged."""
    try:
        key = msgspec.json.decode(data, type=KeyFile)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise KeyDamaged(name=name, reason=str(error)) from None
    if key.kdf != "scrypt":
        raise KeyDamaged(name=name, reason=Phrase(N_("unknown key derivation {name!a}"), name=key.kdf))
    sensible = key.n > 1 and key.n & (key.n - 1) == 0 and key.r > 0 and key.p > 0
    if not sensible or 128 * key.n * key.r > _MOST_MEMORY or key.n * key.r * key.p > _MOST_WORK:
        raise KeyDamaged(name=name, reason=Phrase(N_("scrypt parameters N={n} r={r} p={p}"), n=key.n, r=key.r, p=key.p))
    return key


def open_key_object(name: str, data: bytes, password: str) -> MasterKey | None:
    """The master key in a key object, or None when the password is not the one. Raises KeyDamaged."""
    key = decode_key_object(name, data)
    salt, sealed = _bytes(name, key.salt), _bytes(name, key.data)
    try:
        plain = Box(_derive(password, salt, key.n, key.r, key.p)).open(sealed)
    except Tampered:
        return None
    return _master_key(name, plain)


def open_keys(storage: Storage, password: str, *, on_damage: Callable[[KeyDamaged], None]) -> Iterator[OpenedKey]:
    """Every key object that opens with the password. Raises NoKeys when there is none at all.

    A damaged key object does not stop the search: ``on_damage`` hears of it.
    """
    names = sorted(item.name for item in storage.list(Kind.KEY))
    if not names:
        raise NoKeys(location=storage.location)
    for name in names:
        try:
            master = open_key_object(name, load_key_object(storage, name), password)
        except KeyDamaged as error:
            on_damage(error)
            continue
        if master is not None:
            yield OpenedKey(name, master)


def load_key_object(storage: Storage, name: str) -> bytes:
    """The bytes of a key object, checked against its name. Raises KeyDamaged."""
    data = storage.get(Kind.KEY, name, 0, _LARGEST_KEY_OBJECT + 1)
    if len(data) > _LARGEST_KEY_OBJECT:
        raise KeyDamaged(name=name, reason=N_("it is far too large"))
    if not is_object_name(name) or hashlib.sha256(data).hexdigest() != name:
        raise KeyDamaged(name=name, reason=N_("its content does not fit its name"))
    return data


def list_keys(storage: Storage, current: str, *, on_damage: Callable[[KeyDamaged], None]) -> list[KeyInfo]:
    """Every readable key, oldest first; ``current`` is the name of the one in use."""
    found = []
    for item in storage.list(Kind.KEY):
        try:
            key = decode_key_object(item.name, load_key_object(storage, item.name))
        except KeyDamaged as error:
            on_damage(error)
            continue
        found.append(KeyInfo(item.name, key.username, key.hostname, key.created, item.name == current))
    return sorted(found, key=lambda info: info.created)


def add_key(storage: Storage, data: bytes) -> str:
    """Store a key object made by :func:`make_key_object`; returns its name."""
    name = hashlib.sha256(data).hexdigest()
    storage.put(Kind.KEY, name, [data])
    return name


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> MasterKey:
    # OpenSSL counts its working memory against maxmem, which by default is too small for N = 2**15, r = 8.
    room = 128 * r * (n + p + 2) + (1 << 20)
    derived = hashlib.scrypt(_password_bytes(password), salt=salt, n=n, r=r, p=p, maxmem=room, dklen=64)
    return MasterKey(derived[:32], derived[32:48], derived[48:])


def _password_bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")


def _master_key(name: str, plain: bytes) -> MasterKey:
    try:
        secret = msgspec.json.decode(plain, type=_SealedKey)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise KeyDamaged(name=name, reason=N_("what it seals is not a master key")) from None
    master = MasterKey(_bytes(name, secret.encrypt), _bytes(name, secret.mac.k), _bytes(name, secret.mac.r))
    if [len(part) for part in master] != [32, 16, 16]:
        raise KeyDamaged(name=name, reason=N_("its master key has another length"))
    return master


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyDamaged(name=name, reason=N_("it holds broken base64")) from None
