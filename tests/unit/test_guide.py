"""The guide keeps up with the code: every error code, command, subcommand and exit status is in it."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import pivori
from pivori.cli.command_table import TABLE
from pivori.cli.failures import READER_GONE, STATUSES
from pivori.errors import PivoriError
from pivori.repository.check_findings import FindingKind

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
ROOT = GUIDE.parent.parent


def page(name: str) -> str:
    return (GUIDE / name).read_text(encoding="utf-8")


def error_classes() -> list[type[PivoriError]]:
    """Every error of the program: all its modules are imported, so that each class is there."""
    for module in pkgutil.walk_packages(pivori.__path__, "pivori."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [PivoriError]
    for kind in found:
        found += [below for below in kind.__subclasses__() if below.__module__.startswith("pivori.")]
    return found


def documented(text: str) -> dict[str, set[int]]:
    """The codes in the first column of the tables, each with the exit statuses behind it."""
    codes: dict[str, set[int]] = {}
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("| `") else ""
        for code, note in re.findall(r"`([a-z-]+)`(?: \(([^)]*)\))?", cell):
            codes.setdefault(code, set()).update(int(status) for status in re.findall(r"[0-9]+", note))
    return codes


def test_every_error_code_is_in_the_troubleshooting_page() -> None:
    codes = {kind.code for kind in error_classes()}
    assert len(codes) > 80
    assert sorted(codes - documented(page("troubleshooting.md")).keys()) == []


def test_the_troubleshooting_page_names_no_code_that_is_gone() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = documented(page("troubleshooting.md")).keys()
    assert [code for code in sorted(named) if f'"{code}"' not in source] == []


def test_codes_stand_with_their_exit_statuses() -> None:
    told = documented(page("troubleshooting.md"))
    wrong = {
        kind.code: (kind.exit_status, told.get(kind.code))
        for kind in error_classes()
        if (told.get(kind.code) or {1}) != {kind.exit_status}
    }
    assert wrong == {}


def command_paths() -> Iterator[str]:
    for name, entry in TABLE.items():
        command = importlib.import_module(f"pivori.cli.commands.{entry.module}").command
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {subcommand}" for subcommand in command.list_commands(click.Context(command)))


def test_every_command_is_explained_and_has_its_json_shape() -> None:
    guide = "\n".join(path.read_text(encoding="utf-8") for path in sorted(GUIDE.glob("*.md")))
    shapes = page("json.md")
    paths = list(command_paths())
    assert {"key add", "repair index"} < set(paths)
    assert [path for path in paths if f"pivori {path}" not in guide] == []
    assert [name for name in TABLE if f"\n## {name}\n" not in shapes] == []


def test_every_command_is_in_the_index_of_the_guide() -> None:
    assert [name for name in TABLE if f"`{name}`" not in page("index.md")] == []


def test_every_exit_status_is_documented() -> None:
    rows = re.findall(r"^\| ([0-9]+) \|", page("environment.md"), re.MULTILINE)
    assert {int(status) for status in rows} == {*STATUSES, READER_GONE}


def test_every_kind_of_finding_is_explained() -> None:
    text = page("verify-and-repair.md")
    assert [kind.value for kind in FindingKind if f"`{kind.value}`" not in text] == []


def test_every_variable_that_is_read_is_documented() -> None:
    source = (ROOT / "src" / "pivori" / "settings" / "load.py").read_text(encoding="utf-8")
    variables = set(re.findall(r'"((?:PIVORI|XDG)_[A-Z_]+|NO_COLOR|TERM|COLUMNS|LC_ALL|LANG|LANGUAGE)"', source))
    assert {"PIVORI_REPOSITORY", "XDG_CACHE_HOME"} < variables
    assert [name for name in sorted(variables) if f"`{name}`" not in page("environment.md")] == []


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            missing.append(target)
    assert missing == []


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings have on the web."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
