"""A snapshot for programs, with restic's field names, and for people, as a line."""

import msgspec

from pivori.cli.node_display import show_moment
from pivori.cli.snapshot_options import short_id
from pivori.repository import LoadedSnapshot
from pivori.translation import _


def snapshot_record(loaded: LoadedSnapshot) -> dict[str, object]:
    """The object's own fields, those that are empty left out, and ``id`` and ``short_id``."""
    fields: dict[str, object] = msgspec.to_builtins(loaded.snapshot)
    return fields | {"id": loaded.id, "short_id": short_id(loaded.id)}


def snapshot_title(loaded: LoadedSnapshot) -> str:
    """``snapshot 1a2b3c4d of /home/me, 2025-11-08 12:00:00, by me@laptop``."""
    snapshot = loaded.snapshot
    who = f"{snapshot.username}@{snapshot.hostname}" if snapshot.username else snapshot.hostname
    return _("snapshot {id} of {paths}, {time}, by {who}").format(
        id=short_id(loaded.id), paths=", ".join(snapshot.paths), time=show_moment(loaded.time_ns), who=who
    )
