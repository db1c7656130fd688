"""``pivori archive``: portable files that open without this program; each subcommand has its module."""

from pivori.cli.commands import (
    archive_create,
    archive_export,
    archive_import,
    archive_list,
    archive_prune,
    archive_restore,
    archive_show,
    archive_verify,
)
from pivori.cli.options import repository_group
from pivori.translation import _

command = repository_group(
    help=_(
        "Make, check and restore portable archives.\n\n"
        "An archive is a zip, 7z or tar.zst file that ordinary tools open; its manifest keeps what these cannot."
    )
)
for _module in (
    archive_create,
    archive_list,
    archive_show,
    archive_verify,
    archive_restore,
    archive_import,
    archive_export,
    archive_prune,
):
    command.add_command(_module.command)
