"""``pivori archive``: portable files that open without this program; its subcommands are in the modules beside it."""

from pivori.cli.options import repository_group
from pivori.translation import _

command = repository_group(
    help=_(
        "Make, check and restore portable archives.\n\n"
        "An archive is a zip, 7z or tar.zst file that ordinary tools open; its manifest keeps what they cannot."
    )
)

from pivori.cli.commands import (  # noqa: E402, F401 - they hang their commands on the group
    archive_create,
    archive_prune,
    archive_restore,
    archive_show,
    archive_transfer,
    archive_verify,
)
