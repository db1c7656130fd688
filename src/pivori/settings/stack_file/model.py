"""What ``pivori.toml`` may say: its tables, each option with its description, and the stack they make."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, PrivateAttr

from pivori.settings.load import Environment
from pivori.settings.stack_file.kinds import (
    command,
    compose,
    files,
    git,
    mysql,
    postgres,
    postgres_physical,
    redis,
    secrets,
    sqlite,
)
from pivori.settings.stack_file.options import Building, ComponentOptions, HookTable, OptionTable
from pivori.settings.stack_file.tables import (
    ArchivesTable,
    ContactsTable,
    NotificationsTable,
    RepositoryTable,
    RetentionTable,
    ScheduleTable,
    StackTable,
)
from pivori.stack.model import Contacts, Hook, Member, Stack
from pivori.translation import N_

AnyComponent = Annotated[
    files.Options
    | git.Options
    | postgres.Options
    | postgres_physical.Options
    | mysql.Options
    | sqlite.Options
    | redis.Options
    | compose.Options
    | secrets.Options
    | command.Options,
    Field(discriminator="kind"),
]
"""The kinds of components; each has its module in ``kinds``."""

_BROUGHT_BACK: Final = (
    *("secrets", "command", "postgres", "postgres-physical", "mysql", "redis", "sqlite"),
    *("compose", "git", "files"),
)
"""The kinds in the order in which they are brought back where nothing else is said."""


class StackFile(OptionTable):
    """The whole file."""

    about: StackTable = Field(alias="stack", description=N_("The application that is protected as one."))
    contacts: ContactsTable = Field(
        default=ContactsTable(),
        description=N_("Who to call. This is shown in RECOVERY.md, in the runbook and with fatal errors."),
    )
    repository: RepositoryTable = Field(
        default=RepositoryTable(),
        description=N_("Where the recovery points go. Options and variables take precedence."),
    )
    archives: ArchivesTable = Field(
        default=ArchivesTable(),
        description=N_("Portable archives. Options and variables take precedence."),
    )
    components: list[AnyComponent] = Field(
        min_length=1, description=N_("The parts of the stack, in the order in which they are captured.")
    )
    hooks: list[HookTable] = Field(default=[], description=N_("Command lines that are run around the whole capture."))
    retention: RetentionTable = Field(
        default=RetentionTable(),
        description=N_("What is kept. Nothing applies it yet: `pivori forget` has options for it."),
    )
    schedule: ScheduleTable = Field(
        default=ScheduleTable(),
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
    ranks = {kind: rank for rank, kind in enumerate(_BROUGHT_BACK)}
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
