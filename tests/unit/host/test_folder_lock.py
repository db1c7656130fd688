"""Who holds a folder's lock is alone until it is left, or the process ends."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pivori.host import folder_lock

HOLD = """
import sys
from pathlib import Path
from pivori.host import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def is_free(folder: Path) -> bool:
    """Whether another one would get the lock now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_it_is_held_until_it_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    with folder_lock(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not is_free(folder)
    assert is_free(folder)


def test_an_error_leaves_it_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    assert is_free(tmp_path)


def test_the_end_of_the_process_leaves_it(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert not is_free(tmp_path)
    other.kill()
    other.communicate()
    assert is_free(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), folder_lock(tmp_path / "file"):
        pass
