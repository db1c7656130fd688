"""``pivori mount``: the snapshots as a read-only folder."""

from pathlib import Path

import click

from pivori.app import Access
from pivori.cli.damage import Damage
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, filtered_snapshots, snapshot_filters
from pivori.cli.wording import show_path
from pivori.engine.mount import Mounted, NotReadable, mount
from pivori.events import Event
from pivori.translation import _, ngettext


@repository_command(
    help=_(
        "Browse the snapshots as a read-only folder.\n\n"
        "FOLDER then has snapshots/TIME, snapshots/latest, ids/ID, hosts/HOST/TIME and tags/TAG/TIME, for the "
        "snapshots there are at this moment. The command runs until Ctrl-C, or until the folder is unmounted with "
        "`fusermount3 -u FOLDER`. It needs the system's fuse3."
    ),
    examples=[
        ("pivori mount /mnt/backups", _("then look into /mnt/backups/snapshots/latest")),
        ("pivori mount --tag nightly /mnt/backups", _("only those with a tag")),
    ],
)
@click.argument("folder", metavar=_("FOLDER"), type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--allow-other", is_flag=True, help=_("Let other users look too, as far as the modes of the files allow.")
)
@snapshot_filters
def command(session: Session, folder: Path, filters: SnapshotFilters, allow_other: bool) -> int:
    """Mount and stay until it ends; the lock is kept all the while."""
    output, damage = session.output, Damage(session.output)

    def tell(event: Event) -> None:
        if isinstance(event, NotReadable):
            damage.of_path(event.path, event.error)
        elif isinstance(event, Mounted):
            output.record({"message_type": "mounted", "mount_point": event.path}, flush=True)
            shown = show_path(bytes(event.path))
            output.say(_("The snapshots are in {folder}.").format(folder=shown))
            output.say(_("Ctrl-C ends this, and so does `fusermount3 -u {folder}`.").format(folder=shown))
            output.flush()

    with session.app.open_repository(Access.READ) as (repository, _lock):
        snapshots = filtered_snapshots(repository, filters, on_damage=damage.of_object)
        count = len(snapshots)
        output.detail(ngettext("{count} snapshot", "{count} snapshots", count).format(count=count))
        mount(repository, snapshots, folder.absolute(), emit=tell, allow_other=allow_other)
    output.record({"message_type": "unmounted", "mount_point": folder.absolute()})
    return damage.status
