"""The secrets that a configuration names, and whether they can be found on this machine."""

from pathlib import Path

import pytest

from pivori.settings import Environment, Secret
from pivori.settings.desktop_keyring import KeyringFailed
from pivori.settings.stack_file import load_stack_file
from pivori.settings.stack_file.options import Building, SecretReference
from pivori.settings.stack_file.references import references, trouble_with


def test_all_references_of_a_file_are_found(tmp_path: Path) -> None:
    path = tmp_path / "pivori.toml"
    path.write_text("""
[stack]
name = "x"
[repository]
password = { file = "a" }
[[components]]
kind = "command"
name = "c"
capture = "true"
variables = { TOKEN = { env = "b" } }
""")
    found = {reference.path: str(reference.place) for reference in references(load_stack_file(path, Environment()))}
    assert found == {
        ("repository", "password"): "file a",
        ("components", 0, "variables", "TOKEN"): "env b",
    }


def test_what_keeps_a_secret_from_being_found(tmp_path: Path) -> None:
    building = Building(tmp_path, Environment(variables={"SET": Secret("x")}))
    (tmp_path / "private").write_text("x")
    (tmp_path / "private").chmod(0o600)
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)

    def trouble(**place: str) -> str:
        return str(trouble_with(SecretReference(**place), building) or "")

    assert trouble(file="private") == trouble(env="SET") == trouble(command="x") == trouble(keyring="a/b") == ""
    assert trouble(env_file="open", key="X") == ""
    assert trouble(file="open") == f"others may read {tmp_path}/open"
    assert trouble(file="none") == trouble(env_file="none", key="X") == f"there is no file {tmp_path}/none"
    assert trouble(env="UNSET") == "the variable is not set"


def test_the_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    ring = {("db", "me"): "in the ring"}
    monkeypatch.setattr(keyring, "get_password", lambda service, user: ring.get((service, user)))
    building = Building(Path("/"), Environment())
    assert SecretReference(keyring="db/me").reveal(building)() == "in the ring"
    with pytest.raises(KeyringFailed, match="db/you"):
        SecretReference(keyring="db/you").reveal(building)()
