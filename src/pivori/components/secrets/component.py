"""The component: files and outputs of commands, each sealed before it enters the repository."""

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

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
from pivori.components.secrets.capturing import Capturing
from pivori.components.secrets.facts import COMMANDS, ELSEWHERE, FILES, Facts, SealedSecret, from_json, to_json
from pivori.components.secrets.found_files import FoundFiles, find_files, place_of
from pivori.components.secrets.restore_note import RestoreNote
from pivori.components.secrets.restoring import Restoring
from pivori.components.secrets.seal_notes import SealNotes
from pivori.components.secrets.sealing import MOST_SEALED, Opener, SealBroken, Sealer, unsealed_recipients
from pivori.components.secrets.secret_command import SecretCommand
from pivori.errors import PivoriError
from pivori.host import forbid_core_dumps
from pivori.translation import N_, Phrase


class SecretMissing(ComponentFailed):
    """A file that is named in the configuration is not there."""

    code = "secret-missing"
    message = N_("The component {component} misses the file {path}.")
    hint = N_("Bring it back, or take it out of the option `files`.")


class NoSecrets(ComponentFailed):
    """There is nothing to seal."""

    code = "no-secrets"
    message = N_("The component {component} has found no secret.")
    hint = N_("Check the options `files` and `commands`.")


class ReportNotUnderstood(ComponentFailed):
    """What a capture says of itself was not written by this kind of component."""

    code = "secrets-report-not-understood"
    message = N_("What the recovery point says of the secrets of the component {component} cannot be understood.")
    hint = N_("Open the files with `age -d`, as RECOVERY.md says.")


class IdentityUnreadable(ComponentFailed):
    """The file that is said to hold the private key cannot be read."""

    code = "identity-unreadable"
    message = N_("The private key cannot be read from {path}: {reason}.")
    hint = N_("Correct the setting `identity`, or the file's permissions.")


