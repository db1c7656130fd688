"""The archive that brings a directory back as it was at a moment: the newest usable one from then or before.

Archives are looked at from the newest on, and only until one is usable: its checksum fits, it can be opened, it is of
that directory, and the base of a differential one is there. Those of other directories are passed over in silence.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pivori.archives.checksum import ChecksumWrong, file_digest, find_checksum, read_checksum
from pivori.archives.container import PasswordNeeded, WrongArchivePassword
from pivori.engine.archive.differential import find_base
from pivori.engine.archive.history import Operation, Outcome, Run
from pivori.engine.archive.inventory import Listed, list_archives
from pivori.engine.archive.opening import NO_KEYS, ArchiveUnreadable, Keys, open_archive
from pivori.errors import PivoriError
from pivori.translation import N_

Passed = Callable[[Path, "PivoriError | str"], None]
"""Hears of an archive that is passed over, and why."""


class NoArchiveBefore(PivoriError):
    """There is no usable archive of a directory from a moment or before."""

    code = "no-archive-before"
    message = N_("There is no usable archive of {root} from {moment} or before in {directory}.")
    hint = N_("`pivori archive list` shows what there is; restore_complete takes an archive of any directory.")


def newest_before(
    directory: Path, moment: datetime, root: Path, runs: Sequence[Run], passed: Passed, keys: Keys = NO_KEYS
) -> Path:
    """Find it. ``moment`` is a wall clock without a zone, as names of archives have it.

    Raises NoArchiveBefore, ArchiveUnreadable for the directory.
    """
    created = {run.archive: run for run in runs if run.operation is Operation.CREATE}
    for listed in reversed(list_archives(directory, runs)):
        if listed.name is None or listed.name.time > moment:
            continue
        if listed.verdict is not None and listed.verdict.outcome is Outcome.FAILED:
            passed(listed.path, N_("it is known to be damaged"))
            continue
        try:
            if _is_of(listed, root, created, keys):
                return listed.path
        except PivoriError as error:
            passed(listed.path, error)
        except OSError as error:
            passed(listed.path, error.strerror or str(error))
    raise NoArchiveBefore(root=str(root), moment=f"{moment:%Y-%m-%d %H:%M:%S}", directory=str(directory))


def _is_of(listed: Listed, root: Path, created: Mapping[str, Run], keys: Keys) -> bool:
    """Whether an archive is of a directory. What others made does not say, and may be.

    Raises what makes it unusable.
    """
    path = listed.path
    made = created.get(str(path))
    if made is not None and made.root != str(root):
        return False
    try:
        with open_archive(path, keys, checked=False) as opened:
            manifest = opened.manifest
    except (PasswordNeeded, WrongArchivePassword):
        # The history knows what it is of; the restore may be given another key.
        if made is None:
            raise
        manifest = None
    if manifest is not None and manifest.root != str(root):
        return False
    _check(path)
    if manifest is not None and manifest.base is not None:
        find_base(path, manifest.base, None, keys)
    return True


def _check(path: Path) -> None:
    """Compare an archive with the checksum beside it, when there is one. Raises ChecksumWrong, OSError."""
    beside = find_checksum(path)
    try:
        if beside is not None and file_digest(path) != read_checksum(beside, path):
            raise ChecksumWrong(archive=str(path), path=str(beside))
    except OSError as error:
        raise ArchiveUnreadable(archive=str(path), reason=error.strerror or str(error)) from None
