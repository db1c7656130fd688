"""``pivori archive`` as a person sees it, run in this process."""

import os
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Here


@pytest.fixture
def source(here: Here) -> Path:
    """A folder with something that the smart strategy leaves out."""
    folder = here.home / "source"
    cache = folder / "app" / "__pycache__"
    cache.mkdir(parents=True)
    (folder / "app" / "main.py").write_text("print('hello')\n")
    (cache / "main.cpython-311.pyc").write_bytes(b"bytecode")
    (folder / "secret.log").write_text("secret")
    return folder


def test_a_list_that_can_be_read_once_is_read_once(here: Here, source: Path) -> None:
    """As the shell gives one: ``--exclude-file <(…)``. The smart strategy walks twice with it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"*.log\n")
        os.close(writing)
        given = ("archive", "create", source, "-s", "smart", "--exclude-file", f"/proc/self/fd/{reading}", "--dry-run")
        (done,) = here.json(*given)
    finally:
        os.close(reading)
    assert done["files"] == 1
