"""The French catalogue is complete, fits the source, and is what a person gets to see."""

import ast
import re
import string
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

import pivori as package
from pivori import translation
from pivori.cli.failures import fill, wording
from pivori.cli.wording import show_bytes, show_decimal, show_duration, show_number, show_percent
from pivori.errors import PivoriError
from pivori.translation import Phrase
from scripts import catalogues


@pytest.fixture
def french() -> Iterator[None]:
    """The sentences of this process in French."""
    translation.select(["fr"])
    yield
    translation.select([])


@pytest.fixture(scope="module")
def source_template() -> Catalog:
    """The sentences of the source."""
    return catalogues.extract()


def test_there_is_a_french_catalogue() -> None:
    assert "fr" in catalogues.known_languages()


@pytest.mark.parametrize("language", catalogues.known_languages())
def test_the_catalogue_fits_the_source(language: str, source_template: Catalog) -> None:
    """Nothing missing, fuzzy, empty or left over; the same fields and options; the .mo is made from this .po."""
    found = "\n".join(catalogues.problems(language, source_template))
    assert not found, f"run scripts/catalogues.py update, translate, and run scripts/catalogues.py compile:\n{found}"


@pytest.mark.parametrize("language", catalogues.known_languages())
def test_the_catalogue_is_written_the_same_every_time(
    language: str, source_template: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = catalogues.po_text(catalogues.merged(language, source_template))
    binary = catalogues.catalogue_path(language).with_suffix(".mo").read_bytes()
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    catalogues.catalogue_path(language).parent.mkdir(parents=True)
    catalogues.catalogue_path(language).write_bytes(text)
    catalogues.update([language])
    catalogues.compile_all([language])
    assert catalogues.catalogue_path(language).read_bytes() == text
    assert catalogues.catalogue_path(language).with_suffix(".mo").read_bytes() == binary
    assert str(catalogues.ROOT).encode() not in text
    assert b"Date" not in text.partition(b"#:")[0]


@pytest.mark.parametrize(
    ("original", "translated", "problem"),
    [
        ("{count} files", "{nombre} fichiers", "has the fields"),
        ("Use --force.", "Utilisez --forcer.", "has the options"),
        ("Done.", "Fini", "ends in another way"),
        ("Done.", "", "not translated"),
    ],
)
def test_a_bad_translation_is_found(
    original: str, translated: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    template, written = catalogues.empty_catalogue(), catalogues.empty_catalogue("fr")
    template.add(original)
    written.add(original, translated)
    catalogues.catalogue_path("fr").parent.mkdir(parents=True)
    catalogues.catalogue_path("fr").write_bytes(catalogues.po_text(written))
    catalogues.compile_all(["fr"])
    (found,) = catalogues.problems("fr", template)
    assert found.startswith(problem)


def test_click_still_says_what_the_catalogue_has() -> None:
    said = {row[2] for row in extract_from_dir(Path(click.__file__).parent, method_map=[("**.py", "python")])}
    assert not set(catalogues.CLICK) - said


def every_error() -> list[type[PivoriError]]:
    """All errors of the program."""
    for module in walk_packages(package.__path__, "pivori."):
        if not module.name.endswith("__main__") and ".testing" not in module.name:
            import_module(module.name)
    found, waiting = [], [PivoriError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith("pivori."):
            found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def details_for(template: str) -> dict[str, object]:
    """A value for every field."""
    return {name: 7 for _text, name, _format, _conversion in string.Formatter().parse(template) if name}


def test_every_error_is_marked_and_translated(french: None, source_template: Catalog) -> None:
    errors = every_error()
    assert len(errors) > 80
    for kind in errors:
        for template in filter(None, (kind.message, kind.hint)):
            if re.fullmatch(r"\{\w+\}", template):
                continue  # whoever raises it gives the whole sentence
            assert source_template.get(template) is not None, f"{kind.__qualname__}: {template!r} is not in N_()"
            details = details_for(template)
            assert fill(template, details) == translation.filled(translation._(template), details)
            assert fill(template, details) != translation.filled(template, details), kind


def test_every_error_can_be_told_in_english() -> None:
    for kind in every_error():
        details = details_for(kind.message + kind.hint)
        message, hint = wording(kind(**details))
        assert "{" not in message + hint
        assert message == str(kind(**details))


def bare_reasons(tree: ast.AST) -> Iterator[int]:
    """The lines on which a reason is written without being marked."""
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        is_reason = isinstance(node, ast.keyword) and node.arg == "reason"
        if is_reason or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason"):
            values = [node.value]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Phrase":
            values = node.args[:1]
        for value in values:
            if isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and value.value):
                yield value.lineno


def test_no_reason_is_written_without_being_marked() -> None:
    assert sorted(bare_reasons(ast.parse('raise Damaged(reason="it is short")\nreason = f"{x} bytes"'))) == [1, 2]
    found = [
        f"{path.relative_to(catalogues.SOURCE)}:{line}"
        for path in sorted(catalogues.SOURCE.rglob("*.py"))
        for line in bare_reasons(ast.parse(path.read_bytes()))
    ]
    assert not found


class Outer(PivoriError):
    """An error with a reason."""

    message = "The index {name} is damaged: {reason}."


def test_reasons_are_translated_with_the_sentence_they_are_in(french: None) -> None:
    told, _hint = wording(Outer(name="ab", reason="No such file or directory"))
    assert told == "L’index ab est endommagé\xa0: aucun fichier ou répertoire de ce nom."
    told, _hint = wording(Outer(name="ab", reason=Phrase("it has {size} bytes", size=7)))
    assert told == "L’index ab est endommagé\xa0: il compte 7 octets."
    inner = Outer(name="cd", reason=Phrase("it has {size} bytes", size=7))
    told, _hint = wording(Outer(name="ab", reason=str(inner)))
    assert told == "L’index ab est endommagé\xa0: L’index cd est endommagé\xa0: il compte 7 octets."
    told, _hint = wording(Outer(name="ab", reason="of a library"))
    assert told == "L’index ab est endommagé\xa0: of a library."


def test_the_notation_is_french(french: None) -> None:
    assert show_bytes(512) == "512\xa0o"
    assert show_bytes(1_503_238_553) == "1,4\xa0Gio"
    assert show_number(1_234_567) == "1\u202f234\u202f567"
    assert show_decimal(1234.5) == "1\u202f234,5"
    assert show_percent(0.42) == "42\xa0%"
    assert show_duration(273_600) == "3\xa0j 4\xa0h"


def test_typography() -> None:
    """A space before a high sign and inside guillemets does not break, and apostrophes are curved."""
    for message in catalogues.sentences_of(catalogues.read("fr")):
        for text in [message.string] if isinstance(message.string, str) else message.string:
            prose = re.sub(r"`[^`]*`", "", text)
            assert not re.search(r" [:;!?»%]|« ", prose), text
            assert not re.search(r"(?<=\w)'(?=\w)|[“”]", prose), text
            assert not re.search(r"\w[!?;](\s|$)", prose.replace("M? ", "")), text
