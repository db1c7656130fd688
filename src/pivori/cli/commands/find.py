"""``pivori find``: which snapshots hold a file, and which files use a blob, a tree or a pack."""

from collections.abc import Iterator, Sequence

import click

from pivori.app import Access
from pivori.cli.damage import Damage
from pivori.cli.failures import UsageError
from pivori.cli.node_display import long_line, matched_node
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.record import encode
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, named_or_filtered, snapshot_filters
from pivori.cli.snapshot_record import snapshot_title
from pivori.cli.wording import show_number, show_path
from pivori.engine.search import (
    Criterion,
    Match,
    NamesAndTimes,
    Search,
    UsersOfObjects,
    checked_id,
    parse_newest,
    parse_oldest,
    users_of_packs,
)
from pivori.repository import LoadedSnapshot, Repository, parse_time
from pivori.settings.load import PROGRAM
from pivori.translation import _, ngettext


@repository_command(
    help=_(
        "Find files in the snapshots.\n\n"
        "A PATTERN without a slash fits names (`*.odt`), one with a slash fits the end of a path (`notes/*.txt`), one "
        "with a slash in front a whole path (`/home/*/notes`); `**` stands for any number of directories. With "
        "--blob, --tree or --pack, the patterns are ids or their first digits, and the files that need these objects "
        "are listed. The newest snapshots come first."
    ),
    examples=[
        ("pivori find '*.odt' --newest 2025-11-08", _("documents not modified since that day")),
        ("pivori find -s latest -s latest~1 notes.txt", _("look into two snapshots only")),
        ("pivori find --pack 025c1d06", _("what a damaged pack hurts")),
    ],
)
@click.argument("patterns", metavar=_("[PATTERN]…"), nargs=-1)
@click.option("-i", "--ignore-case", is_flag=True, help=_("Large and small letters are alike."))
@click.option("-O", "--oldest", metavar=_("TIME"), help=_("Only what was modified at this time or later."))
@click.option("-N", "--newest", metavar=_("TIME"), help=_("Only what was modified at this time or earlier."))
@click.option("--blob", "object_type", flag_value="blob", help=_("The patterns are ids of blobs."))
@click.option("--tree", "object_type", flag_value="tree", help=_("The patterns are ids of trees."))
@click.option("--pack", "object_type", flag_value="pack", help=_("The patterns are ids of packs."))
@click.option("-s", "--snapshot", "snapshots", multiple=True, metavar=_("SNAPSHOT"), help=_("Look only in this one."))
@click.option("-l", "--long", is_flag=True, help=_("Show mode, owner, size and time as well."))
@click.option("--reverse", is_flag=True, help=_("The oldest snapshots first."))
@snapshot_filters
def command(
    session: Session,
    patterns: tuple[str, ...],
    filters: SnapshotFilters,
    ignore_case: bool,
    oldest: str | None,
    newest: str | None,
    object_type: str | None,
    snapshots: tuple[str, ...],
    long: bool,
    reverse: bool,
) -> int:
    """Search snapshot by snapshot; matches are shown as they are found."""
    if not patterns and not (oldest or newest):
        raise UsageError(reason=_("Say what to look for: a PATTERN, --oldest or --newest."), command=f"{PROGRAM} find")
    times = parse_oldest(oldest) if oldest else None, parse_newest(newest) if newest else None
    damage = Damage(session.output)
    with session.app.open_repository(Access.READ) as (repository, _lock):
        criterion = _criterion(repository, patterns, object_type, ignore_case, times)
        chosen = named_or_filtered(repository, snapshots, filters, on_damage=damage.of_object)
        search = Search(repository, criterion, on_damage=damage.of_path)
        found = ((loaded, search.find(loaded.snapshot.tree)) for loaded in (reversed(chosen) if reverse else chosen))
        if session.output.json:
            _record_objects(found, session.output) if object_type else _record_files(found, session.output)
        else:
            _show(found, session.output, long)
    return damage.status


def _criterion(
    repository: Repository,
    patterns: Sequence[str],
    object_type: str | None,
    ignore_case: bool,
    times: tuple[int | None, int | None],
) -> Criterion:
    if object_type is None:
        return NamesAndTimes(patterns, ignore_case=ignore_case, oldest_ns=times[0], newest_ns=times[1])
    if object_type == "pack":
        return users_of_packs(repository, patterns)
    ids = [checked_id(text) for text in patterns]
    return UsersOfObjects(blobs=ids) if object_type == "blob" else UsersOfObjects(trees=ids)


_Found = Iterator[tuple[LoadedSnapshot, Iterator[Match]]]


def _show(found: _Found, output: Output, long: bool) -> None:
    total = holding = 0
    for loaded, matches in found:
        first = True
        for match in matches:
            if first:
                output.say(snapshot_title(loaded))
                holding += 1
            first = False
            total += 1
            output.result(f"  {_line(match, long)}")
    files = ngettext("{count} match", "{count} matches", total).format(count=show_number(total))
    where = ngettext("in {count} snapshot", "in {count} snapshots", holding).format(count=show_number(holding))
    output.say(f"{files} {where}")


def _line(match: Match, long: bool) -> str:
    if long and match.node is not None:
        text = long_line(match.path, match.node, parse_time(match.node.mtime))
    else:
        text = show_path(match.path)
    return f"{match.object_type} {match.object_id[:8]}  {text}" if match.object_type else text


def _record_files(found: _Found, output: Output) -> None:
    """restic's array with one object per snapshot in which something was found; one snapshot in memory at a time."""
    array = _Array(output)
    for loaded, matches in found:
        nodes = [matched_node(match.path, match.node) for match in matches if match.node is not None]
        if nodes:
            array.add({"matches": nodes, "hits": len(nodes), "snapshot": loaded.id})
    array.close()


def _record_objects(found: _Found, output: Output) -> None:
    """restic's array with one object per use of a blob or tree."""
    array = _Array(output)
    for loaded, matches in found:
        for match in matches:
            record: dict[str, object] = {
                "object_type": match.object_type,
                "id": match.object_id,
                "path": match.path,
                "parent_tree": match.parent_tree,
                "snapshot": loaded.id,
                "time": loaded.snapshot.time,
            }
            array.add({name: value for name, value in record.items() if value})
    array.close()


class _Array:
    """A JSON array on one line, written while its members are found."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stream = output.binary()
        self._before = b"["

    def add(self, value: object) -> None:
        self._stream.write(self._before + encode(value).encode())
        self._before = b","

    def close(self) -> None:
        self._stream.write(b"[]\n" if self._before == b"[" else b"]\n")
        self._output.flush()
