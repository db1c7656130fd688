"""Files and folders: captured from their place or a frozen view, and brought back to where they were."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pivori.components.base import Consistency, RestoreRequest, Surroundings, TreeFacts, has_failure
from pivori.components.file_places import PathNotCaptured
from pivori.components.files import FilesComponent, FilesDiffer, OutsideView, PathMissing, ViewEmpty
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import ComponentContract, in_place, move_aside, surroundings_in


def content_of(*tops: Path) -> dict[str, Any]:
    """Everything below the folders: content and permissions of files, links."""
    found: dict[str, Any] = {}
    for top in tops:
        for item in [top, *sorted(top.rglob("*"))]:
            if item.is_symlink():
                found[str(item)] = os.readlink(item)
            elif item.exists():
                found[str(item)] = (item.stat().st_mode, item.read_bytes() if item.is_file() else None)
    return found


class Specimen:
    """A stack with a folder of its own, and a file elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "srv" / "app"
        self.elsewhere = folder / "etc" / "app.conf"
        self.tree = self.root / "data"
        (self.tree / "deep" / "er").mkdir(parents=True)
        self.elsewhere.parent.mkdir()
        (self.tree / "a b.txt").write_text("one")
        (self.tree / "deep" / "er" / "two").write_bytes(b"\0\1" * 5000)
        (self.tree / "deep" / "er" / "two").chmod(0o600)
        (self.tree / "link").symlink_to("a b.txt")
        self.elsewhere.write_text("port = 1\n")
        self.component = FilesComponent(name="files", paths=[self.tree, self.elsewhere])

    def state(self) -> Any:
        return content_of(self.tree, self.elsewhere)

    def change(self) -> None:
        (self.tree / "a b.txt").write_text("three")
        (self.tree / "new").write_text("new")
        self.elsewhere.write_text("port = 2\n")

    def destroy(self) -> None:
        shutil.rmtree(self.tree)
        self.elsewhere.unlink()

    def breaks(self) -> None:
        self.destroy()

    def spoil(self, capture: FolderCapture) -> None:
        next(capture.folder.rglob("two")).write_bytes(b"short")


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    return Specimen(tmp_path / "machine")


