"""``pivori repair index|packs|snapshots``: mend what ``verify`` has found, in this order.

With ``--json`` each ends with one ``summary`` object that has ``dry_run``. ``index``: the lists ``added``,
``corrected``, ``dropped``, ``unreadable`` (packs), ``damaged_indexes``, ``replaced_indexes`` and ``new_indexes``.
``packs``: before it one ``pack`` object for each (``pack``, ``salvaged``, ``elsewhere``, ``lost``: numbers of blobs);
``salvaged`` and ``lost`` in all. ``snapshots``: before it ``change`` objects (``kind``, ``path``, ``new_name``) and
``snapshot`` objects (``old``, ``new``, ``nothing_left``); then ``checked``, ``repaired``, ``unreadable``, ``removed``.
"""

from collections.abc import Callable

import click

from pivori.app import Access
from pivori.cli.failures import DONE, INCOMPLETE
from pivori.cli.options import repository_command, repository_group
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import show_number, show_path
from pivori.engine.naming import named_snapshot
from pivori.engine.repair import SnapshotRepair, SnapshotRepairOutcome, SnapshotRepairRequest
from pivori.engine.repair_trees import Change, ChangeKind
from pivori.engine.verify import Verify, VerifyRequest
from pivori.repository import Repository
from pivori.repository.locks import Lock
from pivori.repository.repair_index import IndexRepair, IndexRepairPlan
from pivori.repository.repair_packs import PackRepair, PackRepairPlan
from pivori.translation import N_, _, ngettext

command = repository_group(
    help=_(
        "Repair a damaged repository.\n\n"
        "`pivori verify --read-data` says what is wrong. Then, in this order: `repair index`, `repair packs`, a new "
        "backup of what still is on the disk, `repair snapshots`. Make a copy of the repository before, if you can."
    )
)

_dry_run = click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be done."))


def _access(dry_run: bool) -> Access:
    return Access.READ if dry_run else Access.CHANGE


@repository_command(
    parent=command,
    name="index",
    help=_(
        "Make the index fit the packs that are there.\n\n"
        "Packs that no index lists are listed, packs that are gone are dropped from it, damaged index objects are "
        "replaced. Packs themselves are not touched."
    ),
    examples=[
        ("pivori repair index --dry-run", _("what would change")),
        ("pivori repair index --read-all-packs", _("compare the index with every pack")),
    ],
)
@click.option("--read-all-packs", is_flag=True, help=_("Read the headers of all packs, also of those that look right."))
@_dry_run
def repair_index(session: Session, read_all_packs: bool, dry_run: bool) -> int:
    """Plan, show, apply."""
    with session.app.open_repository(_access(dry_run), index=False) as (repository, lock):
        repair = IndexRepair(repository, read_all_packs=read_all_packs, before_write=_before_write(lock))
        plan = repair.plan()
        _show_index_plan(plan, session.output)
        written = [] if dry_run or plan.is_empty else repair.apply(plan)
    session.output.record(
        {
            "message_type": "summary",
            "dry_run": dry_run,
            "added": plan.added,
            "corrected": plan.corrected,
            "dropped": plan.dropped,
            "unreadable": plan.unreadable,
            "damaged_indexes": plan.damaged_indexes,
            "replaced_indexes": plan.replaced_indexes,
            "new_indexes": written,
        }
    )
    nothing = _("The index fits the packs; there is nothing to repair.")
    if plan.unreadable:
        nothing = _("The index fits the packs that can be read.")
    done = _("The index is repaired. Now run `pivori verify`.")
    _say_end(plan.is_empty, dry_run, nothing, done, session.output)
    return DONE


@repository_command(
    parent=command,
    name="packs",
    help=_(
        "Save what can be read of damaged packs.\n\n"
        "PACK is the beginning of a pack's name, as `pivori verify --read-data` says it; without any, all packs are "
        "read to find the damaged ones. Every blob that still opens is stored in a new pack, then the damaged pack is "
        "removed. The exit status is 3 when blobs are lost."
    ),
    examples=[
        ("pivori repair packs --dry-run", _("find damaged packs, and say what can be saved")),
        ("pivori repair packs 4f1c22aa", _("repair one pack")),
    ],
)
@click.argument("names", metavar=_("[PACK]…"), nargs=-1)
@_dry_run
def repair_packs(session: Session, names: tuple[str, ...], dry_run: bool) -> int:
    """Find, plan, show, apply."""
    with session.app.open_repository(_access(dry_run), index=False) as (repository, lock):
        repair = PackRepair(repository, before_write=_before_write(lock))
        packs = repair.find(names or _damaged_packs(session, repository))
        plan = repair.plan(packs)
        _show_pack_plan(plan, session.output)
        if plan.packs and not dry_run:
            repair.apply(plan)
    summary = {"message_type": "summary", "dry_run": dry_run, "salvaged": plan.salvaged, "lost": plan.lost}
    session.output.record(summary)
    done = _("What could be read of the damaged packs is saved. Now run `pivori verify`.")
    _say_end(not plan.packs, dry_run, _("No pack is damaged."), done, session.output)
    return INCOMPLETE if plan.lost else DONE


