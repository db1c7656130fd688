"""The mirror of the tests' restics is read from apt's sources, in both styles."""

from pathlib import Path

import pytest

from tests import tools

DEB822 = """\
# a comment
Types: deb deb-src
URIs: https://security.example.org/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: https://disabled.example.org/debian
Suites: bookworm

Types: deb
# a comment inside
URIs: https://mirror.example.org/debian/
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: {keyring}
"""

ONE_LINE = """\
# deb https://commented.example.org/debian bookworm main
deb https://apt.example.com/postgresql bookworm main
deb [arch=amd64 signed-by={keyring}] https://mirror.example.org/debian/ bookworm main contrib
deb-src https://source.example.org/debian bookworm main
"""


@pytest.mark.parametrize(("name", "content"), [("sources.list.d/debian.sources", DEB822), ("sources.list", ONE_LINE)])
def test_mirror_of_the_machine(tmp_path: Path, name: str, content: str) -> None:
    keyring = tmp_path / "own.gpg"
    keyring.touch()
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(content.format(keyring=keyring))
    assert tools.mirror_and_keyring(tmp_path) == ("https://mirror.example.org/debian/", keyring)


def test_disabled_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "debian-archive-keyring.gpg").touch()
    monkeypatch.setattr(tools, "KEYRINGS", tmp_path)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources.disabled").write_text(DEB822)
    assert tools.mirror_and_keyring(tmp_path) == (tools.FALLBACK_MIRROR, tmp_path / "debian-archive-keyring.gpg")


def test_missing_keys_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "KEYRINGS", tmp_path)
    with pytest.raises(SystemExit, match="debian-archive-keyring"):
        tools.mirror_and_keyring(tmp_path)
