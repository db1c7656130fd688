"""``pivori archive create``: a directory into a portable file.

With ``--json``: ``status`` lines while it works, a warning for each file that could not be read, and one ``summary``.
With ``--explain`` instead one ``decision`` object for each thing that could be left out, and a ``summary`` of them.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import click

from pivori import __version__
from pivori.archives.container import ArchiveFormat, Effort
from pivori.cli.archive_options import (
    ArchiveKeys,
    absolute,
    archive_key_options,
    directory_of,
    directory_option,
    history_of,
    workers,
)
from pivori.cli.archive_sealing import Sealing, sealing_options
from pivori.cli.archive_writing import free_name, stream_and_tell, tell_difference, write_and_tell
from pivori.cli.exclusion_options import exclusion_options, read_exclusions
from pivori.cli.failures import UsageError
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.strategy import explain
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.archive.create import ArchivePlan, CreateRequest
from pivori.engine.archive.differential import BaseArchive, named_base, newest_base
from pivori.engine.archive.history import Estimate, estimate
from pivori.engine.archive.placing import prepare_directory
from pivori.engine.archive.planning import PlanRequest, check_space, plan_archive
from pivori.engine.exclusion import Exclusion
from pivori.engine.smart import SmartPlan, plan_smart
from pivori.engine.strategies import STRATEGIES, Strategy, StrategyName
from pivori.translation import _, ngettext


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    path: str
    strategy: str
    format: str | None
    directory: str | None
    output: str | None
    stdout: bool
    sealing: Sealing
    base: str | None
    exclude: tuple[str, ...]
    exclude_file: tuple[str, ...]
    exclude_caches: bool
    exclude_if_present: tuple[str, ...]
    one_file_system: bool
    explain: bool
    dry_run: bool

    @property
    def streams(self) -> bool:
        """Whether the archive goes to standard output."""
        return self.stdout or self.output == "-"


@repository_command(
    name="create",
    help=_(
        "Put a directory into a portable archive.\n\n"
        "The archive is written under a temporary name, read back and compared, and only then named "
        "`pivori-<strategy>-<time>`; its SHA-256 is written beside it. The strategy decides what goes in: `complete` "
        "everything, `smart` not what is proven to be made again, `compressed` everything as small as can be, "
        "`differential` what changed since the last complete archive."
    ),
    examples=[
        ("pivori archive create /srv/app", _("everything, into the directory of archives")),
        ("pivori archive create --strategy smart --explain /srv/app", _("what would be left out, and why")),
        ("pivori archive create --strategy differential -d /backups /srv/app", _("what changed since the last one")),
        ("pivori archive create -o - --format tar.zst . | ssh host 'cat > app.tar.zst'", _("elsewhere")),
    ],
)
@click.argument("path", metavar=_("PATH"))
@click.option(
    "-s",
    "--strategy",
    type=click.Choice([name.value for name in StrategyName]),
    default=StrategyName.COMPLETE.value,
    show_default=True,
    help=_("What goes in, and how hard to compress."),
)
@click.option(
    "--format",
    type=click.Choice([each.value for each in ArchiveFormat]),
    help=_("The kind of file; the strategy has a usual one."),
)
@directory_option
@click.option("-o", "--output", metavar=_("FILE"), help=_("Write this file; `-` is standard output."))
@click.option("--stdout", is_flag=True, help=_("The same as `--output -`."))
@sealing_options
@click.option("--base", metavar=_("FILE"), help=_("The archive that a differential one is relative to."))
@exclusion_options
@click.option("--explain", is_flag=True, help=_("Say what the smart strategy leaves out and why; write nothing."))
@click.option("-n", "--dry-run", is_flag=True, help=_("Only say what would be written."))
@archive_key_options
def command(session: Session, /, keys: ArchiveKeys, **parameters: object) -> int:
    """Plan, check, write, test."""
    options = Options(**parameters)  # type: ignore[arg-type]  # click gives the options as they are declared
    return _Creation(session, options, keys).run()


class _Creation:
    """One run of the command."""

    def __init__(self, session: Session, options: Options, keys: ArchiveKeys) -> None:
        self._session = session
        self._options = options
        self._keys = keys
        self._output = session.output
        self._strategy: Strategy = STRATEGIES[StrategyName(options.strategy)]
        self._root = Path(os.path.realpath(options.path))
        self._file = absolute(options.output) if options.output and options.output != "-" else None
        self._directory = self._file.parent if self._file is not None else directory_of(session, options.directory)
        self._format = _format(options, self._strategy, self._file)
        self._patterns, self._markers = read_exclusions(options)
        # Before the tree is listed: what changes from now on may have changed unseen.
        self._created = session.clock.now()
        self._started = session.clock.monotonic()

    def run(self) -> int:
        """Do it; returns the exit status."""
        options = self._options
        smart = self._smart()
        if options.explain and smart is None:
            reason = _("--explain is about the strategy `smart`; the others decide nothing.")
            raise UsageError(reason=reason, command="pivori archive create")
        if options.explain:
            explain(smart, self._output, root=os.fsencode(self._root))
            return 0
        if options.streams:
            _refuse_terminal(self._output)
        elif not options.dry_run:
            prepare_directory(self._directory)
        plan = self._plan(smart)
        known = estimate(
            history_of(self._session).runs(),
            strategy=plan.strategy,
            container=self._format.value,
            content=plan.bytes,
            root=str(self._root),
        )
        if options.dry_run:
            _tell_plan(plan, known, self._output)
            return 0
        request = self._request(plan)
        if options.streams:
            return stream_and_tell(self._session, request)
        check_space(plan, self._directory, known)
        path = self._file or free_name(self._directory, request)
        return write_and_tell(self._session, request, path, self._started)

    def _smart(self) -> SmartPlan | None:
        if not self._strategy.omits_rebuildable:
            return None
        root = os.fsencode(self._root)
        return plan_smart([root], exclusion=self._exclusion(), one_file_system=self._options.one_file_system)

    def _exclusion(self) -> Exclusion | None:
        """What is left out; a new object at each call, as one is for one walk."""
        exclusion = Exclusion(self._patterns, markers=self._markers, roots=[os.fsencode(self._root)])
        return exclusion if exclusion else None

    def _base(self) -> BaseArchive | None:
        if not self._strategy.is_relative:
            return None
        keys = self._keys.keys()
        if self._options.base is not None:
            return named_base(absolute(self._options.base), str(self._root), keys)
        return newest_base(self._directory, str(self._root), os.uname().nodename, keys)

    def _plan(self, smart: SmartPlan | None) -> ArchivePlan:
        root = os.fsencode(self._root)
        return plan_archive(
            PlanRequest(
                root=self._root,
                strategy=self._strategy.name.value,
                directory=self._directory,
                exclusion=self._exclusion() if smart is None else smart.exclusion(self._exclusion()),
                one_file_system=self._options.one_file_system,
                omitted=() if smart is None else smart.omissions(root),
                documents={} if smart is None else smart.documents,
                base=self._base(),
            )
        )

    def _request(self, plan: ArchivePlan) -> CreateRequest:
        request = CreateRequest(
            plan=plan,
            id=secrets.token_hex(16),
            created=self._created,
            host=os.uname().nodename,
            program=f"pivori {__version__}",
            format=self._format,
            effort=self._strategy.effort,
            keys=self._keys.keys(),
            workers=workers(),
        )
        return self._options.sealing.applied(request, self._keys)


def _format(options: Options, strategy: Strategy, file: Path | None) -> ArchiveFormat:
    """The format that was asked for, or that fits the file's name, the encryption or the strategy."""
    sealing = options.sealing
    if options.format is not None:
        chosen = ArchiveFormat(options.format)
    elif file is not None and (named := _format_of_name(file.name, sealing.envelope)) is not None:
        chosen = named
    elif options.streams and strategy.effort is Effort.SMALLEST:
        chosen = ArchiveFormat.TAR_ZST
    else:
        chosen = sealing.usual(strategy.archive_format)
    sealing.check(chosen, "pivori archive create")
    if options.streams and chosen is ArchiveFormat.SEVEN_ZIP:
        reason = _("A 7z file cannot be written to standard output; choose zip or tar.zst.")
        raise UsageError(reason=reason, command="pivori archive create")
    return chosen


