"""The options of the file as data, made of the models: what each is called, what it may be, and what it means."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pivori.settings.stack_file.lines import Path
from pivori.settings.stack_file.model import StackFile
from pivori.settings.stack_file.options import ComponentOptions

Node = Mapping[str, Any]
"""A piece of a JSON schema."""


@cache
def schema() -> Node:
    """The JSON schema of the file."""
    made = StackFile.model_json_schema(by_alias=True)
    for table in (made, *made["$defs"].values()):
        # What developers read of a class; people read the descriptions of the options.
        table.pop("description", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "pivori.toml"}


class Option(NamedTuple):
    """An option of a table: its key, what it means (English), whether it is required, and its piece of the schema."""

    key: str
    description: str
    is_required: bool
    node: Node


def options_of(table: Node) -> Sequence[Option]:
    """The options of a table, in the order of the model."""
    required = table.get("required", ())
    return [
        Option(key, node.get("description", ""), key in required, node) for key, node in table["properties"].items()
    ]


def sections() -> Sequence[Option]:
    """The tables of the file."""
    return options_of(schema())


def keys_at(path: Path, data: object) -> Sequence[str]:
    """The keys that a table of the file may have; none where there is no table."""
    node: Node | None = schema()
    for part in path:
        node = _below(_table(node, data), part) if node is not None else None
        data = item_of(data, part)
    table = _table(node, data) if node is not None else {}
    return list(table.get("properties", {}))


def kinds() -> Sequence[str]:
    """The kinds of components."""
    return list(_components()["discriminator"]["mapping"])


def common_options() -> Sequence[Option]:
    """The options that components of all kinds have."""
    return options_of(ComponentOptions.model_json_schema(by_alias=True))


def own_options(kind: str) -> Sequence[Option]:
    """The options of a kind of component beside ``kind``: its own, and common ones that it has otherwise."""
    common = common_options()
    return [option for option in options_of(kind_table(kind)) if option.key != "kind" and option not in common]


def kind_description(kind: str) -> str:
    """What a kind of component is."""
    description: str = kind_table(kind)["properties"]["kind"]["description"]
    return description


def shared_table(name: str) -> Node:
    """A table that stands in several places, by the name of its model."""
    table: Node = schema()["$defs"][name]
    return table


def kind_table(kind: str) -> Node:
    """The table of a kind of component."""
    return resolved({"$ref": _components()["discriminator"]["mapping"][kind]})


def is_there(data: object, part: str | int) -> bool:
    """Whether a table has a key, or an array an item."""
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def item_of(data: Any, part: str | int) -> object:
    """What a table has at a key, or an array as an item; None when there is nothing."""
    return data[part] if is_there(data, part) else None


def resolved(node: Node) -> Node:
    """A piece with what it refers to in its place; its own description wins."""
    while (reference := node.get("$ref")) is not None:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**schema()["$defs"][reference.rpartition("/")[2]], **rest}
    return node


def _components() -> Node:
    items: Node = schema()["properties"]["components"]["items"]
    return items


def _table(node: Node, data: object) -> Node:
    """The table that a piece stands for, of several the one that fits ``data``."""
    node = resolved(node)
    if "discriminator" in node:
        reference = node["discriminator"]["mapping"].get(item_of(data, "kind"))
        return resolved({"$ref": reference}) if reference is not None else {}
    for choice in node.get("anyOf", ()):
        table = resolved(choice)
        if "properties" in table or "items" in table:
            return table
    return node


def _below(table: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        items: Node | None = table.get("items")
        return items
    found = table.get("properties", {}).get(part, table.get("additionalProperties"))
    return found if isinstance(found, Mapping) else None
