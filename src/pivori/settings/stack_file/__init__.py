"""``pivori.toml``: what it may say, what it says, and everything that is wrong with it.

Looking to add an option? Add a field with a description to its table in ``model.py`` or ``kinds``; the validation, the
schema, the sample and the guide follow. A kind of component is a module in ``kinds`` and has a place in
``model.AnyComponent``.
"""

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
