"""``pivori dump``: a file, or a directory as a tar archive, to standard output."""

from collections.abc import Iterator

import click

from pivori.app import Access
from pivori.cli.damage import Damage
from pivori.cli.failures import UsageError
from pivori.cli.options import repository_command
from pivori.cli.output import Output, OutputFailed
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, resolve, snapshot_filters
from pivori.engine.export import LeftOutOfArchive, export_file, export_tree
from pivori.engine.listing import Entry
from pivori.engine.restore.items import find_subtree
from pivori.errors import PivoriError
from pivori.repository import Node, Repository
from pivori.settings.load import PROGRAM
from pivori.translation import _


@repository_command(
    help=_(
        "Write a file of a snapshot to standard output.\n\n"
        "A directory is written as a tar archive (pax), with owners, times, links, devices, extended attributes and "
        "ACLs; the names in it are paths from the top of the snapshot, or of the directory that `SNAPSHOT:/sub/dir` "
        "names. Without a PATH, everything is written. When a part of the archive is damaged, that is said, its place "
        "is filled with zeros, and the exit status is 3."
    ),
    examples=[
        ("pivori dump latest /etc/hosts", _("show a file")),
        ("pivori dump latest /home/me | tar -x -C /tmp/back", _("unpack a directory elsewhere")),
        ("pivori dump latest:/srv/data > data.tar", _("keep an archive that opens without this program")),
    ],
)
@click.argument("snapshot", metavar=_("SNAPSHOT"))
@click.argument("path", metavar=_("[PATH]"), default=b"/", type=click.Path(path_type=bytes))
@snapshot_filters
def command(session: Session, snapshot: str, path: bytes, filters: SnapshotFilters) -> int:
    """Write it; nothing else goes to standard output, with ``--json`` neither."""
    output, damage = session.output, Damage(session.output)
    with session.app.open_repository(Access.READ) as (repository, _lock):
        loaded, subpath = resolve(repository, snapshot, filters, on_damage=damage.of_object)
        top, top_node = find_subtree(repository, loaded.snapshot.tree, subpath)
        if top_node is not None and top_node.type != "dir":
            _write(export_file(repository, top_node, subpath), output)
            return damage.status
        tree, node = find_subtree(repository, top, path)
        if node is None or node.type == "dir":
            pieces = _archive(repository, tree, path, node, damage)
            _refuse_terminal(output)
        else:
            pieces = export_file(repository, node, subpath + b"/" + path.lstrip(b"/"))
        _write(pieces, output)
    return damage.status


def _archive(repository: Repository, tree: str, path: bytes, node: Node | None, damage: Damage) -> Iterator[bytes]:
    def tell(where: bytes, error: PivoriError) -> None:
        if isinstance(error, LeftOutOfArchive):
            damage.note(where, error)
        else:
            damage.of_path(where, error)

    names = [name for name in path.split(b"/") if name]
    directory = Entry(b"".join(b"/" + name for name in names), node) if node is not None else None
    return export_tree(repository, tree, directory, on_problem=tell)


def _refuse_terminal(output: Output) -> None:
    if output.stdout_is_terminal:
        reason = _("An archive is nothing for a terminal: send it to a file (`> files.tar`) or to `tar`.")
        raise UsageError(reason=reason, command=f"{PROGRAM} dump")


def _write(pieces: Iterator[bytes], output: Output) -> None:
    """Write everything. Raises OutputFailed, and BrokenPipeError when the reader has gone."""
    stream = output.binary()
    for piece in pieces:
        try:
            stream.write(piece)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(reason=error.strerror or str(error)) from None
    output.flush()
