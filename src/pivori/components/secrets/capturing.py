"""Taking secrets: each is read, sealed and stored; one that has not changed keeps its seal."""

import os
from pathlib import Path

from pivori.components.base import Sink
from pivori.components.secrets.facts import (
    COMMANDS,
    ELSEWHERE,
    FILES,
    Facts,
    Ownership,
    SealedSecret,
    member_of,
    ownership_of,
)
from pivori.components.secrets.found_files import SecretUnreadable, read_secret
from pivori.components.secrets.seal_notes import SealNotes
from pivori.components.secrets.sealing import Sealer
from pivori.components.secrets.secret_command import SecretCommand
from pivori.translation import N_


class Capturing:
    """A capture of the component ``component``, whose files are seen from ``root``.

    ``previous`` are the facts of the capture before, from which seals can be kept.
    """

    def __init__(
        self, sink: Sink, sealer: Sealer, notes: SealNotes, *, previous: Facts | None, root: Path, component: str
    ) -> None:
        self._sink = sink
        self._sealer = sealer
        self._notes = notes
        self._root = root
        self._component = component
        self._secrets: list[SealedSecret] = []
        self._folders: dict[str, Ownership] = {}
        # A seal is kept only for the same recipients: whoever was taken off the list must not get new ones, and who was
        # added needs some.
        is_for_the_same = previous is not None and previous.recipients == sealer.recipients
        self._before = {old.member: old for old in previous.secrets} if previous is not None and is_for_the_same else {}

    def take_file(self, path: Path) -> None:
        """Seal a file. Raises SecretUnreadable, SealFailed."""
        content, status = read_secret(path, self._component)
        is_inside = path.is_relative_to(self._root)
        folder, name = (FILES, path.relative_to(self._root)) if is_inside else (ELSEWHERE, path.relative_to("/"))
        try:
            str(name).encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode(errors="replace")
            reason = N_("its name is no text")
            raise SecretUnreadable(path=shown, component=self._component, reason=reason) from None
        self._seal(folder, str(name), content, ownership_of(status))
        for above in [name, *name.parents][1:]:
            key = folder if str(above) == "." else f"{folder}/{above}"
            if key != ELSEWHERE and key not in self._folders:
                self._folders[key] = ownership_of(((self._root if is_inside else Path("/")) / above).stat())

    def take_command(self, command: SecretCommand) -> None:
        """Seal what a command prints. Raises SecretCommandFailed, CommandNotStarted, SealFailed."""
        self._seal(COMMANDS, command.name, command.run(self._root, self._component), None)

    def facts(self) -> Facts:
        """What was taken."""
        return Facts(recipients=self._sealer.recipients, secrets=self._secrets, folders=self._folders)

    def _seal(self, folder: str, path: str, content: bytes, ownership: Ownership | None) -> None:
        member = member_of(folder, path)
        before = self._before.get(member)
        if (
            before is not None
            and self._notes.holds(before.sha256, member, content)
            and self._sink.keep(member) is not None
        ):
            digest = before.sha256
        else:
            digest = self._sink.document(member, self._sealer.seal(content, path)).sha256
        self._notes.add(digest, member, content)
        self._secrets.append(
            SealedSecret(folder=folder, path=path, size=len(content), sha256=digest, ownership=ownership)
        )
