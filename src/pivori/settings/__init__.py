"""What the user wrote: the environment, the options given, and where the password comes from."""

from pivori.settings.load import Environment, load_environment
from pivori.settings.model import Choices, PasswordFrom, PasswordSource, Settings
from pivori.settings.secret import Secret

__all__ = ["Choices", "Environment", "PasswordFrom", "PasswordSource", "Secret", "Settings", "load_environment"]
