"""``pivori archive import``: archives become snapshots in the repository.

With ``--json``: ``status`` lines; one ``imported`` object for each archive (``archive``, ``snapshot_id``, ``new``,
``files``, ``bytes``, ``data_added``), then one ``summary``.
"""

import os
from pathlib import Path

import click

from pivori import __version__
from pivori.app import Access
from pivori.cli.archive_options import ArchiveKeys, absolute, archive_key_options, history_of, note_run
from pivori.cli.failures import DONE, ERROR, UsageError, wording
from pivori.cli.first_run import announce
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.snapshot_options import short_id, warn_of_damage
from pivori.cli.wording import show_bytes, show_number
from pivori.engine.archive.history import Operation, Outcome
from pivori.engine.archive.importing import Importer, ImportOutcome, ImportRequest
from pivori.engine.archive.inventory import list_archives
from pivori.engine.archive.tree import open_tree
from pivori.errors import PivoriError
from pivori.translation import _, ngettext


@repository_command(
    name="import",
    help=_(
        "Make snapshots of archives.\n\n"
        "Each becomes a snapshot with the time of the archive and the tags of its strategy and its name; a "
        "differential one is taken together with its base. What several archives have in common is stored once. A "
        "directory stands for all archives in it; what was imported before is passed over."
    ),
    examples=[
        ("pivori archive import /backups", _("everything there is, old archives too")),
        ("pivori archive import --path /srv/app old.zip", _("an archive that does not say where it came from")),
    ],
)
@click.argument("archives", metavar=_("ARCHIVE…"), nargs=-1, required=True)
@click.option("--path", metavar=_("PATH"), help=_("Where the files were, when an archive does not say it."))
@click.option("--host", metavar=_("NAME"), help=_("Record this host."))
@click.option("--tag", multiple=True, metavar=_("TAG[,TAG…]"), help=_("Give the snapshots a further tag."))
@click.option("--base", metavar=_("FILE"), help=_("Where the base of a differential archive is."))
@archive_key_options
def command(
    session: Session,
    /,
    keys: ArchiveKeys,
    archives: tuple[str, ...],
    path: str | None,
    host: str | None,
    tag: tuple[str, ...],
    base: str | None,
) -> int:
    """Import each; an archive that cannot be imported is told, and the others follow."""
    paths = _paths(session, archives)
    created = session.app.ensure_default_repository()
    if created is not None:
        announce(created, session.output)
    app, output = session.app, session.output
    request = ImportRequest(
        identity=app.identity,
        program=f"pivori {__version__}",
        path=os.fsencode(absolute(path)) if path is not None else None,
        host=host,
        tags=sorted({each for text in tag for each in text.split(",") if each}),
    )
    failed = 0
    with app.open_repository(Access.APPEND) as (repository, lock):
        snapshots = repository.snapshots(on_damage=warn_of_damage(output))
        check = (lambda: None) if lock is None else lock.check
        importer = Importer(repository, request, lambda _event: None, check)
        for each in paths:
            started = session.clock.monotonic()
            try:
                with (
                    open_tree(each, base=absolute(base) if base else None, keys=keys.keys()) as tree,
                    session.progress() as progress,
                ):
                    # Each archive is counted from its start, so each has its own display.
                    importer.emit = progress
                    outcome = importer.add(tree, snapshots, session.clock.now_ns)
                    strategy = tree.archive.strategy
            except PivoriError as error:
                failed += 1
                message, hint = wording(error)
                output.warn(f"{message} {hint}", name=error.code, archive=str(each))
                continue
            note_run(
                session, Operation.IMPORT, Outcome.OK, started, archive=str(each), strategy=strategy,
                files=outcome.files, bytes=outcome.bytes,
            )  # fmt: skip
            _tell(outcome, output)
    output.record({"message_type": "summary", "imported": len(paths) - failed, "failed": failed})
    return ERROR if failed else DONE


def _paths(session: Session, archives: tuple[str, ...]) -> list[Path]:
    """The archives that are meant, the oldest first in a directory: a base is then known before what refers to it."""
    found: list[Path] = []
    for name in archives:
        path = absolute(name)
        if path.is_dir():
            found += [each.path for each in list_archives(path, history_of(session).runs(), everything=True)]
        else:
            found.append(path)
    if not found:
        raise UsageError(reason=_("There is no archive to import."), command="pivori archive import")
    return list(dict.fromkeys(found))


def _tell(outcome: ImportOutcome, output: Output) -> None:
    output.record(
        {
            "message_type": "imported",
            "archive": outcome.path,
            "snapshot_id": outcome.snapshot_id,
            "new": outcome.is_new,
            "files": outcome.files,
            "bytes": outcome.bytes,
            "data_added": outcome.data_added,
        }
    )
    if not outcome.is_new:
        text = _("{archive} is there already, as snapshot {id}.")
        output.result(text.format(archive=outcome.path.name, id=short_id(outcome.snapshot_id)))
        return
    text = ngettext(
        "{archive} became snapshot {id}: {count} file, {size}, of which {added} are new.",
        "{archive} became snapshot {id}: {count} files, {size}, of which {added} are new.",
        outcome.files,
    )
    output.result(
        text.format(
            archive=outcome.path.name,
            id=short_id(outcome.snapshot_id),
            count=show_number(outcome.files),
            size=show_bytes(outcome.bytes),
            added=show_bytes(outcome.data_added),
        )
    )
