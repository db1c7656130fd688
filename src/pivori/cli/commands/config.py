"""``pivori config check|show|schema|sample``: the configuration file.

With ``--json``: ``check`` prints one ``configuration`` object with ``path``, ``stack``, ``root``, ``components``
(``name``, ``kind``, ``rto`` and ``rpo`` in seconds) and ``warnings`` (``key``, ``message``); mistakes are an
``exit_error`` whose ``details`` have ``mistakes`` (``line``, ``key``, ``problem``, ``nearest``). ``show`` prints one
``configuration`` object with ``path``, ``root`` and ``configuration``, the file with all defaults. ``schema`` prints a
JSON schema in any case, ``sample`` a file.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pivori.cli.failures import fill
from pivori.cli.options import repository_command, repository_group
from pivori.cli.session import Session
from pivori.settings.finding import find_configuration
from pivori.translation import _, ngettext

if TYPE_CHECKING:
    from pivori.settings.stack_file import StackFile
    from pivori.translation import Phrase

command = repository_group(
    help=_(
        "Check, show and explain the configuration file.\n\n"
        "It is the one of --config or PIVORI_CONFIG, otherwise the nearest pivori.toml: in the current folder or above "
        "it, then ~/.config/pivori/pivori.toml."
    )
)


@repository_command(
    parent=command,
    name="check",
    help=_("Tell every mistake in the file, with its line, or say in one line what the file describes."),
    examples=[
        ("pivori config check", _("the file in force")),
        ("pivori config check --config /srv/app/pivori.toml", _("this one")),
    ],
)
def check_command(session: Session) -> None:
    """Load it; what is wrong is an error that tells all of it."""
    loaded = _loaded(session)
    building = loaded.building(session.runtime.environment)
    stack = loaded.stack(building)
    troubles = _troubles(session, loaded)
    session.output.record(
        {
            "message_type": "configuration",
            "path": loaded.path,
            "stack": stack.name,
            "root": stack.root,
            "components": [
                {"name": member.name, "kind": member.component.kind, "rto": member.rto, "rpo": member.rpo}
                for member in stack.members
            ],
            "warnings": [{"key": key, "message": message} for key, message in troubles],
        }
    )
    for key, message in troubles if not session.output.json else ():
        session.output.warn(_("{key}: {problem}").format(key=key, problem=_shown(message)))
    text = ngettext(
        "{path}: no mistakes. The stack {stack} in {root} has {count} component: {names}.",
        "{path}: no mistakes. The stack {stack} in {root} has {count} components: {names}.",
        len(stack.members),
    )
    names = ", ".join(f"{member.name} ({member.component.kind})" for member in stack.members)
    session.output.result(
        text.format(path=loaded.path, stack=stack.name, root=stack.root, count=len(stack.members), names=names)
    )


@repository_command(
    parent=command,
    name="show",
    help=_("Show the file as it is understood, with all defaults. Secrets are shown as the places where they are."),
    examples=[("pivori config show", _("the file in force"))],
)
def show_command(session: Session) -> None:
    """Show it as TOML, or as JSON."""
    loaded = _loaded(session)
    root = loaded.building(session.runtime.environment).root
    understood = _whole_numbers(loaded.model_dump(mode="json", by_alias=True, exclude_none=True))
    session.output.record(
        {"message_type": "configuration", "path": loaded.path, "root": root, "configuration": understood}
    )
    if not session.output.json:
        import tomlkit  # only who writes TOML pays for it

        heading = _("# {path}, seen from {root}").format(path=loaded.path, root=root)
        session.output.script(f"{heading}\n\n{tomlkit.dumps(understood)}".rstrip())


@repository_command(
    parent=command,
    name="schema",
    help=_("Print the JSON schema of the file, for editors that check and complete TOML."),
    examples=[("pivori config schema > pivori.schema.json", _("for an editor"))],
)
def schema_command(session: Session) -> None:
    """Print it; it is JSON in any case."""
    from pivori.settings.stack_file.described import schema  # it loads all kinds of components

    session.output.script(json.dumps(schema(), indent=2, ensure_ascii=False))


@repository_command(
    parent=command,
    name="sample",
    help=_("Print a commented file with every option. `pivori init DIR` writes one that fits a folder."),
    examples=[("pivori config sample > pivori.toml", _("to begin with"))],
)
def sample_command(session: Session) -> None:
    """Print it, commented in the reader's language."""
    from pivori.settings.stack_file.sample import sample  # it loads all kinds of components

    session.output.script(sample(_).rstrip("\n"))


def _loaded(session: Session) -> "StackFile":
    """The file in force. Raises NoStack, and what is wrong with it."""
    from pivori.cli.stack_in_force import NoStack
    from pivori.settings.stack_file import load_stack_file  # slow: pydantic, and all kinds of components

    environment = session.runtime.environment
    path: Path | None = find_configuration(environment, session.choices)
    if path is None:
        raise NoStack
    return load_stack_file(path, environment)


def _troubles(session: Session, loaded: "StackFile") -> "list[tuple[str, Phrase]]":
    """The secrets that are not where the file says, on this machine."""
    from pivori.settings.stack_file.mistakes import dotted
    from pivori.settings.stack_file.references import references, trouble_with

    building = loaded.building(session.runtime.environment)
    names = [options.name for options in loaded.components]
    found = ((dotted(path, names), trouble_with(place, building)) for path, place in references(loaded))
    return [(key, trouble) for key, trouble in found if trouble is not None]


def _shown(phrase: "Phrase") -> str:
    return fill(phrase.template, phrase.details)


def _whole_numbers(value: Any) -> Any:
    """Numbers without a ``.0`` that nobody wrote."""
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
