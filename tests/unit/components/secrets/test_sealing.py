"""Sealing to recipients and opening again."""

import subprocess
from pathlib import Path

import pytest

from pivori.archives.age_envelope import BadRecipient
from pivori.components.secrets import new_identity
from pivori.components.secrets.sealing import (
    IdentityUnusable,
    NoIdentity,
    NoRecipients,
    Opener,
    RecipientIsPrivate,
    SealBroken,
    Sealer,
    WrongIdentity,
    unsealed_recipients,
)


def ssh_key(place: Path, kind: str) -> str:
    """A key of SSH without a passphrase at a place; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a remark", "-f", place], check=True)
    return place.with_name(f"{place.name}.pub").read_text().strip()


@pytest.fixture
def recipients(tmp_path: Path) -> dict[str, str]:
    """A recipient of each kind, by the name of its private key's file."""
    return {
        "age": new_identity(tmp_path / "age"),
        "ed25519": ssh_key(tmp_path / "ed25519", "ed25519"),
        "rsa": ssh_key(tmp_path / "rsa", "rsa"),
    }


def test_each_recipient_opens_it_with_age_itself_and_here(tmp_path: Path, recipients: dict[str, str]) -> None:
    sealed = Sealer(list(recipients.values()), tmp_path, "c").seal(b"secret", "p")
    for name in recipients:
        command = ["age", "-d", "-i", tmp_path / name]
        assert subprocess.run(command, input=sealed, capture_output=True, check=True).stdout == b"secret"
        assert Opener((tmp_path / name).read_text, "c").open(sealed, "p") == b"secret"
        stripped = (tmp_path / name).read_text().strip()
        assert Opener(lambda text=stripped: text, "c").open(sealed, "p") == b"secret"


def test_two_seals_of_the_same_are_not_alike(tmp_path: Path, recipients: dict[str, str]) -> None:
    sealer = Sealer([recipients["age"]], tmp_path, "c")
    assert sealer.seal(b"secret", "p") != sealer.seal(b"secret", "p")


def test_recipients_of_files_count_once_and_without_remarks(tmp_path: Path, recipients: dict[str, str]) -> None:
    (tmp_path / "list").write_text("# who\n\n" + "\n".join(recipients.values()) + "\n")
    sealer = Sealer(["list", recipients["age"]], tmp_path, "c")
    assert sealer.recipients == sorted(" ".join(text.split()[:2]) for text in recipients.values())


def test_the_head_tells_whom_it_is_for(tmp_path: Path, recipients: dict[str, str]) -> None:
    texts = list(recipients.values())
    sealed = Sealer(texts, tmp_path, "c").seal(b"secret", "p")
    assert unsealed_recipients(sealed, texts) == []
    for left_out in texts:
        others = [text for text in texts if text != left_out]
        sealed = Sealer(others, tmp_path, "c").seal(b"secret", "p")
        assert unsealed_recipients(sealed, texts) == [left_out]


@pytest.mark.parametrize("content", [b"", b"PASSWORD=x\n", b"age-encryption.org/v1\n-> X25519 abc\n", b"\xff" * 300])
def test_what_is_no_seal(content: bytes) -> None:
    with pytest.raises(ValueError, match="no age file"):
        unsealed_recipients(content, [])


def test_mistaken_recipients(tmp_path: Path, recipients: dict[str, str]) -> None:
    private = (tmp_path / "age").read_text().splitlines()[0]
    for given, error in (
        ([], NoRecipients),
        (["age1nonsense"], BadRecipient),
        (["no-such-file"], BadRecipient),
        ([recipients["age"], "ssh-dss AAAA"], BadRecipient),
        ([private], RecipientIsPrivate),
        ([private.lower()], RecipientIsPrivate),
        (["age"], RecipientIsPrivate),
        (["ed25519"], RecipientIsPrivate),
    ):
        with pytest.raises(error) as raised:
            Sealer(given, tmp_path, "c")
        shown = f"{raised.value} {raised.value.details}".upper()
        assert private not in shown


def test_a_line_of_a_file_is_in_no_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PASSWORD=hunter2\n")
    with pytest.raises(BadRecipient) as raised:
        Sealer([".env"], tmp_path, "c")
    assert "hunter2" not in f"{raised.value} {raised.value.details}"


def test_opening_without_the_right_key(tmp_path: Path, recipients: dict[str, str]) -> None:
    sealed = Sealer([recipients["age"]], tmp_path, "c").seal(b"secret", "p")
    with pytest.raises(NoIdentity):
        Opener(None, "c").open(sealed, "p")
    with pytest.raises(WrongIdentity):
        Opener((tmp_path / "ed25519").read_text, "c").open(sealed, "p")
    for given in ("hunter2", "AGE-SECRET-KEY-1HUNTER2", "", "# a remark", "\udcff", recipients["age"]):
        with pytest.raises(IdentityUnusable) as raised:
            Opener(lambda text=given: text, "c").open(sealed, "p")
        assert "hunter2" not in f"{raised.value} {raised.value.details}".lower()


def test_a_damaged_seal(tmp_path: Path, recipients: dict[str, str]) -> None:
    sealed = Sealer([recipients["age"]], tmp_path, "c").seal(b"secret", "p")
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:40], b""):
        with pytest.raises(SealBroken):
            Opener((tmp_path / "age").read_text, "c").open(damaged, "p")
