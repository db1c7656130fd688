"""What the script says that makes the environment, before there is a program with catalogues."""

import ast
import errno
import os
import re
from pathlib import Path

import pytest

from scripts import environment


def said() -> set[str]:
    """Every sentence the script says."""
    tree = ast.parse(Path(environment.__file__).read_bytes())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"say", "fail"}
    ]
    return {word.value for call in calls for word in call.args if isinstance(word, ast.Constant)}


def test_every_sentence_is_in_french() -> None:
    assert len(said()) >= 7
    assert said() <= environment.FRENCH.keys()


def test_the_french_is_typeset() -> None:
    for text in environment.FRENCH.values():
        assert not re.search(r" [:;!?»]|« |(?<=\w)'(?=\w)", text), text


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS])
def test_reasons_of_the_system_are_in_french_too(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_purpose: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(environment, "prepare", refuse)
    monkeypatch.setattr("sys.argv", ["environment.py", "run"])
    for locale, is_french in (("fr_FR.UTF-8", True), ("C", False)):
        monkeypatch.setenv("LC_ALL", locale)
        with pytest.raises(SystemExit):
            environment.main()
        assert (os.strerror(number) in capsys.readouterr().err) is not is_french
