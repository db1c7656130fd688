"""Writing a ``pivori.toml`` that a person reads, from a proposal: each option with what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pivori.settings.stack_file.described import kind_table, kinds, resolved
from pivori.stack.discovery.proposing import Proposal, Proposals
from pivori.translation import N_, _, filled

_BEGINNING = N_(
    "What belongs to this application, and how it is protected.\n"
    "`pivori config check` says whether it is right, `pivori backup` makes a recovery point,\n"
    "`pivori recover` brings it back. Passwords are never in here, only where they are."
)
_OBJECTIVES = N_("How long bringing it back may take (rto), and how much of the latest work may be lost (rpo).")
_CONTACTS: Final = N_("Who to call at 3 a.m.: shown in RECOVERY.md, in the runbook and with fatal errors.")
_EMPTY_CONTACTS: Final = ('email = ""', 'chat = ""', 'issues = ""')
_FOUND = N_("Found in {places}.")
_MOST_PLACES = 3


@dataclass(frozen=True, kw_only=True)
class RepositoryPlace:
    """A repository that is not the default one: where it is, and the file with its password, if there is one."""

    location: str
    password_file: str | None = None


def render_stack_file(
    proposals: Proposals,
    *,
    recipients: Sequence[str] = (),
    identity: str | None = None,
    repository: RepositoryPlace | None = None,
) -> str:
    """The text of the file. Secrets are sealed to ``recipients``; ``identity`` is the file with the private key."""
    import tomlkit  # only who writes a file pays for it

    document = tomlkit.document()
    _comment(document, _(_BEGINNING))
    document.add(tomlkit.nl())
    stack = tomlkit.table()
    stack.add("name", proposals.name)
    document.add("stack", stack)
    document.add(tomlkit.nl())
    _comment(document, _(_CONTACTS) + "\n[contacts]\n" + "\n".join(_EMPTY_CONTACTS))
    document.add(tomlkit.nl())
    if repository is not None:
        place = tomlkit.table()
        place.add("location", repository.location)
        if repository.password_file is not None:
            place.add("password", _value({"file": repository.password_file}))
        document.add("repository", place)
    components = tomlkit.aot()
    for proposal in proposals.components:
        options = dict(proposal.options)
        if proposal.kind == "secrets":
            options["recipients"] = list(recipients)
            if identity is not None:
                options["identity"] = {"file": identity}
        components.append(_component(proposal, options))
    document.add("components", components)
    return tomlkit.dumps(document)


def _component(proposal: Proposal, options: Mapping[str, Any]) -> Any:
    """The table of one component, each option below a line that says what it means."""
    import tomlkit

    described = kind_table(proposal.kind) if proposal.kind in kinds() else {}
    properties = described.get("properties", {})
    table = tomlkit.table()
    if proposal.why:
        places = [str(evidence) for evidence in proposal.why[:_MOST_PLACES]]
        more = ["…"] if len(proposal.why) > _MOST_PLACES else []
        _comment(table, filled(_(_FOUND), {"places": ", ".join([*places, *more])}))
    _describe(table, properties, "kind")
    table.add("kind", proposal.kind)
    table.add("name", proposal.name)
    _comment(table, _(_OBJECTIVES))
    table.add("rto", proposal.rto)
    table.add("rpo", proposal.rpo)
    for key, value in options.items():
        _describe(table, properties, key)
        table.add(key, _value(value))
    return table


def _describe(table: Any, properties: Mapping[str, Any], key: str) -> None:
    description = resolved(properties[key]).get("description") if key in properties else None
    if description:
        _comment(table, _(description))


def _comment(container: Any, text: str) -> None:
    """A comment of one or several lines; what is in it cannot leave it."""
    import tomlkit

    for line in text.split("\n"):
        container.add(tomlkit.comment("".join(letter if letter.isprintable() else "?" for letter in line)))


def _value(value: Any) -> Any:
    """A value as TOML: short tables in one line, long lists in several."""
    import tomlkit

    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update({key: _value(item) for key, item in value.items()})
        return inline
    if isinstance(value, (list, tuple)):
        array = tomlkit.array()
        array.extend([_value(item) for item in value])
        return array.multiline(len(value) > 2)
    return value