def _read_identity(path: str) -> str:
    """The content of an identity file. Raises IdentityUnreadable."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise IdentityUnreadable(path=path, reason=error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise IdentityUnreadable(path=path, reason=N_("it is no text")) from None


@dataclass(frozen=True, kw_only=True)
class SecretsComponent:
    """Files and outputs of commands that only the holder of a private key can read in the repository.

    ``files`` are paths and patterns seen from ``root``, ``recipients`` texts or files of such. ``identity`` gives the
    private key; nothing but a restore needs it. ``restore_commands_to`` is the folder that outputs of commands go to
    in a restore in place; None: they are not written then.
    """

    kind: ClassVar[str] = "secrets"
    name: str
    root: Path
    files: Sequence[str] = ()
    commands: Sequence[SecretCommand] = ()
    recipients: Sequence[str] = ()
    identity: Reveal | None = None
    restore_commands_to: str | None = None

    def places(self) -> Sequence[Path]:
        """The files, as far as the configuration tells: a pattern stands for itself."""
        places = [place_of(self.root, pattern) for pattern in self.files]
        return places if self.restore_commands_to is None else [*places, self.root / self.restore_commands_to]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """Look which files are there and whether the programs of the commands are; none of them is run."""
        found = find_files(self.root, self.files)
        failed: list[PivoriError] = [SecretMissing(component=self.name, path=path) for path in found.missing]
        try:
            Sealer(self.recipients, self.root, self.name)
        except PivoriError as error:
            failed.append(error)
        if not found.files and not self.commands:
            failed.append(NoSecrets(component=self.name))
        findings = [failure_of(error) for error in failed]
        findings += [
            Finding(gravity=Gravity.FAILURE, message=Phrase(N_("{path} cannot be read."), path=str(path)))
            for path in found.files
            if not os.access(path, os.R_OK)
        ]
        findings += [
            Finding(gravity=Gravity.WARNING, message=message, hint=Phrase(N_("Check the option `files`.")))
            for message in _doubts(found)
        ]
        for command in self.commands:
            findings += command.missing(self.root)
        return Inspection(
            size=sum(path.stat().st_size for path in found.files),
            counts={"files": len(found.files), "commands": len(self.commands)},
            findings=findings,
        )

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Seal everything; all of it, or nothing is worth much.

        Raises SecretMissing, SecretUnreadable, SecretCommandFailed, NoSecrets, NoRecipients, BadRecipient.
        """
        forbid_core_dumps()
        sealer = Sealer(self.recipients, self.root, self.name)
        found = find_files(self.root, self.files)
        for path in found.missing:
            raise SecretMissing(component=self.name, path=path)
        if not found.files and not self.commands:
            raise NoSecrets(component=self.name)
        notes = SealNotes(surroundings.state)
        previous = None if sink.previous is None else _facts_or_none(sink.previous.facts)
        capturing = Capturing(sink, sealer, notes, previous=previous, root=self.root, component=self.name)
        for file in found.files:
            capturing.take_file(file)
        for command in self.commands:
            capturing.take_command(command)
        warnings = [*_doubts(found)]
        try:
            notes.save()
        except OSError as error:
            reason = error.strerror or str(error)
            warnings.append(Phrase(N_("The next capture will seal every secret anew: {reason}."), reason=reason))
        return Report(
            consistency=Consistency.FILES,
            counts={"files": len(found.files), "commands": len(self.commands)},
            statuses={command.name: 0 for command in self.commands},
            facts=to_json(capturing.facts()),
            warnings=warnings,
        )

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Forget what older seals held: only the newest are compared with."""
        facts = self._facts(report)
        notes = SealNotes(surroundings.state)
        notes.forget_others({secret.sha256 for secret in facts.secrets})
        notes.save()

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Check that every seal is unchanged and made for all recipients; where the private key is, that it opens."""
        forbid_core_dumps()
        try:
            facts = self._facts(source.report)
        except PivoriError as error:
            return [failure_of(error)]
        opener = Opener(self.identity, self.name)
        with suppress(PivoriError):  # the private key is not meant to be on the machine that backs up
            opener.look_up()
        notes = SealNotes(surroundings.state)
        findings = []
        for secret in facts.secrets:
            try:
                self._check(secret, source, facts.recipients, opener, notes)
            except PivoriError as error:
                findings.append(failure_of(error))
        if not facts.secrets:
            findings.append(failure_of(NoSecrets(component=self.name)))
        return findings

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """Say which files would be written. Without the private key nothing can be."""
        forbid_core_dumps()
        return self._restoring(source, request, surroundings).plan()

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """Open the seals and write the files.

        Raises NoIdentity, WrongIdentity, SealBroken, SecretNotWritten, ReportNotUnderstood.
        """
        forbid_core_dumps()
        return self._restoring(source, request, surroundings).apply()

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Remove the file that a restore was writing when it was killed."""
        return [
            Phrase(N_("What a restore had written of {path} when it was killed was removed."), path=str(place))
            for place in RestoreNote(surroundings.state).clean()
        ]

    def manual(self, report: Report) -> Sequence[str]:
        """A line of ``age`` for each secret."""
        lines = ["umask 077"]
        for secret in self._facts(report).secrets:
            top = {FILES: '"$ROOT"/', ELSEWHERE: "/", COMMANDS: '"$SECRETS"/'}[secret.folder]
            place = top + shlex.quote(secret.path)
            lines += [
                f'mkdir -p "$(dirname {place})"',
                f'age -d -i "$IDENTITY" -o {place} {shlex.quote(secret.member)}',
            ]
            if (ownership := secret.ownership) is not None:
                owner = f"{ownership.user or ownership.uid}:{ownership.group or ownership.gid}"
                lines += [f"chown {shlex.quote(owner)} {place} && chmod {ownership.mode:04o} {place}"]
        return lines

    def _restoring(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restoring:
        return Restoring(
            source,
            request,
            surroundings,
            facts=self._facts(source.report),
            opener=Opener(self._identity_of(request), self.name),
            commands_to=self.restore_commands_to,
        )

    def _identity_of(self, request: RestoreRequest) -> Reveal | None:
        """What gives the private key: the file in the setting ``identity``, otherwise what the configuration names."""
        given = request.settings.get("identity")
        return self.identity if given is None else lambda: _read_identity(given)

    def _check(
        self, secret: SealedSecret, source: Source, recipients: Sequence[str], opener: Opener, notes: SealNotes
    ) -> None:
        """Check a seal. Raises SealBroken, WrongIdentity, NotCaptured."""
        sealed = source.read(secret.member, MOST_SEALED)

        def require(is_sound: bool, reason: str) -> None:
            if not is_sound:
                raise SealBroken(component=self.name, path=secret.path, reason=reason)

        require(hashlib.sha256(sealed).hexdigest() == secret.sha256, N_("it is not what was captured"))
        try:
            left_out = unsealed_recipients(sealed, recipients)
        except ValueError:
            require(False, N_("it is no file of age"))
        else:
            require(not left_out, N_("it is not for all of the recipients"))
        if opener.is_ready:
            content = opener.open(sealed, secret.path)
            is_known = notes.holds(secret.sha256, secret.member, content)
            require(len(content) == secret.size and is_known is not False, N_("it holds something else"))

    def _facts(self, report: Report) -> Facts:
        facts = _facts_or_none(report.facts)
        if facts is None:
            raise ReportNotUnderstood(component=self.name)
        return facts


def _facts_or_none(facts: Mapping[str, Json]) -> Facts | None:
    try:
        return from_json(facts)
    except msgspec.ValidationError:
        return None


def _doubts(found: FoundFiles) -> list[Phrase]:
    """What may be missing without anybody noticing."""
    idle = [Phrase(N_("No file matches {pattern}."), pattern=pattern) for pattern in found.idle]
    return idle + [Phrase(N_("The folder {path} cannot be looked into."), path=path) for path in found.closed]
