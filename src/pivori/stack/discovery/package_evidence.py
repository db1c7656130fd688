"""Package managers, by their lock files: what they install can be installed again."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pivori.stack.discovery.evidence import Discovery, Evidence, Topic
from pivori.stack.discovery.walk import Inventory
from pivori.translation import N_, Phrase

_LOCK_FILES: Final = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm",
    "bun.lockb": "bun",
    "bun.lock": "bun",
    "poetry.lock": "poetry",
    "uv.lock": "uv",
    "pdm.lock": "pdm",
    "Pipfile.lock": "pipenv",
    "requirements.txt": "pip",
    "composer.lock": "composer",
    "Gemfile.lock": "bundler",
    "Cargo.lock": "cargo",
    "go.sum": "go",
    "mix.lock": "mix",
    "pom.xml": "maven",
    "gradle.lockfile": "gradle",
}
_MOST_SHOWN: Final = 5


def find_packages(inventory: Inventory) -> Sequence[Discovery]:
    """One discovery per package manager, with the first of its lock files."""
    found: dict[str, list[str]] = {}
    for path in inventory.files:
        manager = _LOCK_FILES.get(PurePosixPath(path).name)
        if manager is not None:
            found.setdefault(manager, []).append(path)
    return [
        Discovery(
            topic=Topic.PACKAGES,
            what=Phrase(N_("Packages of {manager}, which can be installed again."), manager=manager),
            why=[Evidence(path=path) for path in paths[:_MOST_SHOWN]],
        )
        for manager, paths in found.items()
    ]
