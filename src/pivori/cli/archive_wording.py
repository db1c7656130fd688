"""How the archives of a directory are described: when they were made, and what is known of them."""

from datetime import UTC, datetime

from pivori.cli.wording import show_duration
from pivori.engine.archive.history import Outcome
from pivori.engine.archive.inventory import Listed
from pivori.translation import N_, _

_VERDICTS = {
    Outcome.OK: N_("whole"),
    Outcome.INCOMPLETE: N_("whole, with gaps"),
    Outcome.FAILED: N_("damaged"),
}


def archive_age(listed: Listed, now: datetime) -> str:
    """How long ago an archive was made, in words."""
    return show_duration(max(0.0, (now - archive_time(listed)).total_seconds()))


def archive_time(listed: Listed) -> datetime:
    """When an archive was made, as its name says, or its file."""
    return (listed.name.time if listed.name is not None else datetime.fromtimestamp(listed.modified, UTC)).astimezone()


def verdict_word(listed: Listed) -> str:
    """What is known of an archive, in a word."""
    if listed.verdict is None:
        return _("not verified")
    return _(_VERDICTS[listed.verdict.outcome])
