"""What a recovery point says of itself: ``/.pivori/recovery-point.json``, for machines and for people in ten years.

Times are RFC 3339 texts; sizes are bytes. Unknown fields are ignored when it is read: later versions may add some.
"""

from enum import StrEnum
from typing import Final

import msgspec

from pivori.components.base import Report, Stored, plain_text
from pivori.errors import PivoriError
from pivori.stack.model import Contacts
from pivori.translation import N_

RECORD_PATH: Final = b".pivori/recovery-point.json"
CONFIGURATION_NAME: Final = "pivori.toml"
CONFIGURATION_PATH: Final = b".pivori/pivori.toml"
DOCUMENT_PATH: Final = b"RECOVERY.md"
VERSION: Final = 1


class RecordUnreadable(PivoriError):
    """The record of a recovery point cannot be understood."""

    code = "recovery-record-unreadable"
    message = N_("What the recovery point {snapshot} says of itself cannot be read: {reason}.")
    hint = N_("Choose another one with --at, or restore its files with `pivori restore`.")


class Outcome(StrEnum):
    """What became of a component in a recovery point."""

    CAPTURED = "captured"
    FAILED = "failed"


class ComponentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One component. ``report`` when it was captured, ``error`` (English) and its ``code`` when it failed.

    ``files`` are those it wrote as streams, by their paths in the component's folder; ``size`` is that of all it has.
    ``rto`` and ``rpo`` are its objectives in seconds.
    """

    name: str
    kind: str
    outcome: Outcome
    started: str
    ended: str
    size: int = 0
    file_count: int = 0
    report: Report | None = None
    files: dict[str, Stored] = {}
    error: str = ""
    error_code: str = ""
    warnings: list[str] = []
    manual: list[str] = []
    rto: float | None = None
    rpo: float | None = None


class RecoveryRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recovery point. ``order`` is that of recovery; ``asked`` are the components that were to be captured."""

    version: int
    stack: str
    root: str
    host: str
    program: str
    started: str
    ended: str
    order: list[str]
    asked: list[str]
    components: list[ComponentRecord]
    strategy: str = ""
    contacts: Contacts = Contacts()

    def component(self, name: str) -> ComponentRecord | None:
        """The record of a component; None when it is not in here."""
        return next((record for record in self.components if record.name == name), None)

    @property
    def missing(self) -> list[str]:
        """The components that were asked for and are not in here."""
        captured = {record.name for record in self.components if record.outcome is Outcome.CAPTURED}
        return [name for name in self.asked if name not in captured]


def encode_record(record: RecoveryRecord) -> bytes:
    """The JSON of a record, indented for people."""
    return msgspec.json.format(msgspec.json.encode(record, enc_hook=plain_text), indent=2) + b"\n"


def decode_record(content: bytes, snapshot: str) -> RecoveryRecord:
    """Read a record. Raises RecordUnreadable."""
    try:
        return msgspec.json.decode(content, type=RecoveryRecord)
    except msgspec.MsgspecError as error:
        raise RecordUnreadable(snapshot=snapshot, reason=str(error)) from None
