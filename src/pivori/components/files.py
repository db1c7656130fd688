"""Files and folders, as they lie on the disk or in a frozen view of it."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
)
from pivori.translation import N_, Phrase


@dataclass(frozen=True, kw_only=True)
class FilesComponent:
    """Trees. ``paths`` are absolute; ``view`` is where a snapshot of the folder ``view_of`` is mounted while they are
    taken. ``is_frozen`` says that nothing in them changes then.
    """

    kind: ClassVar[str] = "files"
    name: str
    paths: Sequence[Path]
    exclude: Sequence[str] = ()
    strategy: str = ""
    one_file_system: bool = False
    is_frozen: bool = False
    view: Path | None = None
    view_of: Path = Path("/")
