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
from pivori.cli.command_table import TABLE
from pivori.cli.failures import fill, wording
from pivori.cli.wording import show_bytes, show_decimal, show_duration, show_number, show_percent
from pivori.errors import PivoriError
from pivori.translation import Phrase
from scripts import catalogues
from tests.conftest import Pivori

FRENCH = {"LANG": "fr_FR.UTF-8", "LC_ALL": "", "COLUMNS": "100"}
ENGLISH_WORDS = re.compile(
    r"(?<![\w-])(the|of|is|are|was|were|not|with|from|this|that|and|for|there|has|have|what|which|its?|been|be|by|to|"
    r"at|only|no|nothing|file|files|folder|directory|repository|password|missing|invalid|usage|error|hint|show|read|"
    r"write|removed|would|without|between|such|did|you|mean)(?![\w-])",
    re.IGNORECASE,
)
# What is the same in every language: code, examples, names of commands, choices, options, names of variables, paths.
LITERAL = re.compile(
    r"`[^`]*`|^ {2,}pivori .*$|^  [a-z]+ {3,}|\[[^\]]*\|[^\]]*\]|(?<!\w)--?[a-z][\w-]*|PIVORI_\w+|'[^']*'|\S*/\S*|"
    r"«\xa0[^»]*\xa0»",
    re.MULTILINE,
)


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
            if template == "{reason}":
                continue
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


SUBCOMMANDS = ["repair index", "repair packs", "repair snapshots", "key list", "key add", "key remove", "key passwd"]

MISTAKES = [
    "backp",
    "backup",
    "backup --exclud x",
    "backup src --compression huge",
    "backup src --time x",
    "backup src --exclude-file /gone",
    "backup --dry-run=3",
    "backup --stdin-from-command x -- false",
    "restore",
    "restore latest",
    "restore latest~9 --target x",
    "restore ~ --target x",
    "snapshots --latest none",
    "snapshots --group-by colour",
    "--repository /gone snapshots",
    "--repository rest:x snapshots",
    "--password-file /gone snapshots",
    "--password-command false snapshots",
    "--password-file",
    "forget",
    "forget --keep-last x",
    "prune --max-unused x",
    "verify --read-data-subset x",
    "find",
    "find --oldest x a",
    "key",
    "key lst",
    "key remove abc",
    "forget latest",
    "forget latest latest~1 --group-by=",
    "--password-command 'secret snapshots",
    "repair packs abc",
    "copy",
    "diff a",
    "diff latest latest latest",
    "ls latest /gone",
    "init",
]

RUNS = [
    "snapshots",
    "snapshots --group-by host,tags",
    "restore latest --target out --dry-run",
    "restore latest --target out --verify",
    "ls -l latest",
    "find a",
    "diff latest~1 latest",
    "stats",
    "stats --mode raw-data",
    "verify --read-data",
    "forget --keep-last 1 --keep-within 1d --dry-run",
    "forget --keep-last 1",
    "prune --max-unused 0",
    "key list",
    "repair index",
    "repair packs",
    "repair snapshots",
    "unlock",
]


def assert_french(text: str, command: str) -> None:
    for line in LITERAL.sub(" ", text).splitlines():
        found = ENGLISH_WORDS.search(line)
        assert found is None, f"pivori {command}: {found.group()!r} in {line!r}"


def test_english_is_noticed() -> None:
    for sentence in ("Error: {message}", "List the snapshots.", "{path} was not restored: x."):
        with pytest.raises(AssertionError):
            assert_french(sentence, "")


@pytest.mark.parametrize("command", ["", *TABLE, *SUBCOMMANDS])
def test_the_help_is_french(pivori: Pivori, command: str) -> None:
    shown = pivori(*command.split(), "--help", **FRENCH).stdout
    assert shown.startswith("Utilisation\xa0: pivori")
    assert "Options globales\xa0:\n" in shown
    assert_french(shown, f"{command} --help")


def test_what_commands_say_is_french(pivori: Pivori) -> None:
    """Every verb on a small repository, then a mistake of each kind."""
    source = pivori.home / "src"
    (source / "sub").mkdir(parents=True)
    (source / "a").write_bytes(b"a" * 5000)
    assert_french(pivori("backup", "src", **FRENCH).stdout, "backup")
    (source / "a").write_bytes(b"b" * 6000)
    said = pivori("backup", "src", "/gone", "--tag", "nuit", expect=3, **FRENCH)
    assert "Impossible de lire /gone\xa0: aucun fichier ou répertoire de ce nom." in said.stderr
    assert_french(said.stdout + said.stderr, "backup")
    for command in RUNS:
        said = pivori(*command.split(), **FRENCH)
        assert_french(said.stdout + said.stderr, command)
    for command in MISTAKES:
        said = pivori(*command.split(), expect=None, **FRENCH)
        assert said.returncode in (1, 2, 10, 12), command
        assert said.stderr.startswith("Erreur\xa0: "), command
        assert_french(said.stderr, command)


def test_damage_is_told_in_french(pivori: Pivori) -> None:
    (pivori.home / "src").mkdir()
    (pivori.home / "src" / "a").write_bytes(b"a" * 5000)
    pivori("backup", "src", **FRENCH)
    repository = pivori.home / ".local/share/pivori/repository"
    for pack in repository.glob("data/*/*"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:-1])
    (repository / "locks" / ("ab" * 32)).write_bytes(b"x")
    said = pivori("verify", "--read-data", "--no-lock", expect=1, **FRENCH)
    assert "Dommage\xa0: " in said.stdout
    assert "octets au lieu de" in said.stdout
    assert_french(said.stdout + said.stderr, "verify")


@pytest.mark.parametrize(
    ("variables", "is_french"),
    [
        ({"LANG": "fr_FR.UTF-8"}, True),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "en:fr"}, False),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:en"}, True),
        ({"LANG": "fr_CA"}, True),
        ({"LANG": "de_DE.UTF-8"}, False),
    ],
)
def test_the_language_is_the_one_of_the_environment(pivori: Pivori, variables: dict[str, str], is_french: bool) -> None:
    shown = pivori("restore", expect=2, **({"LANG": "", "LC_ALL": "", "LANGUAGE": ""} | variables)).stderr
    assert shown.startswith("Erreur\xa0: Il manque l’argument" if is_french else "Error: Missing argument")
