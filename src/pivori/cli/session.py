"""What a command works with: the output, the settings and the parts, each made when it is first asked for."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pivori.cli.output import Output
from pivori.clock import Clock
from pivori.settings.finding import find_configuration
from pivori.settings.load import Environment
from pivori.settings.model import Choices, Configured, Settings
from pivori.settings.resolve import names_repository, resolve
from pivori.settings.secret import Secret
from pivori.translation import _

if TYPE_CHECKING:
    from pivori.app import App, Storage
    from pivori.cli.progress import ProgressDisplay
    from pivori.settings.stack_file.archives import ConfiguredArchives


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What surrounds a run, before the command line is read. Tests put a storage in place of the one named there."""

    environment: Environment
    output: Output
    clock: Clock
    storage: "Storage | None" = None
    choices: dict[str, object] = field(default_factory=dict)
    """The global options met so far, by the names of :class:`Choices`."""
    contacts: dict[str, str] = field(default_factory=dict)
    """Who to call when the command fails: filled in once a stack is known that says so."""

    @property
    def report_directory(self) -> Path | None:
        """Where the report of an internal error goes; None when nothing may be kept."""
        if self.choices.get("no_cache"):
            return None
        chosen = self.choices.get("cache_dir")
        return Path(str(chosen)) if chosen else self.environment.cache_directory


class Session:
    """A run of a command: ``output`` and ``choices`` at once, ``settings`` and ``app`` on demand."""

    def __init__(self, runtime: Runtime, choices: Choices) -> None:
        self.runtime = runtime
        self.choices = choices
        self.output = runtime.output
        self.clock = runtime.clock
        self._apps: list[App] = []

    @cached_property
    def settings(self) -> Settings:
        """The settings, resolved. Raises what :func:`resolve` raises, and what is wrong with the configuration."""
        return resolve(self.runtime.environment, self.choices, self._configured())

    @cached_property
    def app(self) -> "App":
        """The parts, for the repository of the global options."""
        return self._build(self.settings, self.runtime.storage)

    @cached_property
    def archives(self) -> "ConfiguredArchives | None":
        """What the configuration file says about archives. Raises what is wrong with that."""
        path = find_configuration(self.runtime.environment, self.choices)
        if path is None:
            return None
        # Slow to load, and nobody needs it who has no such file.
        from pivori.settings.stack_file.archives import configured_archives

        return configured_archives(path, self.runtime.environment)

    def app_for(self, choices: Choices) -> "App":
        """The parts for another repository, the second one of ``copy``."""
        return self._build(resolve(self.runtime.environment, choices), None)

    def progress(self) -> "ProgressDisplay":
        """A display to give to the engine: ``with session.progress() as progress: backup(..., emit=progress)``."""
        from pivori.cli.progress import ProgressDisplay  # many commands are done before there is anything to show

        return ProgressDisplay(self.output, self.clock)

    def ask_password(self, new: bool, repository: str) -> Secret:
        """Ask for a password at the terminal, twice for a new one. Raises NoPassword, NothingTyped, PasswordsDiffer."""
        from pivori.settings.credentials import ask_at_terminal  # only when there is somebody to ask

        prompt = _("New password for {repository}: ") if new else _("Password for {repository}: ")
        again = _("The same password again: ") if new else None
        return ask_at_terminal(prompt.format(repository=repository), again, repository)

    def close(self) -> None:
        """Release what the parts hold open."""
        for app in self._apps:
            app.close()

    def _configured(self) -> Configured | None:
        """The configuration file, and what it says about the repository unless somebody has said it already."""
        environment = self.runtime.environment
        path = find_configuration(environment, self.choices)
        if path is None:
            return None
        if names_repository(environment, self.choices):
            return Configured(path=path)
        # Slow to load, and nobody needs it who has no such file.
        from pivori.settings.stack_file.repository import configured_repository

        return configured_repository(path, environment)

    def _build(self, settings: Settings, storage: "Storage | None") -> "App":
        # The parts bring the cryptography with them: commands that need no repository start without.
        from pivori.app import App
        from pivori.cli.notices import tell, tell_damage

        app = App(
            settings,
            ask=lambda new: self.ask_password(new, app.storage().location),
            emit=lambda event: tell(event, self.output),
            on_damage=lambda error: tell_damage(error, self.output),
            storage=storage,
            clock=self.clock,
        )
        self._apps.append(app)
        return app
