"""How commands let people say which snapshots they mean: ``--host``, ``--tag``, ``--path``, and names.

A command takes them like this::

    @repository_command(...)
    @click.argument("snapshot", default="latest")
    @snapshot_filters
    def command(session: Session, snapshot: str, filters: SnapshotFilters) -> None:
        with session.app.open_repository(Access.READ) as (repository, lock):
            loaded, path = resolve(repository, snapshot, filters, on_damage=warn_of_damage(session.output))
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from pivori.cli.notices import tell_damage
from pivori.cli.output import Output
from pivori.engine.naming import OnDamage, SnapshotFilters, filtered_snapshots, named_or_filtered, named_subtree
from pivori.repository import LoadedSnapshot, Repository
from pivori.translation import _

__all__ = [
    "SnapshotFilters",
    "filtered_snapshots",
    "named_or_filtered",
    "resolve",
    "short_id",
    "snapshot_filters",
    "warn_of_damage",
]

_SHORT = 8


def snapshot_filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--host``, ``--tag`` and ``--path``; its function gets ``filters``."""

    @click.option(
        "-H", "--host", "filter_hosts", multiple=True, metavar=_("HOST"), help=_("Only snapshots of this host.")
    )
    @click.option(
        "--tag",
        "filter_tags",
        multiple=True,
        metavar=_("TAG[,TAG…]"),
        help=_("Only snapshots with all of these tags; given again, those that fit one of the lists."),
    )
    @click.option(
        "--path",
        "filter_paths",
        multiple=True,
        metavar=_("PATH"),
        help=_("Only snapshots that this path was backed up in."),
    )
    @wraps(function)
    def call(
        *arguments: Any,
        filter_hosts: tuple[str, ...],
        filter_tags: tuple[str, ...],
        filter_paths: tuple[str, ...],
        **parameters: Any,
    ) -> Any:
        filters = SnapshotFilters.parse(filter_hosts, filter_tags, map(os.path.abspath, filter_paths))
        return function(*arguments, filters=filters, **parameters)

    return call


def resolve(
    repository: Repository, text: str, filters: SnapshotFilters, *, on_damage: OnDamage | None = None
) -> tuple[LoadedSnapshot, bytes]:
    """The snapshot that ``SNAP`` or ``SNAP:/sub/dir`` names, and the path below its root, empty for the root itself.

    The filters count for ``latest`` and moments. Without ``on_damage``, a damaged snapshot met on the way raises.
    Raises SnapshotNotFound, AmbiguousSnapshot.
    """
    return named_subtree(repository, text, filters, on_damage=on_damage)


def warn_of_damage(output: Output) -> OnDamage:
    """What to do with damage that the command can do without: say so on standard error, and go on."""
    return lambda error: tell_damage(error, output)


def short_id(name: str) -> str:
    """The digits of an id that people see."""
    return name[:_SHORT]
