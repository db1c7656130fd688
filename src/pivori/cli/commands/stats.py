"""``pivori stats``: how much is stored, and how well it is packed.

With ``--json``: one ``stats`` object with ``mode`` and ``snapshots_count``, and by mode:

- ``restore-size``: restic's ``total_size`` and ``total_file_count`` (entries of every kind), ``regular_file_count``
- ``files-by-contents``: ``total_size`` and ``total_file_count``
- ``raw-data``: restic's ``total_size``, ``total_uncompressed_size``, ``compression_ratio``, ``compression_progress``
  and ``compression_space_saving`` (both in per cent), ``total_blob_count``; ``tree_blob_count``
- ``summary``: the first and the last of these as the objects ``restore_size`` and ``raw_data``, and ``holdings``, what
  the storage holds: ``packs``, ``pack_bytes``, ``snapshots``, ``keys``
"""

import click

from pivori.app import Access
from pivori.cli.options import repository_command
from pivori.cli.session import Session
from pivori.cli.snapshot_options import SnapshotFilters, named_or_filtered, snapshot_filters
from pivori.cli.wording import show_bytes, show_decimal, show_number, show_percent
from pivori.engine.statistics import DistinctFiles, Mode, RawData, RestoreSize, Statistics, measure
from pivori.translation import _


@repository_command(
    help=_(
        "Say how much is stored, and how well it is packed.\n\n"
        "Modes: summary (the default); restore-size, what restoring every snapshot would write; files-by-contents, "
        "files that differ; raw-data, what the snapshots take in the repository, each piece once."
    ),
    examples=[
        ("pivori stats", _("the whole repository")),
        ("pivori stats --mode restore-size latest", _("the size of one snapshot")),
    ],
)
@click.argument("names", metavar=_("[SNAPSHOT]…"), nargs=-1)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.SUMMARY.value,
    show_default=True,
    help=_("What to count."),
)
@snapshot_filters
def command(session: Session, names: tuple[str, ...], filters: SnapshotFilters, mode: str) -> None:
    """Count and show."""
    with session.app.open_repository(Access.READ) as (repository, _lock):
        snapshots = named_or_filtered(repository, names, filters)
        with session.progress() as progress:
            found = measure(repository, snapshots, Mode(mode), emit=progress)
    session.output.record(_record(found, Mode(mode)))
    session.output.table([_("What"), _("How much")], _rows(found), right={1})


def _rows(found: Statistics) -> list[tuple[str, str]]:
    rows = [(_("Snapshots"), show_number(found.snapshots))]
    if found.restore_size is not None:
        rows += _restore_rows(found.restore_size)
    if found.distinct_files is not None:
        rows.append((_("Files that differ"), show_number(found.distinct_files.files)))
        rows.append((_("Their size"), show_bytes(found.distinct_files.bytes)))
    if found.raw_data is not None:
        rows += _raw_rows(found.raw_data)
    if found.holdings is not None:
        rows.append((_("Packs"), show_number(found.holdings.packs)))
        rows.append((_("Size of all packs"), show_bytes(found.holdings.pack_bytes)))
        rows.append((_("Keys"), show_number(found.holdings.keys)))
    return rows


def _restore_rows(size: RestoreSize) -> list[tuple[str, str]]:
    return [
        (_("Files in all of them"), show_number(size.files)),
        (_("Folders and other entries"), show_number(size.entries - size.files)),
        (_("Restored size of all of them"), show_bytes(size.bytes)),
    ]


def _raw_rows(raw: RawData) -> list[tuple[str, str]]:
    return [
        (_("Blobs they need"), show_number(raw.blobs)),
        (_("Size of these before compression"), show_bytes(raw.uncompressed_bytes)),
        (_("Size of these as stored"), show_bytes(raw.stored_bytes)),
        (_("Compression of what is compressed"), show_decimal(raw.ratio, 2)),
        (_("Saved by compression"), show_percent(raw.space_saving)),
    ]


def _record(found: Statistics, mode: Mode) -> dict[str, object]:
    record: dict[str, object] = {"message_type": "stats", "mode": mode, "snapshots_count": found.snapshots}
    parts: dict[str, dict[str, object]] = {}
    if found.restore_size is not None:
        parts["restore_size"] = _restore_record(found.restore_size)
    if found.distinct_files is not None:
        parts["distinct_files"] = _distinct_record(found.distinct_files)
    if found.raw_data is not None:
        parts["raw_data"] = _raw_record(found.raw_data)
    if mode is Mode.SUMMARY:
        return {**record, **parts, "holdings": found.holdings}
    return record | next(iter(parts.values()))


def _restore_record(size: RestoreSize) -> dict[str, object]:
    return {"total_size": size.bytes, "total_file_count": size.entries, "regular_file_count": size.files}


def _distinct_record(distinct: DistinctFiles) -> dict[str, object]:
    return {"total_size": distinct.bytes, "total_file_count": distinct.files}


def _raw_record(raw: RawData) -> dict[str, object]:
    return {
        "total_size": raw.stored_bytes,
        "total_uncompressed_size": raw.uncompressed_bytes,
        "compression_ratio": raw.ratio,
        "compression_progress": raw.compression_progress * 100,
        "compression_space_saving": raw.space_saving * 100,
        "total_blob_count": raw.blobs,
        "tree_blob_count": raw.tree_blobs,
    }
