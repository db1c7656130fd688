"""A configuration file is understood, or all that is wrong with it is told at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pivori.settings.load import Environment
from pivori.settings.stack_file import (
    ConfigurationUnreadable,
    ConfigurationWrong,
    StackFile,
    load_stack,
    load_stack_file,
)
from pivori.settings.stack_file.model import recovery_order
from pivori.stack.model import Hook

HERE = Environment(home=Path("/home/ada"))

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(text: str) -> Path:
        path = tmp_path / "pivori.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return run


GOOD = """
[stack]
name = "shop"
root = "/srv/shop"
strategy = "smart"
recovery-order = ["dump", "source"]

[contacts]
email = "backup-support@pivori.app"
chat = "#backup-support"

[[components]]
kind = "files"
name = "source"
paths = [".", "/etc/shop.conf", "~/notes"]
exclude = ["*.log"]
frozen-view = "snapshot"
rto = "1h"
rpo = 90
smallest = 0
hooks = [{ before = "mount", after = "umount", timeout = "2m" }]

[[components]]
kind = "command"
name = "dump"
capture = ["echo", "x"]

[[components]]
kind = "files"
name = "other"
strategy = "complete"

[[hooks]]
before = "stop"
"""


def test_a_file_becomes_a_stack(write: Write) -> None:
    path = write(GOOD)
    stack = load_stack(path, HERE)
    assert (stack.name, stack.root, stack.strategy) == ("shop", Path("/srv/shop"), "smart")
    assert [member.name for member in stack.members] == ["source", "dump", "other"]
    assert stack.recovery_order == ["dump", "source", "other"]
    assert stack.contacts.email == "backup-support@pivori.app"
    assert stack.hooks == [Hook(before="stop", after=None, timeout=600)]
    assert stack.configuration == path.read_bytes()
    assert stack.configuration_path == path
    source = stack.members[0]
    assert (source.rto, source.rpo, source.smallest) == (3600, 90, 0)
    assert source.hooks == [Hook(before="mount", after="umount", timeout=120)]
    files = source.component
    assert files.paths == [Path("/srv/shop"), Path("/etc/shop.conf"), Path("/home/ada/notes")]
    assert files.view == Path("/srv/shop/snapshot")
    assert files.is_frozen
    assert files.strategy == "smart"
    assert stack.members[2].component.strategy == "complete"


def test_the_root_is_the_folder_of_the_file_and_a_relative_one_is_seen_from_there(write: Write, tmp_path: Path) -> None:
    text = GOOD.replace('root = "/srv/shop"\n', "")
    assert load_stack(write(text), HERE).root == tmp_path
    assert load_stack(write(text.replace("[stack]", '[stack]\nroot = "../x"')), HERE).root == tmp_path.parent / "x"


def test_a_file_among_the_users_configurations_has_to_say_where_the_stack_is(write: Write, tmp_path: Path) -> None:
    text = GOOD.replace('root = "/srv/shop"\n', "")
    with pytest.raises(ConfigurationWrong, match=r"pivori\.toml:2: stack\.root: this has to be there"):
        load_stack_file(write(text), Environment(config_home=tmp_path))


def mistakes(write: Write, text: str) -> list[tuple[int | None, str, str, str | None]]:
    with pytest.raises(ConfigurationWrong) as caught:
        load_stack_file(write(text), HERE)
    assert caught.value.exit_status == 2
    found = caught.value.details["mistakes"]
    assert isinstance(found, list)
    assert len(str(caught.value).splitlines()) == len(found) + 1
    return [(item["line"], item["key"], str(item["problem"]), item["nearest"]) for item in found]


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines(write: Write) -> None:
    text = """[stack]
