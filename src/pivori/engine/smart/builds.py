"""The evidence about ``dist``, ``build``, ``target`` and ``.next``: what makes them stands beside them.

Such names are also given to folders of sources. So in a git work tree the folder has to be ignored; elsewhere it has to
look like what the tool makes, or no script may take it for an input.
"""

import os
import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

from pivori.engine.smart.candidate import Candidate, Command, NotProven, Proof
from pivori.engine.smart.packages import LOCK_FILES, lock_file, package_json
from pivori.translation import N_, Phrase

_CARGO_MARKS: Final = (b".rustc_info.json", b"CACHEDIR.TAG")
_PYTHON_BUILD: Final = re.compile(rb"lib(?:\..*)?|bdist\..*|temp\..*|scripts-.*|editable\..*")
_DISTRIBUTION: Final = re.compile(r"(.+?)-([0-9][^-]*?)(?:-.*\.whl|\.tar\.gz|\.zip)")
_INTERPRETERS: Final = r"(?:node|sh|bash|python3?|ts-node|tsx|deno|bun|source|--config|-c)"


def judge_build(candidate: Candidate) -> Proof:
    """The proof that a build's output can be left out. Raises NotProven."""
    candidate.demand_untracked()
    candidate.demand_no_repository()
    is_ignored = candidate.work_tree is not None and candidate.work_tree.ignores(candidate.path)
    if candidate.work_tree is not None and not is_ignored:
        raise NotProven(N_("git neither tracks nor ignores it: it may be new work"))
    for maker in _MAKERS.get(candidate.name, ()):
        proof = maker(candidate, is_ignored)
        if proof is not None:
            return proof
    raise NotProven(N_("nothing beside it proves that a build makes it"))


def _node(candidate: Candidate, _is_ignored: bool) -> Proof | None:
    """What ``npm run build`` makes."""
    description = package_json(candidate)
    scripts = description.get("scripts")
    if not isinstance(scripts, dict) or not isinstance(scripts.get("build"), str):
        return None
    name = candidate.name.decode()
    if name == ".next" and "next" not in scripts["build"]:
        return None
    used = re.compile(rf"(?:^|\s){_INTERPRETERS}[\s=]+(?:\./)?{re.escape(name)}/")
    for step in ("prebuild", "build", "postbuild"):
        if used.search(str(scripts.get(step, ""))):
            raise NotProven(N_("the build itself runs what is in it"))
    lock = lock_file(candidate.siblings)
    run: Command = LOCK_FILES[lock].run if lock is not None else ("npm", "run", "build")
    return _proof(N_("package.json has a build script"), candidate, run)


def _cargo(candidate: Candidate, is_ignored: bool) -> Proof | None:
    """What cargo makes."""
    if b"Cargo.toml" not in candidate.siblings:
        return None
    if not is_ignored and not _holds(candidate, _CARGO_MARKS):
        return None
    return _proof(N_("Cargo.toml is beside it"), candidate, ("cargo", "build"))


def _maven(candidate: Candidate, is_ignored: bool) -> Proof | None:
    """What Maven makes."""
    if b"pom.xml" not in candidate.siblings:
        return None
    marks = (b"classes", b"test-classes", b"maven-status", b"maven-archiver", b"generated-sources")
    if not is_ignored and not _holds(candidate, marks):
        return None
    return _proof(N_("pom.xml is beside it"), candidate, ("mvn", "--batch-mode", "package", "-DskipTests"))


def _gradle(candidate: Candidate, is_ignored: bool) -> Proof | None:
    """What Gradle makes."""
    if not candidate.siblings & {b"build.gradle", b"build.gradle.kts"}:
        return None
    marks = (b"classes", b"libs", b"tmp", b"generated", b"intermediates", b"kotlin")
    if not is_ignored and not _holds(candidate, marks):
        return None
    program = "./gradlew" if b"gradlew" in candidate.siblings else "gradle"
    return _proof(N_("build.gradle is beside it"), candidate, (program, "assemble"))


def _setuptools(candidate: Candidate, _is_ignored: bool) -> Proof | None:
    """What setuptools leaves in ``build`` on its way: nobody needs it back."""
    if not candidate.siblings & {b"pyproject.toml", b"setup.py"}:
        return None
    if not all(_PYTHON_BUILD.fullmatch(name) for name in os.listdir(candidate.path)):
        return None
    return _proof(N_("setuptools left it beside pyproject.toml or setup.py"), candidate)


def _wheels(candidate: Candidate, _is_ignored: bool) -> Proof | None:
    """Distributions of the version that the project has now; older ones cannot be made again."""
    if b"pyproject.toml" not in candidate.siblings:
        return None
    project = _project(candidate.read_beside(b"pyproject.toml"))
    name, version = project.get("name"), project.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        return None
    for file in map(os.fsdecode, os.listdir(candidate.path)):
        if file == ".gitignore":
            continue
        found = _DISTRIBUTION.fullmatch(file)
        if found is None or _normal(found[1]) != _normal(name) or found[2] != version:
            raise NotProven(N_("it holds {name}, which a build of the present version does not make"), name=file)
    return _proof(N_("pyproject.toml makes this version of it"), candidate, ("python3", "-m", "build"))


def _proof(evidence: str, candidate: Candidate, command: Command | None = None) -> Proof:
    commands = (command,) if command is not None else ()
    if candidate.work_tree is None:
        return Proof(Phrase(evidence), commands)
    return Proof(Phrase(N_("{reason}, and git ignores it"), reason=Phrase(evidence)), commands)


def _holds(candidate: Candidate, names: tuple[bytes, ...]) -> bool:
    return any(name in names for name in os.listdir(candidate.path))


def _project(content: bytes) -> dict[str, Any]:
    try:
        project = tomllib.loads(content.decode()).get("project")
    except (ValueError, RecursionError):
        return {}
    return project if isinstance(project, dict) else {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


_Maker = Callable[[Candidate, bool], Proof | None]
_MAKERS: Final[dict[bytes, tuple[_Maker, ...]]] = {
    b"dist": (_node, _wheels),
    b"build": (_node, _gradle, _setuptools),
    b"target": (_cargo, _maven),
    b".next": (_node,),
}
