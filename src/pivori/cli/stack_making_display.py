"""How ``pivori init FOLDER`` tells what it found, what it proposes, and what it made.

With ``--json``: a ``proposal`` object (``stack``, ``root``, ``found``, ``components``, ``findings``), the repository's
``initialized`` object where one was made, a ``made`` object (``path``, ``identity_file``), and the ``inspection``
objects of the first check.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pivori.cli.output import Output
from pivori.cli.stack_making import Made, MakingPlan
from pivori.cli.stack_wording import finding_records, said, tell_findings
from pivori.stack.discovery.evidence import Discovery
from pivori.stack.discovery.proposing import Proposal, Proposals
from pivori.translation import _

_MOST_PLACES = 4


def show_proposals(proposals: Proposals, output: Output) -> None:
    """What was found and why, then the components that are made of it."""
    output.record(
        {
            "message_type": "proposal",
            "stack": proposals.name,
            "root": proposals.root,
            "found": [_discovery_record(found) for found in proposals.discoveries],
            "components": [_proposal_record(component) for component in proposals.components],
            "findings": finding_records(proposals.attention),
        }
    )
    if proposals.discoveries:
        rows = [[said(found.what), _places(found.why)] for found in proposals.discoveries]
        output.table([_("Found"), _("Where")], rows)
        output.result("")
    headers = [_("Component"), _("Kind"), _("Back within"), _("At most lost"), _("Options")]
    output.table(headers, [_row(component) for component in proposals.components])
    tell_findings(proposals.name, proposals.attention, output)


def show_made(plan: MakingPlan, made: Made, output: Output) -> None:
    """Where everything is, and what must not be lost."""
    output.record({"message_type": "made", "path": made.path, "identity_file": made.identity})
    output.result(_("New configuration: {path}").format(path=made.path))
    if made.identity is None:
        return
    if made.is_new:
        output.result(_("New private key:   {path}").format(path=made.identity))
    else:
        output.result(_("Private key:       {path}").format(path=made.identity))
    output.result(
        _("Secrets open with this key alone. KEEP A COPY OF IT ELSEWHERE NOW: whoever loses it loses the secrets.")
    )


def _row(component: Proposal) -> list[str]:
    options = ", ".join(f"{key} = {_shown(value)}" for key, value in component.options.items())
    return [component.name, component.kind, component.rto, component.rpo, options]


def _shown(value: Any) -> str:
    """An option in a few words."""
    if isinstance(value, Mapping):
        return " ".join(str(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        more = ["…"] if len(value) > _MOST_PLACES else []
        return " ".join([*(str(item) for item in value[:_MOST_PLACES]), *more])
    return str(value).lower() if isinstance(value, bool) else str(value)


def _places(why: Sequence[object]) -> str:
    more = ["…"] if len(why) > _MOST_PLACES else []
    return ", ".join([*(str(place) for place in why[:_MOST_PLACES]), *more])


def _discovery_record(found: Discovery) -> dict[str, object]:
    where = [{"path": place.path, "line": place.line} for place in found.why]
    return {"topic": found.topic.value, "what": said(found.what), "where": where}


def _proposal_record(component: Proposal) -> dict[str, object]:
    return {
        "name": component.name,
        "kind": component.kind,
        "rto": component.rto,
        "rpo": component.rpo,
        "options": dict(component.options),
    }
