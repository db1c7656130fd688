"""The options of a retention policy, for commands that remove what no rule keeps."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from pivori.engine.durations import Duration
from pivori.engine.quantities import parse_count
from pivori.engine.retention import Policy, parse_tags
from pivori.translation import _

_COUNTED = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_WITHIN = ("within", "within_hourly", "within_daily", "within_weekly", "within_monthly", "within_yearly")


def keep_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command the options of the policy."""
    counted = {
        "last": _("Keep the last N snapshots."),
        "hourly": _("Keep the last snapshot of each of the last N hours that have one."),
        "daily": _("The same for days."),
        "weekly": _("The same for weeks."),
        "monthly": _("The same for months."),
        "yearly": _("The same for years."),
    }
    within = {
        "within": _("Keep all snapshots that are not older than this before the newest, as in 1y5m7d2h."),
        "within_hourly": _("Of these, keep one an hour."),
        "within_daily": _("Of these, keep one a day."),
        "within_weekly": _("Of these, keep one a week."),
        "within_monthly": _("Of these, keep one a month."),
        "within_yearly": _("Of these, keep one a year."),
    }
    options = [
        *(click.option(f"--keep-{name}", metavar=_("N"), help=text) for name, text in counted.items()),
        *(
            click.option(f"--keep-{name.replace('_', '-')}", metavar=_("DURATION"), help=text)
            for name, text in within.items()
        ),
        click.option(
            "--keep-tag", multiple=True, metavar=_("TAG[,TAG…]"), help=_("Keep snapshots with all of these tags.")
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def policy_from(parameters: dict[str, Any]) -> Policy:
    """The policy from the parameters that the options gave, which are taken out. Raises BadCount and BadDuration."""
    given = {name: parameters.pop(f"keep_{name}") for name in (*_COUNTED, *_WITHIN, "tag")}
    counts = {name: parse_count(given[name]) for name in _COUNTED if given[name] is not None}
    spans = {name: Duration.parse(given[name]) for name in _WITHIN if given[name] is not None}
    tags = tuple(parse_tags(text) for text in given["tag"])
    rules: dict[str, Any] = {**counts, **spans, "tags": tags}
    return Policy(**{rule.name: rules[rule.name] for rule in fields(Policy) if rule.name in rules})
