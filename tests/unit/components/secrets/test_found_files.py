"""Which files patterns mean, and how they are read."""

import os
from pathlib import Path

import pytest

from pivori.components.secrets.found_files import MOST, SecretUnreadable, find_files, place_of, read_secret


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "stack"
    for name in (".env", "a/.env", "a/b/.env.production", "a/b/.env", "keys/x.pem", "keys/deep/y.pem", "readme"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (tmp_path / "shared.env").write_text("shared")
    return root


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (".env", [".env"]),
        ("./a/../.env", [".env"]),
        ("*.env", [".env"]),
        ("*/.env", ["a/.env"]),
        ("**/.env", [".env", "a/.env", "a/b/.env"]),
        ("a/**/.env", ["a/.env", "a/b/.env"]),
        ("**/.env*", [".env", "a/.env", "a/b/.env", "a/b/.env.production"]),
        ("keys", ["keys/deep/y.pem", "keys/x.pem"]),
        ("keys/**", ["keys/deep/y.pem", "keys/x.pem"]),
        ("keys/?.pem", ["keys/x.pem"]),
        ("keys/[xy].pem", ["keys/x.pem"]),
        ("../shared.env", ["../shared.env"]),
    ],
)
def test_patterns(root: Path, pattern: str, names: list[str]) -> None:
    found = find_files(root, [pattern])
    assert [os.path.relpath(path, root) for path in found.files] == names
    assert not found.missing
    assert not found.idle


def test_a_file_is_meant_once(root: Path) -> None:
    assert len(find_files(root, [".env", "*.env", str(root / ".env")]).files) == 1


def test_what_is_not_there_is_told(root: Path) -> None:
    (root / "empty").mkdir()
    found = find_files(root, [".env.production", "**/.env.staging", "empty", "none/*.pem"])
    assert found.missing == [".env.production"]
    assert found.idle == ["**/.env.staging", "empty", "none/*.pem"]


def test_links_to_files_are_followed_and_those_to_folders_are_not(root: Path) -> None:
    (root / "a" / ".env.production").symlink_to(root.parent / "shared.env")
    (root / "loop").symlink_to(root)
    assert [path.parent.name for path in find_files(root, ["**/.env.production"]).files] == ["a", "b"]
    assert read_secret(root / "a" / ".env.production", "c")[0] == b"shared"


def test_what_is_no_file_is_passed_over_by_patterns_and_missing_by_name(root: Path) -> None:
    os.mkfifo(root / ".env.pipe")
    found = find_files(root, [".env.*", ".env.pipe"])
    assert (found.files, found.missing) == ([], [".env.pipe"])


def test_what_a_restore_is_writing_is_no_secret(root: Path) -> None:
    (root / f".pivori-{'0' * 32}.partial").write_text("half")
    assert find_files(root, [".p*"]).files == []


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(SecretUnreadable, match="no regular file"):
        read_secret(root / "pipe", "c")


def test_a_file_that_is_too_large(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(MOST + 1)
    with pytest.raises(SecretUnreadable, match="more than 16 MiB"):
        read_secret(root / "large", "c")
    with (root / "large").open("wb") as file:
        file.truncate(MOST)
    assert len(read_secret(root / "large", "c")[0]) == MOST


def test_a_file_that_changes_while_it_is_read_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = 2
    read = os.read

    def disturbed(descriptor: int, most: int) -> bytes:
        nonlocal changes
        content = read(descriptor, most)
        if changes and content:
            changes -= 1
            (root / ".env").write_text(f"changed {changes}")
            os.utime(root / ".env", ns=(changes, changes))
        return content

    monkeypatch.setattr(os, "read", disturbed)
    assert read_secret(root / ".env", "c")[0] == b"changed 0"
    changes = 1000
    with pytest.raises(SecretUnreadable, match="changes all the time"):
        read_secret(root / ".env", "c")


def test_places_are_whole_paths(root: Path) -> None:
    assert place_of(root, "a/../.env") == root / ".env"
    assert place_of(root, "/etc/app/key") == Path("/etc/app/key")
