"""The old script's commands as command lines of the program: arguments, options, paths that mean themselves only."""

from pathlib import Path

import pytest

from pivori.cli.commands.script import BadPointInTime, parse_moment
from pivori.cli.failures import UsageError
from pivori.cli.script_verbs import VERBS, Places, component_pattern
from pivori.engine.selection import Selection
from tests.unit.cli.conftest import Here

PLACES = Places(project=Path("/srv/app"), archives=Path("/srv/archives"))


def line(verb: str, *given: str) -> list[str]:
    return VERBS[verb].command_line(PLACES, given)


def test_options_stand_before_or_behind_the_arguments() -> None:
    assert line("restore_partial", "--yes", "a.zip", "web", "--base", "b.zip")[-6:] == [
        "--include", "/web", "--yes", "--base", "b.zip", "a.zip",
    ]  # fmt: skip


def test_the_value_of_an_option_is_no_argument() -> None:
    assert line("cleanup_old_backups", "--keep-last", "3", "--dry-run")[-5:] == [
        "--older-than", "30d", "--keep-last", "3", "--dry-run",
    ]  # fmt: skip
    assert line("cleanup_old_backups", "--keep-last", "3", "9")[-4:] == ["--older-than", "9d", "--keep-last", "3"]
    assert line("verify_backup", "--require", "web")[-2:] == ["--require", "web"]
    assert line("verify_backup", "-r", "place", "a.zip")[-3:] == ["-r", "place", "a.zip"]


@pytest.mark.parametrize(
    "options",
    [
        ["--before", "stop"],
        ["--before=stop"],
        ["-i", "web"],
        ["-iweb"],
        ["-ni", "web"],
        ["-n"],
        ["--yes"],
        ["--before", "--after"],
        ["--"],
    ],
)
def test_options_and_arguments_are_not_mixed_up(options: list[str]) -> None:
    for verb in ("restore_complete", "restore_pit"):
        assert line(verb, *options, "a.zip")[-len(options) - 1 :] == [*options, "a.zip"]


def test_behind_two_hyphens_everything_is_an_argument() -> None:
    assert line("restore_complete", "--", "-n.zip")[-2:] == ["--", "./-n.zip"]


def test_an_option_alone_does_not_stand_for_the_file() -> None:
    with pytest.raises(UsageError):
        line("restore_complete", "--before", "stop")


def test_thirty_days_are_usual() -> None:
    assert "30d" in line("cleanup_old_backups")
    assert "30d" in line("cleanup_old_backups", "--dry-run")
    assert "7d" in line("cleanup_old_backups", "7")
    for wrong in ("7d", "٣", "1.5"):
        with pytest.raises(UsageError):
            line("cleanup_old_backups", wrong)


def test_a_restore_asks_unless_told_otherwise() -> None:
    for verb, arguments in (("restore_complete", ["f"]), ("restore_partial", ["f", "web"]), ("restore_pit", ["f"])):
        words = line(verb, *arguments, "--yes")
        assert words.index("--ask") < words.index("--yes"), "the last one counts"


def test_an_archive_is_found_by_its_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "a.zip").touch()
    (tmp_path / "b.zip").touch()
    monkeypatch.chdir(tmp_path)
    places = Places(project=tmp_path, archives=tmp_path / "archives")
    assert places.find("a.zip") == str(tmp_path / "archives" / "a.zip")
    (tmp_path / "a.zip").touch()
    assert [places.find(name) for name in ("a.zip", "b.zip", "-c.zip", "none")] == [
        "a.zip",
        "b.zip",
        "./-c.zip",
        "none",
    ]


@pytest.mark.parametrize(
    "component",
    ["web", "web/", "./web", "/srv/app/web", "a*b", "[ab]", "!x", "#x", "a\\b", "end ", "ü/\udcff", "web//js"],
)
def test_a_component_means_itself_and_nothing_else(component: str) -> None:
    selection = Selection([component_pattern(component, PLACES.project)])
    names = [part.encode("utf-8", "surrogateescape") for part in component.removeprefix("/srv/app").split("/")]
    path = [name for name in names if name not in (b"", b".")]
    assert selection.decide(path, True).selected
    assert selection.decide([*path, b"below"], False).selected
    for other in ([b"axb"], [b"a"], [b"x"], [b"end"], [b"web2"], [b"deep", *path], [b"ab"]):
        assert not selection.decide(other, True).selected


@pytest.mark.parametrize("component", ["", ".", "..", "../web", "/etc", "web/../..", "/srv/application"])
def test_a_component_is_below_the_project(component: str) -> None:
    with pytest.raises(UsageError):
        component_pattern(component, PLACES.project)


def test_the_moment_may_stand_behind_options(here: Here) -> None:
    places = {"backup_directory": here.home / "archives", "log_directory": here.home / "log"}
    (here.home / "archives").mkdir()
    said = here("script", "restore_pit", "--before", "stop", "20251108", expect=None, **places).err
    assert "is no day" not in said
    assert "There is no usable archive" in said


def test_moments() -> None:
    assert str(parse_moment("20251108")) == "2025-11-08 23:59:59.999999"
    assert str(parse_moment("20251108-020000")) == "2025-11-08 02:00:00"
    for wrong in ("", "2025-11-08", "20251308", "20251108-", "20251108-0200", "20251108-250000", "٢٠٢٥١١٠٨"):
        with pytest.raises(BadPointInTime):
            parse_moment(wrong)
