"""A runbook as a document: Markdown in the user's language, short sentences, commands that can be copied."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from pivori.cli.failures import wording
from pivori.cli.stack_wording import finding_records, said, show_apart, show_moment, show_size
from pivori.cli.wording import show_duration, show_number
from pivori.components.base import Finding
from pivori.errors import PivoriError
from pivori.stack.markdown import code, code_block, plain
from pivori.stack.runbook import Runbook, RunbookStep, step_folder
from pivori.translation import _


@dataclass(frozen=True, kw_only=True)
class Commands:
    """How the commands of a runbook are written here. ``options`` are those that say where repository and stack are.

    ``selection`` are those that say what is wanted; ``repository`` is the place of the repository, for a new machine.
    """

    options: Sequence[str]
    selection: Sequence[str]
    repository: str

    def recover(self, *words: str) -> str:
        """A command line that recovers on this machine."""
        return shlex.join(["pivori", "recover", *self.options, *words])

    def backup(self) -> str:
        """The command line that makes the next recovery point."""
        return shlex.join(["pivori", "backup", *self.options])


def runbook_document(runbook: Runbook, commands: Commands) -> str:
    """The whole document."""
    return "\n\n".join(_Document(runbook, commands).paragraphs())


def runbook_record(runbook: Runbook, document: str) -> dict[str, object]:
    """The same for programs."""
    return {
        "message_type": "runbook",
        "stack": runbook.stack,
        "to": str(runbook.to) if runbook.to is not None else None,
        "contacts": {kind: value for kind, value in asdict(runbook.contacts).items() if value},
        "expected_seconds": runbook.seconds,
        "apart_seconds": runbook.spread,
        "steps": [_step_record(runbook, step) for step in runbook.steps],
        "lacking": [wording(error)[0] for error in runbook.lacking],
        "findings": finding_records(runbook.findings),
        "unreachable": wording(runbook.unreachable)[0] if runbook.unreachable is not None else None,
        "document": document,
    }


def _step_record(runbook: Runbook, step: RunbookStep) -> dict[str, object]:
    taken = step.taken
    return {
        "component": step.name,
        "kind": step.kind,
        "snapshot_id": taken.snapshot if taken is not None else None,
        "bytes": taken.bytes if taken is not None else None,
        "lost_seconds": runbook.lost_seconds(step),
        "expected_seconds": step.seconds,
        "rto": step.rto,
        "rpo": step.rpo,
        "findings": finding_records(step.findings),
        "done": step.is_done,
    }


class _Document:
    def __init__(self, runbook: Runbook, commands: Commands) -> None:
        self._runbook = runbook
        self._commands = commands
        self._where = ("--to", str(runbook.to)) if runbook.to is not None else ("--in-place",)

    def paragraphs(self) -> Iterator[str]:
        runbook = self._runbook
        yield "# " + _("Runbook: bring {stack} back").format(stack=code(runbook.stack))
        yield _("Written {moment}. Go from top to bottom; copy the commands, do not retype them.").format(
            moment=show_moment(runbook.now_ns)
        )
        if runbook.unreachable is not None:
            yield from self._unreachable(runbook.unreachable)
        yield from self._contacts()
        yield from self._what_comes_back()
        yield from self._one_command()
        yield from self._new_machine()
        yield "## " + _("Step by step")
        yield _("The command above does all of this by itself. Do it step by step only when one of the steps fails.")
        for number, step in enumerate(runbook.steps, 1):
            yield from self._step(number, step)
        yield from self._afterwards()

    def _unreachable(self, reason: PivoriError) -> Iterator[str]:
        message, hint = wording(reason)
        lines = [
            "**" + _("No recovery point could be looked at, so this is made of the configuration alone.") + "**",
            plain(f"{message} {hint}".rstrip()),
            _("Moments, sizes and the ways by hand are missing here. Run it again once the repository is there."),
        ]
        yield "\n".join(f"> {line}".rstrip() for line in "\n\n".join(lines).split("\n"))

    def _contacts(self) -> Iterator[str]:
        yield "## " + _("Call first")
        contacts = self._runbook.contacts
        known = [value for value in (contacts.email, contacts.chat, contacts.issues) if value]
        if not known:
            yield _("Nobody is named under [contacts] in pivori.toml. Call a colleague all the same: two see more.")
            return
        yield _items(code(value) for value in known)

    def _what_comes_back(self) -> Iterator[str]:
        runbook = self._runbook
        yield "## " + _("What comes back, and what is lost")
        oldest = runbook.oldest_ns
        if oldest is not None:
            lost = show_duration((runbook.now_ns - oldest) / 1e9, whole=True)
            lines = [
                _("The stack comes back as it was at {moment}.").format(moment=show_moment(oldest)),
                _("What was done after that is lost: {duration} so far.").format(duration=lost),
                show_apart(runbook.spread),
            ]
            yield _items(lines)
        else:
            yield _("The latest recovery point comes back; which one that is, only the repository can tell.")
        bad = [
            *(plain(wording(error)[0]) for error in runbook.lacking),
            *self._beyond_objectives(),
            *(_finding(finding) for finding in runbook.findings),
        ]
        if bad:
            yield "**" + _("Know before you begin:") + "**"
            yield _items(bad)

    def _beyond_objectives(self) -> Iterator[str]:
        for step in self._runbook.steps:
            lost = self._runbook.lost_seconds(step)
            if step.rpo is not None and lost is not None and lost > step.rpo:
                yield _("{component}: work of {lost} is lost; the objective is {objective} at most.").format(
                    component=code(step.name),
                    lost=show_duration(lost, whole=True),
                    objective=show_duration(step.rpo, whole=True),
                )

    def _one_command(self) -> Iterator[str]:
        runbook, commands = self._runbook, self._commands
        recover = commands.recover(*self._where, *commands.selection)
        yield "## " + _("The one command")
        yield _("First the plan, which changes nothing; then the recovery, which asks before it replaces anything:")
        yield code_block([f"{recover} --dry-run", recover])
        yield _items(
            [
                _("Expected to take: {time}.").format(time=_expected(runbook.seconds)),
                _("What is replaced is kept aside, under a name with “.aside-” in it."),
                _("If it stops, run the same command again: it goes on where it was."),
                _("When it says that the stack was recovered, go to “Afterwards”."),
            ]
        )

    def _new_machine(self) -> Iterator[str]:
        commands = self._commands
        yield "## " + _("If the machine is lost")
        yield _("Install Pivori on a new one. The repository and its password are all it needs:")
        yield code_block(
            [
                f"REPOSITORY={shlex.quote(commands.repository)}",
                "PASSWORD_FILE=…",
                'pivori recover -r "$REPOSITORY" --password-file "$PASSWORD_FILE" '
                + shlex.join(["--stack", self._runbook.stack, *self._where, *_without("--stack", commands.selection)]),
            ]
        )

    def _step(self, number: int, step: RunbookStep) -> Iterator[str]:
        yield "### " + _("Step {number}: {component} ({kind})").format(
            number=number, component=code(step.name), kind=plain(step.kind)
        )
        if step.is_done:
            yield _("This is back already.")
            return
        yield _items(self._facts(step))
        yield code_block([self._command_of(step)])
        if step.does:
            yield _items(plain(said(text)) for text in step.does)
        yield "**" + _("It worked when:") + "**"
        yield _items(_proofs(step))
        yield "**" + _("If it fails:") + "**"
        yield _items(self._ways_out(step))
        yield from self._by_hand(step)

    def _facts(self, step: RunbookStep) -> Iterator[str]:
        taken = step.taken
        if taken is not None:
            size = show_size(taken.files, taken.bytes)
            yield _("Comes back: {size}, as of {moment}").format(size=size, moment=show_moment(taken.moment_ns))
        yield _("Expected to take: {time}.").format(time=_expected(step.seconds))
        if step.rto is not None:
            yield _("Objective: back within {duration}.").format(duration=show_duration(step.rto, whole=True))
        for sentence in step.replaces:
            yield _("Replaced: {what}").format(what=plain(said(sentence)))
        yield from (_finding(finding) for finding in step.findings)

    def _command_of(self, step: RunbookStep) -> str:
        runbook, commands = self._runbook, self._commands
        where = ("--to", str(step_folder(runbook.to, step.name))) if runbook.to is not None else ("--in-place",)
        return commands.recover(*where, *_without("--component", commands.selection), "--component", step.name)

    def _ways_out(self, step: RunbookStep) -> Iterator[str]:
        yield _("Read the lines “Error” and “Hint”, do what the hint says, and run the same command again.")
        known = [value for value in asdict(self._runbook.contacts).values() if value]
        if known:
            contacts = ", ".join(code(value) for value in known)
            yield _("If it fails twice, call {contacts}; send them what is on the screen.").format(contacts=contacts)
        yield _("Take an earlier moment with --at, or do it by hand, as below.")

    def _by_hand(self, step: RunbookStep) -> Iterator[str]:
        taken = step.taken
        yield "**" + _("By hand, without Pivori:") + "**"
        restic = 'restic -r "$REPOSITORY" --password-file "$PASSWORD_FILE"'
        if taken is None:
            yield _("The file RECOVERY.md in each recovery point has the commands:")
            tag = shlex.quote(f"stack={self._runbook.stack}")
            yield code_block([f"{restic} dump --tag {tag} latest /RECOVERY.md"])
            return
        place = shlex.quote(f"/{step.name}")
        yield code_block(
            [
                f"REPOSITORY={shlex.quote(self._commands.repository)}",
                "PASSWORD_FILE=…",
                "PLACE=…",
                f'{restic} restore {taken.snapshot[:12]} --include {place} --target "$PLACE"',
                f'cd "$PLACE"/{shlex.quote(step.name)}',
                *taken.manual,
            ]
        )

    def _afterwards(self) -> Iterator[str]:
        yield "## " + _("Afterwards")
        yield _items(
            [
                _("Look at the application as its users do."),
                _("Make a new recovery point at once: {command}").format(command=code(self._commands.backup())),
                _("Remove what was kept aside only when somebody else has looked too."),
                _("Write down what happened, and how long it took."),
            ]
        )


def _proofs(step: RunbookStep) -> Iterator[str]:
    yield _("The command ends with “{component} is back” and exit status 0.").format(component=plain(step.name))
    if step.check:
        yield _("This shows it: {command}").format(command=code(step.check))
    if step.taken is not None and step.taken.counts:
        counts = ", ".join(f"{plain(name)} {show_number(count)}" for name, count in step.taken.counts.items())
        yield _("The numbers are these: {counts}").format(counts=counts)


def _expected(seconds: float | None) -> str:
    """About how long something takes, as the last time."""
    if seconds is None:
        return _("no measurement yet")
    return _("about {duration}, as the last time").format(duration=show_duration(max(seconds, 1), whole=True))


def _finding(finding: Finding) -> str:
    hint = said(finding.hint) if finding.hint is not None else ""
    return f"**{plain(said(finding.message))}** {plain(hint)}".rstrip()


def _without(option: str, selection: Sequence[str]) -> list[str]:
    """The words of a selection but for an option, which has a value."""
    kept = list(selection)
    while option in kept:
        place = kept.index(option)
        del kept[place : place + 2]
    return kept


def _items(lines: Iterator[str] | Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
