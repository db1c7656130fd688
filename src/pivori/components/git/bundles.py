"""Bundles that build on one another: the first has all of the history, each later one what came since.

They are what ``git bundle`` reads (gitformat-bundle). They are put together here, because ``git bundle create`` needs
a ref in the repository for whatever it takes, and nothing is written there.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from pivori.components.base import ReadInto, Sink, Source, Stored
from pivori.components.git.errors import CaptureDamaged, RepositoryUnreadable
from pivori.host.filter import NOWHERE, start_filter
from pivori.host.git import Git, GitFailed
from pivori.translation import N_

MOST_BUNDLES: Final = 50
"""After so many a bundle of everything is made again."""
MOST_KNOWN: Final = 5000
"""With more tips than that each bundle has everything: they would have to be listed in each report."""
_STATE: Final = "refs/pivori/state/"
_PACK: Final = ("pack-objects", "--delta-base-offset", "--stdout", "-q")
_LONGEST_HEAD: Final = 64 << 20


def existing(git: Git, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Without what only an unfinished operation mentions and is gone. Raises GitFailed."""
    names = [name for name in wanted if name.startswith(_STATE)]
    gone = set(missing_objects(git, [wanted[name] for name in names]))
    return {name: item for name, item in wanted.items() if not (name.startswith(_STATE) and item in gone)}


def missing_objects(git: Git, items: Iterable[str]) -> Sequence[str]:
    """Those that the repository does not have. Raises GitFailed."""
    listed = "".join(f"{item}\n" for item in items).encode()
    if not listed:
        return []
    output = git("cat-file", "--batch-check", stdin=listed).decode()
    return [line.split(" ")[0] for line in output.splitlines() if line.endswith(" missing")]


def adds_something(git: Git, wanted: Iterable[str], known: Iterable[str]) -> bool:
    """Whether anything is reachable from what is wanted that is not from what is known. Raises GitFailed."""
    return bool(git("rev-list", "--objects", "-n", "1", "--stdin", stdin=_revisions(wanted, known)))


def store_bundle(
    git: Git, sink: Sink, path: str, wanted: Mapping[str, str], known: Sequence[str], object_format: str, state: Path
) -> Stored:
    """Stream a bundle with everything that is wanted and not known. Raises GitFailed, RepositoryUnreadable."""
    refs = {name: item for name, item in wanted.items() if item not in set(known)}
    revisions = _revisions(wanted.values(), known)
    lines = ["# v2 git bundle\n" if object_format == "sha1" else "# v3 git bundle\n@object-format=sha256\n"]
    commits = git("rev-list", "--boundary", "--stdin", stdin=revisions).decode().split() if known else []
    lines += [f"-{line[1:]} \n" for line in commits if line.startswith("-")]
    lines += [f"{item} {name}\n" for name, item in sorted(refs.items())]
    head = "".join([*lines, "\n"]).encode("utf-8", "surrogateescape")
    words = [*_PACK, "--revs", *(["--thin"] if known else [])]
    return _store_pack(git, sink, path, words, revisions, state, head)


def store_objects(git: Git, sink: Sink, path: str, items: Sequence[str], state: Path) -> Stored:
    """Stream a pack of single objects. Raises RepositoryUnreadable."""
    return _store_pack(git, sink, path, _PACK, "".join(f"{item}\n" for item in items).encode(), state, b"")


def _store_pack(
    git: Git, sink: Sink, path: str, words: Sequence[str], listed: bytes, state: Path, head: bytes
) -> Stored:
    # A nameless file of object names: a pipe does not hold as many as there may be.
    with tempfile.TemporaryFile(dir=state) as given:
        given.write(listed)
        given.seek(0)
        with start_filter(git.filter_command(*words), stdin=given, with_children=True) as packing:
            if packing.stdout is None:
                raise RepositoryUnreadable(path=path, reason=N_("git has no output"))
            stored = sink.stream(path, _after(head, packing.stdout.readinto))
            status, said = packing.finish()
    if status != 0:
        raise RepositoryUnreadable(path=path, reason=said.strip() or N_("git cannot read the repository"))
    return stored


def _after(head: bytes, read: Callable[[memoryview], int | None]) -> ReadInto:
    """First some bytes, then what is read."""
    left = memoryview(head)

    def read_into(buffer: memoryview) -> int:
        nonlocal left
        if not left:
            return read(buffer) or 0
        count = min(len(left), len(buffer))
        buffer[:count] = left[:count]
        left = left[count:]
        return count

    return read_into


def _revisions(wanted: Iterable[str], known: Iterable[str]) -> bytes:
    lines = [*sorted(set(wanted)), *(f"^{item}" for item in sorted(set(known)))]
    return "".join(f"{line}\n" for line in lines).encode()


# Back


def take_in(git: Git, source: Source, path: str, *, is_bundle: bool) -> None:
    """Bring the objects of a bundle or of a pack into a repository. Raises CaptureDamaged, GitFailed, NotCaptured."""
    pieces = source.pieces(path)
    first = b""
    if is_bundle:
        head, first = _split(path, pieces)
        needed = [line[1:].split(" ")[0] for line in head.decode("utf-8", "replace").splitlines() if line[:1] == "-"]
        if missing_objects(git, needed):
            raise CaptureDamaged(path=path, reason=N_("the bundle before it is not the one that it builds on"))
    words = git.filter_command("index-pack", "--stdin", "--fix-thin")
    with start_filter(words, stdout=NOWHERE, with_children=True) as indexing:
        _feed(indexing.stdin, first, pieces)
        status, said = indexing.finish()
    if status != 0:
        raise CaptureDamaged(path=path, reason=said.strip() or N_("git cannot read it"))


def _feed(stream: FileIO | None, first: bytes, pieces: Iterator[bytes]) -> None:
    """Give git its input; it may end without reading all of it, and says why."""
    if stream is None:
        return
    with suppress(BrokenPipeError):
        for piece in itertools.chain((first,), pieces):
            view = memoryview(piece)
            while view:
                view = view[stream.write(view) :]


def _split(path: str, pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The head of a bundle, and the beginning of its pack."""
    content = b""
    for piece in pieces:
        content += piece
        head, end, rest = content.partition(b"\n\n")
        if end:
            return head, rest
        if len(content) > _LONGEST_HEAD:
            break
    raise CaptureDamaged(path=path, reason=N_("it is no bundle"))


def check_whole(git: Git, items: Iterable[str]) -> None:
    """See that everything that is reachable is there. Raises GitFailed."""
    if missing_objects(git, items := sorted(set(items))):
        raise GitFailed(N_("objects are missing"))
    git("rev-list", "--objects", "--quiet", "--stdin", stdin=_revisions(items, ()))
