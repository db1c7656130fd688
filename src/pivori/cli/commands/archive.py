"""``pivori archive``: portable files that open without this program; each subcommand has its module."""

from pivori.cli.command_table import ARCHIVE
from pivori.cli.group import LazyGroup
from pivori.cli.options import global_options
from pivori.translation import _

command = LazyGroup(
    table=ARCHIVE,
    help=_(
        "Make, check and restore portable archives.\n\n"
        "An archive is a zip, 7z or tar.zst file that ordinary tools open; its manifest keeps what these cannot."
    ),
    global_options=global_options(),
)
