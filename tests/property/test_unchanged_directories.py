"""Whatever happens to a tree, a backup that recognises unchanged directories gives the tree that a full one gives."""

import os
import shutil
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pivori.clock import SystemClock
from pivori.engine.backup import Backup, BackupRequest
from pivori.engine.restore.items import find_subtree
from pivori.host import ProcessIdentity
from pivori.repository import Repository, format_time, parent_for, path_text
from pivori.storage import MemoryStorage

NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "c/f/g", "c/f/h", "i/j/k"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "append", "chmod", "remove", "symlink", "touch", "mkdir", "rename"]), NAMES),
    max_size=6,
)


def apply(root: Path, step: str, name: str) -> None:
    """One change to the tree; what is impossible in its present state is left undone."""
    path = root / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if step == "write":
            path.write_bytes(os.urandom(20))
        elif step == "append":
            with path.open("ab") as file:
                file.write(b"more")
        elif step == "chmod":
            path.chmod(path.stat().st_mode ^ 0o040)
        elif step == "remove":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif step == "symlink":
            path.symlink_to("elsewhere")
        elif step == "touch":
            os.utime(path, ns=(1, 1_600_000_000_123_456_789))
        elif step == "mkdir":
            path.mkdir()
        elif step == "rename":
            path.rename(path.with_name(path.name + "x"))
    except OSError:
        return


def run(repository: Repository, root: Path, cache: Path | None, *, force: bool) -> str:
    """Back up and give the id of the folder's tree; the folders above it are everybody's, and change at any time."""
    clock, identity = SystemClock(), ProcessIdentity.current()
    sources = [os.fsencode(root)]
    parent = parent_for(
        repository.snapshots(), host="h", paths=[path_text(path) for path in sources], before=clock.now_ns()
    )
    request = BackupRequest(
        sources=sources,
        identity=identity,
        host="h",
        time_ns=clock.now_ns(),
        parent=parent,
        force=force,
        cache_directory=cache,
    )
    outcome = Backup(repository, request, clock=clock, emit=lambda _event: None).run()
    tree, _node = find_subtree(repository, outcome.tree, os.fsencode(root))
    return tree


@settings(max_examples=40)
@given(histories=st.lists(STEPS, min_size=1, max_size=4), pause=st.booleans())
def test_recognised_directories_are_the_same_as_read_ones(
    tmp_path_factory, histories: list[list[tuple[str, str]]], pause: bool
) -> None:
    base = tmp_path_factory.mktemp("unchanged")
    root, cache = base / "root", base / "cache"
    root.mkdir()
    for name in ("a", "c/d", "c/f/g", "i/j/k"):
        apply(root, "write", name)
    storage = MemoryStorage()
    repository = Repository.create(
        storage, "x", username="u", hostname="h", created=format_time(SystemClock().now_ns())
    )
    for steps in histories:
        if pause:
            # Longer than a tick of the file clock, so that directories count as settled and are recognised.
            time.sleep(0.03)
        for step, name in steps:
            apply(root, step, name)
        run(repository, root, cache, force=False)
        if pause:
            time.sleep(0.03)
        recognised = run(repository, root, cache, force=False)
        assert recognised == run(repository, root, None, force=True)
    shutil.rmtree(base)
