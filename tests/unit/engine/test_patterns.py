"""Patterns mean what git makes of them: compared with `git check-ignore` on one tree, for generated lists."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from pivori.engine.exclusion import Exclusion
from pivori.engine.globs import BadPattern
from pivori.engine.patterns import Pattern, UnreadablePatternFile, read_pattern_file

# No name beyond ASCII: `?` is one byte for git, one character for us.
NAMES = ["a", "b", "ab", "a.b", ".a", "a b", "[a", "!a", "#a", "-", "a*"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], Path]) -> Path:
    """A git repository with directories three deep and files of every name in each."""
    root = tmp_path_factory.mktemp("tree")
    environment = {"HOME": str(root), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([program("git"), "init", "-q", "."], cwd=root, check=True, env=environment)
    for first in ("a", "b", "ab"):
        for second in ("a", "b.d", "[a"):
            folder = root / "w" / first / second
            folder.mkdir(parents=True)
            for name in NAMES:
                (folder / name).touch()
        (root / "w" / first / "c").touch()
    return root


def kept_by_us(root: Path, patterns: list[str]) -> set[str]:
    """The paths that a walk keeps which asks from the top down."""
    exclusion = Exclusion(patterns, roots=[os.fsencode(root / "w")])

    def walk(folder: bytes) -> Iterator[bytes]:
        for entry in os.scandir(folder):
            is_directory = entry.is_dir(follow_symlinks=False)
            if not exclusion.leaves_out(entry.path, entry.name, is_directory):
                yield entry.path
                if is_directory:
                    yield from walk(entry.path)

    return {os.fsdecode(path) for path in walk(os.fsencode(root / "w"))}


def kept_by_git(root: Path, patterns: list[str], git: Path) -> set[str]:
    """The paths that git does not ignore."""
    (root / "w" / ".gitignore").write_text("".join(f"{pattern}\n" for pattern in patterns))
    paths = [str(path) for path in (root / "w").rglob("*") if path.name != ".gitignore"]
    environment = {"HOME": str(root), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [git, "check-ignore", "--no-index", "-z", "--stdin"],
        input="\0".join(paths).encode(),
        cwd=root,
        env=environment,
        capture_output=True,
    )
    (root / "w" / ".gitignore").unlink()
    assert done.returncode in (0, 1), done.stderr
    return set(paths) - set(done.stdout.decode().split("\0"))


# Not "a**": git strips literal prefixes before it matches, and then takes these stars for a `**` segment.
WORDS = r"""
    a b ab a?b w c b.d -  * ** a* *b **b *.* *.d *a*b*  ? ?? .?
    [ab] [!a] [^a]* [a-b]b [a-] [b-a] [[:alpha:]] []a[]a [\[]a  \[a a\* a\ b
"""
segments = st.sampled_from(re.findall(r"(?:\\ |\S)+", WORDS))
patterns = st.builds(
    lambda negated, rooted, parts, directory: negated + rooted + "/".join(parts) + directory,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(segments, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", "/**"]),
)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(st.lists(patterns, min_size=1, max_size=5))
@example(["*", "!*/", "!a.b"])
@example(["a/*", "!a/b.d"])
@example(["a", "!a/b"])
@example([r"\#a", r"\!a", "a b  "])
@example(["**/a/**/b", "/**/c"])
@example(["a/**", "!a/**/"])
@example(["/", "!/"])
def test_what_is_kept_is_what_git_keeps(tree: Path, program: Callable[[str], Path], found: list[str]) -> None:
    # Git knows no absolute paths: a pattern that happens to be one of the tree's folder means more to us.
    parsed = [Pattern.parse(pattern) for pattern in found]
    assume(not any(each.is_absolute and each.rests((tree / "w").parts[1:]) for each in parsed))
    assert kept_by_us(tree, found) == kept_by_git(tree, found, program("git"))


def left_out(pattern: str, path: bytes, is_directory: bool = False, root: bytes = b"/home/me/project") -> bool:
    """Whether the entry at the absolute path is left out by one pattern, when the root is backed up."""
    return Exclusion([pattern], roots=[root]).leaves_out(path, path.rsplit(b"/", 1)[-1], is_directory)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/home/me/project/build", b"/home/me/project/build"),
        ("/home/*/project/build", b"/home/me/project/build"),
        ("/home/**/build", b"/home/me/project/src/build"),
        ("/home/me/**", b"/home/me/project/src"),
        ("/build", b"/home/me/project/build"),
        ("src/build", b"/home/me/project/src/build"),
        ("caf?", b"/home/me/project/caf\xc3\xa9"),
        ("caf?", b"/home/me/project/caf\xe9"),
        ("*.\udce9", b"/home/me/project/x.\xe9"),
        ("a?b", b"/home/me/project/a\nb"),
    ],
)
def test_a_pattern_leaves_out(pattern: str, path: bytes) -> None:
    assert left_out(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/build", b"/home/me/project/src/build"),
        ("src/build", b"/home/me/project/lib/src/build"),
        ("/home/bob/project/build", b"/home/me/project/build"),
        ("/home/me", b"/home/me/project/me"),
        ("build/", b"/home/me/project/build"),
        ("home", b"/home/me/project/src"),
        ("*.pyc", b"/home/me/project/pyc"),
        ("src/a[!b]c", b"/home/me/project/src/a/c"),
        ("src/a[+-9]c", b"/home/me/project/src/a/c"),
        ("", b"/home/me/project/a"),
    ],
)
def test_a_pattern_keeps(pattern: str, path: bytes) -> None:
    assert not left_out(pattern, path)


@pytest.mark.parametrize("pattern", ["[a", "a\\", "x/[!", "[[:word:]]", "[a\\"])
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern) as caught:
        Exclusion([f"dir/{pattern}"])
    assert f"dir/{pattern}" in str(caught.value)


def test_stars_cost_no_more_than_their_number() -> None:
    assert not left_out("*a" * 40 + "b", b"/home/me/project/" + b"a" * 250)


@pytest.mark.parametrize(
    ("patterns", "root", "is_directory", "expected"),
    [
        (["/home/me/cache"], b"/home/me/cache", True, True),
        (["/home/*"], b"/home/me", True, True),
        (["/home/*", "!/home/me"], b"/home/me", True, False),
        (["node_modules"], b"/srv/node_modules", True, False),
        (["*.iso"], b"/srv/x.iso", False, True),
        (["*.iso/"], b"/srv/x.iso", False, False),
        (["/home/"], b"/home/me", True, False),
        (["*"], b"/", True, False),
    ],
)
def test_a_root_is_left_out_by_its_absolute_path_or_a_file_by_its_name(
    patterns: list[str], root: bytes, is_directory: bool, expected: bool
) -> None:
    assert Exclusion(patterns, roots=[root]).excludes_root(root, is_directory) is expected


def test_several_roots_each_read_patterns_from_themselves() -> None:
    exclusion = Exclusion(["/out"], roots=[b"/x", b"/x/y/z", b"/w"])
    assert exclusion.leaves_out(b"/x/out", b"out", False)
    assert exclusion.leaves_out(b"/x/y/z/out", b"out", False)
    assert exclusion.leaves_out(b"/w/out", b"out", False)
    assert not exclusion.leaves_out(b"/x/y/out", b"out", False)
    assert not exclusion.leaves_out(b"/other/out", b"out", False)


def test_a_pattern_file_is_read_as_git_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "patterns"
    path.write_bytes(b"\xef\xbb\xbf# comment\r\n\r\n*.pyc\r\n   \n\\#kept\nspaces \\  \n caf\xe9\n!x")
    found = read_pattern_file(path)
    assert found == ["*.pyc", "\\#kept", "spaces \\  ", " caf\udce9", "!x"]
    assert Pattern.parse(found[2]).segments[-1] == "spaces \\ "


def test_a_missing_pattern_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePatternFile, match="nowhere"):
        read_pattern_file(tmp_path / "nowhere")


def test_without_anything_nobody_needs_to_ask() -> None:
    assert not Exclusion([], roots=[b"/x"])
    assert Exclusion(["a"])
