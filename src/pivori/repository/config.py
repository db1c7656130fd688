"""The ``config`` object: which version of the format a repository has, and its identity."""

import re
import secrets
from typing import Final

import msgspec

from pivori.errors import PivoriError
from pivori.repository.polynomial import is_irreducible, random_irreducible
from pivori.translation import N_

READABLE_VERSIONS: Final = (1, 2)
WRITTEN_VERSION: Final = 2
_POLYNOMIAL: Final = re.compile(r"[0-9a-fA-F]{1,16}")


class ConfigDamaged(PivoriError):
    """The config object is not what a config is."""

    code = "config-damaged"
    message = N_("The repository's config is damaged: {reason}.")
    hint = N_("Restore the file `config` of the repository from a copy; nothing else can replace it.")


class UnsupportedVersion(PivoriError):
    """A version of the format this program does not know."""

    code = "unsupported-repository-version"
    message = N_("The repository has format version {version}; this program reads versions 1 and 2.")
    hint = N_("Update this program.")


class Config(msgspec.Struct, frozen=True):
    """What ``config`` holds. ``id`` names the repository for ever; fields of other programs are ignored."""

    version: int
    id: str
    chunker_polynomial: str


def new_config() -> Config:
    """A config for a new repository."""
    return Config(WRITTEN_VERSION, secrets.token_hex(32), f"{random_irreducible():x}")


def encode_config(config: Config) -> bytes:
    """The JSON that is sealed and stored (never compressed)."""
    return msgspec.json.encode(config)


def decode_config(plain: bytes) -> Config:
    """Read a config. Raises ConfigDamaged and UnsupportedVersion."""
    try:
        config = msgspec.json.decode(plain, type=Config)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ConfigDamaged(reason=str(error)) from None
    if config.version not in READABLE_VERSIONS:
        raise UnsupportedVersion(version=config.version)
    if not _is_valid_polynomial(config.chunker_polynomial):
        raise ConfigDamaged(reason=N_("its chunker polynomial is not irreducible"))
    return config


def _is_valid_polynomial(text: str) -> bool:
    # int() alone would also take a sign, and the arithmetic knows no negative polynomials.
    return _POLYNOMIAL.fullmatch(text) is not None and is_irreducible(int(text, 16))
