"""``pivori archive export``: a snapshot becomes a portable archive.

With ``--json``: ``status`` lines, warnings, and the ``summary`` of ``archive create``.
"""

import os
import secrets
from contextlib import ExitStack

import click

from pivori import __version__
from pivori.app import Access
from pivori.archives.container import ArchiveFormat, Effort
from pivori.cli.archive_options import (
    ArchiveKeys,
    absolute,
    archive_key_options,
    directory_of,
    directory_option,
    workers,
)
from pivori.cli.archive_sealing import Sealing, sealing_options
from pivori.cli.archive_writing import free_name, write_and_tell
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, resolve, snapshot_filters, warn_of_damage
from pivori.engine.archive.create import CreateRequest
from pivori.engine.archive.exporting import ExportRequest, common_root, exported
from pivori.engine.archive.placing import prepare_directory
from pivori.engine.relative import strategy_of
from pivori.engine.strategies import StrategyName
from pivori.repository import LoadedSnapshot, parse_time
from pivori.translation import _


@repository_command(
    name="export",
    help=_(
        "Make a portable archive of a snapshot.\n\n"
        "The archive has the time of the snapshot, and everything that the snapshot keeps. For a while it needs room "
        "for the files as well, in a private directory beside the archive."
    ),
    examples=[
        ("pivori archive export latest", _("the newest snapshot, into the directory of archives")),
        ("pivori archive export latest:/srv/app -o app.zip", _("a part of it, into a file")),
    ],
)
@click.argument("snapshot", metavar=_("SNAPSHOT"))
@click.option(
    "--format",
    "container",
    type=click.Choice([each.value for each in ArchiveFormat]),
    help=_("The kind of file; usually a zip."),
)
@click.option("--smallest", is_flag=True, help=_("Compress as hard as can be."))
@directory_option
@click.option("-o", "--output", metavar=_("FILE"), help=_("Write this file."))
@sealing_options
@archive_key_options
@snapshot_filters
def command(
    session: Session,
    /,
    keys: ArchiveKeys,
    filters: SnapshotFilters,
    snapshot: str,
    container: str | None,
    smallest: bool,
    directory: str | None,
    output: str | None,
    sealing: Sealing,
) -> int:
    """Restore beside the archive, then archive that."""
    started = session.clock.monotonic()
    file = absolute(output) if output is not None else None
    place = file.parent if file is not None else directory_of(session, directory)
    chosen = sealing.usual(ArchiveFormat.ZIP) if container is None else ArchiveFormat(container)
    sealing.check(chosen, "pivori archive export")
    prepare_directory(place)
    with session.app.open_repository(Access.READ) as (repository, _lock), ExitStack() as stack:
        loaded, subtree = resolve(repository, snapshot, filters, on_damage=warn_of_damage(session.output))
        export = ExportRequest(
            loaded=loaded,
            root=subtree or common_root(loaded.snapshot.paths),
            strategy=_strategy(loaded),
            workers=session.app.processors,
        )
        with session.progress() as progress:
            plan = stack.enter_context(exported(repository, export, place, progress))
        made = session.clock.now().fromtimestamp(parse_time(loaded.snapshot.time) / 1e9).astimezone()
        request = CreateRequest(
            plan=plan,
            id=secrets.token_hex(16),
            created=made,
            host=loaded.snapshot.hostname or os.uname().nodename,
            program=f"pivori {__version__}",
            format=chosen,
            effort=Effort.SMALLEST if smallest else Effort.NORMAL,
            keys=keys.keys(),
            workers=workers(),
        )
        request = sealing.applied(request, keys)
        return write_and_tell(session, request, file or free_name(place, request), started)


def _strategy(loaded: LoadedSnapshot) -> str:
    """The strategy in the archive's name: the snapshot's, as far as its tags name one that an archive can have."""
    strategy = strategy_of(loaded)
    # An archive of a whole tree is relative to nothing, whatever the snapshot was compared with.
    relative_to_nothing = set(StrategyName) - {StrategyName.DIFFERENTIAL}
    return strategy if strategy in relative_to_nothing else StrategyName.COMPLETE
