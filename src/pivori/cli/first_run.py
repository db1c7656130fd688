"""What is said when a repository was made: where it is, where its key is, and what losing the key means."""

from typing import TYPE_CHECKING

from pivori.cli.output import Output
from pivori.translation import _

if TYPE_CHECKING:
    from pivori.app import Created


def announce(created: "Created", output: Output) -> None:
    """Say it in three lines, with ``--quiet`` too: it is said once. With ``--json`` restic's ``initialized`` object.

    Where no key was generated, two lines say it.
    """
    output.record(
        {
            "message_type": "initialized",
            "id": created.id,
            "repository": created.location,
            "key_file": created.key_file,
        }
    )
    output.result(_("New repository: {path}").format(path=created.location))
    if created.key_file is None:
        output.result(_("Its password is the only way in: whoever loses it loses the backups."))
        return
    output.result(_("Its key:        {path}").format(path=created.key_file))
    output.result(_("Keep a copy of the key elsewhere: whoever loses the key loses the backups."))