name = "My Shop"
recovery-order = ["db", "sauce", "db"]
root = 5
[repository]
pasword = { file = "x" }
[contcts]
[[components]]
name = "source"
kind = "files"
path = ["."]
strategy = "smrt"
one-file-system = "perhaps"
smallest = 2
[[components]]
name = "db"
kind = "posgres"
[[components]]
name = "source"
kind = "command"
command = 3
hooks = [{ timeout = "1x" }, { before = "x", timout = 3 }]
[[components]]
name = "kindless"
[[hooks]]
[retention]
keep_last = -1
keep-daily = -1
keep-weekly = 1.5
keep-within = "1 year"
[schedule]
backup = "30 25 * * *"
verify = "sometimes"
[notifications]
email = "me"
"""
    found = mistakes(write, text)
    assert [(line, key, near) for line, key, _problem, near in found] == [
        (2, "stack.name", None),
        (3, "stack.recovery-order[2]", "source"),
        (3, "stack.recovery-order[3]", None),
        (4, "stack.root", None),
        (6, "repository.pasword", "password"),
        (7, "contcts", "contacts"),
        (11, "components.source.path", "paths"),
        (12, "components.source.strategy", "smart"),
        (13, "components.source.one-file-system", None),
        (14, "components.source.smallest", None),
        (17, "components.db.kind", "postgres"),
        (18, "components.source.capture", None),
        (19, "components.source.name", None),
        (21, "components.source.command", None),
        (22, "components.source.hooks[1].timeout", None),
        (22, "components.source.hooks[2].timout", "timeout"),
        (23, "components.kindless.kind", None),
        (25, "hooks[1]", None),
        (27, "retention.keep_last", "keep-last"),
        (28, "retention.keep-daily", None),
        (29, "retention.keep-weekly", None),
        (30, "retention.keep-within", None),
        (32, "schedule.backup", None),
        (33, "schedule.verify", None),
        (35, "notifications.email", None),
    ]
    problems = {key: problem for _line, key, problem, _near in found}
    assert problems["stack.root"] == "this has to be a text, in quotation marks"
    assert problems["components.db.kind"].startswith("there is no kind of component “posgres”; there are: command, ")
    assert problems["components.source.smallest"] == "this may be 1.0 at most"
    assert problems["components.source.strategy"] == "this has to be one of: complete, smart, compressed"
    assert problems["schedule.backup"] == "“25” is no hour of cron"
    assert problems["hooks[1]"] == "a hook needs `before`, `after`, or both"


def complaint(path: Path) -> str:
    try:
        load_stack_file(path, HERE)
    except ConfigurationWrong as error:
        return str(error)
    return ""


def test_no_sentence_is_in_the_words_of_the_library(write: Write) -> None:
    wrong = ["1", "1.5", "true", '"x"', "[]", "{}", "[1]", "1979-05-27", "inf", "nan", "[{ x = 1 }]", "{ x = 1 }"]
    keys = ["stack", "contacts", "repository", "components", "hooks", "retention", "schedule", "notifications"]
    keys += ["retention.keep-last", "stack.name", "contacts.email", "repository.password", "components.x", "hooks.a"]
    said = "\n".join(complaint(write(f"{key} = {value}\n")) for key in keys for value in wrong)
    assert len(said.splitlines()) > 300
    assert "Input" not in said
    assert "valid" not in said


@pytest.mark.parametrize(
    ("text", "key"),
    [("", "stack"), ('[stack]\nname = "x"', "components"), ('components = []\n[stack]\nname = "x"', "components")],
)
def test_what_is_missing_is_told(text: str, key: str, write: Write) -> None:
    assert key in [found[1] for found in mistakes(write, text)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[stack]\nname = "x\n', 2),
        ("[stack]\nname\n", 2),
        ("a = 1\n\na = 2\n", 3),
        ("a = [1,\n2\n", 3),
        ("a = 1\r\n\r\nb ==\r\n", 3),
        ("a = " + "[" * 9000, None),
        ("a = " + "9" * 9000, None),
    ],
)
def test_a_file_that_is_no_toml_says_where(text: str, line: int | None, write: Write) -> None:
    (found,) = mistakes(write, text)
    assert found[0] == line
    assert found[2].startswith("this is no TOML")


def test_a_file_that_is_no_utf_8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "pivori.toml"
    path.write_bytes(b"# fine\n# caf\xe9\n")
    with pytest.raises(ConfigurationWrong, match=r":2: this is no UTF-8 text"):
        load_stack_file(path, HERE)


def test_a_byte_order_mark_is_taken_as_read(tmp_path: Path) -> None:
    path = tmp_path / "pivori.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_stack_file(path, HERE).about.name == "shop"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationUnreadable, match="No such file"):
        load_stack_file(tmp_path / "no", HERE)
    with pytest.raises(ConfigurationUnreadable, match="directory"):
        load_stack_file(tmp_path, HERE)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('password = "hunter2"', "repository.password"),
        ('password = { file = "x", token = "hunter2" }', "repository.password.token"),
        ('location = "sftp://me:hunter2@host/x"', "repository.location"),
        ('password = { command = "echo --password=hunter2" }', "repository.password.command"),
        ('password = { command = "PGPASSWORD=hunter2 psql" }', "repository.password.command"),
        ('password = { file = "AGE-SECRET-KEY-1hunter2" }', "repository.password.file"),
        ('api-key = "hunter2"', "repository.api-key"),
    ],
)
def test_a_secret_in_clear_is_refused_and_never_repeated(line: str, key: str, write: Write) -> None:
    text = GOOD + "[repository]\n" + line + "\n"
    with pytest.raises(ConfigurationWrong) as caught:
        load_stack_file(write(text), HERE)
    (found,) = [item for item in caught.value.details["mistakes"] if item["key"] == key]
    assert found["line"] == text.count("\n")
    assert "in clear" in found["problem"] or "in it" in found["problem"]
    assert "hunter2" not in f"{caught.value}{caught.value.details}{caught.value.__cause__}{caught.value.__context__}"


@pytest.mark.parametrize(
    "line",
    [
        'location = "sftp://me@host/x"',
        'location = "https://host:8000/x"',
        'password = { command = "curl https://me:$TOKEN@host" }',
        'password = { command = "show --password-file=/x token" }',
        'password = { command = "TOKEN=$(cat /x) show" }',
        'password = { command = "test $TOKEN = x" }',
        'password = { env = "PASSWORD" }',
        'password = { file = "/run/secrets/password" }',
        'password = { env-file = ".env", key = "DB_PASSWORD" }',
    ],
)
def test_a_reference_is_no_secret(line: str, write: Write) -> None:
    assert load_stack_file(write(GOOD + "[repository]\n" + line + "\n"), HERE).about.name == "shop"


WORDS = st.sampled_from(
    [
        "stack",
        "name",
        "components",
        "kind",
        "files",
        "postgres",
        "hooks",
        "before",
        "password",
        "paths",
        "x y",
        "recovery-order",
    ]
)
VALUES = st.recursive(
    st.integers(-3, 3) | st.booleans() | st.floats() | WORDS | st.text(max_size=3) | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(WORDS | st.sampled_from(list(StackFile.model_fields)), VALUES, max_size=5))
def test_whatever_is_in_a_file_is_told_in_sentences(write: Write, data: dict[str, object]) -> None:
    import tomlkit

    path = write(tomlkit.dumps(data))
    with pytest.raises(ConfigurationWrong) as caught:  # a file of luck alone has not both stack and components
        load_stack_file(path, HERE)
    assert "Input" not in str(caught.value)


def test_recovery_follows_the_kinds_where_nothing_else_is_said() -> None:
    kinds = {"source": "files", "repo": "git", "app": "compose", "db": "postgres", "keys": "secrets"}
    assert recovery_order(kinds, []) == ["keys", "db", "app", "repo", "source"]
    assert recovery_order(kinds, ["source", "db"]) == ["source", "db", "keys", "app", "repo"]


def test_every_kind_that_there_is_has_its_place() -> None:
    import pkgutil

    from pivori.settings.stack_file import kinds
    from pivori.settings.stack_file.described import kinds as known

    modules = {module.name.replace("_", "-") for module in pkgutil.iter_modules(kinds.__path__)}
    assert set(known()) == modules
    assert StackFile.model_fields["about"].alias == "stack"


@pytest.mark.parametrize(
    ("location", "is_within"),
    [("backup", True), ("local:/srv/shop/backup", True), ("/srv/shop", True), ("/srv/shop2", False), ("../b", False)],
)
def test_the_repository_does_not_lie_among_the_files_it_keeps(location: str, is_within: bool, write: Write) -> None:
    text = GOOD + f'[repository]\nlocation = "{location}"\n'
    if not is_within:
        assert load_stack_file(write(text), HERE).repository.location == location
        return
    ((line, key, problem, _near),) = mistakes(write, text)
    assert (line, key) == (text.count("\n"), "repository.location")
    assert problem == "the repository may not lie in /srv/shop, which the component source takes and brings back"
