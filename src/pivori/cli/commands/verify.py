"""``pivori verify``: is everything there, and can it be read back?

With ``--json``: ``status`` lines while it runs; one ``finding`` object for each thing that is wrong, damage first, with
``severity`` (``damage`` or ``hint``), ``kind`` (a stable code), ``object``, ``reason``, ``message``, ``count``,
``size``, ``snapshots`` (ids), ``paths`` (the first twenty that are hurt) and ``path_count``; and at the end one
``summary`` with restic's ``num_errors``, ``broken_packs``, ``suggest_repair_index`` and ``suggest_prune``, and besides
these ``hints``, ``snapshots``, ``trees``, ``blobs``, ``packs``, ``packs_read``, ``bytes_read``, ``first_look`` and
``total_duration`` (seconds).
"""

import click

from pivori.app import Access
from pivori.cli.failures import DONE, ERROR, UsageError, fill
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number, show_path
from pivori.engine.quantities import parse_subset
from pivori.engine.verify import Verify, VerifyOutcome, VerifyRequest
from pivori.repository.check_findings import SENTENCES, Finding, FindingKind, Severity
from pivori.translation import _, ngettext

_SHOWN_SNAPSHOTS = 8


@repository_command(
    help=_(
        "Check that everything is there and can be read back.\n\n"
        "Without options the structure is checked: every key, lock, snapshot and index, every folder of every "
        "snapshot, and that every pack is there in its full size. --read-data reads the packs too, and opens every "
        "piece of every file. What is wrong is named with the snapshots and files that it hurts, and the exit status "
        "is 1 when there is damage. Backups may go on meanwhile.\n\n"
        "This machine remembers which snapshots and keys it has seen: one that is gone without having been removed "
        "from here is damage too, until --accept-missing says that it went with good reason."
    ),
    examples=[
        ("pivori verify", _("the structure")),
        ("pivori verify --read-data", _("everything, to the last byte")),
        ("pivori verify --read-data-subset 3/7", _("the structure, and a seventh of the data")),
        ("pivori verify --read-data-subset 2G", _("the structure, and 2 GiB chosen at random")),
        ("pivori verify --captures", _("what each component of the stack can be brought back from")),
        ("pivori verify --accept-missing", _("the structure, after a `forget` on another machine")),
    ],
)
@click.option("--read-data", is_flag=True, help=_("Read all packs, and open everything in them."))
@click.option(
    "--read-data-subset",
    metavar=_("PART"),
    help=_("Read only a part of the packs: 1/10 (the first tenth), 5% or 2G (chosen at random)."),
)
@click.option(
    "--accept-missing",
    is_flag=True,
    help=_("Snapshots and keys that are gone were removed elsewhere: name them once more, and no longer miss them."),
)
@click.option(
    "--captures",
    is_flag=True,
    help=_("Instead, check the latest capture of each component of the stack with the component's own programs."),
)
def command(
    session: Session, read_data: bool, read_data_subset: str | None, accept_missing: bool, captures: bool
) -> int:
    """Check; damage decides the exit status."""
    if captures:
        if read_data or read_data_subset is not None or accept_missing:
            raise UsageError(reason=_("--captures goes with no other option of verify."), command="pivori verify")
        from pivori.cli.stack_verification import verify_captures  # only stacks need it

        return verify_captures(session)
    if read_data and read_data_subset is not None:
        reason = _("--read-data and --read-data-subset exclude each other.")
        raise UsageError(reason=reason, command="pivori verify")
    subset = None if read_data_subset is None else parse_subset(read_data_subset)
    started = session.clock.monotonic()
    with session.app.open_repository(Access.READ, index=False) as (repository, _lock):
        request = VerifyRequest(
            read_data=read_data or subset is not None,
            subset=subset,
            accept_missing=accept_missing,
            workers=session.app.processors,
        )
        with session.progress() as progress:
            outcome = Verify(repository, request, emit=progress).run()
    for finding in outcome.findings:
        show_finding(finding, session.output)
    _conclude(outcome, request, session.clock.monotonic() - started, session.output)
    return ERROR if outcome.damage else DONE


def sentence(finding: Finding) -> str:
    """What a finding says, in the user's language."""
    details = {
        "object": finding.object,
        "reason": finding.reason,
        "count": show_number(finding.count),
        "size": show_bytes(finding.size),
    }
    return fill(SENTENCES[finding.kind], details)


