"""The house rules that no other tool holds: sizes, names, docstrings, public faces, pinned versions."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "pivori"
MODULES = sorted(PACKAGE.rglob("*.py"))

LINES_WITH_A_REASON = 400
LINES_AT_MOST = 600
# Modules over 400 lines, each with the reason why it is not cut.
LONG_FOR_A_REASON: dict[str, str] = {}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager"}

# What a package offers to the others. Whoever changes a list changes what others may rely on.
PUBLIC_FACE: dict[str, set[str]] = {
    "storage": {
        "AccessDenied",
        "AlreadyExists",
        "DiscardingStorage",
        "ImpossibleName",
        "Item",
        "Kind",
        "LocalStorage",
        "MemoryStorage",
        "NoSpace",
        "NoStorageAddress",
        "NotFound",
        "ReadOnly",
        "Storage",
        "StorageError",
        "TemporaryStorageError",
        "UnknownStorageScheme",
        "open_storage",
    },
}


# Modules of a package that others enter directly: verbs that are loaded only where they are used.
SIDE_DOORS: dict[str, set[str]] = {
    "repository": {
        "check",
        "check_findings",
        "keyring",
        "locks",
        "pack_reading",
        "prune",
        "prune_plan",
        "reach",
        "repair_index",
        "repair_packs",
    },
}


def name_of(module: Path) -> str:
    """The path of a module below src/pivori."""
    return module.relative_to(PACKAGE).as_posix()


def tree_of(module: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(module.read_text(encoding="utf-8"))


def public_face(package: str) -> set[str] | None:
    """The ``__all__`` of a package as its source states it; ``None`` without one."""
    for statement in tree_of(PACKAGE / package / "__init__.py").body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return set(ast.literal_eval(statement.value))
    return None


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_fits_one_reading(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES_AT_MOST
    if lines > LINES_WITH_A_REASON:
        assert LONG_FOR_A_REASON.get(name_of(module)), f"{lines} lines: cut it, or state the reason in this test"


def test_reasons_are_needed() -> None:
    short = [
        name
        for name in LONG_FOR_A_REASON
        if len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= LINES_WITH_A_REASON
    ]
    assert not short, "these modules are short now: take them off the list"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_names_say_what_is_inside(module: Path) -> None:
    words = {word for part in module.relative_to(PACKAGE).with_suffix("").parts for word in part.split("_")}
    assert not words & NAMES_THAT_SAY_NOTHING


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(tree_of(module))


@pytest.mark.parametrize("folder", sorted({module.parent for module in MODULES}), ids=name_of)
def test_every_folder_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").exists()


@pytest.mark.parametrize("package", sorted(PUBLIC_FACE))
def test_public_face_is_the_recorded_one(package: str) -> None:
    assert public_face(package) == PUBLIC_FACE[package]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_packages_are_entered_by_the_door(module: Path) -> None:
    """Other packages import names of a package with a recorded face from the package itself."""
    own = name_of(module).split("/")[0]
    behind_doors = [
        imported
        for statement in ast.walk(tree_of(module))
        if isinstance(statement, ast.ImportFrom) and statement.module
        for imported in [statement.module.split(".")]
        if imported[0] == "pivori"
        and len(imported) > 2
        and imported[1] in SIDE_DOORS
        and imported[1] != own
        and imported[2] not in SIDE_DOORS[imported[1]]
    ]
    assert not behind_doors


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    pinned = set(
        re.findall(r"^([\w.-]+)==[\w.]+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {re.split(r"[^\w.-]", requirement)[0] for requirement in wanted} <= pinned


def test_constraints_hold_nothing_but_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line and not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)]
