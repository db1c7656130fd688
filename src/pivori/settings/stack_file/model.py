"""What ``pivori.toml`` may say: its tables, each option with its description, and the stack they make."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PrivateAttr

from pivori.engine.durations import BadDuration
from pivori.engine.durations import Duration as CalendarDuration
from pivori.settings.load import Environment
from pivori.settings.stack_file.calendar import checked_calendar
from pivori.settings.stack_file.kinds import command, files
from pivori.settings.stack_file.options import (
    Building,
    ComponentOptions,
    HookTable,
    Name,
    OptionTable,
    SecretReference,
    StrategyWord,
)
from pivori.stack.model import Contacts, Hook, Member, Stack
from pivori.translation import N_

AnyComponent = Annotated[files.Options | command.Options, Field(discriminator="kind")]
"""The kinds of components; each has its module in ``kinds``."""

_FIRST_BACK: Final = ("secrets", "command", "postgres", "postgres-physical", "mysql", "redis", "compose")
"""The kinds that are brought back first, in this order; sqlite, git and files follow."""
_THEN_BACK: Final = ("sqlite", "git", "files")

_A_SPAN: Final = N_('write years, months, days and hours one after the other, as in "1y6m" or "30d"')


def _span(text: str) -> str:
    try:
        CalendarDuration.parse(text)
    except BadDuration:
        raise ValueError(N_('write years, months, days and hours one after the other, as in "1y6m" or "30d"')) from None
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
        description=N_("How files are taken: complete, smart (without what can be rebuilt) or compressed."),
    )
    recovery_order: list[str] = Field(
        default=[],
        description=N_(
            "The names of the components in the order of their recovery. Those that are not named follow: secrets, "
            "databases, services, then git and files."
        ),
    )


class ContactsTable(OptionTable):
    """``[contacts]``."""

    email: str = Field(default="", description=N_("An address."), examples=["backup-support@example.org"])
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

    keep_last: Keep = Field(default=0, description=N_("So many of the latest."))
    keep_hourly: Keep = Field(default=0, description=N_("The last one of each hour, for so many hours."))
    keep_daily: Keep = Field(default=0, description=N_("The last one of each day, for so many days."))
    keep_weekly: Keep = Field(default=0, description=N_("The last one of each week, for so many weeks."))
    keep_monthly: Keep = Field(default=0, description=N_("The last one of each month, for so many months."))
    keep_yearly: Keep = Field(default=0, description=N_("The last one of each year, for so many years."))
    keep_within: Annotated[str, AfterValidator(_span)] = Field(
        default="", description=N_("All that are younger than this."), examples=["30d"]
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

    email: list[str] = Field(default=[], description=N_("Addresses."))
    webhook: SecretReference | None = Field(
        default=None,
        description=N_("Where the address of a webhook is; it is a secret, as whoever knows it can write there."),
    )


class StackFile(OptionTable):
    """The whole file."""

    about: StackTable = Field(alias="stack", description=N_("The application that is protected as one."))
    contacts: ContactsTable = Field(
        default_factory=ContactsTable,
        description=N_("Who to call: stands in RECOVERY.md, in the runbook and with fatal errors."),
    )
    repository: RepositoryTable = Field(
        default_factory=RepositoryTable,
        description=N_("Where the recovery points go. Options and variables come before it."),
    )
    archives: ArchivesTable = Field(
        default_factory=ArchivesTable,
        description=N_("Portable archives. Nothing uses this table yet: use PIVORI_BACKUP_DIR."),
    )
    components: list[AnyComponent] = Field(
        min_length=1, description=N_("The parts of the stack, in the order in which they are captured.")
    )
    hooks: list[HookTable] = Field(default=[], description=N_("Command lines that are run around the whole capture."))
    retention: RetentionTable = Field(
        default_factory=RetentionTable,
        description=N_("What is kept. Nothing applies it yet: `pivori forget` has options for it."),
    )
    schedule: ScheduleTable = Field(
        default_factory=ScheduleTable,
        description=N_("When things are done. Nothing reads it yet: use cron or a systemd timer."),
    )
    notifications: NotificationsTable = Field(
        default=NotificationsTable(), description=N_("Who hears of failures. Nothing is sent yet.")
    )

    _path: Path | None = PrivateAttr(None)
    _content: bytes = PrivateAttr(b"")

    def came_from(self, path: Path, content: bytes) -> None:
        """Remember the file: its absolute path and its bytes."""
        self._path, self._content = path, content

    @property
    def path(self) -> Path | None:
        """The file; None when it was not loaded from one."""
        return self._path

    def building(self, environment: Environment) -> Building:
        """What the tables need to become components: the root is that of the file, or the file's own folder."""
        folder = self._path.parent if self._path is not None else Path.cwd()
        strategy = self.about.strategy or ""
        here = Building(folder, environment, strategy)
        return Building(here.path(self.about.root or "."), environment, strategy)

    def stack(self, building: Building) -> Stack:
        """The stack. Raises what building a component raises."""
        return Stack(
            name=self.about.name,
            root=building.root,
            members=[_member(options, building) for options in self.components],
            recovery_order=recovery_order(
                {options.name: str(getattr(options, "kind", "")) for options in self.components},
                self.about.recovery_order,
            ),
            hooks=[_hook(table) for table in self.hooks],
            contacts=Contacts(**self.contacts.model_dump()),
            strategy=building.strategy,
            configuration=self._content,
            configuration_path=self._path,
        )


def recovery_order(kinds: Mapping[str, str], wanted: Sequence[str]) -> Sequence[str]:
    """The names in the order of recovery: those that are ``wanted``, then the others by their kinds."""
    ranks = {kind: rank for rank, kind in enumerate((*_FIRST_BACK, *_THEN_BACK))}
    others = sorted((name for name in kinds if name not in wanted), key=lambda name: ranks.get(kinds[name], -1))
    return [*wanted, *others]


def _member(options: ComponentOptions, building: Building) -> Member:
    return Member(
        component=options.build(building),
        rto=options.rto,
        rpo=options.rpo,
        hooks=[_hook(table) for table in options.hooks],
        smallest=options.smallest,
    )


def _hook(table: HookTable) -> Hook:
    return Hook(before=table.before or None, after=table.after or None, timeout=table.timeout)
