"""``pivori.toml``: what it may say, what it says, and everything that is wrong with it.

Looking to add an option? Add a field with a description to its table in ``tables.py`` or ``kinds``; the validation, the
schema, the sample and the guide follow. A kind of component is a module in ``kinds`` and has a place in
``model.AnyComponent``.

Names are loaded when they are first used: who only asks for the repository does not wait for all kinds of components.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pivori.settings.stack_file.loading import load_kept_stack, load_stack, load_stack_file
    from pivori.settings.stack_file.mistakes import ConfigurationUnreadable, ConfigurationWrong
    from pivori.settings.stack_file.model import StackFile

__all__ = [
    "ConfigurationUnreadable",
    "ConfigurationWrong",
    "StackFile",
    "load_kept_stack",
    "load_stack",
    "load_stack_file",
]

_MODULES = {
    "ConfigurationUnreadable": "mistakes",
    "ConfigurationWrong": "mistakes",
    "StackFile": "model",
    "load_kept_stack": "loading",
    "load_stack": "loading",
    "load_stack_file": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