def _format_of_name(name: str, envelope: str) -> ArchiveFormat | None:
    """The format that the ending of a name stands for, before that of the envelope."""
    name = name.removesuffix(f".{envelope}") if envelope else name
    return next((each for each in ArchiveFormat if name.endswith(f".{each}")), None)


def _refuse_terminal(output: Output) -> None:
    if output.stdout_is_terminal:
        reason = _("An archive is nothing for a terminal: send it to a file (`> files.zip`) or to a program.")
        raise UsageError(reason=reason, command="pivori archive create")


def _tell_plan(plan: ArchivePlan, known: Estimate | None, output: Output) -> None:
    output.record(
        {
            "message_type": "summary",
            "dry_run": True,
            "strategy": plan.strategy,
            "files": plan.files,
            "bytes": plan.bytes,
            "base": plan.base.name if plan.base is not None else None,
            "deleted": len(plan.deleted),
            "omitted": len(plan.omitted),
            "omitted_bytes": sum(omission.bytes for omission in plan.omitted),
            "expected_archive_bytes": known.archive_bytes if known is not None else None,
            "expected_duration": round(known.seconds, 1) if known is not None else None,
        }
    )
    tell_difference(plan, output)
    text = ngettext(
        "This was a rehearsal: {count} file, {size}.", "This was a rehearsal: {count} files, {size}.", plan.files
    )
    output.result(text.format(count=show_number(plan.files), size=show_bytes(plan.bytes)))
    if known is not None:
        text = _("By earlier runs, the archive takes about {size} and {duration}.")
        output.result(text.format(size=show_bytes(known.archive_bytes), duration=show_duration(known.seconds)))
