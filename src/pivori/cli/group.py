"""The shape of the command line: commands loaded when used, and a help text laid out by what one wants to do."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from pivori.cli.command_table import HIDDEN, Entry
from pivori.translation import N_, _

_EXAMPLES = (
    ("pivori backup ~/project", N_("save a folder; the first time makes the repository and its key")),
    ("pivori snapshots", N_("see what there is")),
    ("pivori restore latest --target /tmp/back", N_("bring it back")),
)


_UNBREAKABLE = {"-": "\ue000", " ": "\ue001"}
"""Private characters that stand for a hyphen and a space while lines are broken."""
_CODE = re.compile(r"`[^`\n]*`")


class HelpText(click.HelpFormatter):
    """Help whose headings end as the language wants it: ``Options:``, in French with a space before the colon.

    Lines are not broken inside what one copies: neither at a hyphen nor between backquotes.
    """

    def write(self, string: str) -> None:
        """Write a text as it is to be read."""
        for character, stand_in in _UNBREAKABLE.items():
            string = string.replace(stand_in, character)
        super().write(string)

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text(_kept_together(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], *arguments: Any, **settings: Any) -> None:
        """Write terms, each with its meaning."""
        super().write_dl([(term, _kept_together(meaning)) for term, meaning in rows], *arguments, **settings)

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(_("{heading}:").format(heading=heading).removesuffix(":"))


def _kept_together(text: str) -> str:
    """A text in which lines can only be broken at spaces outside of backquotes."""
    text = _CODE.sub(lambda code: code[0].replace(" ", _UNBREAKABLE[" "]), text)
    return text.replace("-", _UNBREAKABLE["-"])


class PivoriContext(click.Context):
    """What click knows while it parses, with our way to write help."""

    formatter_class = HelpText


class PivoriCommand(click.Command):
    """A command whose help lists its own options first, the global ones after, and examples last."""

    context_class = PivoriContext

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[tuple[str, str]] = (),
        global_options: Sequence[click.Option] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.add_help_option = False
        self.examples = examples
        self.global_options = [*global_options, help_option()]
        self.params.extend(self.global_options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an error says in which command it was made."""
        with _located(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in two sections, then the examples."""
        _write_options(self, ctx, formatter, self.global_options)
        _write_examples(formatter, self.examples)


class PivoriGroup(click.Group):
    """A command with subcommands (``key list``), laid out like every other."""

    context_class = PivoriContext

    def __init__(self, *arguments: Any, global_options: Sequence[click.Option] = (), **settings: Any) -> None:
        super().__init__(*arguments, **{"subcommand_metavar": _("COMMAND …"), **settings})
        self.add_help_option = self.no_args_is_help = False
        self.global_options = [*global_options, help_option()]
        self.params.extend(self.global_options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an error says in which command it was made."""
        with _located(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands before the options: they are what one looks for."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter, self.global_options)


def load_command(entry: Entry) -> click.Command:
    """Import the module of a command."""
    command: click.Command = import_module(f"pivori.cli.commands.{entry.module}").command
    return command


class LazyGroup(PivoriGroup):
    """A group whose commands are named by a table, and imported one at a time."""

    def __init__(self, *arguments: Any, table: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, for completion and for suggestions; nothing is imported."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        command = load_command(entry)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelled one is answered with the ones that are spelled alike."""
        # A shell that completes parses too, and nobody is to be told anything then.
        if args and args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(_no_such_command(args[0], self.table), ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete command names from the table, with their summaries."""
        from click.shell_completion import CompletionItem  # only a completing shell needs it

        found: list[Any] = [
            CompletionItem(name, help=_(entry.summary))
            for name, entry in self.table.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section."""
        widest = max(map(len, self.table))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.table.items():
            sections.setdefault(entry.section, []).append((name.ljust(widest), _(entry.summary)))
        sections.pop(HIDDEN, None)
        for section, rows in sections.items():
            with formatter.section(_(section)):
                formatter.write_dl(rows)


class Program(LazyGroup):
    """``pivori`` itself."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and where to read on."""
        _write_examples(formatter, [(command, _(meaning)) for command, meaning in _EXAMPLES])
        formatter.write_paragraph()
        formatter.write_text(_("`pivori COMMAND --help` explains a command."))


@contextmanager
def _located(ctx: click.Context) -> Iterator[None]:
    """click's parser does not know for which command it works, so its errors are told that here."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def help_option() -> click.Option:
    """``--help``, written like everything else this program writes."""
    return click.Option(
        ["-h", "--help"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_help,
        help=_("Show this message and exit."),
    )


def _show_help(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.obj.output.script(ctx.get_help())
        ctx.exit()


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter, global_options: Sequence[click.Option]
) -> None:
    """Write the options of a command, and those that every command has in a section of their own."""
    own: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        # An argument stands in the line of usage; without a text of its own there is nothing to add.
        if record is not None and record[1]:
            (everywhere if parameter in global_options else own).append(record)
    for title, records in ((_("Options"), own), (_("Global options"), everywhere)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Write command lines that can be copied, each with what it does."""
    if examples:
        with formatter.section(_("Examples")):
            for command, meaning in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{command}\n")
                formatter.write(f"{'':>{formatter.current_indent + 4}}{meaning}\n")


def _no_such_command(name: str, names: Iterable[str]) -> str:
    """What to say to a word that is no command."""
    from difflib import get_close_matches  # only a misspelled command needs it

    near = get_close_matches(name, names, n=3)
    if near:
        return _("There is no command `{name}`. Did you mean {near}?").format(
            name=name, near=_(" or ").join(f"`{word}`" for word in near)
        )
    return _("There is no command `{name}`.").format(name=name)
