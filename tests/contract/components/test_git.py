"""A git repository: everything committed, stashed, staged, changed and untracked comes back."""

import json
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pivori.components.base import NotCaptured, RestoreRequest, Surroundings, has_failure
from pivori.components.git.component import GitComponent
from pivori.components.git.errors import CaptureDamaged, NoWorkTree, RepositoryPartial, RepositoryUnreadable
from pivori.components.git.restoring import partial_of, scratch_folder
from pivori.components.git.settings import kept_settings, without_password
from pivori.testing.capture_folder import FolderCapture, FolderSink
from pivori.testing.component_contract import ComponentContract, in_place, move_aside, surroundings_in
from tests.git import IDENTITY, git


def files_of(folder: Path) -> dict[str, Any]:
    """Every file and link of a work tree, with content and permissions."""
    found: dict[str, Any] = {}
    for item in sorted(folder.rglob("*")):
        name = str(item.relative_to(folder))
        if name == ".git" or name.startswith((".git/", ".pivori")):
            continue
        if item.is_symlink():
            found[name] = os.readlink(item)
        elif item.is_file():
            found[name] = (stat.S_IMODE(item.stat().st_mode), item.read_bytes())
    return found


def state_of(folder: Path) -> Any:
    """Everything that git and a person see of a repository."""
    if not (folder / ".git").exists():
        return files_of(folder)
    ignored = git(folder, "ls-files", "-o", "-i", "--exclude-standard").split()
    files = {name: content for name, content in files_of(folder).items() if name not in ignored}
    head = (folder / ".git" / "HEAD").read_text()
    commit = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], check=False, capture_output=True, env=os.environ | IDENTITY
    ).stdout
    return {
        "files": files,
        "head": (head, commit),
        "refs": git(folder, "for-each-ref"),
        "index": git(folder, "ls-files", "--stage", "-v"),
        "status": git(folder, "status", "--porcelain=v2", "--branch"),
        "stashes": git(folder, "stash", "list", "--format=%H %gd %gs %cd"),
        "remotes": git(folder, "remote", "-v"),
        "hooks": sorted(item.name for item in (folder / ".git" / "hooks").glob("*") if item.suffix != ".sample"),
    }


def commit(folder: Path, text: str) -> None:
    (folder / "a.txt").write_text(f"{text}\n" * 50)
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", text)


