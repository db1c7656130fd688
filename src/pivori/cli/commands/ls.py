"""``pivori ls``: what a snapshot holds."""

from collections.abc import Iterable

import click

from pivori.app import Access
from pivori.cli.damage import Damage
from pivori.cli.node_display import listed_node, long_line
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, resolve, snapshot_filters
from pivori.cli.snapshot_record import snapshot_record, snapshot_title
from pivori.cli.wording import show_path
from pivori.engine.listing import Entry, Order, list_paths, sort_entries
from pivori.engine.restore.items import find_subtree
from pivori.repository import parse_time, raw_name
from pivori.translation import _


@repository_command(
    help=_(
        "List the files of a snapshot.\n\n"
        "SNAPSHOT is the beginning of an id, `latest`, `latest~2` or `@2025-11-08T12:00`; `SNAPSHOT:/sub/dir` looks "
        "at that directory alone. With a PATH, only what is directly in it is listed, unless --recursive is given."
    ),
    examples=[
        ("pivori ls latest", _("everything in the newest snapshot")),
        ("pivori ls -l latest /home/me", _("one directory, with sizes and times")),
        ("pivori ls latest --sort size | head", _("the largest files")),
    ],
)
@click.argument("snapshot", metavar=_("SNAPSHOT"), default="latest")
@click.argument("paths", metavar=_("[PATH]…"), nargs=-1, type=click.Path(path_type=bytes))
@click.option("-l", "--long", is_flag=True, help=_("Show mode, owner, size and time as well."))
@click.option("--recursive", is_flag=True, help=_("List what is below each PATH at any depth."))
@click.option(
    "--sort",
    "order",
    type=click.Choice([order.value for order in Order]),
    default=Order.NAME.value,
    help=_("Sort by name, by size (the largest first) or by time (the newest first)."),
)
@click.option("--reverse", is_flag=True, help=_("Turn the order round."))
@snapshot_filters
def command(
    session: Session,
    snapshot: str,
    paths: tuple[bytes, ...],
    filters: SnapshotFilters,
    long: bool,
    recursive: bool,
    order: str,
    reverse: bool,
) -> int:
    """List; a directory that cannot be read is reported, and the status then says incomplete."""
    output, damage = session.output, Damage(session.output)
    with session.app.open_repository(Access.READ) as (repository, _lock):
        loaded, subpath = resolve(repository, snapshot, filters, on_damage=damage.of_object)
        tree, node = find_subtree(repository, loaded.snapshot.tree, subpath)
        entries: Iterable[Entry]
        if node is not None and node.type != "dir":
            entries = [Entry(b"/" + raw_name(node), node)]
        else:
            entries = list_paths(repository, tree, paths, recursive=recursive, on_damage=damage.of_path)
        if output.json:
            output.record(snapshot_record(loaded) | {"message_type": "snapshot", "struct_type": "snapshot"})
        output.detail(snapshot_title(loaded))
        _show(session, sort_entries(entries, Order(order), reverse=reverse), long)
    return damage.status


def _show(session: Session, entries: Iterable[Entry], long: bool) -> None:
    output = session.output
    if output.json:
        for path, node in entries:
            output.record(listed_node(path, node))
    elif long:
        for path, node in entries:
            output.result(long_line(path, node, parse_time(node.mtime)))
    else:
        for path, _node in entries:
            output.result(show_path(path))
