"""What ``archive prune`` has to know of the archives in a directory: who wrote them, of what, relative to what."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pivori.archives.container import PasswordNeeded, WrongArchivePassword
from pivori.archives.naming import ArchiveName
from pivori.engine.archive.history import Operation, Outcome, Run
from pivori.engine.archive.inventory import Listed, list_archives
from pivori.engine.archive.opening import NO_KEYS, Keys, open_archive
from pivori.engine.archive.pruning import ArchiveFacts, Verdict
from pivori.errors import PivoriError
from pivori.translation import N_

_NO_MANIFEST = N_("it has no manifest")
_UNREADABLE = N_("it cannot be looked into")
_CLOSED = N_("it is encrypted, has no checksum file, and nobody noted that it was made here")


def prune_facts(directory: Path, runs: Sequence[Run], keys: Keys = NO_KEYS) -> list[ArchiveFacts]:
    """The facts of every archive whose name is one of ours. Raises ArchiveUnreadable for the directory."""
    created = {run.archive: run for run in runs if run.operation is Operation.CREATE}
    return [
        _facts(listed, listed.name, created.get(str(listed.path)), keys)
        for listed in list_archives(directory.absolute(), runs)
        if listed.name is not None
    ]


def _facts(listed: Listed, name: ArchiveName, made: Run | None, keys: Keys) -> ArchiveFacts:
    by_name = ArchiveFacts(
        path=listed.path,
        time=name.time.astimezone().isoformat(),
        strategy=name.strategy,
        root=made.root if made is not None else name.prefix,
        size=listed.size,
        verdict=_verdict(listed),
    )
    try:
        # With the path that a name alone tells nothing of, the manifest decides.
        with open_archive(listed.path, keys, checked=False) as opened:
            manifest = opened.manifest
    except (PasswordNeeded, WrongArchivePassword):
        is_ours = listed.has_checksum or made is not None
        return replace(
            by_name,
            base_name=made.base if made is not None else "",
            is_ours=is_ours,
            doubt="" if is_ours else _CLOSED,
        )
    except PivoriError:
        # Cut off, perhaps: with its checksum file or the history, it is known to be ours and may go by the rules.
        is_ours = listed.has_checksum or made is not None
        doubt = "" if is_ours else _UNREADABLE
        return replace(by_name, verdict=Verdict.DAMAGED, is_ours=is_ours, doubt=doubt)
    if manifest is None:
        return replace(by_name, is_ours=name.is_old, doubt="" if name.is_old else _NO_MANIFEST)
    return replace(
        by_name,
        strategy=manifest.strategy,
        time=manifest.created,
        root=manifest.root,
        host=manifest.host,
        id=manifest.id,
        base_id=manifest.base.id if manifest.base is not None else "",
        base_name=manifest.base.name if manifest.base is not None else "",
    )


def _verdict(listed: Listed) -> Verdict:
    if listed.verdict is None:
        return Verdict.UNKNOWN
    return Verdict.DAMAGED if listed.verdict.outcome is Outcome.FAILED else Verdict.WHOLE
