"""The options of a component `secrets`."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pivori.components.secrets import SecretsComponent, new_identity
from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds.secrets import Options
from pivori.settings.stack_file.options import Building

RECIPIENT = "age1dwtadyyvrw3j8xkpxldgm3arnl7xfq5wgypewu5yycvvhkx8yp9qd8fthr"


def options(**given: object) -> Options:
    base = {"kind": "secrets", "name": "secrets", "files": [".env"], "recipients": [RECIPIENT]}
    return Options.model_validate({**base, **given})


def test_everything_reaches_the_component(tmp_path: Path) -> None:
    recipient = new_identity(tmp_path / "identity")
    made = options(
        **{
            "files": [".env", "~/.config/app/key"],
            "commands": [{"name": "vault", "command": "vault kv get -format=json secret/app", "timeout": "10s"}],
            "recipients": [recipient, "~/recipients"],
            "identity": {"file": "identity"},
            "restore-commands-to": "run/secrets",
        }
    ).build(Building(root=tmp_path, environment=Environment(home=Path("/home/ada"))))
    assert isinstance(made, SecretsComponent)
    assert (made.name, made.root) == ("secrets", tmp_path)
    assert list(made.files) == [".env", "/home/ada/.config/app/key"]
    assert list(made.recipients) == [recipient, "/home/ada/recipients"]
    (command,) = made.commands
    assert (command.name, list(command.words), command.timeout) == (
        "vault",
        ["vault", "kv", "get", "-format=json", "secret/app"],
        10,
    )
    assert made.restore_commands_to == "run/secrets"
    # The key is the first line: a file counts as a whole, what a command prints by its first line.
    assert made.identity is not None
    assert made.identity().startswith("AGE-SECRET-KEY-1")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"recipients": []}, "at least 1"),
        ({"files": [], "commands": []}, "at least one of `files` and `commands`"),
        ({"commands": [{"name": "a", "command": "x"}, {"name": "a", "command": "y"}]}, "same name"),
        ({"commands": [{"name": "../a", "command": "x"}]}, "pattern"),
        ({"commands": [{"name": "a", "command": "vault | jq"}]}, "no shell runs it"),
        ({"commands": [{"name": "a"}]}, "required"),
        ({"recipients": ["AGE-SECRET-KEY-1HUNTER2"]}, "private key"),
        ({"recipients": ["age-secret-key-1hunter2"]}, "private key"),
        ({"identity": "AGE-SECRET-KEY-1HUNTER2"}, "valid"),
    ],
)
def test_mistakes(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as raised:
        options(**given)
    assert "hunter2" not in str(raised.value).lower()
