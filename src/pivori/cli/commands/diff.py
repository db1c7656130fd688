"""``pivori diff``: what changed from one snapshot to another."""

import click

from pivori.app import Access
from pivori.cli.damage import Damage
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, resolve, short_id, snapshot_filters
from pivori.cli.snapshot_record import snapshot_title
from pivori.cli.wording import show_bytes, show_path
from pivori.engine.compare import Change, Comparison, Statistics
from pivori.engine.restore.items import find_subtree
from pivori.translation import _

_MODIFIER_WIDTH = 4


@repository_command(
    help=_(
        "Show what changed between two snapshots.\n\n"
        "Each line begins with what happened: + added, - removed, M other content, T another type, U other metadata "
        "(with --metadata), M? other content although nothing else differs, which may be a failing disk. A and B are "
        "named like everywhere (`latest`, `latest~1`, the beginning of an id, `@2025-11-08T12:00`); `A:/sub/dir` "
        "compares that directory alone."
    ),
    examples=[
        ("pivori diff latest~1 latest", _("what the last backup brought")),
        ("pivori diff --metadata 1a2b latest:/home", _("owners, modes and times too")),
    ],
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--metadata", is_flag=True, help=_("Show items of which only owner, mode, times or the like changed."))
@snapshot_filters
def command(session: Session, before: str, after: str, filters: SnapshotFilters, metadata: bool) -> int:
    """Compare; the changes come as they are found, the sums at the end."""
    output, damage = session.output, Damage(session.output)
    with session.app.open_repository(Access.READ) as (repository, _lock):
        trees = []
        loaded = []
        for text in (before, after):
            snapshot, subpath = resolve(repository, text, filters, on_damage=damage.of_object)
            loaded.append(snapshot)
            trees.append(find_subtree(repository, snapshot.snapshot.tree, subpath)[0])
            output.detail(snapshot_title(snapshot))
        comparison = Comparison(repository, *trees, metadata=metadata, on_damage=damage.of_path)
        is_listed = False
        for change in comparison.changes():
            _show_change(change, output)
            is_listed = True
        statistics = comparison.statistics()
    if output.json:
        output.record(_statistics_record(short_id(loaded[0].id), short_id(loaded[1].id), statistics))
    else:
        _show_statistics(statistics, output, is_listed=is_listed)
    return damage.status


def _show_change(change: Change, output: Output) -> None:
    path = change.path + b"/" if change.is_directory else change.path
    if output.json:
        output.record({"message_type": "change", "path": path, "modifier": change.modifier})
    else:
        output.result(f"{change.modifier:<{_MODIFIER_WIDTH}} {show_path(path)}")


def _show_statistics(statistics: Statistics, output: Output, *, is_listed: bool) -> None:
    added, removed = statistics.added, statistics.removed
    if is_listed:
        output.say()
    elif added.tree_blobs or removed.tree_blobs:
        output.say(_("No content changed; --metadata shows what else did."))
    else:
        output.say(_("Nothing changed."))
        return
    output.table(
        ["", _("Added"), _("Removed"), _("Changed")],
        [
            [_("Files"), added.files, removed.files, statistics.changed_files],
            [_("Directories"), added.dirs, removed.dirs, None],
            [_("Others"), added.others, removed.others, None],
            [_("Data blobs"), added.data_blobs, removed.data_blobs, None],
            [_("Tree blobs"), added.tree_blobs, removed.tree_blobs, None],
            [_("Bytes"), show_bytes(added.bytes), show_bytes(removed.bytes), None],
        ],
        right={1, 2, 3},
    )


def _statistics_record(source: str, target: str, statistics: Statistics) -> dict[str, object]:
    return {
        "message_type": "statistics",
        "source_snapshot": source,
        "target_snapshot": target,
        "changed_files": statistics.changed_files,
        "added": statistics.added,
        "removed": statistics.removed,
    }
