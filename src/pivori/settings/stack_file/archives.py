"""What ``pivori.toml`` says about archives."""

from pathlib import Path
from typing import NamedTuple

from pivori.components.base import Reveal
from pivori.settings.load import Environment
from pivori.settings.stack_file.document import read_document, root_of
from pivori.settings.stack_file.one_table import table_of
from pivori.settings.stack_file.options import Building
from pivori.settings.stack_file.tables import ArchivesTable


class ConfiguredArchives(NamedTuple):
    """The directory of archives, and what looks their password up; None for what the file does not name."""

    directory: Path | None
    password: Reveal | None


def configured_archives(path: Path, environment: Environment) -> ConfiguredArchives:
    """The archives of a file. Raises ConfigurationUnreadable, and ConfigurationWrong as for the repository."""
    document = read_document(path)
    table = table_of(document, "archives", ArchivesTable, environment)
    building = Building(root_of(document, environment), environment)
    return ConfiguredArchives(
        directory=building.path(table.directory) if table.directory is not None else None,
        password=table.password.reveal(building) if table.password is not None else None,
    )
