"""The sample, the schema and what is said of each option come from the models."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from pivori.settings.load import Environment
from pivori.settings.stack_file import load_stack_file
from pivori.settings.stack_file.described import Option, kind_table, kinds, options_of, resolved, schema, sections
from pivori.settings.stack_file.lines import find_lines
from pivori.settings.stack_file.sample import as_toml, sample

HERE = Environment(home=Path("/home/ada"))


def all_options() -> list[tuple[str, Option]]:
    """Every option of every table, with the name of the table."""
    found = [(section.key, option) for section in sections() for option in options_of(table_of(section))]
    return found + [(f"components ({kind})", option) for kind in kinds() for option in options_of(kind_table(kind))]


def table_of(section: Option) -> dict[str, object]:
    table = resolved(section.node)
    if "items" in table:
        table = resolved(table["items"])
    return table if "properties" in table else {"properties": {}}


@pytest.mark.parametrize(("table", "option"), all_options(), ids=lambda value: getattr(value, "key", value))
def test_every_option_has_a_description_for_people(table: str, option: Option) -> None:
    assert re.fullmatch(r"(?s)[A-Z`].*[.…]\)?", option.description), option.description
    assert "_" not in option.key


def test_the_sample_is_a_file_without_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "pivori.toml"
    path.write_text(sample(str))
    loaded = load_stack_file(path, HERE)
    assert [options.name for options in loaded.components] == ["my-files"]


def test_the_sample_has_every_option_and_what_it_means() -> None:
    text = sample(str)
    words = " ".join(text.replace("\n#", " ").split())
    keys = set(re.findall(r"^(?:# )?([a-z-]+) = ", text, re.MULTILINE)) | {"before", "after", "timeout"}
    assert [(table, option.key) for table, option in all_options() if option.key not in keys] == []
    assert [option.key for _table, option in all_options() if " ".join(option.description.split()) not in words] == []


def test_the_sample_is_toml_when_all_of_it_is_taken() -> None:
    text = sample(str)
    taken = re.sub(r"^# ([a-z-]+ = .*|\[.*\])$", r"\1", text, flags=re.MULTILINE)
    data = tomllib.loads(taken)
    assert {component["kind"] for component in data["components"]} == set(kinds())
    assert find_lines(taken).of(("components", 0, "kind")) is not None


def test_the_sample_is_in_the_language_of_the_reader() -> None:
    said: list[str] = []

    def translate(sentence: str) -> str:
        said.append(sentence)
        return "«»"

    assert "recovery" not in re.sub(r"(?m)^(# )?[a-z-]+ = .*$", "", sample(translate))
    assert len(said) > 60


def test_the_schema_knows_what_the_loader_knows() -> None:
    made = json.loads(json.dumps(schema()))
    assert made["$schema"].startswith("https://json-schema.org/")
    assert list(made["properties"]) == [section.key for section in sections()]
    assert made["additionalProperties"] is False
    assert made["required"] == ["stack", "components"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(1.0, "1"), (0.5, "0.5"), (True, "true"), ('a"\\\n', r'"a\"\\\n"'), ([1, "x"], '[1, "x"]'), ({}, "{}")],
)
def test_values_as_toml(value: object, written: str) -> None:
    assert as_toml(value) == written
    assert tomllib.loads(f"x = {written}")["x"] == value


def test_a_table_as_toml() -> None:
    assert as_toml({"file": "~/x", "n": [1]}) == '{ file = "~/x", n = [1] }'
