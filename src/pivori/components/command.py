"""A program whose standard output is the backup, and one whose standard input is the restore."""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Json,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Reveal,
    Sink,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.private_file import PrivateFile
from pivori.components.user_program import UserProgram
from pivori.errors import PivoriError
from pivori.host import forbid_core_dumps
from pivori.host.filter import NOWHERE
from pivori.translation import N_, ByteCount, Phrase

A_DAY: Final = 86400.0


class CommandSilent(ComponentFailed):
    """The user's program ended well, but its output was empty."""

    code = "user-command-silent"
    message = N_("{program} of the component {component} ended well, but printed nothing.")
    hint = N_("It has to write the backup to its standard output: run it by hand.")


class CommandUnfinished(ComponentFailed):
    """The user's program ended well before it had read all of the content."""

    code = "user-command-unfinished"
    message = N_("{program} of the component {component} ended before it had read all of the backup.")
    hint = N_("It has to read its standard input to the end: run it by hand.")


class NoRestoreCommand(ComponentFailed):
    """Nobody said how the content is brought back."""

    code = "no-restore-command"
    message = N_("The component {component} has no command that restores it.")
    hint = N_("Give it the option `restore`, or get the file with --to DIR.")


class ContentChanged(ComponentFailed):
    """The content is not what was captured."""

    code = "content-changed"
    message = N_("The file {path} of the component {component} is not what was captured.")
    hint = N_("Run `pivori verify`, and choose an earlier recovery point with --at.")


@dataclass(frozen=True, kw_only=True)
class CommandComponent:
    """Any program: ``capture_command`` writes the backup, ``restore_command`` reads it, ``check_command`` judges it.

    Each is a list of words, run in the folder of the stack without a shell. ``variables`` are set in the environment
    of these programs alone. ``timeout`` in seconds holds for each run.
    """

    kind: ClassVar[str] = "command"
    name: str
    capture_command: Sequence[str]
    restore_command: Sequence[str] = ()
    check_command: Sequence[str] = ()
    filename: str = "data"
    timeout: float = A_DAY
    variables: Mapping[str, Reveal] = field(default_factory=dict)
    consistency: Consistency = Consistency.PROGRAM

    def places(self) -> Sequence[Path]:
        """Only the program knows where it writes."""
        return []

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look whether the programs are there; none of them is run."""
        others = [words for words in (self.restore_command, self.check_command) if words]
        findings = [*self._program(self.capture_command, surroundings).missing(Gravity.FAILURE)]
        for words in others:
            findings += self._program(words, surroundings).missing(Gravity.WARNING)
        return Inspection(counts={"commands": 1 + len(others)}, findings=findings)

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Store what the program prints. Raises CommandFailed, CommandSilent, CommandSlow, CommandNotStarted."""
        forbid_core_dumps()
        program = self._program(self.capture_command, surroundings)
        with program.running(first=b"") as running:
            stored = sink.stream(self.filename, running.read)
            status = running.end()
        if not stored.size:
            raise CommandSilent(component=self.name, program=program.name)
        return Report(
            consistency=self.consistency,
            counts={"bytes": stored.size},
            statuses={program.name: status},
            facts={"filename": self.filename, "size": stored.size, "sha256": stored.sha256},
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Nothing waits for it."""

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Compare the content with the report; the program of the option ``check`` judges it."""
        try:
            content = _Content(source, self.name)
            if self.check_command:
                # It may end well without reading everything: `pg_restore --list` reads the beginning.
                self._feed(self.check_command, content, surroundings)
            else:
                content.read_all()
            content.require_unchanged()
        except PivoriError as error:
            return [failure_of(error)]
        return []

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say which program gets the content, or which file is written."""
        facts = source.report.facts
        size = ByteCount(facts["size"])
        if request.to is not None:
            place = request.to / facts["filename"]
            return RestorePlan(
                steps=[Phrase(N_("Write {size} to {path}."), size=size, path=str(place))],
                replaces=[Phrase(N_("{path} is moved aside."), path=str(place))] if os.path.lexists(place) else [],
                space={request.to: size},
            )
        if not self.restore_command:
            return RestorePlan(steps=[], findings=[failure_of(NoRestoreCommand(component=self.name))])
        program = self._program(self.restore_command, surroundings)
        return RestorePlan(
            steps=[Phrase(N_("Give {size} to {program}."), program=program.name, size=size)],
            replaces=[
                Phrase(
                    N_("Only {program} knows what it replaces, and keeps nothing aside unless it does so itself."),
                    program=program.name,
                )
            ],
            findings=program.missing(Gravity.FAILURE),
        )

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Give the content to the program, or write it to a file.

        Raises NoRestoreCommand, CommandFailed, CommandSlow, CommandUnfinished, ContentChanged, CommandNotStarted, and
        OSError where a file cannot be written.
        """
        forbid_core_dumps()
        content = _Content(source, self.name)
        if request.to is not None:
            place = request.to / source.report.facts["filename"]
            with PrivateFile(place) as file:
                for piece in content:
                    file.write(piece)
                content.require_unchanged()
                file.put(request.aside)
            checked = Phrase(N_("{path} has the digest of the backup."), path=str(place))
        elif self.restore_command:
            program = self.restore_command[0]
            if not self._feed(self.restore_command, content, surroundings):
                raise CommandUnfinished(component=self.name, program=program)
            content.require_unchanged()
            size = ByteCount(content.size)
            checked = Phrase(N_("{program} read {size} and ended well."), program=program, size=size)
        else:
            raise NoRestoreCommand(component=self.name)
        return Restored(bytes=content.size, checked=[checked], counts={"bytes": content.size})

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Nothing outlives a run."""
        return []

    def manual(self, report: Report) -> Sequence[str]:
        """The restore command with the file as its input."""
        filename = shlex.quote(report.facts["filename"])
        if not self.restore_command:
            return [f"# {filename} is what this has printed: {shlex.join(self.capture_command)}"]
        needed = [f'export {name}="${name}"' for name in self.variables]
        return [*needed, f"{shlex.join(self.restore_command)} < {filename}"]

    def _program(self, words: Sequence[str], surroundings: Surroundings) -> UserProgram:
        return UserProgram(
            component=self.name,
            words=words,
            directory=surroundings.root,
            timeout=self.timeout,
            variables=self.variables,
        )

    def _feed(self, words: Sequence[str], content: "_Content", surroundings: Surroundings) -> bool:
        """Run a program with the content on its standard input, and read the content to its end: whether it did too.

        Raises CommandFailed, CommandSlow, CommandNotStarted.
        """
        with self._program(words, surroundings).running(stdout=NOWHERE) as running:
            took_all = all(running.give(piece) for piece in content)
            running.end()
        content.read_all()
        return took_all


class _Content:
    """The content of a capture while it is read, once."""

    def __init__(self, source: Source, component: str) -> None:
        self._facts: Mapping[str, Json] = source.report.facts
        self._component = component
        self._pieces = iter(source.pieces(self._facts["filename"]))
        self._digest = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            self.size += len(piece)
            yield piece

    def read_all(self) -> None:
        """Read what is left of it."""
        for _piece in self:
            pass

    def require_unchanged(self) -> None:
        """Compare it with the report. Raises ContentChanged."""
        if (self.size, self._digest.hexdigest()) != (self._facts["size"], self._facts["sha256"]):
            raise ContentChanged(component=self._component, path=self._facts["filename"])
