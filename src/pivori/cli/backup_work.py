"""What ``pivori backup`` is to back up: paths, patterns and the time, known before anything is opened or made."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pivori.cli.exclusion_options import read_exclusions
from pivori.cli.notices import tell_of_reading
from pivori.cli.output import Output
from pivori.cli.wording import show_path
from pivori.clock import Clock
from pivori.engine.backup import NothingToBackUp, resolve_source
from pivori.engine.exclusion import Exclusion, Marker
from pivori.engine.files_from import parse_patterns, parse_raw, parse_verbatim, read_list
from pivori.engine.search import NotASearchTime
from pivori.errors import PivoriError
from pivori.events import FileNotRead
from pivori.repository import parse_moment
from pivori.translation import _


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options that say what is backed up."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    exclude_file: tuple[str, ...]
    exclude_caches: bool
    exclude_if_present: tuple[str, ...]
    files_from: tuple[str, ...]
    files_from_verbatim: tuple[str, ...]
    files_from_raw: tuple[str, ...]
    stdin_from_command: str | None
    time: str | None


@dataclass(frozen=True, kw_only=True)
class BackupWork:
    """What is to be backed up. ``time_ns`` is the snapshot's time."""

    sources: list[bytes]
    patterns: list[str]
    markers: list[Marker]
    time_ns: int

    def exclusion(self) -> Exclusion | None:
        """What is left out; a new object at each call, as one is for one walk."""
        exclusion = Exclusion(self.patterns, markers=self.markers, roots=self.sources)
        return exclusion if exclusion else None


def backup_work(options: Choices, clock: Clock, output: Output) -> BackupWork:
    """Read the lists and patterns, each once: one may be a pipe. Raises NothingToBackUp where nothing is there."""
    time_ns = time_ns_of(options.time, clock)
    if options.stdin_from_command is not None:
        return BackupWork(sources=[_stream_path(options.stdin_from_command)], patterns=[], markers=[], time_ns=time_ns)
    patterns, markers = read_exclusions(options)
    work = BackupWork(sources=_sources(options, output), patterns=patterns, markers=markers, time_ns=time_ns)
    _demand_one(work.sources, output)
    exclusion = work.exclusion()
    if exclusion is None:
        return work
    sources = [path for path in work.sources if not exclusion.excludes_root(path, Path(os.fsdecode(path)).is_dir())]
    return replace(work, sources=sources)


def _demand_one(sources: Sequence[bytes], output: Output) -> None:
    """Make sure that there is something, before a repository is made for it."""
    failures = []
    for path in sources:
        try:
            os.lstat(path)
        except OSError as error:
            failures.append(FileNotRead(path=path, reason=error.strerror or str(error)))
    if sources and len(failures) == len(sources):
        for failure in failures:
            tell_of_reading(failure, output)
        raise NothingToBackUp


def _stream_path(name: str) -> bytes:
    return b"/" + os.fsencode(name).strip(b"/")


def _sources(options: Choices, output: Output) -> list[bytes]:
    """What to back up, absolute and without symbolic links, each once."""
    given = [os.fsencode(path) for path in options.paths]
    readers = (
        (options.files_from, parse_patterns),
        (options.files_from_verbatim, parse_verbatim),
        (options.files_from_raw, parse_raw),
    )
    for names, parse in readers:
        for name in names:
            listing = read_list(Path(name), parse)
            given += listing.paths
            for pattern in listing.unmatched:
                output.warn(
                    _("{path} in {file} matches nothing.").format(path=show_path(pattern), file=name),
                    name="pattern-matches-nothing",
                )
    here = os.fsencode(Path.cwd())
    return list(dict.fromkeys(resolve_source(path, here) for path in given))


def time_ns_of(text: str | None, clock: Clock) -> int:
    """The snapshot's time in nanoseconds since the epoch: as given, otherwise now. Raises NotASearchTime."""
    if not text:
        return clock.now_ns()
    try:
        return parse_moment(text, start=True)
    except PivoriError:
        raise NotASearchTime(text=text) from None
