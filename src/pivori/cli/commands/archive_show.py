"""``pivori archive show``: what an archive says of itself, and with ``--files`` what it holds.

With ``--json``: with ``--files`` one ``entry`` object for each entry, then one ``archive`` object.
"""

from collections.abc import Iterable

import click

from pivori.cli.archive_options import ArchiveKeys, absolute, archive_key_options
from pivori.cli.failures import fill
from pivori.cli.options import repository_command
from pivori.cli.output import Output
from pivori.cli.session import Session
from pivori.cli.wording import display_width, show_bytes, show_number, show_path, show_time
from pivori.engine.archive.opening import Opened, open_archive
from pivori.entries import Entry, EntryKind
from pivori.translation import N_, _

_LETTERS = {EntryKind.FILE: "-", EntryKind.DIRECTORY: "d", EntryKind.SYMLINK: "l", EntryKind.FIFO: "p"}


@repository_command(
    name="show",
    help=_(
        "Show what an archive is and what it holds.\n\n"
        "That is where it comes from, what it is relative to, and what was left out and why."
    ),
    examples=[
        ("pivori archive show /backups/pivori-smart-20251108-030000.zip", _("what it is, and what was left out")),
        ("pivori archive show --files backup.zip | less", _("every file in it")),
    ],
)
@click.argument("archive", metavar=_("ARCHIVE"))
@click.option("--files", is_flag=True, help=_("List every entry."))
@archive_key_options
def command(session: Session, /, keys: ArchiveKeys, archive: str, files: bool) -> None:
    """Show it."""
    output = session.output
    with open_archive(absolute(archive), keys.keys()) as opened:
        if files:
            _show_entries(opened.entries, output)
        output.record(_record(opened))
        if not files:
            _show(opened, output)


def _show(opened: Opened, output: Output) -> None:
    rows: list[list[str]] = [
        [_("File"), str(opened.path)],
        [_("Size"), show_bytes(opened.length)],
        [_("Format"), opened.container.format.value],
        [_("Strategy"), opened.strategy or _("unknown")],
        [_("Made"), show_time(opened.made())],
    ]
    manifest = opened.manifest
    if manifest is not None:
        rows += [[_("Root"), manifest.root], [_("Host"), manifest.host], [_("Id"), manifest.id]]
        if manifest.base is not None:
            rows.append([_("Relative to"), f"{manifest.base.name} ({manifest.base.sha256})"])
            rows.append([_("Deleted"), show_number(len(manifest.deleted))])
    else:
        rows.append([_("Manifest"), _("none: this program did not make it")])
    rows.append([_("Files"), show_number(_files(opened.entries))])
    rows.append([_("Content"), show_bytes(_content(opened.entries))])
    widest = max(display_width(label) for label, _value in rows)
    for label, value in rows:
        output.result(f"{label}{' ' * (widest - display_width(label))}  {value}")
    if manifest is None:
        return
    if manifest.omitted:
        output.result("")
        output.table(
            [_("Left out"), _("Size"), _("Reason"), _("Made again by")],
            [
                [
                    omission.path_raw or omission.path,
                    show_bytes(omission.bytes),
                    _(omission.evidence) if omission.evidence else "",
                    "; ".join(" ".join(command) for command in omission.rebuild),
                ]
                for omission in manifest.omitted
            ],
            right={1},
        )
    for missing in manifest.not_captured:
        facts = {"path": missing.path_raw or missing.path.encode(), "reason": missing.reason}
        output.warn(fill(N_("{path} is not in the archive: {reason}."), facts), name="not-captured", **facts)


def _show_entries(entries: Iterable[Entry], output: Output) -> None:
    for entry in entries:
        output.record(
            {
                "message_type": "entry",
                "path": entry.path,
                "type": entry.kind,
                "mode": f"{entry.mode:04o}",
                "uid": entry.uid,
                "gid": entry.gid,
                "user": entry.user,
                "group": entry.group,
                "size": entry.size,
                "mtime_ns": entry.mtime_ns,
                "target": entry.target or None,
                "hard_link": entry.hard_link,
                "sha256": entry.sha256 or None,
            }
        )
        if output.json:
            continue
        arrow = f" -> {show_path(entry.target)}" if entry.kind is EntryKind.SYMLINK else ""
        size = show_number(entry.size) if entry.kind is EntryKind.FILE else ""
        output.result(f"{_LETTERS[entry.kind]}{entry.mode:04o} {size:>15}  {show_path(entry.path or b'.')}{arrow}")


def _record(opened: Opened) -> dict[str, object]:
    manifest = opened.manifest
    return {
        "message_type": "archive",
        "path": opened.path,
        "format": opened.container.format,
        "strategy": opened.strategy or None,
        "time": opened.made(),
        "size": opened.length,
        "files": _files(opened.entries),
        "bytes": _content(opened.entries),
        "manifest": manifest is not None,
        "id": manifest.id if manifest is not None else None,
        "root": manifest.root if manifest is not None else None,
        "host": manifest.host if manifest is not None else None,
        "program": manifest.program if manifest is not None else None,
        "base": manifest.base if manifest is not None else None,
        "deleted": list(manifest.deleted) if manifest is not None else [],
        "omitted": list(manifest.omitted) if manifest is not None else [],
        "not_captured": list(manifest.not_captured) if manifest is not None else [],
    }


def _files(entries: Iterable[Entry]) -> int:
    return sum(entry.kind is EntryKind.FILE for entry in entries)


def _content(entries: Iterable[Entry]) -> int:
    return sum(entry.size for entry in entries if entry.hard_link is None)
