"""What a restore picks by include and exclude patterns, and which directories it need not look into."""

import pytest

from pivori.engine.selection import Choice, Selection

PROJECT = b"/home/me/project"
FILES = [
    b"home/me/project/README",
    b"home/me/project/src/main.py",
    b"home/me/project/src/deep/er/x.py",
    b"home/me/project/src/deep/x.log",
    b"home/me/project/vendor/src/main.py",
    b"home/me/project/dump.sql",
    b"home/me/project/cache/y.py",
]


def picked(selection: Selection, files: list[bytes] = FILES) -> set[str]:
    """The files a walk finds that enters only the directories that may contain something."""
    found = set()
    for file in files:
        path = tuple(file.split(b"/"))
        if (
            all(selection.decide(path[:end], True).may_contain_selected for end in range(len(path)))
            and selection.decide(path, False).selected
        ):
            found.add(file.decode().removeprefix("home/me/project/"))
    return found


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["/src/**/*.py"], [], {"src/main.py", "src/deep/er/x.py"}),
        (["src/main.py"], [], {"src/main.py"}),
        (["/home/me/project/src/main.py"], [], {"src/main.py"}),
        (["/home/*/project/*.sql"], [], {"dump.sql"}),
        (["*.sql"], [], {"dump.sql"}),
        (["src/"], [], {"src/main.py", "src/deep/er/x.py", "src/deep/x.log", "vendor/src/main.py"}),
        (["/src/"], [], {"src/main.py", "src/deep/er/x.py", "src/deep/x.log"}),
        (["/src", "!*.log"], [], {"src/main.py", "src/deep/er/x.py"}),
        (["/src", "!/src/deep", "/src/deep/er"], [], {"src/main.py", "src/deep/er/x.py"}),
        (["README/"], [], set()),
        (["project"], ["src"], {"README", "dump.sql", "cache/y.py"}),
        (["project"], ["*.py", "!main.py", "*.[ls]*", "README"], {"src/main.py", "vendor/src/main.py"}),
        (["*.py"], ["cache/", "/home/me/project/vendor"], {"src/main.py", "src/deep/er/x.py"}),
        ([], ["src/deep", "!x.log", "README"], {"src/main.py", "vendor/src/main.py", "dump.sql", "cache/y.py"}),
        (["!*.py"], [], {"README", "src/deep/x.log", "dump.sql"}),
        ([], ["home", "me", "project"], {path.decode().removeprefix("home/me/project/") for path in FILES}),
        ([], ["/home/me"], set()),
    ],
)  # fmt: skip
def test_patterns_pick_what_a_person_expects(include: list[str], exclude: list[str], expected: set[str]) -> None:
    assert picked(Selection(include, exclude, roots=[PROJECT])) == expected


def test_without_sources_patterns_are_read_from_the_top() -> None:
    assert picked(Selection(["/src/*.py"]), [b"src/main.py", b"a/src/main.py"]) == {"src/main.py"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"home", True),
        (b"home/me/project", True),
        (b"home/me/project/src", True),
        (b"home/me/project/src/deep", False),
        (b"home/me/project/vendor", False),
        (b"etc", False),
    ],
)
def test_directories_that_cannot_hold_anything_picked_are_not_entered(path: bytes, expected: bool) -> None:
    selection = Selection(["src/main.py"], roots=[PROJECT])
    assert selection.decide(tuple(path.split(b"/")), True) == Choice(False, expected)


def test_an_excluded_directory_is_neither_picked_nor_entered() -> None:
    selection = Selection(["*.py"], ["cache/"], roots=[PROJECT])
    assert selection.decide((b"home", b"me", b"project", b"cache"), True) == Choice(False, False)
    assert Selection().decide((b"home",), True) == Choice(True, True)


def test_a_file_holds_nothing() -> None:
    assert Selection(["README"], roots=[PROJECT]).decide((b"README",), False) == Choice(True, False)


def test_a_source_that_is_a_file_is_excluded_by_its_name() -> None:
    assert not Selection([], ["*.iso"], roots=[b"/srv/x.iso"]).decide((b"srv", b"x.iso"), False).selected


def test_names_that_are_not_utf8_are_matched() -> None:
    assert picked(Selection(["caf?"], roots=[PROJECT]), [b"home/me/project/caf\xc3\xa9"])
    selection = Selection(["caf?"], roots=[PROJECT])
    assert selection.decide((b"home", b"me", b"project", b"caf\xe9"), False).selected


def test_more_directories_than_are_remembered_are_decided_alike() -> None:
    selection = Selection(["/d9/**"])
    decided = [selection.decide((f"d{number}".encode(), b"x"), True).selected for number in range(10_000)]
    assert decided.count(True) == 1
    assert decided[9]


def test_nothing_asked_is_false() -> None:
    assert not Selection(roots=[PROJECT])
    assert Selection(exclude=["x"])
