"""The tables of ``pivori.toml`` beside the components, each option with its description."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from pivori.engine.durations import BadDuration
from pivori.engine.durations import Duration as CalendarDuration
from pivori.settings.stack_file.calendar import checked_calendar
from pivori.settings.stack_file.options import Name, OptionTable, SecretReference, StrategyWord
from pivori.translation import N_

_A_SPAN: Final = N_('write years, months, days and hours one after the other, as in "1y6m" or "30d"')


def _span(text: str) -> str:
    try:
        CalendarDuration.parse(text)
    except BadDuration:
        raise ValueError(_A_SPAN) from None
    return text


Calendar = Annotated[str, AfterValidator(checked_calendar)]
"""When something is done regularly."""


class StackTable(OptionTable):
    """``[stack]``."""

    name: Name = Field(description=N_("The name of the stack: recovery points are found by it."), examples=["my-app"])
    root: str | None = Field(
        default=None,
        description=N_("Its folder, from which all relative paths are seen; the folder of this file when not given."),
        examples=["/srv/my-app"],
    )
    strategy: StrategyWord | None = Field(
        default=None,
        description=N_("How files are taken: `complete`, `smart` (without what can be rebuilt) or `compressed`."),
    )
    recovery_order: list[str] = Field(
        default=[],
        description=N_(
            "The names of the components in the order of their recovery. Those that are not named follow: secrets, "
            "databases, services, then git and files. What lies in a folder of another component follows that one."
        ),
    )


class ContactsTable(OptionTable):
    """``[contacts]``."""

    email: str = Field(default="", description=N_("An e-mail address."), examples=["backup-support@pivori.app"])
    chat: str = Field(default="", description=N_("A channel of the chat."), examples=["#backup-support"])
    issues: str = Field(default="", description=N_("The address of the issue tracker."))


class RepositoryTable(OptionTable):
    """``[repository]``."""

    location: str | None = Field(
        default=None,
        min_length=1,
        description=N_("A folder or an address; the default repository when not given."),
        examples=["/mnt/backup/my-app"],
    )
    password: SecretReference | None = Field(default=None, description=N_("Where its password is."))


class ArchivesTable(OptionTable):
    """``[archives]``."""

    directory: str | None = Field(
        default=None, min_length=1, description=N_("The folder of the archives."), examples=["/backups"]
    )
    password: SecretReference | None = Field(default=None, description=N_("Where the password of sealed archives is."))


Keep = Annotated[int, Field(ge=0)]
"""How many are kept."""


class RetentionTable(OptionTable):
    """``[retention]``."""

    keep_last: Keep = Field(default=0, description=N_("How many of the latest are kept."))
    keep_hourly: Keep = Field(default=0, description=N_("The last one of each hour is kept, for this many hours."))
    keep_daily: Keep = Field(default=0, description=N_("The last one of each day is kept, for this many days."))
    keep_weekly: Keep = Field(default=0, description=N_("The last one of each week is kept, for this many weeks."))
    keep_monthly: Keep = Field(default=0, description=N_("The last one of each month is kept, for this many months."))
    keep_yearly: Keep = Field(default=0, description=N_("The last one of each year is kept, for this many years."))
    keep_within: Annotated[str, AfterValidator(_span)] = Field(
        default="", description=N_("All that are younger than this are kept."), examples=["30d"]
    )


class ScheduleTable(OptionTable):
    """``[schedule]``."""

    backup: Calendar | None = Field(default=None, description=N_("When to back up."), examples=["30 2 * * *"])
    verify: Calendar | None = Field(default=None, description=N_("When to verify."), examples=["weekly"])
    prune: Calendar | None = Field(
        default=None, description=N_("When to remove what is no longer kept."), examples=["monthly"]
    )


class NotificationsTable(OptionTable):
    """``[notifications]``."""

    email: list[str] = Field(default=[], description=N_("E-mail addresses."))
    webhook: SecretReference | None = Field(
        default=None,
        description=N_("Where the address of a webhook is; it is a secret, as whoever knows it can write there."),
    )
