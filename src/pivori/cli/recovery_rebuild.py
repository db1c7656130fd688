"""``pivori recover --rebuild``: what the strategy smart left out of components is made again where they are back."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pivori.archives.manifest import LARGEST_MANIFEST, MANIFEST_NAME
from pivori.cli.notices import tell_damage
from pivori.cli.output import Output
from pivori.cli.rebuild import hint_at_rebuilding, run_rebuilding, show_rebuilding
from pivori.components.base import NotCaptured
from pivori.engine.smart import read_omissions
from pivori.engine.smart.rebuild import Step, documents_of, rebuild_steps
from pivori.errors import PivoriError
from pivori.stack.recover import OWN_FOLDER
from pivori.stack.recovery_plan import RecoveryPlan, RecoveryStep


class Rebuilding(NamedTuple):
    """What is to be made again below a folder, and the documents that takes."""

    target: Path
    steps: list[Step]
    documents: Mapping[bytes, bytes]


def to_rebuild(plan: RecoveryPlan, output: Output) -> list[Rebuilding]:
    """What the captures of a plan leave to be made again. Whatever is wrong with that is told: files come first."""
    found = []
    for step in plan.steps:
        try:
            found += [rebuilding for rebuilding in _of_component(step, plan.to) if rebuilding.steps]
        except NotCaptured:
            continue  # nothing was left out
        except PivoriError as error:
            tell_damage(error, output)
    return found


def show_what_to_rebuild(found: list[Rebuilding], output: Output, *, is_asked: bool) -> None:
    """Say what would be made again, or that it could be."""
    if not is_asked:
        hint_at_rebuilding([step for rebuilding in found for step in rebuilding.steps], output)
        return
    for target, steps, _documents in found:
        show_rebuilding(steps, lambda _step, target=target: target, output)  # type: ignore[misc]  # bound at once


def run_what_to_rebuild(found: list[Rebuilding], output: Output) -> bool:
    """Make it again; whether all went well."""
    outcomes = [
        outcome for target, steps, documents in found for outcome in run_rebuilding(steps, target, documents, output)
    ]
    return not any(outcome.is_trouble for outcome in outcomes)


def _of_component(step: RecoveryStep, to: Path | None) -> Iterator[Rebuilding]:
    """Paths in a manifest are seen from ``/``; in another folder, those of the stack's folder are seen from there."""
    content = step.source.read(os.fsdecode(MANIFEST_NAME), LARGEST_MANIFEST)
    omissions = read_omissions(content, source=step.name)
    if to is None:
        yield _with_documents(step, Path("/"), rebuild_steps(omissions))
        return
    root = os.fsencode(step.choice.capture.point.record.root).strip(b"/")
    yield _with_documents(step, to, rebuild_steps(omissions, below=root))
    outside = [each for each in rebuild_steps(omissions) if not each.path.startswith(root + b"/")]
    yield _with_documents(step, to / OWN_FOLDER / step.name, outside)


def _with_documents(step: RecoveryStep, target: Path, steps: list[Step]) -> Rebuilding:
    documents = {path: step.source.read(os.fsdecode(path), LARGEST_MANIFEST) for path in documents_of(steps)}
    return Rebuilding(target, steps, documents)
