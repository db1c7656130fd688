"""The menu at work: it shows how things stand, asks, and runs the command that was chosen; until somebody leaves."""

from collections.abc import Sequence
from functools import partial

import click

from pivori.archives.naming import parse_name
from pivori.cli.archive_options import history_of
from pivori.cli.archive_wording import archive_age, verdict_word
from pivori.cli.failures import DONE, INTERRUPTED, wording
from pivori.cli.forwarding import attempt, told
from pivori.cli.menu.choosing import Chooser, Option
from pivori.cli.menu.entries import ENTRIES, STRATEGIES, Deed
from pivori.cli.run_log import RunLog, last_lines
from pivori.cli.script_verbs import DAYS, Places, create_line, list_line, prune_line, restore_line, verify_line
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number
from pivori.engine.archive.history import Operation, Run, expect, expect_seconds
from pivori.engine.archive.inventory import Listed, list_archives
from pivori.engine.archive.placing import free_bytes
from pivori.engine.strategies import StrategyName
from pivori.errors import PivoriError
from pivori.translation import _

_KEYS = "123456789abcdefghijklmnopqrstuvw"
"""What the archives of a list are chosen by; older ones can be typed in."""
_BACK, _OTHER, _ALL = "", "\0other", "\0all"
_LINES_OF_LOG = 30


class Dialogue:
    """The menu of one project."""

    def __init__(self, session: Session, places: Places, chooser: Chooser, log: RunLog) -> None:
        self._session = session
        self._context = click.get_current_context()
        self._places = places
        self._chooser = chooser
        self._log = log
        self._output = session.output

    def run(self) -> int:
        """Ask and act until somebody quits; returns the exit status."""
        while True:
            runs = history_of(self._session).runs()
            self._greet(runs)
            try:
                chosen = self._chooser.choose(_("What do you want to do?"), self._options(runs))
            except EOFError:
                return DONE
            except KeyboardInterrupt:
                return INTERRUPTED
            if chosen == Deed.QUIT:
                return DONE
            try:
                self._act(Deed(chosen), runs)
            except (EOFError, KeyboardInterrupt):
                self._output.say()

    def _greet(self, runs: Sequence[Run]) -> None:
        """The project and its archives, in two lines."""
        output, places = self._output, self._places
        output.say()
        output.say(_("Project: {path}").format(path=places.project))
        archives = self._archives(runs)
        text = _("Archives: {count} in {path}, {size}")
        size = show_bytes(sum(each.size for each in archives))
        line = text.format(count=show_number(len(archives)), path=places.archives, size=size)
        if places.archives.is_dir():
            line += _("; {size} free").format(size=show_bytes(free_bytes(places.archives)))
        if archives:
            line += _("; the newest is {age} old").format(age=archive_age(archives[-1], self._session.clock.now()))
        output.say(line)

    def _archives(self, runs: Sequence[Run]) -> list[Listed]:
        """The archives there are, the oldest first; why they cannot be listed is told."""
        try:
            return list_archives(self._places.archives, runs) if self._places.archives.exists() else []
        except PivoriError as error:
            self._output.warn(wording(error)[0])
        except OSError as error:
            self._output.warn(f"{self._places.archives}: {_(error.strerror or str(error))}")
        return []

    def _options(self, runs: Sequence[Run]) -> list[Option]:
        root = str(self._places.project)
        options = []
        for entry in ENTRIES:
            strategy = STRATEGIES.get(entry.deed)
            expected = expect(runs, strategy=strategy.value, root=root) if strategy is not None else None
            options.append(Option(entry.key, entry.title(expected), entry.deed.value))
        return options

    def _act(self, deed: Deed, runs: Sequence[Run]) -> None:
        """Do what was chosen. Raises EOFError and KeyboardInterrupt for who leaves a question."""
        if deed in (Deed.LIST, Deed.CLEAN) and not self._places.archives.exists():
            self._output.result(_("There is no archive in {directory}.").format(directory=self._places.archives))
        elif deed in STRATEGIES:
            self._run(deed, create_line(STRATEGIES[deed].value, self._places))
        elif deed is Deed.RESTORE:
            self._restore(runs)
        elif deed is Deed.VERIFY:
            self._verify(runs)
        elif deed is Deed.CLEAN:
            self._clean()
        elif deed is Deed.LOG:
            told(self._session.runtime, self._show_log)
        else:
            attempt(self._context, list_line(self._places))

    def _run(self, deed: Deed, line: Sequence[str]) -> None:
        self._log.record(deed.value, self._output, partial(attempt, self._context, line))

    def _restore(self, runs: Sequence[Run]) -> None:
        file = self._pick(_("Which archive is to be restored?"), runs, Operation.RESTORE)
        if file == _BACK:
            return
        options = []
        name = parse_name(file.rpartition("/")[2])
        if name is not None and name.strategy == StrategyName.SMART:
            answers = [Option("1", _("Yes"), "--rebuild"), Option("2", _("No"), "")]
            options = [self._chooser.choose(_("Make again what was left out of it?"), answers)]
        self._run(Deed.RESTORE, restore_line(file, self._places, list(filter(None, options))))

    def _verify(self, runs: Sequence[Run]) -> None:
        file = self._pick(_("Which archive is to be verified?"), runs, Operation.VERIFY)
        if file == _ALL:
            self._run(Deed.VERIFY, verify_line([], self._places, ["--all"]))
        elif file != _BACK:
            self._run(Deed.VERIFY, verify_line([file], self._places))

    def _clean(self) -> None:
        days = self._chooser.type(_("Remove archives that are older than how many days?"), str(DAYS))

        def act() -> int:
            # Shows what would go and why the rest stays, and asks.
            return attempt(self._context, prune_line(days, self._places, ["--ask"]))

        self._log.record(Deed.CLEAN.value, self._output, partial(told, self._session.runtime, act))

    def _pick(self, question: str, runs: Sequence[Run], operation: Operation) -> str:
        """The path of an archive that somebody chose, or one of the other answers."""
        found = self._archives(runs)[::-1][: len(_KEYS)]
        now = self._session.clock.now()
        options = []
        for key, each in zip(_KEYS, found, strict=False):
            facts = [archive_age(each, now), show_bytes(each.size), verdict_word(each)]
            seconds = expect_seconds(runs, operation, each.size)
            if seconds is not None:
                facts.append(_("about {duration}").format(duration=show_duration(seconds)))
            options.append(Option(key, f"{each.path.name}  ({', '.join(facts)})", str(each.path)))
        if operation is Operation.VERIFY and found:
            options.append(Option("y", _("All of them"), _ALL))
        options += [Option("z", _("Another file"), _OTHER), Option("0", _("Back"), _BACK)]
        chosen = self._chooser.choose(question, options)
        return self._chooser.type(_("Which file?"), "") if chosen == _OTHER else chosen

    def _show_log(self) -> int:
        if self._log.path is None:
            self._output.say(_("There is no log."))
            return DONE
        for line in last_lines(self._log.path, _LINES_OF_LOG):
            self._output.result(line)
        self._output.say(_("The whole log: {path}").format(path=self._log.path))
        return DONE
