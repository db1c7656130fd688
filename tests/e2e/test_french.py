"""What a person who reads French gets to see: the help, what every verb says, mistakes, damage."""

import re

import pytest

from pivori.cli.command_table import ARCHIVE, TABLE
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

SUBCOMMANDS = [
    *("repair index", "repair packs", "repair snapshots", "key list", "key add", "key remove", "key passwd"),
    *(f"archive {name}" for name in ARCHIVE),
]

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
    assert_french(shown.replace(f"pivori {command} ", ""), f"{command} --help")


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
