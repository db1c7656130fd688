"""``pivori init``: a new repository in an empty place."""

from pivori.cli.first_run import announce
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.translation import _


@repository_command(
    help=_(
        "Make a new repository.\n\n"
        "The default repository gets a generated key file, unless a password is given; `pivori backup` makes it by "
        "itself when it is missing. Every other repository is opened by the password you give."
    ),
    examples=[
        ("pivori init", _("the default repository and its key")),
        ("pivori init -r /mnt/disk/backups", _("asks for a password")),
    ],
)
def command(session: Session) -> None:
    """Make it, and say where it is."""
    announce(session.app.create_repository(), session.output)
