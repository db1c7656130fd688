"""Source trees and repositories, made once; tests work on copies."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.matrix import Ours, Place, Source, Theirs
from tests.conftest import Pivori
from tests.restic import Restic


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The tree with everything in it."""
    return Source.make(tmp_path_factory.mktemp("source") / "tree", large=True)


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The tree without files of more than one blob: both programs make the same of it."""
    return Source.make(tmp_path_factory.mktemp("source") / "small tree", large=False)


@pytest.fixture(scope="session")
def our_program(tmp_path_factory: pytest.TempPathFactory) -> Pivori:
    """This program with a HOME for the session."""
    return Pivori(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def our_repositories(our_program: Pivori, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Source], Place]:
    """Gives the repository that this program made of a source. It is not to be changed."""
    made: dict[Path, Place] = {}

    def repository(source: Source) -> Place:
        if source.path not in made:
            ours = Ours(our_program, Place.at(tmp_path_factory.mktemp("ours")))
            ours("init")
            ours.backup("--tag", "one,two", "--exclude", "*.never", source.path)
            made[source.path] = ours.place
        return made[source.path]

    return repository


@pytest.fixture(scope="session")
def their_repositories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Restic, int, Source], Place]:
    """Gives the repository that a restic made of a source in a format version. It is not to be changed."""
    made: dict[tuple[Restic, int, Path], Place] = {}

    def repository(restic: Restic, version: int, source: Source) -> Place:
        key = restic, version, source.path
        if key not in made:
            theirs = Theirs(restic, Place.at(tmp_path_factory.mktemp("theirs")))
            theirs("init", "--repository-version", str(version))
            # Local time, as everywhere but in tests.
            theirs.backup("--tag", "three", source.path, TZ="Asia/Kolkata")
            made[key] = theirs.place
        return made[key]

    return repository


@pytest.fixture
def ours(our_repositories: Callable[[Source], Place], our_program: Pivori, source: Source, tmp_path: Path) -> Ours:
    """This program on a copy of its repository of the whole source."""
    return Ours(our_program, our_repositories(source).copied(tmp_path))


@pytest.fixture
def theirs(ours: Ours, restic: Restic) -> Theirs:
    """Each restic on the same copy."""
    return Theirs(restic, ours.place)
