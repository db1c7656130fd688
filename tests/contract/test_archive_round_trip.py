"""Every kind of file comes back from an archive as it was, by hand and by a differential archive over its base."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pivori.archives.container import ArchiveFormat, MemberRefused
from pivori.archives.formats import WRITERS
from pivori.engine.archive.create import CreateRequest, create_archive
from pivori.engine.archive.differential import BaseArchive, BaseMissing, BaseWrong, NoBase, named_base, newest_base
from pivori.engine.archive.opening import open_archive
from pivori.engine.archive.planning import PlanRequest, plan_archive
from pivori.engine.archive.restore_plan import TargetNotEmpty
from pivori.engine.archive.verify import FindingKind, VerifyOutcome, VerifyRequest, verify_archive
from tests.archives import archive, everything, nobody_listens, picture, restore
from tests.conftest import missing

NAME = "pivori-complete-20251108-020000"
LATER = "pivori-differential-20251109-020000"


@pytest.fixture(params=sorted(WRITERS), ids=str)
def container(request: pytest.FixtureRequest) -> ArchiveFormat:
    """Every format that can be written."""
    return request.param


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one of every kind."""
    root = tmp_path / "tree"
    everything(root)
    return root


def verify(path: Path, **options: object) -> VerifyOutcome:
    return verify_archive(VerifyRequest(path=path, **options), nobody_listens)


def base_of(path: Path, root: Path) -> BaseArchive:
    return named_base(path, str(root))


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_comes_back(tmp_path: Path, tree: Path, container: ArchiveFormat, workers: int) -> None:
    before = picture(tree)
    path = tmp_path / f"{NAME}.{container}"
    made = archive(tree, path, container=container, workers=workers)
    assert (made.tested, made.failures) == (True, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify(path).findings == []
    done = restore(path, tmp_path / "back", workers=workers)
    assert (done.failures, done.problems) == (0, 0)
    assert picture(tmp_path / "back") == before
    assert picture(tree) == before


def test_a_name_that_became_another_file_has_its_own_content(tmp_path: Path, container: ArchiveFormat) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a").write_text("the old content")
    for name in ("b", "c"):
        os.link(root / "a", root / name)
    plan = plan_archive(PlanRequest(root=root, strategy="complete", directory=tmp_path))
    assert [entry.hard_link for entry in plan.entries] == [None, None, b"a", b"a"]
    (tmp_path / "new").write_text("what an editor wrote and renamed")
    (tmp_path / "new").rename(root / "b")
    before = picture(root)
    path = tmp_path / f"a.{container}"
    request = CreateRequest(
        plan=plan, id="1" * 32, created=datetime.now(UTC), host="here", program="test", format=container
    )
    made = create_archive(request, path, nobody_listens)
    assert [entry.hard_link for entry in made.manifest.entries] == [None, None, None, b"a"]
    assert verify(path).findings == []
    assert restore(path, tmp_path / "back").failures == 0
    assert {path: facts[4:6] for path, facts in picture(tmp_path / "back").items()} == {
        path: facts[4:6] for path, facts in before.items()
    }


def test_holes_stay_holes(tmp_path: Path, tree: Path, container: ArchiveFormat) -> None:
    archive(tree, tmp_path / f"a.{container}", container=container)
    restore(tmp_path / f"a.{container}", tmp_path / "back")
    assert (tmp_path / "back" / "holes").stat().st_blocks * 512 < 1 << 20


def test_a_differential_archive_over_its_base(tmp_path: Path, tree: Path, container: ArchiveFormat) -> None:
    base = tmp_path / f"{NAME}.{container}"
    archive(tree, base, container=container)
    os.utime(tree / "nothing", ns=(5, 5))
    (tree / "text").write_text("changed: three names of it")
    (tree / "script").unlink()
    shutil.rmtree(tree / "empty directory")
    (tree / "empty directory").write_text("a file now")
    (tree / "level 0" / "level 1" / "new").write_text("new")
    (tree / "dangling").unlink()
    (tree / "dangling").mkdir()
    (tree / "dangling" / "x").write_text("no link any more")
    os.setxattr(tree / "secret", "user.new", b"1")
    before = picture(tree)
    path = tmp_path / f"{LATER}.{container}"
    made = archive(tree, path, strategy="differential", container=container, base=base_of(base, tree))
    assert made.tested
    assert b"script" in made.manifest.deleted
    assert verify(path, required=[b"large", b"text"]).findings == []
    assert restore(path, tmp_path / "back").failures == 0
    assert picture(tmp_path / "back") == before


def test_what_did_not_change_is_not_in_it(tmp_path: Path, container: ArchiveFormat) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(50):
        (root / str(number)).write_bytes(os.urandom(10_000))
    os.link(root / "1", root / "other name")
    settle()
    base = tmp_path / f"{NAME}.{container}"
    archive(root, base, container=container)
    (root / "7").write_text("changed")
    made = archive(root, tmp_path / f"{LATER}.{container}", container=container, base=base_of(base, root))
    assert {entry.path for entry in made.manifest.entries} == {b"", b"7"}
    assert (made.archive_bytes or 0) < 10_000


def settle() -> None:
    """Let the clock of the file system go on: what is too young is stored again, to be sure."""
    import time

    time.sleep(0.05)


def test_a_base_is_found_wherever_it_lies_beside(tmp_path: Path, tree: Path) -> None:
    base, path = tmp_path / f"{NAME}.zip", tmp_path / f"{LATER}.zip"
    archive(tree, base)
    archive(tree, path, strategy="differential", base=base_of(base, tree))
    base.rename(tmp_path / "renamed.zip")
    assert verify(path).findings == []
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "renamed.zip").rename(elsewhere / "base.zip")
    assert [finding.kind for finding in verify(path).findings] == [FindingKind.BASE]
    with pytest.raises(BaseMissing) as caught:
        restore(path, tmp_path / "back")
    assert caught.value.details["base"] == base.name
    assert not (tmp_path / "back").exists()
    assert restore(path, tmp_path / "back", base=elsewhere / "base.zip").failures == 0
    assert picture(tmp_path / "back") == picture(tree)


