"""How a new archive is encrypted: the options, and what they make of a request."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click

from pivori.archives.age_envelope import age_seal, read_recipients
from pivori.archives.container import ArchiveFormat
from pivori.archives.envelopes import Envelope
from pivori.archives.gpg_envelope import gpg_seal
from pivori.cli.archive_options import ArchiveKeys
from pivori.cli.failures import UsageError
from pivori.engine.archive.create import CreateRequest
from pivori.translation import _

_OWN = {"aes": ArchiveFormat.ZIP, "7z": ArchiveFormat.SEVEN_ZIP}
"""The encryptions that are a container's own."""


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """What the command line said of encryption."""

    encrypt: str | None = None
    recipients: tuple[str, ...] = ()

    @property
    def envelope(self) -> str:
        """The ending that the envelope adds to the archive's name; empty without one."""
        if self.encrypt == Envelope.GPG:
            return Envelope.GPG.value
        return Envelope.AGE.value if self.recipients else ""

    @property
    def container(self) -> ArchiveFormat | None:
        """The only format that has this encryption; None when any has."""
        return _OWN.get(self.encrypt or "")

    def usual(self, container: ArchiveFormat) -> ArchiveFormat:
        """The format to take where this one would be usual: a 7z goes into no envelope, it has an encryption itself."""
        if self.envelope and container is ArchiveFormat.SEVEN_ZIP:
            return ArchiveFormat.TAR_ZST
        return self.container or container

    def check(self, container: ArchiveFormat, command: str) -> None:
        """Raise UsageError when a format cannot be encrypted like this, BadRecipient, GpgMissing."""
        if self.recipients and self.encrypt is not None:
            raise UsageError(reason=_("Choose a password (--encrypt) or recipients (--recipient)."), command=command)
        if self.envelope and container is ArchiveFormat.SEVEN_ZIP:
            reason = _("A 7z file is encrypted with --encrypt 7z; around others goes an envelope.")
            raise UsageError(reason=reason, command=command)
        if self.container is not None and self.container is not container:
            text = _("--encrypt {encryption} makes a {format} file.")
            reason = text.format(encryption=self.encrypt, format=self.container)
            raise UsageError(reason=reason, command=command)
        # Before anything is listed or written: what a typing mistake costs must not be minutes.
        if self.recipients:
            age_seal(read_recipients(self.recipients))
        elif self.envelope:
            gpg_seal("")

    def applied(self, request: CreateRequest, keys: ArchiveKeys) -> CreateRequest:
        """The request of an archive that is encrypted like this; asks for a password where one is needed."""
        if self.recipients:
            seal, identity = age_seal(read_recipients(self.recipients))
            return replace(request, envelope=self.envelope, seal=seal, keys=keys.keys(own=identity))
        if self.encrypt is None:
            return request
        password = keys.new_password().reveal()
        if self.envelope:
            return replace(request, envelope=self.envelope, seal=gpg_seal(password))
        return replace(request, password=password)


def sealing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of encryption; its function gets ``sealing``."""

    @click.option(
        "--encrypt",
        type=click.Choice([Envelope.GPG.value, "aes", "7z"]),
        help=_("Encrypt with a password: by GPG (AES-256), as a zip with AES-256, or as a 7z with its names."),
    )
    @click.option(
        "--recipient",
        multiple=True,
        metavar=_("AGE…|FILE"),
        help=_("Encrypt to a recipient of age, or a file of them: this machine cannot read the archive then."),
    )
    @wraps(function)
    def call(*arguments: Any, encrypt: str | None, recipient: tuple[str, ...], **parameters: Any) -> Any:
        return function(*arguments, sealing=Sealing(encrypt=encrypt, recipients=recipient), **parameters)

    return call
