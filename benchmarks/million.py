"""The scenario of a very large index: opening a repository that holds a million blobs.

The index is made up: its packs do not exist, which a backup does not notice, because it only asks whether a blob is
there. Every opening is a backup of one small file with new content, so the index cannot be left unread, and each
leaves one more small index object behind, as real use does.

Run as a program, `python benchmarks/million.py REPOSITORY PASSWORD_FILE` writes such an index into a repository
that exists already, whichever tool made it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from report import FIRST_OPENING, SECOND_OPENING
from rows import Row, Table
from scenarios import create, leaving_out, run_once
from tools import CHECKOUT, NOTHING_CHANGED, Place, Tool, default_pivori, remove

INDEX_OBJECTS = 20
PACKS_PER_OBJECT = 100
BLOBS_PER_PACK = 500
LATER_OPENINGS = 10


def million_blobs(table: Table, tools: Sequence[Tool], work: Path, runs: int) -> None:
    """Opens the repository with an empty cache, then again and again; `runs` times with every tool in turn."""
    source = work / "small"
    source.mkdir()
    places = {tool.name: Place(work / tool.name) for tool in tools}
    try:
        for tool in tools:
            create(tool, places[tool.name])
            write_index(places[tool.name])
        left = list(tools)
        for repetition in range(runs):
            for tool in list(left):
                remove(places[tool.name].root / "home")
                (places[tool.name].root / "home").mkdir()
                with leaving_out(tool, left, table):
                    table.rows.append(opening(tool, FIRST_OPENING, places[tool.name], source, repetition))
            for number in range(repetition * LATER_OPENINGS, (repetition + 1) * LATER_OPENINGS):
                for tool in list(left):
                    with leaving_out(tool, left, table):
                        table.rows.append(opening(tool, SECOND_OPENING, places[tool.name], source, number))
    finally:
        for place in places.values():
            place.remove()
        remove(source)


def opening(tool: Tool, operation: str, place: Place, source: Path, repetition: int) -> Row:
    """One backup of one small file that nobody has seen before."""
    (source / "small.txt").write_bytes(os.urandom(1000))
    row = run_once(tool, NOTHING_CHANGED, place, source, repetition, called=operation)
    assert row is not None
    return row


def write_index(place: Place) -> None:
    """Fills the index, in a process of its own that has the program's libraries."""
    words = [default_pivori()[0], str(Path(__file__).resolve()), str(place.repository), str(place.password_file)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    subprocess.run(words, check=True, env=environment, stdin=subprocess.DEVNULL)


def index_objects() -> Iterator[bytes]:
    """The JSON of one index object after another; seeded."""
    generator = random.Random(1_000_000)
    for _ in range(INDEX_OBJECTS):
        packs = []
        for _ in range(PACKS_PER_OBJECT):
            names = generator.randbytes(32 * (BLOBS_PER_PACK + 1)).hex()
            offset, blobs = 0, []
            for start in range(64, 64 * (BLOBS_PER_PACK + 1), 64):
                length = generator.randrange(200, 60_000)
                blobs.append(
                    f'{{"id":"{names[start : start + 64]}","type":"data","offset":{offset},"length":{length},'
                    f'"uncompressed_length":{length * 3}}}'
                )
                offset += length
            packs.append(f'{{"id":"{names[:64]}","blobs":[{",".join(blobs)}]}}')
        yield f'{{"packs":[{",".join(packs)}]}}'.encode()


def main() -> None:
    """Writes the index into the repository that was named."""
    from pivori.repository import Repository
    from pivori.storage import Kind, LocalStorage

    repository = Repository.open(LocalStorage(Path(sys.argv[1])), Path(sys.argv[2]).read_text().strip())
    for plain in index_objects():
        repository.objects.save_unpacked(Kind.INDEX, plain)
    repository.storage.sync()


if __name__ == "__main__":
    main()
