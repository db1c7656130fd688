"""One table of ``pivori.toml``, for commands that want no more of it.

The rest of the file is not looked at: whoever wants a file back must not be kept from it by a mistake elsewhere.
"""

from typing import TypeVar

from pydantic import ValidationError

from pivori.settings.load import Environment
from pivori.settings.stack_file.clear_secrets import secrets_in_clear
from pivori.settings.stack_file.document import Document
from pivori.settings.stack_file.options import OptionTable

Table = TypeVar("Table", bound=OptionTable)


def table_of(document: Document, name: str, kind: type[Table], environment: Environment) -> Table:
    """The table of that name. Raises ConfigurationWrong when there is a mistake in it: then all mistakes are told."""
    data = document.data.get(name, {})
    try:
        if not any(secrets_in_clear({name: data})):
            return kind.model_validate(data, by_alias=True, by_name=False)
    except ValidationError:
        pass
    # Where there is something to mend, all of it is told.
    from pivori.settings.stack_file.loading import stack_file_in

    whole = stack_file_in(document, environment)
    found: Table = getattr(whole, name)
    return found