class Specimen:
    """A repository with a remote, unpushed commits, stashes, and a work tree in the middle of work."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "srv"
        self.tree = self.root / "app"
        self.remote = folder / "remote.git"
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.remote))
        self.tree.mkdir(parents=True)
        tree = self.tree
        git(tree, "init", "-q", "-b", "main")
        (tree / ".gitignore").write_text("*.log\n")
        for name in ("gone.txt", "staged.txt", "changed.txt", "run.sh", "deep/er/file.txt", "private.txt"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(f"{name}\n")
        (tree / "run.sh").chmod(0o755)
        (tree / "private.txt").chmod(0o600)
        (tree / "link").symlink_to("deep/er/file.txt")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", "first")
        git(tree, "remote", "add", "origin", str(self.remote))
        git(tree, "push", "-q", "-u", "origin", "main")
        git(tree, "remote", "set-head", "origin", "main")
        commit(tree, "unpushed")
        git(tree, "tag", "-a", "-m", "a tag", "v1")
        git(tree, "branch", "other", "HEAD~1")
        git(tree, "notes", "add", "-m", "a note")
        for number in range(3):
            (tree / "changed.txt").write_text(f"stash {number}\n")
            (tree / "new.txt").write_text("untracked in a stash\n")
            git(tree, "stash", "push", "-q", "-u", "-m", f"stash {number}")
        self.work()
        (tree / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 0\n")
        (tree / ".git" / "hooks" / "pre-commit").chmod(0o755)
        (tree / "debug.log").write_text("ignored")
        self.component = GitComponent(name="source", path=tree)

    def work(self) -> None:
        tree = self.tree
        (tree / "gone.txt").unlink()
        (tree / "staged.txt").write_text("staged\n")
        git(tree, "add", "staged.txt")
        (tree / "staged.txt").write_text("staged, then changed\n")
        (tree / "changed.txt").write_text("changed\n")
        git(tree, "rm", "-q", "--cached", "run.sh")
        (tree / "new folder").mkdir(exist_ok=True)
        (tree / "new folder" / "na\u00efve \udcff").write_text("x")
        (tree / "\udcfe").write_text("y")
        (tree / "new folder" / "script").write_text("#!/bin/sh\n")
        (tree / "new folder" / "script").chmod(0o750)
        (tree / "dangling").symlink_to("/nowhere")
        (tree / "later.txt").write_text("later\n")
        git(tree, "add", "-N", "later.txt")
        git(tree, "update-index", "--assume-unchanged", "deep/er/file.txt")

    def state(self) -> Any:
        return state_of(self.tree)

    def change(self) -> None:
        git(self.tree, "branch", "newer")
        git(self.tree, "branch", "-D", "-q", "other")
        (self.tree / "changed.txt").write_text("changed again\n")
        (self.tree / "another.txt").write_text("another\n")
        git(self.tree, "commit", "-q", "--no-verify", "-m", "what was staged")
        git(self.tree, "stash", "drop", "-q", "stash@{1}")
        git(self.tree, "checkout", "-q", "--detach")

    def destroy(self) -> None:
        shutil.rmtree(self.tree)

    def breaks(self) -> None:
        shutil.rmtree(self.tree / ".git")

    def spoil(self, capture: FolderCapture) -> None:
        bundle = next(capture.folder.glob("bundles/*"))
        content = bytearray(bundle.read_bytes())
        content[-100] ^= 1
        bundle.write_bytes(content)


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    return Specimen(tmp_path / "machine")


@pytest.fixture
def surroundings(specimen: Specimen, tmp_path: Path) -> Surroundings:
    return surroundings_in(tmp_path / "own", specimen.root)


class Taking:
    """Captures one after the other; ``sink`` is that of the last."""

    def __init__(self, folder: Path, surroundings: Surroundings) -> None:
        self._folder = folder
        self._surroundings = surroundings
        self._number = 0

    def __call__(self, component: GitComponent, before: FolderCapture | None = None) -> FolderCapture:
        self._number += 1
        self.sink = FolderSink(self._folder / str(self._number), before)
        return self.sink.finish(component.capture(self.sink, self._surroundings))


@pytest.fixture
def take(surroundings: Surroundings, tmp_path: Path) -> Taking:
    return Taking(tmp_path / "taken", surroundings)


class TestGit(ComponentContract):
    @pytest.fixture
    def specimen(self, specimen: Specimen) -> Specimen:
        return specimen


def all_files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_a_capture_changes_nothing_in_the_repository(specimen: Specimen, take: Taking) -> None:
    os.utime(specimen.tree / "private.txt")
    before = all_files(specimen.tree)
    take(specimen.component)
    assert all_files(specimen.tree) == before


def test_the_report_says_how_much_is_unpushed(specimen: Specimen, take: Taking) -> None:
    report = take(specimen.component).report
    assert report.counts["unpushed commits"] == 1
    assert report.counts["stashes"] == 3
    assert report.counts["untracked"] == 5
    assert report.facts["tracking"] == [
        {"branch": "main", "upstream": "origin/main", "ahead": 1, "behind": 0, "gone": False}
    ]
    assert report.position["commit"] == git(specimen.tree, "rev-parse", "HEAD").strip()
    assert report.position["refs/remotes/origin/main"] == git(specimen.tree, "rev-parse", "origin/main").strip()


def settled(component: GitComponent, take: Taking, monkeypatch: pytest.MonkeyPatch) -> FolderCapture:
    """A capture of a repository in which nothing was written just now."""
    monkeypatch.setattr("pivori.components.git.capturing._SETTLED", -(10**18))
    return take(component)


def test_an_unchanged_repository_is_taken_over(
    specimen: Specimen, take: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = settled(specimen.component, take, monkeypatch)
    second = take(specimen.component, first)
    assert set(take.sink.kept) == set(first.report.facts["files"])
    assert second.report == first.report


@pytest.mark.parametrize("change", ["content", "ref", "staged", "stash", "setting", "untracked", "mode", "hook"])
def test_any_change_is_seen(specimen: Specimen, take: Taking, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    tree = specimen.tree
    first = settled(specimen.component, take, monkeypatch)
    if change == "content":
        (tree / "changed.txt").write_text("CHANGED\n")
    elif change == "ref":
        git(tree, "branch", "-f", "other", "HEAD")
    elif change == "staged":
        git(tree, "add", "changed.txt")
    elif change == "stash":
        git(tree, "stash", "drop", "-q")
    elif change == "setting":
        git(tree, "config", "user.name", "Somebody")
    elif change == "untracked":
        (tree / "x").write_text("x")
    elif change == "mode":
        (tree / "private.txt").chmod(0o640)
    else:
        (tree / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    second = take(specimen.component, first)
    assert second.report.facts["fingerprint"] != first.report.facts["fingerprint"]


def test_what_was_written_just_now_is_read_again(specimen: Specimen, take: Taking) -> None:
    first = take(specimen.component)
    assert first.report.facts["fingerprint"] == ""


def test_history_that_grew_is_a_small_bundle_beside_the_others(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    first = take(specimen.component)
    commit(specimen.tree, "more")
    git(specimen.tree, "commit", "-q", "--amend", "--no-verify", "-m", "rewritten")
    second = take(specimen.component, first)
    commit(specimen.tree, "still more")
    third = take(specimen.component, second)
    sizes = [(third.folder / path).stat().st_size for path in third.report.facts["bundles"]]
    assert len(sizes) == 3
    assert max(sizes[1:]) < sizes[0] / 2
    assert not has_failure(specimen.component.verify(third, surroundings))
    before = specimen.state()
    specimen.destroy()
    specimen.component.restore(third, in_place(specimen.root), surroundings)
    assert specimen.state() == before
    for path in third.report.facts["bundles"]:
        git(specimen.tree, "bundle", "verify", "-q", str(third.folder / path))


def test_a_bundle_that_is_missing_in_between_is_found(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    first = take(specimen.component)
    commit(specimen.tree, "more")
    second = take(specimen.component, first)
    (second.folder / first.report.facts["bundles"][0]).unlink()
    assert has_failure(specimen.component.verify(second, surroundings))
    with pytest.raises(NotCaptured):
        specimen.component.restore(second, in_place(specimen.root), surroundings)
    assert not list(specimen.root.glob("*.partial"))


def test_after_so_many_bundles_there_is_one_of_everything(
    specimen: Specimen, take: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pivori.components.git.capturing.MOST_BUNDLES", 2)
    captured = take(specimen.component)
    counts = []
    for number in range(3):
        commit(specimen.tree, f"more {number}")
        captured = take(specimen.component, captured)
        counts.append(len(captured.report.facts["bundles"]))
    assert counts == [2, 1, 2]


def test_history_that_is_gone_from_the_repository_begins_a_new_chain(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    first = take(specimen.component)
    shutil.rmtree(specimen.tree / ".git")
    git(specimen.tree, "init", "-q", "-b", "main")
    git(specimen.tree, "add", "-A")
    git(specimen.tree, "commit", "-q", "-m", "all new")
    second = take(specimen.component, first)
    assert len(second.report.facts["bundles"]) == 1
    assert not has_failure(specimen.component.verify(second, surroundings))


def test_a_hostile_repository_runs_nothing(specimen: Specimen, take: Taking, surroundings: Surroundings) -> None:
    tree, marker = specimen.tree, specimen.root / "ran"
    evil = f"touch {marker}; cat"
    script = specimen.root / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    script.chmod(0o755)
    (tree / ".gitattributes").write_text("*.txt filter=evil diff=evil merge=evil\n")
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc"):
        shutil.copy(script, tree / ".git" / "hooks" / hook)
    settings = {
        "core.fsmonitor": str(script),
        "filter.evil.clean": evil,
        "filter.evil.smudge": evil,
        "filter.evil.process": str(script),
        "diff.evil.textconv": str(script),
        "diff.evil.command": str(script),
        "diff.external": str(script),
        "core.pager": str(script),
        "core.sshCommand": str(script),
        "core.alternateRefsCommand": str(script),
        "gpg.program": str(script),
        "log.showSignature": "true",
        "credential.helper": str(script),
        "uploadpack.packObjectsHook": str(script),
        "remote.evil.url": f"ext::{script}",
        "remote.evil.vcs": "evil",
        "core.hooksPath": str(tree / ".git" / "hooks"),
        "alias.ls-files": f"!{script}",
    }
    config = tree / ".git" / "config"
    for key, value in settings.items():
        subprocess.run(["git", "config", "--file", str(config), key, value], check=True)
    captured = take(specimen.component)
    specimen.component.inspect(surroundings)
    specimen.component.verify(captured, surroundings)
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert not marker.exists()
    written = config.read_text()
    assert "evil" not in written
    assert "remote.evil.url" in captured.report.facts["left_out"]


def test_passwords_of_remotes_are_nowhere(specimen: Specimen, take: Taking) -> None:
    tree = specimen.tree
    git(tree, "remote", "add", "a", "https://ada:canary1@example.org/a.git?token=canary2")
    git(tree, "remote", "add", "b", "https://canary3@example.org/b.git")
    git(tree, "remote", "add", "c", "ssh://git:canary4@example.org/c.git")
    git(tree, "config", "branch.other.remote", "https://ada:canary5@example.org/d.git")
    git(tree, "config", "http.extraHeader", "Authorization: canary6")
    git(tree, "config", "url.https://ada:canary7@example.org/.insteadOf", "gh:")
    captured = take(specimen.component)
    said = repr(captured.report) + "".join(specimen.component.manual(captured.report))
    assert "canary" not in said
    assert not any(b"canary" in path.read_bytes() for path in captured.folder.rglob("*") if path.is_file())
    kept = dict(json.loads((captured.folder / "state.json").read_text())["settings"])
    assert kept["remote.a.url"] == "https://example.org/a.git"
    assert kept["remote.c.url"] == "ssh://git@example.org/c.git"


@pytest.mark.parametrize(
    ("address", "bare"),
    [
        ("https://u:p@host/x", "https://host/x"),
        ("git@host:x/y.git", "git@host:x/y.git"),
        ("ssh://git@host:22/x", "ssh://git@host:22/x"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("/srv/x@y", "/srv/x@y"),
        ("+refs/heads/*:refs/remotes/o/*", "+refs/heads/*:refs/remotes/o/*"),
    ],
)
def test_an_address_without_its_password(address: str, bare: str) -> None:
    assert without_password(address) == bare


def test_settings_that_run_programs_are_left_out() -> None:
    kept, left_out = kept_settings(b"remote.o.url\next::sh -c x\0core.editor\nvi\0user.name\nAda\0core.bare\nfalse\0")
    assert kept == [("user.name", "Ada")]
    assert left_out == ["core.editor", "remote.o.url"]


def test_a_link_in_place_of_a_folder_leads_nowhere(specimen: Specimen, take: Taking, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "er"
    outside.mkdir(parents=True)
    (outside / "file.txt").write_text("canary")
    shutil.rmtree(specimen.tree / "deep")
    (specimen.tree / "deep").symlink_to(outside.parent)
    captured = take(specimen.component)
    assert not any(b"canary" in path.read_bytes() for path in captured.folder.rglob("*") if path.is_file())


def test_a_merge_in_the_middle_comes_back(specimen: Specimen, take: Taking, surroundings: Surroundings) -> None:
    tree = specimen.tree
    git(tree, "reset", "-q", "--hard")
    git(tree, "checkout", "-q", "other")
    commit(tree, "theirs")
    git(tree, "checkout", "-q", "main")
    commit(tree, "ours")
    merging = subprocess.run(
        ["git", "-C", str(tree), "merge", "other"], check=False, capture_output=True, env=os.environ | IDENTITY
    )
    assert merging.returncode == 1
    before, head = specimen.state(), (tree / ".git" / "MERGE_HEAD").read_text()
    captured = take(specimen.component)
    specimen.destroy()
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert specimen.state() == before
    assert (tree / ".git" / "MERGE_HEAD").read_text() == head


def test_a_repository_without_commits(tmp_path: Path, take: Taking, surroundings: Surroundings) -> None:
    tree = tmp_path / "machine" / "srv" / "young"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "trunk")
    (tree / "a").write_text("a")
    (tree / "b").write_text("b")
    git(tree, "add", "a")
    component = GitComponent(name="young", path=tree)
    before = state_of(tree)
    captured = take(component)
    assert not has_failure(component.verify(captured, surroundings))
    shutil.rmtree(tree)
    component.restore(captured, in_place(tree.parent), surroundings)
    assert state_of(tree) == before


def test_a_shallow_clone_and_a_partial_one(specimen: Specimen, take: Taking, surroundings: Surroundings) -> None:
    for number in range(5):
        commit(specimen.tree, f"more {number}")
    git(specimen.tree, "push", "-q", "origin", "main")
    shallow = specimen.root / "shallow"
    git(specimen.root, "clone", "-q", "--depth", "2", f"file://{specimen.remote}", str(shallow))
    component = GitComponent(name="shallow", path=shallow)
    before = state_of(shallow)
    captured = take(component)
    assert any("shallow" in warning for warning in captured.report.warnings)
    assert not has_failure(component.verify(captured, surroundings))
    shutil.rmtree(shallow)
    component.restore(captured, in_place(specimen.root), surroundings)
    assert state_of(shallow) == before
    git(shallow, "fsck")
    git(shallow, "config", "remote.origin.promisor", "true")
    with pytest.raises(RepositoryPartial):
        take(component)


def test_other_repositories_in_it_are_warned_of(specimen: Specimen, take: Taking) -> None:
    git(specimen.root, "init", "-q", str(specimen.tree / "nested"))
    commit(specimen.tree / "nested", "nested")
    git(specimen.tree, "worktree", "add", "-q", str(specimen.root / "second"), "other")
    warnings = take(specimen.component).report.warnings
    assert any("nested/" in warning for warning in warnings)
    assert any("other work trees" in warning for warning in warnings)


def test_a_submodule_is_warned_of(specimen: Specimen, take: Taking) -> None:
    git(specimen.tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(specimen.remote), "sub")
    assert any("submodule sub" in warning for warning in take(specimen.component).report.warnings)


def test_files_behind_a_filter_come_back_as_they_were(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    tree = specimen.tree
    git(tree, "config", "filter.big.clean", "sha1sum")
    git(tree, "config", "filter.big.smudge", "cat")
    (tree / ".gitattributes").write_text("*.bin filter=big\n")
    (tree / "large.bin").write_bytes(b"content" * 1000)
    git(tree, "add", "large.bin")
    # As if the index had been written later: by its times the file is as git knows it.
    os.utime(tree / ".git" / "index", ns=(2**61, 2**61))
    captured = take(specimen.component)
    specimen.destroy()
    restored = specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert (tree / "large.bin").read_bytes() == b"content" * 1000
    assert any("filter.big.clean" in sentence for sentence in restored.remaining)


def test_a_folder_above_is_not_taken_for_the_repository(specimen: Specimen, take: Taking) -> None:
    with pytest.raises(NoWorkTree):
        take(replace(specimen.component, path=specimen.tree / "deep"))
    git(specimen.tree, "config", "core.worktree", str(specimen.root))
    with pytest.raises(NoWorkTree):
        take(specimen.component)


def test_a_repository_with_missing_objects_fails(specimen: Specimen, take: Taking) -> None:
    item = git(specimen.tree, "rev-parse", "HEAD:a.txt").strip()
    (specimen.tree / ".git" / "objects" / item[:2] / item[2:]).unlink()
    with pytest.raises(RepositoryUnreadable):
        take(specimen.component)


def test_in_the_folder_of_the_stack_ignored_files_stay(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    captured = take(specimen.component)
    root = specimen.root / "elsewhere"
    root.mkdir()
    (root / "debug.log").write_text("stays")
    (root / "a.txt").write_text("replaced")
    (root / "deep").mkdir()
    (root / "deep" / "ignored.log").write_text("stays, too")
    report = replace(captured.report, facts={**captured.report.facts, "root": captured.report.facts["path"]})
    captured = FolderCapture(captured.folder, report)
    request = RestoreRequest(to=root / "source", root=root, aside=move_aside)
    before = specimen.state()["files"]
    specimen.component.restore(captured, request, surroundings)
    assert (root / "debug.log").read_text() == "stays"
    assert (root / "deep" / "ignored.log").read_text() == "stays, too"
    assert (root / "a.txt.aside-1").read_text() == "replaced"
    (root / "a.txt.aside-1").unlink()
    (root / "deep.aside-1").rmdir()
    assert state_of(root)["files"] == before


def test_an_interruption_leaves_nothing_and_replaces_nothing(
    specimen: Specimen, take: Taking, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = take(specimen.component)
    before = specimen.state()

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pivori.components.git.component.put_in_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert specimen.state() == before
    assert [path.name for path in specimen.root.iterdir()] == ["app"]
    assert not list(surroundings.state.iterdir())


def test_what_a_killed_run_left_is_removed(specimen: Specimen, take: Taking, surroundings: Surroundings) -> None:
    captured = take(specimen.component)
    before = specimen.state()
    request = in_place(specimen.root)
    left = partial_of(specimen.tree, request)
    (left / ".git").mkdir(parents=True)
    (surroundings.state / "scratch").mkdir()
    assert specimen.component.resume(surroundings)
    assert not specimen.component.resume(surroundings)
    specimen.destroy()
    specimen.component.restore(captured, request, surroundings)
    assert specimen.state() == before
    assert not left.exists()


def test_a_tar_that_leads_out_of_the_folder_is_refused(specimen: Specimen, take: Taking, tmp_path: Path) -> None:
    from pivori.components.git.tars import tar_of, unpack

    inner = tmp_path / "inner"
    inner.write_text("x")
    for name in ("../out", "/out", ".git/hooks/x", "a/.GIT/x"):
        folder = tmp_path / "tars" / str(abs(hash(name)))
        sink = FolderSink(folder)
        sink.stream("worktree.tar", tar_of([(name, inner)]))
        target = folder / "target"
        target.mkdir()
        with pytest.raises(CaptureDamaged):
            unpack(sink.finish(take(specimen.component).report), "worktree.tar", target)
        assert not list(target.iterdir())


def test_the_way_back_by_hand_works(specimen: Specimen, take: Taking) -> None:
    first = take(specimen.component)
    commit(specimen.tree, "more")
    captured = take(specimen.component, first)
    before = specimen.state()
    specimen.destroy()
    script = "\n".join(["set -e", *specimen.component.manual(captured.report)])
    subprocess.run(
        ["sh", "-c", script], cwd=captured.folder, check=True, capture_output=True, env=os.environ | IDENTITY
    )
    after = specimen.state()
    for part in ("refs", "head", "stashes", "remotes", "hooks"):
        assert after[part] == before[part]
    for files in (before["files"], after["files"]):
        files.pop("private.txt")
    assert after["files"] == before["files"]


def test_a_scratch_folder_is_removed_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path / "scratch") as folder:  # noqa: PT012 - it is what is left behind that counts
        (folder / "x").write_text("x")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_ignored_files_stay_in_place(specimen: Specimen, take: Taking, surroundings: Surroundings) -> None:
    captured = take(specimen.component)
    for name in ("x.log", "deep/y.log", "only logs/z.log", "not ignored"):
        (specimen.tree / name).parent.mkdir(exist_ok=True)
        (specimen.tree / name).write_text(name)
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    for name in ("x.log", "deep/y.log", "only logs/z.log"):
        assert (specimen.tree / name).read_text() == name
    assert not (specimen.tree / "not ignored").exists()
    assert (specimen.root / "app.aside-1" / "not ignored").exists()


def test_what_another_component_brought_back_before_stays_when_git_ignores_it(
    specimen: Specimen, take: Taking, surroundings: Surroundings
) -> None:
    before = specimen.state()
    captured = take(specimen.component)
    specimen.destroy()
    specimen.tree.mkdir()
    (specimen.tree / "restored.log").write_text("just restored")
    specimen.component.restore(captured, in_place(specimen.root), surroundings)
    assert (specimen.tree / "restored.log").read_text() == "just restored"
    assert specimen.state() == before
