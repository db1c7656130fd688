"""What ``pivori.toml`` says about the repository."""

from pathlib import Path

from pivori.settings.load import Environment
from pivori.settings.model import Configured, PasswordFrom, PasswordSource
from pivori.settings.stack_file.document import located, read_document, root_of
from pivori.settings.stack_file.one_table import table_of
from pivori.settings.stack_file.options import Building
from pivori.settings.stack_file.tables import RepositoryTable


def configured_repository(path: Path, environment: Environment) -> Configured:
    """The repository of a file and the place of its password, as far as it names them.

    Raises ConfigurationUnreadable, and ConfigurationWrong for a file that is no TOML or has a mistake in this table.
    """
    document = read_document(path)
    table = table_of(document, "repository", RepositoryTable, environment)
    building = Building(root_of(document, environment), environment)
    return Configured(
        path=document.path,
        repository=located(table.location, building),
        password=None
        if table.password is None
        else PasswordSource(kind=PasswordFrom.CONFIGURATION, reveal=table.password.reveal(building)),
    )
