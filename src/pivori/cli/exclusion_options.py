"""What a backup or an archive leaves out: the options, and the patterns and markers that they stand for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import click

from pivori.engine.exclusion import CACHE_DIRECTORY_TAG, Marker
from pivori.engine.patterns import read_pattern_file
from pivori.translation import _


class ExclusionChoices(Protocol):
    """What :func:`exclusion_options` gave a command."""

    @property
    def exclude(self) -> tuple[str, ...]:
        """Patterns."""

    @property
    def exclude_file(self) -> tuple[str, ...]:
        """Files of patterns."""

    @property
    def exclude_caches(self) -> bool:
        """Whether caches that say so are left out."""

    @property
    def exclude_if_present(self) -> tuple[str, ...]:
        """Files that mark a folder to be left out."""


def exclusion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options about what is left out of the folders it reads."""
    options = (
        click.option(
            "-e", "--exclude", multiple=True, metavar=_("PATTERN"), help=_("Leave out, by a pattern as in .gitignore.")
        ),
        click.option(
            "--exclude-file",
            multiple=True,
            metavar=_("FILE"),
            type=click.Path(),
            help=_("Read such patterns from a file."),
        ),
        click.option("--exclude-caches", is_flag=True, help=_("Leave out folders marked by a CACHEDIR.TAG file.")),
        click.option(
            "--exclude-if-present",
            multiple=True,
            metavar=_("NAME[:HEADER]"),
            help=_("Leave out folders that hold a file of this name."),
        ),
        click.option("-x", "--one-file-system", is_flag=True, help=_("Do not enter other file systems.")),
    )
    for option in reversed(options):
        function = option(function)
    return function


def read_exclusions(options: ExclusionChoices) -> tuple[list[str], list[Marker]]:
    """The patterns and markers. To be called once in a run: a file of patterns may be a pipe."""
    patterns = list(options.exclude)
    for name in options.exclude_file:
        patterns += read_pattern_file(Path(name))
    markers = [Marker.parse(text) for text in options.exclude_if_present]
    if options.exclude_caches:
        markers.append(CACHE_DIRECTORY_TAG)
    return patterns, markers
