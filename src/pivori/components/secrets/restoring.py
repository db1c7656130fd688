"""Bringing secrets back: opened in memory, and written to where nobody else can read them at any moment."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pivori.components.base import (
    ComponentFailed,
    Finding,
    Gravity,
    Restored,
    RestorePlan,
    RestoreRequest,
    Source,
    Surroundings,
    failure_of,
)
from pivori.components.private_file import PrivateFile
from pivori.components.secrets.facts import COMMANDS, ELSEWHERE, FILES, Facts, SealedSecret
from pivori.components.secrets.ownership import hand_over, is_handed_over
from pivori.components.secrets.restore_note import RestoreNote
from pivori.components.secrets.sealing import MOST_SEALED, Opener
from pivori.errors import PivoriError
from pivori.translation import N_, Phrase

_NOT_ASKED: Final = N_("What the command {name} printed is not written in place.")
_HOW_TO_ASK: Final = N_("Name a folder for it with the option `restore-commands-to`, or restore with --to DIR.")


class SecretNotWritten(ComponentFailed):
    """A secret could not be put where it belongs."""

    code = "secret-not-written"
    message = N_("The secret {path} of the component {component} could not be written: {reason}.")
    hint = N_("Mend what the reason says, then run the command again: it goes on where it stopped.")


class Restoring:
    """A restore of a capture, planned or done.

    ``commands_to`` is the folder that outputs of commands go to in a restore in place; None: to none.
    """

    def __init__(
        self,
        source: Source,
        request: RestoreRequest,
        surroundings: Surroundings,
        *,
        facts: Facts,
        opener: Opener,
        commands_to: str | None,
    ) -> None:
        self._source = source
        self._request = request
        self._surroundings = surroundings
        self._facts = facts
        self._opener = opener
        self._commands_to = commands_to
        self._remaining: list[Phrase] = []

    def plan(self) -> RestorePlan:
        """What would be written and replaced; secrets that are there as they were captured are left alone."""
        steps: list[Phrase] = []
        replaces: list[Phrase] = []
        findings: list[Finding] = []
        space = 0
        for secret, place in self._places():
            if not findings:
                try:
                    if self._is_there(secret, place, self._open(secret)):
                        continue
                except PivoriError as error:
                    # Once: without the right key all the others fail as well.
                    findings.append(failure_of(error))
            space += secret.size
            steps.append(Phrase(N_("Open {member} and write it to {path}."), member=secret.member, path=str(place)))
            if os.path.lexists(place):
                replaces.append(Phrase(N_("{path} is moved aside."), path=str(place)))
        if not steps:
            steps.append(Phrase(N_("Nothing: the secrets are there as they were captured.")))
        for name in self._unwanted():
            message = Phrase(_NOT_ASKED, name=name)
            findings.append(Finding(gravity=Gravity.WARNING, message=message, hint=Phrase(_HOW_TO_ASK)))
        return RestorePlan(steps=steps, replaces=replaces, space={self._request.root: space}, findings=findings)

    def apply(self) -> Restored:
        """Write what is missing or differs.

        Raises NoIdentity, WrongIdentity, SealBroken, SecretNotWritten, and what reading the capture raises.
        """
        places = list(self._places())
        note = RestoreNote(self._surroundings.state)
        written = 0
        try:
            note.write([place for _secret, place in places])
            for secret, place in places:
                written += self._bring(secret, place)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SecretNotWritten(component=self._opener.component, path=error.filename, reason=reason) from None
        finally:
            note.remove()
        checked = Phrase(N_("Secrets that were opened and read back in their places: {count}."), count=len(places))
        for name in self._unwanted():
            self._remaining += [Phrase(_NOT_ASKED, name=name), Phrase(_HOW_TO_ASK)]
        return Restored(bytes=written, checked=[checked], remaining=self._remaining, counts={"secrets": len(places)})

    def _places(self) -> Iterator[tuple[SealedSecret, Path]]:
        """The secrets that are wanted, and where they go."""
        request = self._request
        for secret in self._facts.secrets:
            if secret.folder == FILES:
                yield secret, request.root / secret.path
            elif secret.folder == ELSEWHERE:
                yield secret, (Path("/") if request.to is None else request.to) / secret.path
            elif request.to is not None:
                yield secret, request.to / COMMANDS / secret.path
            elif self._commands_to is not None:
                yield secret, request.root / self._commands_to / secret.path

    def _unwanted(self) -> Sequence[str]:
        """The commands whose output goes nowhere."""
        if self._request.to is not None or self._commands_to is not None:
            return []
        return [secret.path for secret in self._facts.secrets if secret.folder == COMMANDS]

    def _open(self, secret: SealedSecret) -> bytes:
        return self._opener.open(self._source.read(secret.member, MOST_SEALED), secret.path)

    def _bring(self, secret: SealedSecret, place: Path) -> int:
        """Write a secret unless it is there: the bytes written. Raises OSError."""
        content = self._open(secret)
        if self._is_there(secret, place, content):
            return 0
        self._make_folders(secret, place)
        with PrivateFile(place) as file:
            file.write(content)
            if secret.ownership is not None:
                ns = secret.ownership.mtime_ns
                os.utime(file.descriptor, ns=(ns, ns))
                if not hand_over(file.descriptor, secret.ownership):
                    self._remaining.append(_give_by_hand(place, secret))
            file.put(self._request.aside)
        if not _has_content(place, content):
            raise SecretNotWritten(
                component=self._opener.component, path=str(place), reason=N_("something else is there now")
            )
        return len(content)

    def _is_there(self, secret: SealedSecret, place: Path, content: bytes) -> bool:
        """Whether a file is as it was captured: its content, its owner and its permissions."""
        try:
            status = place.lstat()
            if secret.ownership is None:
                is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077
            else:
                is_ours = is_handed_over(status, secret.ownership)
            return is_ours and _has_content(place, content)
        except OSError:
            return False

    def _make_folders(self, secret: SealedSecret, place: Path) -> None:
        """Make the missing folders as they were; what has its place below the component's own stays private."""
        if self._request.to is not None and secret.folder != FILES:
            return
        names = [secret.member]
        while names[-1]:
            names.append(names[-1].rpartition("/")[0])
        for folder, name in reversed(list(zip(place.parents, names[1:], strict=False))):
            ownership = self._facts.folders.get(name)
            if ownership is None or folder.exists():
                continue
            folder.mkdir(mode=0o700, parents=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                hand_over(descriptor, ownership)
            finally:
                os.close(descriptor)


def _has_content(place: Path, content: bytes) -> bool:
    """Whether a file, which is no link, has this content. Raises OSError."""
    status = place.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_size == len(content) and place.read_bytes() == content


def _give_by_hand(place: Path, secret: SealedSecret) -> Phrase:
    assert secret.ownership is not None  # noqa: S101 - only files are handed over
    return Phrase(
        N_(
            "{path} should belong to {user}:{group} with the mode {mode:04o}, which could not be set: set it with"
            " chown, then chmod."
        ),
        path=str(place),
        user=secret.ownership.user or secret.ownership.uid,
        group=secret.ownership.group or secret.ownership.gid,
        mode=secret.ownership.mode,
    )
