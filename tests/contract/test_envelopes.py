"""Envelopes, with the ordinary programs on the other side."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from pivori.archives import envelopes, gpg_envelope
from pivori.archives.age_envelope import BadIdentity, BadRecipient, age_seal, read_recipients
from pivori.archives.container import ArchiveDamaged, NotAnArchive, PasswordNeeded, WrongArchivePassword
from pivori.archives.envelopes import AGE_MAGIC, Envelope, envelope_of, unsealed
from pivori.archives.gpg_envelope import GpgMissing, gpg_seal
from pivori.archives.sealing import SealingFailed

PASSWORD = "corréct horse"
CONTENT = os.urandom(2_500_000) + b"text " * 100_000


def write(path: Path, seal: Callable[[BinaryIO], BinaryIO]) -> Path:
    """Seal CONTENT into a file, in pieces."""
    with path.open("wb", buffering=0) as out:
        sealed = seal(out)
        for start in range(0, len(CONTENT), 100_000):
            assert sealed.write(CONTENT[start : start + 100_000]) == len(CONTENT[start : start + 100_000])
        sealed.close()
    return path


def read(path: Path, password: str | None = PASSWORD, identities: list[Path] | None = None) -> bytes:
    """What is in an envelope."""
    with unsealed(path, password=lambda _name: password, identities=identities or []) as plain:
        return plain.read_bytes()


@pytest.fixture(scope="module")
def gpg_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("gpg", numbered=True)
    home.chmod(0o700)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def gpg(home: Path, *arguments: str | Path, password: str = PASSWORD) -> subprocess.CompletedProcess[bytes]:
    """Run gpg as a person would in a script."""
    reading, writing = os.pipe()
    os.write(writing, password.encode())
    os.close(writing)
    command = ["gpg", "--homedir", home, "--batch", "--no-symkey-cache", "--pinentry-mode", "loopback"]
    try:
        return subprocess.run(
            [*command, "--passphrase-fd", str(reading), *arguments], pass_fds=[reading], capture_output=True, check=True
        )
    finally:
        os.close(reading)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "key.txt"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path


def recipient_of(identity: Path) -> str:
    return subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout.strip()


def test_gpg_opens_what_was_sealed(tmp_path: Path, gpg_home: Path) -> None:
    path = write(tmp_path / "a.zip.gpg", gpg_seal(PASSWORD))
    assert envelope_of(path) is Envelope.GPG
    assert gpg(gpg_home, "-d", path).stdout == CONTENT
    said = gpg(gpg_home, "--list-packets", path).stdout
    assert b"cipher 9" in said, "AES-256 by its number in RFC 4880"
    assert read(path) == CONTENT


@pytest.mark.parametrize("armor", [[], ["--armor"]])
def test_what_gpg_sealed_is_opened(tmp_path: Path, gpg_home: Path, armor: list[str]) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    gpg(gpg_home, *armor, "--symmetric", "-o", tmp_path / "a.gpg", tmp_path / "plain")
    assert read(tmp_path / "a.gpg") == CONTENT


def test_age_opens_what_was_sealed_and_the_writer_cannot(tmp_path: Path, identity: Path) -> None:
    path = write(tmp_path / "a.zip.age", age_seal([recipient_of(identity)])[0])
    assert envelope_of(path) is Envelope.AGE
    assert subprocess.run(["age", "-d", "-i", identity, path], check=True, capture_output=True).stdout == CONTENT
    assert read(path, identities=[identity]) == CONTENT
    with pytest.raises(PasswordNeeded):
        read(path)


def test_what_age_sealed_is_opened(tmp_path: Path, identity: Path) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    subprocess.run(["age", "-r", recipient_of(identity), "-o", tmp_path / "a.age", tmp_path / "plain"], check=True)
    assert read(tmp_path / "a.age", identities=[identity]) == CONTENT


def test_ssh_keys_are_recipients_too(tmp_path: Path) -> None:
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    path = write(tmp_path / "a.age", age_seal([key.with_suffix(".pub").read_text().strip()])[0])
    assert read(path, identities=[key]) == CONTENT


def test_several_recipients_from_a_file(tmp_path: Path, identity: Path) -> None:
    other = tmp_path / "other.txt"
    subprocess.run(["age-keygen", "-o", other], check=True, capture_output=True)
    listing = tmp_path / "recipients"
    listing.write_text(f"# the team\n{recipient_of(identity)}\n\n{recipient_of(other)}\n")
    recipients = read_recipients([str(listing)])
    assert recipients == [recipient_of(identity), recipient_of(other)]
    path = write(tmp_path / "a.age", age_seal(recipients)[0])
    assert read(path, identities=[other]) == read(path, identities=[identity]) == CONTENT


def test_without_an_envelope_the_archive_is_the_container(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04rest")
    with unsealed(path, password=lambda _name: None) as plain:
        assert plain == path


def test_wrong_passwords_and_keys(tmp_path: Path, identity: Path) -> None:
    sealed = write(tmp_path / "a.gpg", gpg_seal(PASSWORD))
    with pytest.raises(WrongArchivePassword):
        read(sealed, "wrong")
    with pytest.raises(PasswordNeeded):
        read(sealed, None)
    other = tmp_path / "other.txt"
    subprocess.run(["age-keygen", "-o", other], check=True, capture_output=True)
    with pytest.raises(WrongArchivePassword):
        read(write(tmp_path / "a.age", age_seal([recipient_of(identity)])[0]), identities=[other])


@pytest.mark.parametrize("kind", list(Envelope))
@pytest.mark.parametrize("damage", ["cut", "cut short", "flipped", "flipped at the end"])
def test_damage_is_found(tmp_path: Path, identity: Path, kind: Envelope, damage: str) -> None:
    seal = gpg_seal(PASSWORD) if kind is Envelope.GPG else age_seal([recipient_of(identity)])[0]
    whole = bytearray(write(tmp_path / "a", seal).read_bytes())
    if damage == "cut":
        del whole[len(whole) // 2 :]
    elif damage == "cut short":
        del whole[-1:]
    else:
        whole[len(whole) // 2 if damage == "flipped" else -3] ^= 1
    (tmp_path / "b").write_bytes(whole)
    with pytest.raises(ArchiveDamaged):
        read(tmp_path / "b", identities=[identity])


def test_what_only_looks_like_a_message(tmp_path: Path) -> None:
    (tmp_path / "a.gpg").write_bytes(b"\x8c" + bytes(100))
    with pytest.raises((NotAnArchive, ArchiveDamaged)):
        read(tmp_path / "a.gpg")


def test_nothing_is_left_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = write(tmp_path / "a.gpg", gpg_seal(PASSWORD))
    with unsealed(path, password=lambda _name: PASSWORD) as plain:
        assert plain.read_bytes() == CONTENT
        named = [file for file in tmp_path.rglob("*") if file.is_file() and file.name not in ("a.gpg",)]
        assert [file for file in named if CONTENT[:64] in file.read_bytes()] == []
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.gpg", "temporary"]


def test_the_password_is_in_no_argument_and_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "gpg"
    spy.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/said\nenv >> {tmp_path}/said\nexec /usr/bin/gpg "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setattr(gpg_envelope, "_gpg", lambda: str(spy))
    assert read(write(tmp_path / "a.gpg", gpg_seal(PASSWORD))) == CONTENT
    said = (tmp_path / "said").read_text()
    assert "--passphrase-fd" in said
    assert PASSWORD not in said


def test_a_failing_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "gpg"
    broken.write_text("#!/bin/sh\necho 'gpg: no cipher today' >&2\nexit 2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(gpg_envelope, "_gpg", lambda: str(broken))
    with pytest.raises(SealingFailed) as raised:
        write(tmp_path / "a.gpg", gpg_seal(PASSWORD))
    assert raised.value.details == {"reason": "no cipher today"}


def test_a_machine_without_gpg(monkeypatch: pytest.MonkeyPatch) -> None:
    gpg_envelope._gpg.cache_clear()
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(GpgMissing):
        gpg_seal(PASSWORD)
    gpg_envelope._gpg.cache_clear()


@pytest.mark.parametrize("kind", list(Envelope))
def test_a_full_disk_is_an_error_of_the_system_when_sealing(identity: Path, kind: Envelope) -> None:
    seal = gpg_seal(PASSWORD) if kind is Envelope.GPG else age_seal([recipient_of(identity)])[0]
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as raised:
        write(Path("/dev/full"), seal)
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("kind", list(Envelope))
def test_a_full_disk_is_an_error_of_the_system_when_opening(
    tmp_path: Path, identity: Path, kind: Envelope, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = gpg_seal(PASSWORD) if kind is Envelope.GPG else age_seal([recipient_of(identity)])[0]
    path = write(tmp_path / "a", seal)
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(envelopes, "_nameless", lambda _beside: full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as raised:
            read(path, identities=[identity])
    assert raised.value.errno == errno.ENOSPC


def test_what_is_no_recipient_and_no_identity(tmp_path: Path) -> None:
    with pytest.raises(BadRecipient):
        age_seal(["age1nonsense"])
    with pytest.raises(BadRecipient):
        read_recipients([str(tmp_path / "missing")])
    (tmp_path / "nothing").write_text("# nothing\n")
    (tmp_path / "nonsense").write_text("AGE-SECRET-KEY-NO\n")
    sealed = tmp_path / "a.age"
    sealed.write_bytes(AGE_MAGIC + b"\n")
    for name in ("nothing", "nonsense", "missing"):
        with pytest.raises(BadIdentity):
            read(sealed, identities=[tmp_path / name])
