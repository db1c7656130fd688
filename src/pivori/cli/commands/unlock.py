"""``pivori unlock``: remove locks that were left behind.

With ``--json``: one ``unlock`` object with ``removed``, the number of locks that were removed.
"""

import click

from pivori.app import Access
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.wording import show_number
from pivori.repository.locks import remove_all, remove_stale
from pivori.translation import _, ngettext


@repository_command(
    help=_(
        "Remove locks that were left behind.\n\n"
        "A lock goes when it was not refreshed for half an hour, or when it bears the name of this machine and its "
        "process is not found here. A process in a container is not found from outside: make sure that none is at "
        "work. What is certainly dead is also removed by every command that meets it."
    ),
    examples=[
        ("pivori unlock", _("what seems to be abandoned")),
        ("pivori unlock --remove-all", _("every lock, when nobody works on the repository")),
    ],
)
@click.option(
    "--remove-all",
    "everything",
    is_flag=True,
    help=_("Remove every lock, damaged ones too. If somebody is at work, data may be lost."),
)
def command(session: Session, everything: bool) -> None:
    """Remove, and say how many."""
    app = session.app
    with app.open_repository(Access.INSPECT, index=False) as (repository, _lock):
        if everything:
            count = remove_all(repository.objects)
        else:
            count = remove_stale(repository.objects, witness=app.witness(repository), clock=app.clock)
    session.output.record({"message_type": "unlock", "removed": count})
    text = ngettext("{count} lock removed.", "{count} locks removed.", count)
    session.output.say(text.format(count=show_number(count)))
