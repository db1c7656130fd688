"""What all unit tests share: passwords that are quickly tried."""

import pytest

from pivori.repository import keys


@pytest.fixture(autouse=True)
def weak_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys that a test makes in its own process take a millisecond to open instead of a tenth of a second."""
    monkeypatch.setattr(keys, "SCRYPT_N", 1 << 10)
