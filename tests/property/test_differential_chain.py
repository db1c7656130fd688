"""Differential archives over random edits: each, restored over its base, is the source as it was then."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pivori.engine.archive.differential import named_base
from tests.archives import archive, picture, restore

NAMES = st.sampled_from(["a", "b", "c", "d/e", "d/f", "d/g/h", "i/j"])
EDITS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "write",
                "append",
                "touch",
                "remove",
                "mode",
                "rename",
                "link",
                "symlink",
                "directory",
                "attribute",
                "swap",
            ]
        ),
        NAMES,
        NAMES,
        st.integers(0, 3),
    ),
    max_size=12,
)


def remove(path: Path) -> None:
    """Remove whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def parent(root: Path, name: str) -> None:
    """Make the directories above a name, whatever is in their way."""
    place = root
    for part in name.split("/")[:-1]:
        place = place / part
        if not place.is_dir() or place.is_symlink():
            remove(place)
            place.mkdir()


def edit(root: Path, action: str, name: str, other: str, number: int) -> None:
    """Change something, when it can be done."""
    parent(root, name)
    path, second = root / name, root / other
    is_file = path.is_file() and not path.is_symlink()
    if action == "write":
        remove(path)
        path.write_text(f"{name} {number}")
    elif action == "append" and is_file:
        with path.open("a") as file:
            file.write(str(number))
    elif action == "touch" and path.exists() and not path.is_symlink():
        os.utime(path, ns=(number, 1_600_000_000_000_000_000 + number))
    elif action == "remove":
        remove(path)
    elif action == "mode" and path.exists() and not path.is_symlink():
        path.chmod((0o755, 0o644, 0o700, 0o4755)[number])
    elif action == "rename" and os.path.lexists(path) and name != other and not other.startswith(name + "/"):
        parent(root, other)
        if os.path.lexists(path):
            remove(second)
            path.rename(second)
    elif action == "link" and is_file and name != other:
        parent(root, other)
        if path.is_file():
            remove(second)
            os.link(path, second)
    elif action == "symlink":
        remove(path)
        path.symlink_to(other)
    elif action == "directory":
        remove(path)
        path.mkdir()
    elif action == "attribute" and is_file:
        os.setxattr(path, "user.n", str(number).encode())
    elif action == "swap" and is_file:
        # The same length and time, another content: only the time of change and the inode tell.
        status = path.stat()
        content = bytes(byte ^ 1 for byte in path.read_bytes())
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@given(first=EDITS, chain=st.lists(EDITS, min_size=1, max_size=3), settled=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_chain_over_random_edits(
    first: list[tuple[str, str, str, int]], chain: list[list[tuple[str, str, str, int]]], settled: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, place = Path(folder) / "tree", Path(folder) / "archives"
        root.mkdir()
        place.mkdir()
        for name in ("kept", "a", "b", "c", "d/e", "d/f", "d/g/h", "i/j"):
            edit(root, "write", name, name, 0)
        for step in first:
            edit(root, *step)
        if settled:
            time.sleep(0.03)
        base = place / "pivori-complete-20250101-000000.zip"
        archive(root, base)
        pictures = []
        for number, edits in enumerate(chain):
            for step in edits:
                edit(root, *step)
            pictures.append(picture(root))
            path = place / f"pivori-differential-2025010{number + 2}-000000.zip"
            archive(root, path, strategy="differential", base=named_base(base, str(root)))
        for number, expected in enumerate(pictures):
            target = Path(folder) / f"back {number}"
            outcome = restore(place / f"pivori-differential-2025010{number + 2}-000000.zip", target)
            assert (outcome.failures, outcome.problems) == (0, 0)
            assert picture(target) == expected
        # No two of them depend on each other: the last one is whole without the others.
        for number in range(len(chain) - 1):
            (place / f"pivori-differential-2025010{number + 2}-000000.zip").unlink()
        restore(place / f"pivori-differential-2025010{len(chain) + 1}-000000.zip", Path(folder) / "again")
        assert picture(Path(folder) / "again") == pictures[-1]