def test_another_base_is_refused(tmp_path: Path, tree: Path) -> None:
    base, path = tmp_path / f"{NAME}.zip", tmp_path / f"{LATER}.zip"
    archive(tree, base)
    archive(tree, path, strategy="differential", base=base_of(base, tree))
    base.unlink()
    base.with_name(base.name + ".sha256").unlink()
    archive(tree, base)
    for options in ({}, {"base": base}):
        with pytest.raises(BaseWrong):
            restore(path, tmp_path / "back", **options)
    assert [finding.kind for finding in verify(path).findings] == [FindingKind.BASE]


def test_the_base_is_the_newest_complete_one_of_the_same_root(tmp_path: Path, tree: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    archive(tree, tmp_path / "pivori-complete-20251101-000000.zip")
    archive(tree, tmp_path / "pivori-complete-20251102-000000.zip")
    archive(tree, tmp_path / "pivori-smart-20251103-000000.zip", strategy="smart")
    archive(other, tmp_path / "pivori-complete-20251104-000000.zip")
    (tmp_path / "pivori-complete-20251105-000000.zip").write_bytes(b"PK\x03\x04 damaged")
    assert newest_base(tmp_path, str(tree), "here").path.name == "pivori-complete-20251102-000000.zip"
    for root, host in ((str(tree), "elsewhere"), (str(tmp_path), "here")):
        with pytest.raises(NoBase):
            newest_base(tmp_path, root, host)


def test_a_part_of_it(tmp_path: Path, tree: Path) -> None:
    archive(tree, tmp_path / "a.zip")
    restore(tmp_path / "a.zip", tmp_path / "back", include=["level 5", "a third one"])
    there, whole = picture(tmp_path / "back"), picture(tree)
    assert set(there) == {
        b"",
        b"a third one",
        *(b"/".join(b"level %d" % number for number in range(depth)) for depth in range(1, 21)),
        b"/".join(b"level %d" % number for number in range(20)) + b"/deep",
    }
    for path in set(there) - {b"", b"a third one"}:
        assert there[path] == whole[path]
    # Its first name was not wanted, so it has the content itself.
    assert there[b"a third one"][:5] == whole[b"text"][:5]


def test_nothing_is_written_into_what_is_there(tmp_path: Path, tree: Path) -> None:
    archive(tree, tmp_path / "a.zip")
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "mine").write_text("mine")
    with pytest.raises(TargetNotEmpty):
        restore(tmp_path / "a.zip", tmp_path / "back")
    assert os.listdir(tmp_path / "back") == ["mine"]


def test_archives_inside_the_tree_are_kept_out(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "backups").mkdir(parents=True)
    (root / "file").write_text("x")
    (root / "backups" / "notes").write_text("kept")
    first = root / "backups" / f"{NAME}.zip"
    archive(root, first)
    made = archive(root, root / "backups" / "pivori-complete-20251109-020000.zip")
    assert {entry.path for entry in made.manifest.entries} == {b"", b"file", b"backups", b"backups/notes"}
    assert [(each.rule, each.path, each.files) for each in made.manifest.omitted] == [("own-archives", "backups", 2)]
    # And a restore in place leaves them where they are.
    (root / "file").write_text("changed")
    restore(first, root, replace=True)
    assert (root / "file").read_text() == "x"
    assert first.exists()
    assert first.with_name(first.name + ".sha256").exists()


def test_what_cannot_be_read_is_said_and_the_rest_is_there(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_text("x")
    if os.geteuid() != 0:
        missing("the right to make devices (root)")
    os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 3))
    made = archive(root, tmp_path / "a.zip")
    assert [(each.path, each.reason) for each in made.manifest.not_captured] == [("device", "it is a device")]
    outcome = verify(tmp_path / "a.zip")
    assert outcome.is_whole
    assert [finding.kind for finding in outcome.findings] == [FindingKind.NOT_CAPTURED]


def test_a_tree_that_a_manifest_knows_may_differ_in_capitals(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "Makefile").write_text("1")
    (root / "makefile").write_text("2")
    archive(root, tmp_path / "a.zip")
    restore(tmp_path / "a.zip", tmp_path / "back")
    assert picture(tmp_path / "back") == picture(root)


def test_a_member_that_was_added_is_refused(tmp_path: Path, tree: Path) -> None:
    import zipfile

    archive(tree, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as file:
        file.writestr("added", "by somebody")
    with pytest.raises(MemberRefused, match="added"), open_archive(tmp_path / "a.zip"):
        pass
    kinds = {finding.kind for finding in verify(tmp_path / "a.zip").findings}
    assert kinds == {FindingKind.CHECKSUM, FindingKind.MEMBER}


def test_required_paths(tmp_path: Path, tree: Path) -> None:
    archive(tree, tmp_path / "a.zip")
    found = verify(tmp_path / "a.zip", required=[b"level 0", b"text", b"missing", b"empty directory", b"/large/"])
    assert [(finding.kind, finding.object) for finding in found.findings] == [
        (FindingKind.REQUIRED, b"missing"),
        (FindingKind.REQUIRED, b"empty directory"),
    ]
