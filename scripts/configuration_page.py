"""The tables of options in docs/guide/configuration.md, made of the models that validate pivori.toml.

    check   say whether the page is up to date; exit status 1 when it is not
    write   bring it up to date

What stands between the two marks is written here, everything else by hand.
Run it with: .venv/bin/python scripts/configuration_page.py write
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guide" / "configuration.md"
BEGIN = "<!-- options: made by scripts/configuration_page.py -->"
END = "<!-- options: end -->"


def options() -> str:
    """The tables, each with its heading."""
    from pivori.settings.stack_file.described import (
        common_options,
        kind_description,
        kinds,
        options_of,
        own_options,
        resolved,
        sections,
        shared_table,
    )

    lines: list[str] = []
    for section in sections():
        if section.key == "components":
            continue
        table = resolved(section.node)
        array = "items" in table
        name = f"[[{section.key}]]" if array else f"[{section.key}]"
        lines += [f"### `{name}`", "", section.description, ""]
        lines += _table(options_of(resolved(table["items"]) if array else table))
    components = {section.key: section for section in sections()}["components"]
    lines += ["### `[[components]]`", "", components.description, "", "Components of all kinds have:", ""]
    lines += _table(common_options())
    for kind in kinds():
        heading = f'### `kind = "{kind}"`'
        lines += [heading, "", f"{kind_description(kind)} More: [{kind}](components/{kind}.md).", ""]
        lines += _table(own_options(kind))
    lines += ["### Where a secret is", "", 'One of these, as in `password = { file = "/etc/shop/password" }`:', ""]
    lines += _table(options_of(shared_table("SecretReference")))
    return "\n".join(lines)


def _table(rows: Any) -> Iterator[str]:
    from pivori.settings.stack_file.sample import as_toml

    yield "| Option | Default | Meaning |"
    yield "|---|---|---|"
    for row in rows:
        default = row.node.get("default")
        shown = "required" if row.is_required else "" if default in (None, "", [], {}) else f"`{as_toml(default)}`"
        yield f"| `{row.key}` | {shown} | {row.description} |".replace("|  |", "| |")
    yield ""


def page() -> str:
    """The page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{options()}\n{END}{after}"


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "write"])
    action = parser.parse_args().action
    wanted = page()
    if action == "write":
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{PAGE} is not up to date: scripts/configuration_page.py write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
