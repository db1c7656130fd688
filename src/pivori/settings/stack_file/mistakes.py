"""What can be wrong with the configuration, and the error that tells all of it at once."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from pivori.errors import PivoriError
from pivori.settings.stack_file import lines
from pivori.translation import N_, Phrase


class Found(NamedTuple):
    """A mistake before its line is known."""

    path: lines.Path
    problem: Phrase
    nearest: str | None = None


class Mistake(NamedTuple):
    """One mistake: on which line (None: the whole file), at which key, what is wrong, and what may be meant."""

    line: int | None
    key: str
    problem: Phrase
    nearest: str | None = None

    def sentence(self, path: Path) -> Phrase:
        """All of it in one line, in front of which stands where it is."""
        place = str(path) if self.line is None else f"{path}:{self.line}"
        problem = self.problem
        if self.nearest is not None:
            problem = Phrase(N_("{problem}; did you mean “{nearest}”?"), problem=problem, nearest=self.nearest)
        if not self.key:
            return Phrase(N_("{place}: {problem}"), place=place, problem=problem)
        return Phrase(N_("{place}: {key}: {problem}"), place=place, key=self.key, problem=problem)


class ConfigurationWrong(PivoriError):
    """The configuration file has mistakes; ``details["mistakes"]`` has them one by one."""

    code = "configuration-wrong"
    message = N_("The configuration {path} cannot be used.\n{listing}")
    hint = N_("Mend these lines, then run `pivori config check`.")
    exit_status = 2

    @classmethod
    def of(cls, path: Path, mistakes: Sequence[Mistake]) -> "ConfigurationWrong":
        """The error that tells these mistakes, in the order of their lines."""
        ordered = sorted(mistakes, key=lambda mistake: (mistake.line or 0, mistake.key))
        sentences = {f"line_{number}": mistake.sentence(path) for number, mistake in enumerate(ordered)}
        listing = Phrase("\n".join(f"{{{name}}}" for name in sentences), **sentences)
        return cls(path=path, listing=listing, mistakes=[mistake._asdict() for mistake in ordered])


class ConfigurationUnreadable(PivoriError):
    """The configuration file cannot be read."""

    code = "configuration-unreadable"
    message = N_("The configuration {path} cannot be read: {reason}.")
    hint = N_("Check the path and its permissions.")
    exit_status = 2


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The word that was probably meant; None when none is like it."""
    # A hyphen is what most people forget.
    plain = {known.replace("-", "_"): known for known in words}
    found = get_close_matches(word.lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def dotted(path: lines.Path, names: Sequence[str] = ()) -> str:
    """A path as people write it: ``components[2].paths``, or ``components.db.paths`` where components have names."""
    text = ""
    for position, part in enumerate(path):
        if isinstance(part, str):
            text += f".{part}" if text else part
        elif position == 1 and path[0] == "components" and part < len(names) and names[part]:
            text += f".{names[part]}"
        else:
            text += f"[{part + 1}]"
    return text
