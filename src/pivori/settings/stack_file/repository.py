"""What ``pivori.toml`` says about the repository, for commands that want no more of it.

The rest of the file is not looked at: whoever wants a file back must not be kept from it by a mistake elsewhere.
"""

from pathlib import Path

from pydantic import ValidationError

from pivori.settings.load import Environment
from pivori.settings.model import Configured, PasswordFrom, PasswordSource
from pivori.settings.stack_file.clear_secrets import secrets_in_clear
from pivori.settings.stack_file.document import Document, read_document, root_of
from pivori.settings.stack_file.options import Building
from pivori.settings.stack_file.tables import RepositoryTable


def configured_repository(path: Path, environment: Environment) -> Configured:
    """The repository of a file and the place of its password, as far as it names them.

    Raises ConfigurationUnreadable, and ConfigurationWrong for a file that is no TOML or has a mistake in this table.
    """
    document = read_document(path)
    table = _table(document, environment)
    building = Building(root_of(document, environment), environment)
    return Configured(
        path=document.path,
        repository=_location(table.location, building),
        password=None
        if table.password is None
        else PasswordSource(kind=PasswordFrom.CONFIGURATION, reveal=table.password.reveal(building)),
    )


def _table(document: Document, environment: Environment) -> RepositoryTable:
    data = document.data.get("repository", {})
    try:
        if not any(secrets_in_clear({"repository": data})):
            return RepositoryTable.model_validate(data, by_alias=True, by_name=False)
    except ValidationError:
        pass
    # Where there is something to mend, all of it is told.
    from pivori.settings.stack_file.loading import stack_file_in

    return stack_file_in(document, environment).repository


def _location(location: str | None, building: Building) -> str | None:
    """An address as it is, a path as an absolute one."""
    if location is None or ":" in location.partition("/")[0]:
        return location
    return str(building.path(location))