def show_finding(finding: Finding, output: Output) -> None:
    """Name one finding, and what it hurts."""
    hurt = finding.hurt
    output.record(
        {
            "message_type": "finding",
            "severity": finding.severity,
            "kind": finding.kind,
            "object": finding.object,
            "reason": finding.reason,
            "message": sentence(finding),
            "count": finding.count,
            "size": finding.size,
            "snapshots": hurt.snapshots,
            "paths": hurt.paths,
            "path_count": hurt.path_count,
        }
    )
    if output.json:
        return
    if finding.severity is Severity.HINT:
        output.say(_("Hint: {text}").format(text=sentence(finding)))
        return
    output.result(_("Damage: {text}").format(text=sentence(finding)))
    if hurt.snapshots:
        shown = ", ".join(name[:8] for name in hurt.snapshots[:_SHOWN_SNAPSHOTS])
        more = len(hurt.snapshots) - _SHOWN_SNAPSHOTS
        if more > 0:
            shown += " " + ngettext("and {count} more", "and {count} more", more).format(count=show_number(more))
        output.result("  " + _("snapshots: {snapshots}").format(snapshots=shown))
    for path in hurt.paths:
        output.result(f"  {show_path(path)}")
    hidden = hurt.path_count - len(hurt.paths)
    if hidden > 0:
        text = ngettext("and {count} more path", "and {count} more paths", hidden)
        output.result("  " + text.format(count=show_number(hidden)))


def _conclude(outcome: VerifyOutcome, request: VerifyRequest, seconds: float, output: Output) -> None:
    damage = outcome.damage
    output.record(
        {
            "message_type": "summary",
            "num_errors": len(damage),
            "broken_packs": outcome.broken_packs,
            "suggest_repair_index": outcome.needs_index_repair,
            "suggest_prune": any(finding.kind is FindingKind.PACK_NOT_INDEXED for finding in outcome.hints),
            "hints": len(outcome.hints),
            "snapshots": outcome.snapshots,
            "trees": outcome.trees,
            "blobs": outcome.blobs,
            "packs": outcome.packs,
            "packs_read": outcome.packs_read,
            "bytes_read": outcome.bytes_read,
            "first_look": outcome.is_first_look,
            "total_duration": round(seconds, 3),
        }
    )
    text = _("Checked in {duration}. Snapshots: {snapshots}; folders: {trees}; blobs: {blobs}; packs: {packs}.")
    output.say(
        text.format(
            snapshots=show_number(outcome.snapshots),
            trees=show_number(outcome.trees),
            blobs=show_number(outcome.blobs),
            packs=show_number(outcome.packs),
            duration=show_duration(seconds),
        )
    )
    if request.read_data:
        text = _("Packs read: {packs}, {size}.")
        output.say(text.format(packs=show_number(outcome.packs_read), size=show_bytes(outcome.bytes_read)))
    if outcome.is_first_look:
        output.say(_("Snapshots and keys that went before cannot be named: this machine had not seen them."))
    if not damage:
        output.say(_("No damage was found."))
        return
    text = ngettext("{count} problem was found.", "{count} problems were found.", len(damage))
    output.result(text.format(count=show_number(len(damage))))
    for advice in _advice(outcome):
        output.say(advice)


def _advice(outcome: VerifyOutcome) -> list[str]:
    """What to do, in the order in which it is to be done."""
    advice = [_("First copy the repository to a safe place, if there is room.")]
    if outcome.has_gone:
        advice.append(
            _(
                "What is gone may have been removed by `forget` or `key remove` on another machine, or by another "
                "program. If so, run `pivori verify --accept-missing` once. If not, do not prune: put the file back "
                "from a copy of the repository."
            )
        )
    if not outcome.has_lost_data:
        return advice
    if outcome.needs_index_repair:
        advice.append(_("Run `pivori repair index`: it makes the index fit the packs that are there."))
    if outcome.broken_packs:
        advice.append(_("Run `pivori repair packs`: it saves what can be read of damaged packs."))
    advice.append(_("Run `pivori backup` where the files still are: what is there again mends old snapshots too."))
    advice.append(_("Run `pivori repair snapshots`: it writes the snapshots again without what is lost."))
    return advice
