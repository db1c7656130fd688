"""The configuration file that `pivori init` writes: whatever is proposed, it can be loaded."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pivori.settings.load import Environment
from pivori.settings.stack_file import load_stack, load_stack_file
from pivori.settings.stack_file.described import kinds
from pivori.settings.stack_file.writing import RepositoryPlace, render_stack_file
from pivori.stack.discovery.evidence import Evidence
from pivori.stack.discovery.proposing import Proposal, Proposals, discover

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

ENV_FILES = {
    "urls": "A=postgres://u:p@h:6000/d\nB=mysql://u:p@h/d\nC=redis://:p@h/0\n",
    "names": "POSTGRES_HOST=db\nPOSTGRES_USER=u\nPOSTGRES_PASSWORD=p\nMYSQL_HOST=m\nREDIS_HOST=r\n",
    "two": "A=postgres://u:p@one/d\nB=postgres://u:p@two/d\n",
    "odd": "A=postgres://:@h/\nB=mysql://localhost\nC=redis://h\n",
    "long": f"A=postgres://{'u' * 300}:p@{'h' * 100}.example/d\n",
}
COMPOSE_FILES = {
    "published": "services:\n  d: {image: postgres, ports: ['1:5432']}\n  m: {image: mariadb, ports: ['2:3306']}\n",
    "inside": "services:\n  d: {image: postgres}\n  m: {image: 'mysql:8'}\n  r: {image: redis}\nvolumes: {v: }\n",
    "env": "services:\n  d: {image: postgres, env_file: .env, network_mode: host}\n",
    "odd name": "services:\n  'Däta base!': {image: postgres, ports: ['5432:5432']}\n  '': {image: mysql}\n",
}


def written(root: Path, **more: Any) -> Path:
    path = root / "pivori.toml"
    path.write_text(render_stack_file(discover(root), recipients=[RECIPIENT], **more))
    return path


@pytest.mark.parametrize("compose", [None, *COMPOSE_FILES])
@pytest.mark.parametrize("env", [None, *ENV_FILES])
def test_every_proposal_can_be_loaded(tmp_path: Path, env: str | None, compose: str | None) -> None:
    root = tmp_path / "a stack"
    (root / ".git").mkdir(parents=True)
    (root / "uploads").mkdir()
    (root / "uploads" / "x").touch()
    (root / "a.db").write_bytes(b"SQLite format 3\x00" + bytes(84))
    if env:
        (root / ".env").write_text(ENV_FILES[env])
    if compose:
        (root / "compose.yaml").write_text(COMPOSE_FILES[compose])
    proposals = discover(root)
    stack = load_stack(written(root), Environment(home=tmp_path))
    assert [member.name for member in stack.members] == [component.name for component in proposals.components]
    assert [member.component.kind for member in stack.members] == [item.kind for item in proposals.components]
    assert all(member.rto and member.rpo for member in stack.members)


def test_options_stand_below_what_they_mean(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  a: {image: x, volumes: ['v:/v']}\nvolumes: {v: }\n")
    lines = written(tmp_path).read_text().splitlines()
    place = lines.index('quiesce = "pause"')
    assert lines[place - 1].startswith("# What happens to the services that write")
    assert "# Found in compose.yaml:1." in lines


def test_names_cannot_leave_their_comment_or_their_text(tmp_path: Path) -> None:
    name = 'a\n[evil]\n"""x.key'
    proposals = Proposals(
        name="s",
        root=tmp_path,
        discoveries=(),
        components=[
            Proposal(
                name="files", kind="files", options={"paths": [name]}, rto="5m", rpo="1m", why=[Evidence(path=name)]
            )
        ],
    )
    said = tomllib.loads(render_stack_file(proposals))
    assert set(said) == {"stack", "components"}
    assert said["components"][0]["paths"] == [name]


def test_another_repository_is_named_with_the_file_of_its_password(tmp_path: Path) -> None:
    place = RepositoryPlace(location="/mnt/backup", password_file="/etc/key")
    said = tomllib.loads(written(tmp_path, repository=place).read_text())
    assert said["repository"] == {"location": "/mnt/backup", "password": {"file": "/etc/key"}}
    assert load_stack_file(tmp_path / "pivori.toml", Environment(home=tmp_path)).about.name


def test_every_kind_that_is_proposed_exists() -> None:
    assert {"secrets", "files", "postgres", "mysql", "redis", "sqlite", "compose", "git", "command"} <= set(kinds())
