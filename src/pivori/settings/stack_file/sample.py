"""A commented ``pivori.toml`` with every option, made of the descriptions of the models."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any, Final

from pivori.settings.stack_file.described import (
    Node,
    Option,
    common_options,
    kind_description,
    kinds,
    options_of,
    own_options,
    resolved,
    sections,
    shared_table,
)
from pivori.translation import N_

_WIDTH: Final = 110
_BEGINNING: Final = N_(
    "The configuration of a stack: what belongs to an application, and how it is protected. Above each option stands "
    "what it means; those behind a # are left out here, and have their default or an example."
)
_COMMON: Final = N_("{keys}: as above.")
_SECRETS: Final = N_(
    "A secret never stands in this file, but a table that says where it is: password = {{ file = … }}. It has one of:"
)
_HOOKS: Final = N_("A hook has:")
_KIND: Final = N_("Kind “{kind}”: {description}")

Translate = Callable[[str], str]


def sample(translate: Translate) -> str:
    """The text of a file. ``translate`` gives a sentence in the reader's language."""
    lines = [*_comment(translate(_BEGINNING)), ""]
    for section in sections():
        lines += _components(translate, section) if section.key == "components" else _section(translate, section)
    lines += [*_comment(translate(_SECRETS).format()), *_explained(translate, "SecretReference"), "#"]
    lines += [*_comment(translate(_HOOKS)), *_explained(translate, "HookTable")]
    return "\n".join(lines) + "\n"


def _section(translate: Translate, section: Option) -> Iterator[str]:
    yield from _comment(translate(section.description))
    table = resolved(section.node)
    if "properties" not in table:  # hooks: an array of tables
        options = [option for option in options_of(resolved(table["items"])) if option.key]
        yield f"# [[{section.key}]]"
        yield from (f"# {option.key} = {_value(option)}" for option in options)
    else:
        yield f"[{section.key}]"
        for option in options_of(table):
            yield from _option(translate, option, is_active=option.is_required)
    yield ""


def _components(translate: Translate, section: Option) -> Iterator[str]:
    """The first component is there, the other kinds are behind a #."""
    yield from _comment(translate(section.description))
    ordered = sorted(kinds(), key=lambda kind: kind != "files")
    for kind in ordered:
        yield from _component(translate, kind, is_active=kind == ordered[0])
        yield ""


def _component(translate: Translate, kind: str, *, is_active: bool) -> Iterator[str]:
    name, *common = common_options()
    own = own_options(kind)
    front = "" if is_active else "# "
    yield from _comment(translate(_KIND).format(kind=kind, description=translate(kind_description(kind))))
    yield f"{front}[[components]]"
    yield f'{front}kind = "{kind}"'
    if is_active:
        yield from _comment(translate(name.description))
    yield f'{front}name = "my-{kind}"'
    for option in own:
        yield from _option(translate, option, is_active=is_active and option.is_required)
    if is_active:
        for option in common:
            yield from _option(translate, option, is_active=False)
        return
    changed = {option.key for option in own}
    as_above = ", ".join(option.key for option in common if option.key not in changed)
    yield from _comment(translate(_COMMON).format(keys=as_above))


def _option(translate: Translate, option: Option, *, is_active: bool) -> Iterator[str]:
    yield from _comment(translate(option.description))
    yield f"{'' if is_active else '# '}{option.key} = {_value(option)}"


def _explained(translate: Translate, name: str) -> Iterator[str]:
    """The options of a table that stands in many places."""
    for option in options_of(shared_table(name)):
        yield from _comment(f"{option.key}: {translate(option.description)}", indent="  ")


def _comment(text: str, indent: str = "") -> Iterable[str]:
    lines = wrap(text, _WIDTH, initial_indent=f"# {indent}", subsequent_indent=f"# {indent}", break_on_hyphens=False)
    return [line.rstrip() for line in lines]


def _value(option: Option) -> str:
    """The example, otherwise the default, otherwise something of the right type."""
    node = option.node
    if node.get("examples"):
        return as_toml(node["examples"][0])
    if node.get("default") is not None:
        return as_toml(node["default"])
    return as_toml(_anything(node))


def _anything(node: Node) -> Any:
    node = resolved(node)
    for choice in node.get("anyOf", ()):
        if choice.get("type") != "null":
            return _anything(choice)
    if "const" in node or "enum" in node:
        return node.get("const", node.get("enum", [""])[0])
    if node.get("title") == "SecretReference":
        return {"file": "~/.config/my-app/password"}
    kind = node.get("type")
    if isinstance(kind, list):
        return "1h"  # a duration
    if kind == "array":
        items = _anything(node.get("items", {}))
        return [items] if node.get("minItems") else []
    return {"string": "…", "integer": node.get("minimum", 1), "number": 1, "boolean": False}.get(str(kind), {})


def as_toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
