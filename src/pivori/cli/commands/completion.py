"""``pivori completion``: the script that teaches a shell this program's commands and options."""

import click
from click.shell_completion import get_completion_class

from pivori.cli.failures import UsageError
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.settings.load import COMPLETION_VARIABLE, PROGRAM
from pivori.translation import _

SHELLS = ("bash", "zsh", "fish")


@repository_command(
    help=_("Print the completion script of a shell."),
    examples=[
        ("pivori completion bash > ~/.local/share/bash-completion/completions/pivori", _("for bash")),
        ("pivori completion zsh > ~/.zfunc/_pivori", _("for zsh, with ~/.zfunc in fpath")),
        ("pivori completion fish > ~/.config/fish/completions/pivori.fish", _("for fish")),
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(session: Session, shell: str) -> None:
    """Print the script click makes; with ``--json`` it is a field of the one object."""
    source = get_completion_class(shell)
    if source is None:
        raise UsageError(reason=shell, command=f"{PROGRAM} completion")
    script = source(click.get_current_context().find_root().command, {}, PROGRAM, COMPLETION_VARIABLE).source()
    if session.output.json:
        session.output.record({"message_type": "completion", "shell": shell, "script": script})
    else:
        session.output.script(script)