@pytest.fixture
def surroundings(specimen: Specimen, tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", specimen.root)


Take = Callable[[FilesComponent], FolderCapture]


@pytest.fixture
def take(surroundings: Surroundings, tmp_path: Path) -> Take:
    def run(component: FilesComponent) -> FolderCapture:
        sink = FolderSink(tmp_path / "captured")
        return sink.finish(component.capture(sink, surroundings))

    return run


class TestFiles(ComponentContract):
    @pytest.fixture
    def specimen(self, specimen: Specimen) -> Specimen:
        return specimen


def test_what_is_replaced_is_moved_aside_whole(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    captured = take(specimen.component)
    specimen.change()
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    aside = specimen.tree.with_name("data.aside-1")
    assert (aside / "new").read_text() == "new"
    assert not (specimen.tree / "new").exists()
    assert specimen.elsewhere.with_name("app.conf.aside-1").read_text() == "port = 2\n"


def test_beside_the_folder_of_the_stack_is_seen_from_the_new_one(
    specimen: Specimen, take: Take, surroundings: Surroundings, tmp_path: Path
) -> None:
    captured = take(specimen.component)
    new = tmp_path / "new"
    request = RestoreRequest(to=new / "files", root=new, aside=move_aside)
    specimen.component.restore(captured, request, surroundings)
    assert (new / "data" / "a b.txt").read_text() == "one"
    assert (new / "files" / specimen.elsewhere.relative_to("/")).read_text() == "port = 1\n"


def test_the_folder_of_the_stack_itself_is_shared_with_what_is_there_already(
    specimen: Specimen, take: Take, surroundings: Surroundings, tmp_path: Path
) -> None:
    component = replace(specimen.component, paths=[specimen.root])
    captured = take(component)
    new = tmp_path / "new"
    (new / "data").mkdir(parents=True)
    (new / "data" / "mine").write_text("mine")
    (new / "database").write_text("brought back by another component")
    component.restore(captured, RestoreRequest(to=new / "files", root=new, aside=move_aside), surroundings)
    assert (new / "database").exists()
    assert (new / "data.aside-1" / "mine").read_text() == "mine"
    assert (new / "data" / "a b.txt").read_text() == "one"


@pytest.mark.parametrize("wanted", ["data/deep", "data/deep/er", "{tree}/deep/er/two"])
def test_one_path_alone(wanted: str, specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    captured = take(specimen.component)
    specimen.change()
    (specimen.tree / "deep" / "er" / "two").write_text("changed")
    request = in_place(specimen.root, path=wanted.format(tree=specimen.tree))
    specimen.component.restore(captured, request, surroundings)
    assert (specimen.tree / "deep" / "er" / "two").read_bytes() == b"\0\1" * 5000
    assert (specimen.tree / "a b.txt").read_text() == "three"


@pytest.mark.parametrize("wanted", ["data/dee", "/etc/passwd", "data/../../x"])
def test_a_path_that_is_not_captured(wanted: str, specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    captured = take(specimen.component)
    with pytest.raises(PathNotCaptured):
        specimen.component.plan(captured, in_place(specimen.root, path=wanted), surroundings)


def test_a_path_that_is_gone_fails_though_others_are_there(specimen: Specimen, take: Take) -> None:
    specimen.elsewhere.unlink()
    with pytest.raises(PathMissing, match=r"app\.conf"):
        take(specimen.component)


def test_files_that_were_not_read_or_not_at_rest_are_told(
    specimen: Specimen, surroundings: Surroundings, tmp_path: Path
) -> None:
    class Sink(FolderSink):
        def tree(self, *arguments: Any, **options: Any) -> TreeFacts:
            facts = super().tree(*arguments, **options)
            return replace(facts, unread=["/x"], moving=[f"/m{number}" for number in range(25)])

    report = specimen.component.capture(Sink(tmp_path / "captured"), surroundings)
    assert report.warnings[0] == "/x could not be read"
    assert report.warnings[1] == "/m0 changed while it was read"
    assert report.warnings[-1] == "5 more changed while they were read"
    assert len(report.warnings) == 22


def test_what_the_capture_is_told_to_take(specimen: Specimen, surroundings: Surroundings, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    class Sink(FolderSink):
        def tree(self, *arguments: Any, **options: Any) -> TreeFacts:
            asked.update(options)
            return super().tree(*arguments, exclude=["new"])

    component = replace(specimen.component, exclude=["*.log"], strategy="smart", one_file_system=True)
    report = component.capture(Sink(tmp_path / "captured"), surroundings)
    assert asked == {"exclude": ["*.log"], "strategy": "smart", "one_file_system": True}
    assert report.consistency is Consistency.FILES


def test_a_path_within_another_is_brought_back_once(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    captured = take(replace(specimen.component, paths=[specimen.tree / "deep", specimen.tree]))
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert not list(specimen.tree.glob("*aside*"))


class TestFrozenView:
    @pytest.fixture
    def view(self, specimen: Specimen, tmp_path: Path) -> Path:
        """What a hook would mount: the volume at ``machine`` as it was a moment ago."""
        view = tmp_path / "snapshot"
        shutil.copytree(tmp_path / "machine", view, symlinks=True)
        specimen.change()
        return view

    @pytest.fixture
    def component(self, specimen: Specimen, view: Path, tmp_path: Path) -> FilesComponent:
        return replace(specimen.component, is_frozen=True, view=view, view_of=tmp_path / "machine")

    def test_it_is_read_there_and_comes_back_to_the_original_place(
        self, specimen: Specimen, component: FilesComponent, take: Take, surroundings: Surroundings
    ) -> None:
        captured = take(component)
        assert captured.report.consistency is Consistency.FROZEN
        component.restore(captured, in_place(specimen.root), surroundings)
        assert (specimen.tree / "a b.txt").read_text() == "one"
        assert not (specimen.tree / "new").exists()
        assert specimen.elsewhere.read_text() == "port = 1\n"

    def test_a_path_outside_of_the_volume_is_refused(
        self, component: FilesComponent, take: Take, tmp_path: Path
    ) -> None:
        with pytest.raises(OutsideView):
            take(replace(component, paths=component.paths[1:], view_of=tmp_path / "machine" / "srv"))

    def test_a_link_in_the_view_that_leads_to_the_present_is_refused(
        self, specimen: Specimen, component: FilesComponent, view: Path, take: Take
    ) -> None:
        frozen = view / "srv" / "app" / "data"
        shutil.rmtree(frozen)
        frozen.symlink_to(specimen.tree)
        with pytest.raises(OutsideView):
            take(component)

    def test_a_view_that_nobody_mounted_is_refused(self, component: FilesComponent, take: Take, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(ViewEmpty):
            take(replace(component, view=tmp_path / "empty"))


def test_a_configured_link_is_followed_and_told_when_it_is_gone(
    specimen: Specimen, take: Take, surroundings: Surroundings
) -> None:
    link = specimen.root / "current"
    link.symlink_to("data")
    component = replace(specimen.component, paths=[link])
    captured = take(component)
    assert component.restore(captured, in_place(specimen.root), surroundings).remaining == []
    link.unlink()
    (left,) = component.restore(captured, in_place(specimen.root), surroundings).remaining
    assert str(link) in left
    assert str(specimen.tree) in left


def test_a_file_that_is_not_written_as_it_was_fails(
    specimen: Specimen, take: Take, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = take(specimen.component)
    write = FolderCapture.write_tree

    def meddle(*arguments: Any, **options: Any) -> int:
        written = write(*arguments, **options)
        (specimen.tree / "a b.txt").write_text("somebody else")
        return written

    monkeypatch.setattr(FolderCapture, "write_tree", meddle)
    with pytest.raises(FilesDiffer, match=r"a b\.txt"):
        specimen.component.restore(captured, in_place(specimen.root), surroundings)


def test_the_commands_of_the_way_back_by_hand_work(specimen: Specimen, take: Take, surroundings: Surroundings) -> None:
    before = specimen.state()
    captured = take(specimen.component)
    specimen.destroy()
    script = "\n".join(specimen.component.manual(captured.report))
    subprocess.run(["sh", "-e", "-c", script], cwd=captured.folder, check=True)
    assert specimen.state() == before


def test_the_size_of_something_large_is_not_waited_for(specimen: Specimen, surroundings: Surroundings) -> None:
    class Slow:
        seconds = 0.0

        def monotonic(self) -> float:
            self.seconds += 1
            return self.seconds

    found = specimen.component.inspect(replace(surroundings, clock=Slow()))
    assert found.size is None
    assert not has_failure(found.findings)
