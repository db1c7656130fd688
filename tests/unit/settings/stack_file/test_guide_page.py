"""The page of the guide about the configuration keeps up with the models."""

from scripts.configuration_page import PAGE, page


def test_the_tables_of_options_are_those_of_the_models() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/configuration_page.py write"


def test_the_tables_have_what_the_models_have() -> None:
    text = page()
    for row in (
        "| `recovery-order` |",
        "| `env-file` |",
        "| `frozen-view` |",
        "| `keep-within` |",
        "| `smallest` | `0.5` |",
    ):
        assert row in text
