"""``pivori archive verify``: whether archives are whole, and what could not be checked.

With ``--json``: ``status`` lines; for each archive one ``finding`` object for each thing to know (``archive``,
``severity``, ``kind``, ``object``, ``reason``, ``message``), then one ``summary``.
"""

import os

import click

from pivori.archives.naming import parse_name
from pivori.cli.archive_options import (
    ArchiveKeys,
    absolute,
    archive_key_options,
    directory_of,
    history_of,
    note_run,
    workers,
)
from pivori.cli.failures import DONE, ERROR, UsageError, fill
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.archive.history import Operation, Outcome
from pivori.engine.archive.inventory import list_archives
from pivori.engine.archive.verify import Finding, FindingKind, Severity, VerifyOutcome, VerifyRequest, verify_archive
from pivori.translation import N_, _, ngettext


@repository_command(
    name="verify",
    help=_(
        "Check that archives are whole.\n\n"
        "The checksum file, the container, every member against the manifest, and the base of a differential archive. "
        "Of archives without a manifest what can be checked is checked, and the rest is said. Without ARCHIVE, the "
        "newest one of the directory is checked, or with --all each of them."
    ),
    examples=[
        ("pivori archive verify /backups/backup.zip", _("one archive")),
        ("pivori archive verify --all --require services --require frontend", _("all, and the critical parts inside")),
    ],
)
@click.argument("archives", metavar=_("[ARCHIVE]…"), nargs=-1)
@click.option("-d", "--directory", metavar=_("DIRECTORY"), help=_("Where archives are, when none is named."))
@click.option("--all", "everything", is_flag=True, help=_("Check every archive of the directory."))
@click.option("--require", multiple=True, metavar=_("PATH"), help=_("This must be inside, with at least one file."))
@click.option("--base", metavar=_("FILE"), help=_("Where the base of a differential archive is."))
@archive_key_options
def command(
    session: Session,
    /,
    keys: ArchiveKeys,
    archives: tuple[str, ...],
    directory: str | None,
    everything: bool,
    require: tuple[str, ...],
    base: str | None,
) -> int:
    """Verify each; the status is 1 when one of them is not whole."""
    paths = [absolute(name) for name in archives]
    if not paths:
        found = list_archives(directory_of(session, directory), history_of(session).runs())
        paths = [each.path for each in found] if everything else [each.path for each in found[-1:]]
        if not paths:
            reason = _("There is no archive in {directory}.").format(directory=directory_of(session, directory))
            raise UsageError(reason=reason, command="pivori archive verify")
    whole = True
    for path in paths:
        request = VerifyRequest(
            path=path,
            required=[os.fsencode(name) for name in require],
            base=absolute(base) if base is not None else None,
            keys=keys.keys(),
            workers=workers(),
        )
        whole = verify_and_tell(session, request).is_whole and whole
    return DONE if whole else ERROR


def verify_and_tell(session: Session, request: VerifyRequest) -> VerifyOutcome:
    """Verify an archive, say what there is to know of it, and remember the verdict."""
    started = session.clock.monotonic()
    with session.progress() as progress:
        outcome = verify_archive(request, progress)
    seconds = session.clock.monotonic() - started
    # What somebody required is not inside: that says nothing of the file.
    is_damaged = any(
        finding.severity is Severity.DAMAGE and finding.kind is not FindingKind.REQUIRED for finding in outcome.findings
    )
    has_gaps = any(finding.kind is FindingKind.NOT_CAPTURED for finding in outcome.findings)
    note_run(
        session,
        Operation.VERIFY,
        Outcome.FAILED if is_damaged else Outcome.INCOMPLETE if has_gaps else Outcome.OK,
        started,
        archive=str(request.path),
        strategy=outcome.strategy or _named_strategy(request),
        format=outcome.format,
        root=outcome.root,
        files=outcome.files,
        bytes=outcome.bytes,
        archive_bytes=outcome.archive_bytes,
        base=outcome.base,
    )
    _tell(outcome, seconds, session.output)
    return outcome


def _named_strategy(request: VerifyRequest) -> str:
    name = parse_name(request.path.name)
    return name.strategy if name is not None else ""


def _tell(outcome: VerifyOutcome, seconds: float, output: Output) -> None:
    for finding in sorted(outcome.findings, key=lambda finding: finding.severity):
        _tell_finding(outcome, finding, output)
    output.record(
        {
            "message_type": "summary",
            "archive": outcome.path,
            "whole": outcome.is_whole,
            "strategy": outcome.strategy or None,
            "format": outcome.format or None,
            "manifest": outcome.has_manifest,
            "base": outcome.base or None,
            "sha256": outcome.sha256,
            "files": outcome.files,
            "bytes": outcome.bytes,
            "archive_bytes": outcome.archive_bytes,
            "damage": sum(finding.severity is Severity.DAMAGE for finding in outcome.findings),
            "hints": sum(finding.severity is Severity.HINT for finding in outcome.findings),
            "total_duration": round(seconds, 3),
        }
    )
    if outcome.is_whole:
        text = ngettext(
            "{archive} is whole: {count} file, {size}, read in {duration}.",
            "{archive} is whole: {count} files, {size}, read in {duration}.",
            outcome.files,
        )
    else:
        text = _("{archive} is not whole.")
    output.result(
        text.format(
            archive=outcome.path,
            count=show_number(outcome.files),
            size=show_bytes(outcome.bytes),
            duration=show_duration(seconds),
        )
    )


def _tell_finding(outcome: VerifyOutcome, finding: Finding, output: Output) -> None:
    message = fill(N_("{path}: {reason}."), {"path": finding.object, "reason": finding.reason})
    output.record(
        {
            "message_type": "finding",
            "archive": outcome.path,
            "severity": finding.severity,
            "kind": finding.kind,
            "object": finding.object,
            "reason": str(finding.reason),
            "message": message,
        }
    )
    if output.json:
        return
    if finding.severity is Severity.DAMAGE:
        output.result(_("Damage: {message}").format(message=message))
    else:
        output.say(_("Note: {message}").format(message=message))
