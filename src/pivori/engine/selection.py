"""What a restore picks from a snapshot: ``--include`` and ``--exclude`` patterns over the paths of its tree.

An entry is picked when it, or the nearest directory above it that a pattern speaks of, is included; and when neither
it nor a directory above it is excluded. Without includes, everything is picked. Patterns with a slash are read
from the sources of the snapshot (what was backed up), and with a slash in front from the top of the tree too: when
``/home/me/project`` was backed up, ``src/main.py``, ``/src/main.py`` and ``/home/me/project/src/main.py`` all mean
the same file.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pivori.engine.patterns import Pattern, Verdicts, below, components

_REMEMBERED_DIRECTORIES = 4096


class Choice(NamedTuple):
    """The answer for one entry."""

    selected: bool
    may_contain_selected: bool
    """Whether anything below the entry can be selected; when not, it need not be looked into."""


class _Directory(NamedTuple):
    """How things stand for the entries of one directory."""

    included: bool
    excluded: bool
    includes: Verdicts
    excludes_of_files: Verdicts
    excludes_of_directories: Verdicts
    prefix: str
    """The directory's path from where the verdicts start, with a slash at its end, or empty."""

    def entry(self, name: str, is_directory: bool) -> tuple[bool, bool]:
        """Whether an entry is included, and whether it is excluded."""
        included = self.includes.decide(self.prefix, name, is_directory)
        excludes = self.excludes_of_directories if is_directory else self.excludes_of_files
        return (
            self.included if included is None else included,
            self.excluded or excludes.decide(self.prefix, name, is_directory) is True,
        )


class Selection:
    """A compiled choice. ``roots`` are the snapshot's source paths, as they lie in the tree that is walked."""

    def __init__(
        self, include: Iterable[str] = (), exclude: Iterable[str] = (), *, roots: Iterable[bytes] = ()
    ) -> None:
        self._include = tuple(Pattern.parse(text) for text in include)
        self._exclude = tuple(Pattern.parse(text) for text in exclude)
        self._roots = {components(root) for root in roots} or {()}
        self._above_roots = {root[:length] for root in self._roots for length in range(len(root))}
        self._top = self._top_directory()
        self._known: dict[tuple[bytes, ...], _Directory] = {}

    def __bool__(self) -> bool:
        """Whether anything is asked for: when not, everything is selected and nobody needs to ask."""
        return bool(self._include or self._exclude)

    def decide(self, path: Sequence[bytes], is_directory: bool) -> Choice:
        """The choice for the entry at ``path``: the names from the top of the tree down; ``()`` is the top itself."""
        if is_directory or not path:
            directory = self._directory(tuple(path))
            if directory.excluded:
                return Choice(False, False)
            return Choice(directory.included, directory.included or self._reaches_below(path))
        above = self._directory(tuple(path[:-1]))
        included, excluded = above.entry(path[-1].decode("utf-8", "surrogateescape"), False)
        return Choice(included and not excluded, False)

    def _top_directory(self) -> _Directory:
        included = all(pattern.is_negated for pattern in self._include)
        includes, excludes = Verdicts(self._include), Verdicts(self._exclude)
        if () in self._roots:
            return _Directory(included, False, includes, excludes, excludes, "")
        # A name at any depth is left out of what was backed up, but does not mean a directory on the way to it.
        absolute = Verdicts([pattern for pattern in self._exclude if pattern.is_absolute])
        return _Directory(included, False, includes, excludes, absolute, "")

    def _directory(self, path: tuple[bytes, ...]) -> _Directory:
        """How things stand in the directory at ``path``."""
        if not path:
            return self._top
        known = self._known.get(path)
        if known is not None:
            return known
        above = self._directory(path[:-1])
        name = path[-1].decode("utf-8", "surrogateescape")
        included, excluded = above.entry(name, True)
        names = _text(path)
        if names in self._roots:
            includes, excludes = Verdicts(below(self._include, names)), Verdicts(below(self._exclude, names))
            found = _Directory(included, excluded, includes, excludes, excludes, "")
        else:
            found = above._replace(included=included, excluded=excluded, prefix=f"{above.prefix}{name}/")
        if len(self._known) >= _REMEMBERED_DIRECTORIES:
            self._known.clear()
        self._known[path] = found
        return found

    def _reaches_below(self, path: Sequence[bytes]) -> bool:
        """Whether an include pattern can match something below this directory, which is not itself included."""
        names = _text(path)
        if names in self._above_roots:
            return True
        root = next((names[:end] for end in range(len(names), -1, -1) if names[:end] in self._roots), ())
        wanted = [pattern for pattern in self._include if not pattern.is_negated]
        return any(any(pattern.rests(names[len(base) :])) for pattern in wanted for base in {(), root})


def _text(path: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name.decode("utf-8", "surrogateescape") for name in path)
