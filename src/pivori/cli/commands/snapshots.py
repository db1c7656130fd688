"""``pivori snapshots``: which snapshots there are."""

from collections.abc import Sequence

import click

from pivori.app import Access
from pivori.cli.failures import DONE, ERROR
from pivori.cli.node_display import show_moment
from pivori.cli.options import repository_command
from pivori.cli.output import Cell, Output
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, named_or_filtered, short_id, snapshot_filters, warn_of_damage
from pivori.cli.snapshot_record import snapshot_record
from pivori.cli.wording import show_bytes, show_number
from pivori.engine.forget_plan import parse_grouping
from pivori.engine.grouping import SnapshotGroup, group_snapshots, newest_of_each
from pivori.errors import PivoriError
from pivori.repository import LoadedSnapshot
from pivori.translation import _, ngettext


@repository_command(
    help=_(
        "List the snapshots.\n\n"
        "The oldest comes first. SIZE is the size of what was backed up, before deduplication and compression. A "
        "damaged snapshot is named on standard error, all others are listed, and the exit status is 1."
    ),
    examples=[
        ("pivori snapshots", _("all of them")),
        ("pivori snapshots --latest 1", _("the newest of each host and set of paths")),
        ("pivori snapshots --tag nightly --group-by host", _("those with a tag, by host")),
    ],
)
@click.argument("names", metavar=_("[SNAPSHOT]…"), nargs=-1)
@click.option(
    "--group-by",
    "-g",
    metavar=_("WHAT"),
    default="",
    help=_("List in groups: host, paths, tags, or several of them with commas."),
)
@click.option(
    "--latest",
    metavar=_("N"),
    type=click.IntRange(min=1),
    help=_("Only the last N of each group; without --group-by, of each host and set of paths."),
)
@snapshot_filters
def command(
    session: Session, names: tuple[str, ...], filters: SnapshotFilters, group_by: str, latest: int | None
) -> int:
    """List; damage is told and counted, and does not keep the rest from being listed."""
    output = session.output
    damaged: list[PivoriError] = []
    grouping = parse_grouping(group_by)
    with session.app.open_repository(Access.READ, index=False) as (repository, _lock):
        found = named_or_filtered(repository, names, filters, on_damage=damaged.append)
    if latest is not None:
        found = newest_of_each(found, latest, grouping)
    groups = group_snapshots(found, grouping)
    if output.json:
        output.record([_group_record(group) for group in groups] if grouping else _records(found[::-1]))
    else:
        _show(groups, bool(grouping), output)
        _show_total(len(found), output)
    for error in damaged:
        warn_of_damage(output)(error)
    return ERROR if damaged else DONE


def _show(groups: Sequence[SnapshotGroup], is_grouped: bool, output: Output) -> None:
    for group in groups:
        if is_grouped:
            output.result(_("Group: {group}").format(group=_title(group)))
        headers = [_("Id"), _("Time"), _("Host"), _("Tags"), _("Paths"), _("Size")]
        output.table(headers, [_row(loaded) for loaded in group.snapshots], right={5})
        if is_grouped:
            output.result("")


def _row(loaded: LoadedSnapshot) -> list[Cell]:
    snapshot = loaded.snapshot
    size = show_bytes(snapshot.summary.total_bytes_processed) if snapshot.summary else None
    tags, paths = ", ".join(snapshot.tags), ", ".join(snapshot.paths)
    return [short_id(loaded.id), show_moment(loaded.time_ns), snapshot.hostname, tags, paths, size]


def _show_total(count: int, output: Output) -> None:
    output.say(ngettext("{count} snapshot", "{count} snapshots", count).format(count=show_number(count)))


def _title(group: SnapshotGroup) -> str:
    parts = []
    if group.host is not None:
        parts.append(_("host {host}").format(host=group.host))
    if group.paths is not None:
        parts.append(_("paths {paths}").format(paths=", ".join(group.paths)))
    if group.tags is not None:
        parts.append(_("tags {tags}").format(tags=", ".join(group.tags)) if group.tags else _("no tags"))
    return ", ".join(parts)


def _records(snapshots: Sequence[LoadedSnapshot]) -> list[dict[str, object]]:
    return [snapshot_record(loaded) for loaded in snapshots]


def _group_record(group: SnapshotGroup) -> dict[str, object]:
    return {
        "group_key": {"hostname": group.host or "", "paths": group.paths, "tags": group.tags},
        "snapshots": _records(group.snapshots),
    }
