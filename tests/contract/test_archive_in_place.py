"""A tree that replaces another: what was there is aside afterwards, or in its place again when anything failed."""

import errno
import os
from pathlib import Path

import pytest

from pivori.archives.container import ArchiveDamaged
from pivori.engine.archive import in_place, restore_files
from pivori.engine.archive.in_place import Swap, SwapFailed
from pivori.engine.archive.restore import AfterHookFailed, HookFailed, RestoreUndone
from pivori.engine.archive.restore_files import NoSpaceForRestore
from tests.archives import archive, everything, picture, restore
from tests.conftest import missing

ASIDE = "live.before-20251108-120000"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A tree that is in use, and archived as ``a.zip`` in another state."""
    root = tmp_path / "place" / "live"
    everything(root)
    archive(root, tmp_path / "a.zip")
    (root / "text").write_text("newer")
    (root / "only now").write_text("newer")
    (root / "script").unlink()
    return root


def names(live: Path) -> set[str]:
    """What is where the tree is."""
    return set(os.listdir(live.parent))


def fresh(tmp_path: Path) -> dict[bytes, tuple[object, ...]]:
    """What the archive holds."""
    restore(tmp_path / "a.zip", tmp_path / "fresh")
    return picture(tmp_path / "fresh")


def test_the_old_tree_is_aside_and_untouched(tmp_path: Path, live: Path) -> None:
    before = picture(live)
    outcome = restore(tmp_path / "a.zip", live, replace=True)
    assert outcome.aside == live.parent / ASIDE
    assert picture(live.parent / ASIDE) == before
    assert picture(live) == fresh(tmp_path)
    assert names(live) == {"live", ASIDE}


def test_a_part_is_exchanged_and_the_rest_is_left_alone(tmp_path: Path, live: Path) -> None:
    before = picture(live)
    restore(tmp_path / "a.zip", live, replace=True, include=["/text", "level 5", "/script"])
    now, whole = picture(live), fresh(tmp_path)
    aside = picture(live.parent / ASIDE)
    assert now[b"text"][4] == whole[b"text"][4]
    assert now[b"script"] == whole[b"script"]
    assert now[b"only now"] == before[b"only now"]
    assert now[b"large"] == before[b"large"]
    assert aside[b"text"][4] == before[b"text"][4]
    deep = b"/".join(b"level %d" % number for number in range(20)) + b"/deep"
    assert now[deep] == whole[deep]
    assert aside[deep] == before[deep]
    assert not os.path.lexists(live.parent / ASIDE / "only now")
    assert names(live) == {"live", ASIDE}


def test_a_part_whose_directory_is_gone(tmp_path: Path, live: Path) -> None:
    restore(tmp_path / "a.zip", tmp_path / "whole")
    import shutil

    shutil.rmtree(live / "level 0")
    restore(tmp_path / "a.zip", live, replace=True, include=["level 5"])
    deep = Path(*(f"level {number}" for number in range(20))) / "deep"
    assert (live / deep).read_text() == "down here"
    assert names(live) == {"live"}


def test_nothing_is_put_through_a_link(tmp_path: Path, live: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (live / "level 0").rename(elsewhere)
    (live / "level 0").symlink_to(elsewhere)
    before, outside = picture(live), picture(elsewhere)
    with pytest.raises(SwapFailed):
        restore(tmp_path / "a.zip", live, replace=True, include=["level 1"])
    assert (picture(live), picture(elsewhere)) == (before, outside)
    assert names(live) == {"live"}


@pytest.mark.parametrize("failing", [1, 2])
def test_put_back_when_a_rename_fails(
    tmp_path: Path, live: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(live)
    real, count = os.rename, 0

    def rename(source: bytes, destination: bytes, **places: int) -> None:
        nonlocal count
        if places:  # a restored file gets its name
            return real(source, destination, **places)
        count += 1
        if count == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(source, destination)

    monkeypatch.setattr(in_place.os, "rename", rename)
    with pytest.raises(SwapFailed):
        restore(tmp_path / "a.zip", live, replace=True)
    assert picture(live) == before
    assert names(live) == {"live"}


@pytest.mark.parametrize("failing", range(1, 7))
def test_put_back_of_several_parts(tmp_path: Path, live: Path, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture(live)
    real, count = os.rename, 0

    def rename(source: bytes, destination: bytes, **places: int) -> None:
        nonlocal count
        if places:  # a restored file gets its name
            return real(source, destination, **places)
        count += 1
        if count == failing:
            raise KeyboardInterrupt
        return real(source, destination)

    monkeypatch.setattr(in_place.os, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "a.zip", live, replace=True, include=["/text", "/large", "/holes", "/link"])
    now = picture(live)
    # The tree's own time tells of the moves that were undone.
    before.pop(b""), now.pop(b"")
    assert now == before
    assert names(live) == {"live"}


def test_damage_is_found_before_anything_moves(tmp_path: Path, live: Path) -> None:
    before = picture(live)
    path = tmp_path / "a.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ArchiveDamaged):
        restore(path, live, replace=True, before=f"touch {tmp_path}/stopped")
    assert picture(live) == before
    assert names(live) == {"live"}
    assert not (tmp_path / "stopped").exists()


def test_no_space_is_found_before_anything_is_written(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pivori.engine.archive import restore as verb

    before = picture(live)
    monkeypatch.setattr(verb, "free_bytes", lambda _place: 1000)
    with pytest.raises(NoSpaceForRestore, match="1000"):
        restore(tmp_path / "a.zip", live, replace=True)
    with pytest.raises(NoSpaceForRestore):
        restore(tmp_path / "a.zip", tmp_path / "new")
    assert picture(live) == before
    assert names(live) == {"live"}
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture(live)

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restore_files.TargetTree, "write_small_file", full)
    with pytest.raises(NoSpaceForRestore):
        restore(tmp_path / "a.zip", live, replace=True)
    assert picture(live) == before
    assert names(live) == {"live"}


# Hooks


def test_hooks_run_around_the_exchange(tmp_path: Path, live: Path) -> None:
    log = tmp_path / "log"
    restore(
        tmp_path / "a.zip",
        live,
        replace=True,
        before=f"(echo before; cat text) >> {log}",
        after=f"(echo after; cat text) >> {log}",
    )
    assert log.read_text() == "before\nnewerafter\nhello\n"


def test_when_the_first_hook_fails_nothing_changes(tmp_path: Path, live: Path) -> None:
    before = picture(live)
    with pytest.raises(HookFailed, match="cannot stop"):
        restore(
            tmp_path / "a.zip", live, replace=True, before="echo cannot stop; exit 7", after=f"touch {tmp_path}/started"
        )
    assert picture(live) == before
    assert names(live) == {"live"}
    assert not (tmp_path / "started").exists()


def test_when_the_last_hook_fails_the_old_tree_is_back_and_started(tmp_path: Path, live: Path) -> None:
    before = picture(live)
    log = tmp_path / "log"
    after = f"cat text >> {log}; test -e 'only now'"
    with pytest.raises(RestoreUndone) as caught:
        restore(tmp_path / "a.zip", live, replace=True, after=after)
    kept = live.parent / "live.restored-20251108-120000"
    assert caught.value.details["restored"] == str(kept)
    assert picture(live) == before
    assert picture(kept) == fresh(tmp_path)
    assert names(live) == {"live", kept.name}
    # Once in the restored tree, and once more in the one that came back.
    assert log.read_text() == "hello\nnewer"


def test_the_restored_tree_can_be_kept_all_the_same(tmp_path: Path, live: Path) -> None:
    with pytest.raises(AfterHookFailed):
        restore(tmp_path / "a.zip", live, replace=True, after="exit 1", keep_restored=True)
    assert picture(live) == fresh(tmp_path)
    assert names(live) == {"live", ASIDE}


def test_what_was_stopped_is_started_again_whatever_fails(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise SwapFailed(path="x", reason="y")

    monkeypatch.setattr(Swap, "run", fail)
    with pytest.raises(SwapFailed):
        restore(tmp_path / "a.zip", live, replace=True, before="true", after=f"touch {tmp_path}/started")
    assert (tmp_path / "started").exists()


def test_a_hook_may_leave_a_service_running(tmp_path: Path, live: Path) -> None:
    restore(tmp_path / "a.zip", live, replace=True, after=f"sleep 30 & echo $! > {tmp_path}/pid")
    os.kill(int((tmp_path / "pid").read_text()), 9)


# What was left behind


def test_leftovers_of_a_killed_restore_are_removed(tmp_path: Path, live: Path) -> None:
    left = live.parent / ".live.restoring-20250101-000000"
    (left / "x").mkdir(parents=True)
    other = live.parent / ".other.restoring-20250101-000000"
    other.mkdir()
    restore(tmp_path / "a.zip", live, replace=True)
    assert names(live) == {"live", ASIDE, other.name}


def test_a_failed_restore_into_an_empty_directory_leaves_it_empty(tmp_path: Path, live: Path) -> None:
    path = tmp_path / "a.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveDamaged):
        restore(path, tmp_path / "empty")
    assert os.listdir(tmp_path / "empty") == []
    # What is whole can be had nevertheless.
    outcome = restore(path, tmp_path / "empty", keep_going=True)
    assert outcome.failures >= 1
    assert (tmp_path / "empty" / "text").read_text() == "hello\n"


def test_a_mount_point_is_exchanged_from_the_inside(tmp_path: Path, live: Path) -> None:
    import subprocess

    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], capture_output=True).returncode:
        missing("the right to mount a file system (root)")
    try:
        (mounted / "old").write_text("old")
        (mounted / "text").write_text("old")
        outcome = restore(tmp_path / "a.zip", mounted, replace=True)
        aside = mounted / "mounted.before-20251108-120000"
        assert outcome.aside == aside
        assert sorted(os.listdir(aside)) == ["old", "text"]
        expected = fresh(tmp_path)
        now = {path: each for path, each in picture(mounted).items() if not path.startswith(aside.name.encode())}
        expected.pop(b""), now.pop(b"")
        assert now == expected
        assert os.listdir(tmp_path).count(".mounted.restoring-20251108-120000") == 0
    finally:
        subprocess.run(["umount", mounted], check=True)
