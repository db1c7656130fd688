"""Files that look like secrets: private keys, key stores, tokens of tools."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_PRIVATE: Final = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1|PuTTY-User-Key-File"
)
_TOKENS: Final = re.compile(
    rb"_authToken|_password|password\s*[=:]|\"private_key\"|machine\s+\S+\s+login", re.IGNORECASE
)
_KEY_SUFFIXES: Final = frozenset({".pem", ".key", ".ppk", ".asc"})
_KEY_NAMES: Final = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"})
_BY_NAME: Final = frozenset({".p12", ".pfx", ".jks", ".keystore", ".kdbx"})
"""Key stores are sealed themselves, so their content says nothing."""
_WHOLE_NAMES: Final = frozenset(
    {".htpasswd", ".pgpass", ".my.cnf", ".vault-token", "kubeconfig", "master.key", "terraform.tfstate"}
)
_TOKEN_NAMES: Final = frozenset(
    {".npmrc", ".pypirc", ".netrc", "credentials.json", "service-account.json", "serviceaccount.json"}
)
_START: Final = 16 << 10
_MOST_OPENED: Final = 1000
_MOST: Final = 200


def find_secret_files(inventory: Inventory) -> Sequence[str]:
    """Such files, by name where that is enough, otherwise by what stands in them. Certificates alone are public."""
    found = []
    opened = 0
    for path in inventory.files:
        name = PurePosixPath(path)
        pattern = _pattern_for(name)
        if name.suffix.lower() in _BY_NAME or name.name in _WHOLE_NAMES:
            found.append(path)
        elif pattern is not None and opened < _MOST_OPENED:
            opened += 1
            if pattern.search(inventory.start_of(path, _START) or b""):
                found.append(path)
    return found[:_MOST]


def describe_secrets(paths: Sequence[str]) -> Sequence[Discovery]:
    """One discovery per file."""
    return [
        Discovery(
            topic=Topic.SECRETS,
            what=Phrase(N_("{path} looks like a secret."), path=path),
            why=[Evidence(path=path)],
        )
        for path in paths
    ]


def _pattern_for(name: PurePosixPath) -> re.Pattern[bytes] | None:
    if name.suffix.lower() in _KEY_SUFFIXES or name.name in _KEY_NAMES:
        return _PRIVATE
    return _TOKENS if name.name in _TOKEN_NAMES else None
