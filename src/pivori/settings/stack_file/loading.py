"""Reading ``pivori.toml``: the file as it is understood, or everything that is wrong with it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pivori.settings.load import Environment
from pivori.settings.stack_file.clear_secrets import secrets_in_clear
from pivori.settings.stack_file.document import Document, document_of, located, name_of, read_document, refuse
from pivori.settings.stack_file.mistakes import Found, nearest
from pivori.settings.stack_file.model import StackFile
from pivori.settings.stack_file.options import Building
from pivori.settings.stack_file.wording import understood
from pivori.stack.model import Stack
from pivori.translation import N_, Phrase


def load_stack_file(path: Path, environment: Environment) -> StackFile:
    """The configuration in a file. Raises ConfigurationUnreadable, and ConfigurationWrong with all its mistakes."""
    return stack_file_in(read_document(path), environment)


def stack_file_in(document: Document, environment: Environment) -> StackFile:
    """The configuration that a document says. Raises ConfigurationWrong with all its mistakes."""
    found = [*_validated(document.data), *_contradictions(document.data)]
    found += _without_root(document, environment)
    clear = [Found(place, problem) for place, problem in secrets_in_clear(document.data)]
    refuse(document, [*clear, *found])
    loaded = StackFile.model_validate(document.data, by_alias=True, by_name=False)
    loaded.came_from(document.path, document.content)
    refuse(document, list(_repository_within(loaded, environment)))
    return loaded


def load_stack(path: Path, environment: Environment) -> Stack:
    """The stack in a file. Raises what :func:`load_stack_file` raises, and what building a component raises."""
    loaded = load_stack_file(path, environment)
    return loaded.stack(loaded.building(environment))


def load_kept_stack(content: bytes, root: Path, environment: Environment) -> Stack:
    """The stack of a configuration that a recovery point kept, which was for the folder ``root``.

    Raises ConfigurationWrong, and what building a component raises.
    """
    loaded = stack_file_in(document_of(root / "pivori.toml", content), environment)
    return loaded.stack(Building(root, environment, loaded.about.strategy or ""))


def _validated(data: Mapping[str, Any]) -> Iterator[Found]:
    try:
        StackFile.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        yield from understood(error.errors(include_url=False), data)


def _contradictions(data: Mapping[str, Any]) -> Iterator[Found]:
    """What is wrong between the tables; of tables that are no tables there is nothing to say here."""
    components = data.get("components")
    names = [name_of(item) for item in components] if isinstance(components, list) else []
    times = Counter(names)
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name and times[name] > 1 and name in seen:
            problem = Phrase(N_("there is another component with the name “{name}”"), name=name)
            yield Found(("components", number, "name"), problem)
        seen.add(name)
    stack = data.get("stack")
    order = stack.get("recovery-order") if isinstance(stack, Mapping) else None
    order = order if isinstance(order, list) else []
    for number, name in enumerate(order):
        place = ("stack", "recovery-order", number)
        if not isinstance(name, str):
            continue
        if name not in seen:
            near = nearest(name, [known for known in names if known])
            yield Found(place, Phrase(N_("there is no component with the name “{name}”"), name=name), near)
        elif name in order[:number]:
            yield Found(place, Phrase(N_("“{name}” stands here twice"), name=name))


def _repository_within(loaded: StackFile, environment: Environment) -> Iterator[Found]:
    """A repository among the files that it keeps would be captured itself, and moved aside by a restore in place."""
    building = loaded.building(environment)
    location = located(loaded.repository.location, building)
    for options in loaded.components if location is not None else ():
        paths = getattr(options, "paths", ()) if getattr(options, "kind", "") == "files" else ()
        for path in map(building.path, paths):
            if location is not None and Path(location.removeprefix("local:")).is_relative_to(path):
                problem = N_("the repository may not lie in {path}, which the component {name} takes and brings back")
                yield Found(("repository", "location"), Phrase(problem, path=str(path), name=options.name))


def _without_root(document: Document, environment: Environment) -> Iterator[Found]:
    """A file in the folder of configurations is not in the folder of its stack."""
    base = environment.configurations
    stack = document.data.get("stack")
    if base is not None and document.path.is_relative_to(base) and isinstance(stack, Mapping) and "root" not in stack:
        problem = N_("this has to be there, as the file does not lie in the folder of the stack")
        yield Found(("stack", "root"), Phrase(problem))
