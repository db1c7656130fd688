"""Names of archives: ours and those of the script before us."""

from datetime import datetime

import pytest

from pivori.archives.container import ArchiveFormat
from pivori.archives.naming import archive_name, parse_name


@pytest.mark.parametrize("container", list(ArchiveFormat))
@pytest.mark.parametrize("envelope", ["", "gpg", "age"])
def test_a_name_says_what_it_was_made_of(container: ArchiveFormat, envelope: str) -> None:
    moment = datetime(2025, 11, 8, 2, 0, 0)
    name = archive_name("complete", moment, container, envelope)
    found = parse_name(name)
    assert found is not None
    assert (found.strategy, found.time, found.format, found.envelope) == ("complete", moment, container, envelope)
    assert str(found) == name
    assert not found.is_old


def test_the_form_is_the_one_that_was_promised() -> None:
    moment = datetime(2025, 11, 8, 2, 0, 0)
    assert archive_name("complete", moment, ArchiveFormat.ZIP) == "pivori-complete-20251108-020000.zip"


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("rubi-studio-complete-20251108-020000.zip", datetime(2025, 11, 8, 2)),
        ("rubi-studio-smart-20251108_031500.zip", datetime(2025, 11, 8, 3, 15)),
        ("rubi-studio-compressed-20251108.7z", datetime(2025, 11, 8)),
        ("rubi-studio-complete-2025-11-08.zip", datetime(2025, 11, 8)),
    ],
)
def test_old_names_are_understood(name: str, moment: datetime) -> None:
    found = parse_name(name)
    assert found is not None
    assert found.is_old
    assert found.time == moment


@pytest.mark.parametrize(
    "name",
    [
        "pivori-complete-20251108-020000.zip.sha256",
        "pivori-complete-20251308-020000.zip",
        "pivori-complete-20251108-250000.zip",
        "pivori-complete-20251108.zip",
        "pivori-other-20251108-020000.zip",
        "my-pivori-complete-20251108-020000.zip",
        "pivori-complete-20251108-020000.rar",
        ".pivori-complete-20251108-020000.zip.pivori-partial",
        "pivori-complete-20251108-020000.zip\n",
        "rubi-studio-complete-.zip",
        "rubi-studio-.zip",
        "",
    ],
)
def test_other_names_are_nobodys(name: str) -> None:
    assert parse_name(name) is None