@repository_command(
    parent=command,
    name="snapshots",
    help=_(
        "Write snapshots again without what is lost.\n\n"
        "A file that lacks a part keeps the others and is called NAME.repaired, a file of which nothing is left goes, "
        "and so does a folder that cannot be read. The new snapshots have the tag `repaired`; the broken ones stay, "
        "unless --forget is given."
    ),
    examples=[
        ("pivori repair snapshots --dry-run", _("what would change")),
        ("pivori repair snapshots --forget", _("mend all, and remove the broken ones")),
    ],
)
@click.argument("names", metavar=_("[SNAPSHOT]…"), nargs=-1)
@click.option("--forget", is_flag=True, help=_("Remove the broken snapshots when the new ones are stored."))
@_dry_run
def repair_snapshots(session: Session, names: tuple[str, ...], forget: bool, dry_run: bool) -> int:
    """Mend, and say what was done."""
    with session.app.open_repository(_access(dry_run), index=False) as (repository, lock):
        chosen = [named_snapshot(repository, name, on_damage=lambda _error: None).id for name in names]
        request = SnapshotRepairRequest(snapshots=chosen, forget=forget, dry_run=dry_run)
        outcome = SnapshotRepair(repository, request, before_write=_before_write(lock)).run()
    _show_snapshots(outcome, dry_run, session.output)
    return DONE


def _before_write(lock: Lock | None) -> Callable[[], None]:
    """What makes sure before every write that the lock still holds."""
    return (lambda: None) if lock is None else lock.check


def _damaged_packs(session: Session, repository: Repository) -> list[str]:
    request = VerifyRequest(read_data=True, workers=session.app.processors)
    with session.progress() as progress:
        return Verify(repository, request, emit=progress).run().broken_packs


def _show_index_plan(plan: IndexRepairPlan, output: Output) -> None:
    for names, text in (
        (plan.damaged_indexes, _("index/{name} is damaged and will be replaced")),
        (plan.added, _("data/{name} is in no index and will be listed")),
        (plan.corrected, _("data/{name} is listed wrongly and will be listed as it is")),
        (plan.dropped, _("data/{name} is gone and will be dropped from the index")),
        (plan.unreadable, _("data/{name} cannot be understood: see `pivori repair packs`")),
    ):
        for name in names:
            output.result(text.format(name=name))


def _show_pack_plan(plan: PackRepairPlan, output: Output) -> None:
    for each in plan.packs:
        facts = {"salvaged": len(each.salvaged), "elsewhere": each.elsewhere, "lost": len(each.lost)}
        output.record({"message_type": "pack", "pack": each.pack.hex(), **facts})
        text = _("data/{pack}: blobs that can be saved: {salvaged}; safe elsewhere: {elsewhere}; lost: {lost}")
        output.result(text.format(pack=each.pack.hex(), **{name: show_number(count) for name, count in facts.items()}))


_CHANGES = {
    ChangeKind.DIRECTORY_REMOVED: N_("{path}: the folder cannot be read and goes"),
    ChangeKind.FILE_REMOVED: N_("{path}: nothing is left of the file, it goes"),
    ChangeKind.FILE_SHORTENED: N_("{path}: parts of the file are lost, the rest is called {new_name}"),
    ChangeKind.SIZE_CORRECTED: N_("{path}: the recorded size was wrong"),
    ChangeKind.ENTRY_REMOVED: N_("{path}: the entry cannot be understood and goes"),
    ChangeKind.ENTRY_RENAMED: N_("{path}: the name was there twice, the second is called {new_name}"),
}


def _show_snapshots(outcome: SnapshotRepairOutcome, dry_run: bool, output: Output) -> None:
    for change in outcome.changes:
        _show_change(change, output)
    for each in outcome.snapshots:
        output.record({"message_type": "snapshot", "old": each.old, "new": each.new, "nothing_left": each.nothing_left})
        if each.nothing_left:
            output.result(_("snapshot {old}: nothing of it is left").format(old=each.old[:8]))
        elif each.new is None:
            output.result(_("snapshot {old} would be written again").format(old=each.old[:8]))
        else:
            text = _("snapshot {old} was written again as {new}")
            output.result(text.format(old=each.old[:8], new=each.new[:8]))
    for name in outcome.unreadable:
        output.result(_("snapshot {name} cannot be read at all; --forget removes it").format(name=name[:8]))
    output.record(
        {
            "message_type": "summary",
            "dry_run": dry_run,
            "checked": outcome.checked,
            "repaired": len(outcome.snapshots),
            "unreadable": outcome.unreadable,
            "removed": outcome.removed,
        }
    )
    if outcome.removed:
        count = len(outcome.removed)
        text = ngettext("{count} broken snapshot goes.", "{count} broken snapshots go.", count)
        output.say(text.format(count=show_number(count)))
    is_empty = not (outcome.snapshots or outcome.unreadable)
    done = _("The snapshots are repaired as far as that is possible.")
    _say_end(is_empty, dry_run, _("No snapshot needs a repair."), done, output)


def _show_change(change: Change, output: Output) -> None:
    output.record(
        {"message_type": "change", "kind": change.kind, "path": change.path, "new_name": change.new_name or None}
    )
    text = _(_CHANGES[change.kind])
    output.result(text.format(path=show_path(change.path), new_name=show_path(change.new_name)))


def _say_end(is_empty: bool, dry_run: bool, nothing: str, done: str, output: Output) -> None:
    if is_empty:
        output.say(nothing)
    elif dry_run:
        output.say(_("This was a dry run: nothing was changed."))
    else:
        output.say(done)
