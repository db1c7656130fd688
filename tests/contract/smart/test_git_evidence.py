"""A `.git` is left out only when a remote and a bundle give all of it back; every obstacle keeps it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pivori.archives.manifest import Omission
from pivori.engine.smart import plan_smart
from pivori.engine.smart.rebuild import StepState, rebuild, rebuild_steps
from tests.contract.smart.conftest import IDENTITY, Project


def restored(project: Project, tmp_path: Path) -> tuple[Project, list[Omission]]:
    """The project as a restore brings it back, rebuilt."""
    plan = project.plan()
    target = Path(os.path.realpath(tmp_path)) / "back"
    shutil.copytree(project.path, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    omissions = plan.omissions(os.fsencode(project.path))
    outcomes = list(rebuild(rebuild_steps(omissions), os.fsencode(target), plan.documents))
    assert [(each.state, each.reason, each.output) for each in outcomes] == [(StepState.DONE, "", "")]
    return Project(target, project.remote), omissions


def facts(project: Project) -> dict[str, str]:
    """What a person sees of a repository."""
    return {
        "refs": project.git("for-each-ref", "--format=%(refname) %(objectname)"),
        "head": (project.path / ".git/HEAD").read_text(),
        "stash": project.git("stash", "list", "--format=%H %gs"),
        "status": project.git("status", "--porcelain=v2", "--branch"),
        "log": project.git("log", "--all", "--format=%H %s"),
        "upstream": project.git("config", "--get-regexp", r"^(branch|remote|user|core\.hookspath)"),
        "broken": project.git("fsck", "--no-dangling", "--no-progress"),
    }


def test_a_pushed_repository_is_left_out_and_comes_back(project: Project, tmp_path: Path) -> None:
    project.git("config", "user.name", "Ada at work")
    decision = project.decision(".git")
    assert decision.is_omitted
    assert "all commits of all branches, tags and stashes are on origin" in decision.reason
    assert decision.size > 0
    assert decision.files > 0
    back, omissions = restored(project, tmp_path)
    assert facts(back) == facts(project)
    assert facts(back)["status"].splitlines()[1:] == [
        "# branch.head main",
        "# branch.upstream origin/main",
        "# branch.ab +0 -0",
    ]
    assert [(each.path, each.rule) for each in omissions] == [(".git", "git")]


def test_changed_and_untracked_files_do_not_matter(project: Project, tmp_path: Path) -> None:
    project.write("a.txt", "changed\n")
    project.write("new.txt")
    (project.path / "src/b.txt").unlink()
    back, _ = restored(project, tmp_path)
    assert facts(back) == facts(project)
    assert " M N..." in facts(back)["status"] or ".M" in facts(back)["status"]


UNPUSHED: dict[str, Callable[[Project], object]] = {
    "commit": lambda project: project.commit("c.txt"),
    "branch": lambda project: [
        project.git("checkout", "-q", "-b", "topic/one"),
        project.commit("c.txt"),
        project.git("checkout", "-q", "main"),
    ],
    "lightweight tag": lambda project: [
        project.commit("c.txt"),
        project.git("tag", "light"),
        project.git("reset", "-q", "--hard", "HEAD~1"),
    ],
    "annotated tag of a pushed commit": lambda project: project.git("tag", "-a", "v1", "-m", "One"),
    "annotated tag of an unpushed commit": lambda project: [
        project.commit("c.txt"),
        project.git("tag", "-a", "v2", "-m", "Two"),
        project.git("reset", "-q", "--hard", "HEAD~1"),
    ],
    "stash": lambda project: [project.write("a.txt", "stashed\n"), project.git("stash", "push", "-q")],
    "three stashes, one with untracked files": lambda project: [
        project.write("a.txt", "first\n"),
        project.git("stash", "push", "-q", "-m", "the first: with a message"),
        project.write("src/b.txt", "second\n"),
        project.write("untracked.txt", "third\n"),
        project.git("stash", "push", "-q", "-u", "-m", "second"),
        project.write("a.txt", "fourth\n"),
        project.git("stash", "push", "-q"),
    ],
    "detached HEAD on an unpushed commit": lambda project: [
        project.git("checkout", "-q", "--detach"),
        project.commit("c.txt"),
    ],
    "detached HEAD on a pushed commit": lambda project: project.git("checkout", "-q", "--detach", "HEAD~1"),
    "merge": lambda project: [
        project.git("checkout", "-q", "-b", "side", "HEAD~1"),
        project.commit("c.txt"),
        project.git("checkout", "-q", "main"),
        project.git("merge", "-q", "--no-ff", "-m", "Merge", "side"),
    ],
    "history of its own": lambda project: [
        project.git("checkout", "-q", "--orphan", "pages"),
        project.git("commit", "-q", "-m", "Pages"),
        project.git("checkout", "-q", "main"),
    ],
}


@pytest.mark.parametrize("kind", UNPUSHED)
def test_what_no_remote_has_travels_in_a_bundle(project: Project, tmp_path: Path, kind: str) -> None:
    UNPUSHED[kind](project)
    before = facts(project)
    decision = project.decision(".git")
    assert decision.is_omitted, decision.reason
    back, _ = restored(project, tmp_path)
    assert facts(back) == before


def test_the_bundle_is_one_for_git_and_holds_only_what_is_missing(project: Project, tmp_path: Path) -> None:
    big = os.urandom(300_000).hex()
    project.commit("big.txt", big, push=True)
    unpushed = project.commit("c.txt", "only here\n")
    plan = project.plan()
    [(name, content)] = plan.documents.items()
    assert name.startswith(b".pivori/bundles/")
    assert len(content) < 2000
    (tmp_path / "x.bundle").write_bytes(content)
    assert "is okay" in project.git("bundle", "verify", tmp_path / "x.bundle") + "is okay"
    assert f"{unpushed} refs/heads/main" in project.git("bundle", "list-heads", tmp_path / "x.bundle")
    assert "but for 1, which are in a bundle" in project.decision(".git").reason


def test_the_same_repository_gives_the_same_documents(project: Project) -> None:
    project.commit("c.txt")
    assert project.plan() == project.plan()


def test_a_tracking_branch_of_another_remote_counts_too(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.git"
    project.git("init", "-q", "--bare", other)
    project.git("remote", "add", "backup/two", other)
    project.commit("c.txt")
    project.git("push", "-q", "backup/two", "main")
    decision = project.decision(".git")
    assert "all commits of all branches" in decision.reason
    back, _ = restored(project, tmp_path)
    assert facts(back) == facts(project)


def test_the_head_of_the_remote_and_hooks_in_the_work_tree_come_back(project: Project, tmp_path: Path) -> None:
    project.git("remote", "set-head", "origin", "main")
    project.git("config", "core.hooksPath", ".husky/_")
    project.git("config", "core.filemode", "false")
    back, _ = restored(project, tmp_path)
    assert facts(back) == facts(project)
    assert back.git("symbolic-ref", "refs/remotes/origin/HEAD") == "refs/remotes/origin/main"
    assert back.git("config", "core.filemode") == "false"


def conflict(project: Project) -> None:
    project.git("checkout", "-q", "-b", "side", "HEAD~1")
    project.commit("src/b.txt", "other\n")
    project.git("checkout", "-q", "main")
    subprocess.run(["git", "merge", "side"], cwd=project.path, env={**os.environ, **IDENTITY}, capture_output=True)


def submodule(project: Project) -> None:
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", project.remote, "lib")
    project.git("commit", "-q", "-m", "Submodule")
    project.git("push", "-q", "origin", "main")


def shallow(project: Project) -> None:
    shutil.rmtree(project.path)
    project.git("clone", "-q", "--depth", "1", f"file://{project.remote}", project.path, cwd=project.path.parent)


def partial(project: Project) -> None:
    shutil.rmtree(project.path)
    project.git("config", "uploadpack.allowFilter", "true", cwd=project.remote)
    project.git("clone", "-q", "--filter=blob:none", f"file://{project.remote}", project.path, cwd=project.path.parent)


def borrowing(project: Project) -> None:
    shutil.rmtree(project.path)
    project.git("clone", "-q", "--shared", project.remote, project.path, cwd=project.path.parent)


def configured(key: str, value: str) -> Callable[[Project], object]:
    return lambda project: project.git("config", key, value)


OBSTACLES: dict[str, tuple[Callable[[Project], object], str]] = {
    "staged change": (
        lambda project: [
            project.write("a.txt", "staged\n"),
            project.git("add", "a.txt"),
            project.write("a.txt", "work tree\n"),
        ],
        "staged",
    ),
    "staged new file": (lambda project: [project.write("n"), project.git("add", "n")], "staged"),
    "staged removal": (lambda project: project.git("rm", "-q", "--cached", "a.txt"), "staged"),
    "index gone": (lambda project: (project.path / ".git/index").unlink(), "staged"),
    "conflict": (conflict, "MERGE"),
    "assume-unchanged": (
        lambda project: project.git("update-index", "--assume-unchanged", "a.txt"),
        "assume-unchanged",
    ),
    "skip-worktree": (lambda project: project.git("update-index", "--skip-worktree", "a.txt"), "skip-worktree"),
    "notes": (lambda project: project.git("notes", "add", "-m", "note"), "refs/notes/commits"),
    "ref of its own": (lambda project: project.git("update-ref", "refs/mine/x", "HEAD"), "refs/mine/x"),
    "replaced object": (lambda project: project.git("replace", "HEAD", "HEAD~1"), "refs/replace/"),
    "tag of a file": (lambda project: project.git("tag", "blob", "HEAD:a.txt"), "refs/tags/blob"),
    "hook": (lambda project: project.write(".git/hooks/pre-commit"), "hook of its own: pre-commit"),
    "exclude file": (lambda project: project.write(".git/info/exclude", "*.tmp\n"), "info/exclude"),
    "attributes": (lambda project: project.write(".git/info/attributes", "* -text\n"), "info/attributes"),
    "work tree": (
        lambda project: project.git("worktree", "add", "-q", "-b", "other", project.path.parent / "other"),
        "worktrees",
    ),
    "submodule": (submodule, "modules"),
    "gitlink alone": (
        lambda project: [
            project.git("update-index", "--add", "--cacheinfo", f"160000,{project.git('rev-parse', 'HEAD')},lib"),
            project.git("commit", "-q", "-m", "Link"),
        ],
        "submodules",
    ),
    "shallow clone": (shallow, "shallow"),
    "partial clone": (partial, "partial clone"),
    "borrowed objects": (borrowing, "borrows objects"),
    "large files": (lambda project: project.write(".git/lfs/objects/x"), "lfs"),
    "bisecting": (lambda project: project.git("bisect", "start"), "BISECT"),
    "rebase": (lambda project: (project.path / ".git/rebase-merge").mkdir(), "rebase-merge"),
    "picked half-way": (lambda project: project.write(".git/CHERRY_PICK_HEAD"), "CHERRY_PICK_HEAD"),
    "a file nobody knows": (lambda project: project.write(".git/secret"), "secret"),
    "no remote": (lambda project: project.git("remote", "remove", "origin"), "no remote"),
    "remote without address": (lambda project: project.git("config", "--unset", "remote.origin.url"), "no remote"),
    "remote that is gone": (lambda project: shutil.rmtree(project.remote), "no remote"),
    "never pushed": (lambda project: project.git("update-ref", "-d", "refs/remotes/origin/main"), "nothing was ever"),
    "password in the address": (
        lambda project: project.git("remote", "set-url", "origin", "https://ada:secret@example.org/x.git"),
        "password",
    ),
    "strange address": (lambda project: project.git("remote", "set-url", "origin", "ext::sh -c true"), "kind"),
    "relative address": (lambda project: project.git("remote", "set-url", "origin", "../remote.git"), "kind"),
    "filter": (configured("filter.x.clean", "cat"), "filter.x.clean"),
    "credentials": (configured("http.extraheader", "Authorization: x"), "http.extraheader"),
    "alias": (configured("alias.x", "!true"), "alias.x"),
    "included file": (configured("include.path", "../more"), "include.path"),
    "hooks elsewhere": (configured("core.hooksPath", "/srv/hooks"), "core.hookspath"),
    "unborn branch": (lambda project: project.git("symbolic-ref", "HEAD", "refs/heads/none"), "nothing is committed"),
    "broken": (lambda project: project.write(".git/HEAD", "nonsense"), "cannot read"),
    "missing objects": (
        lambda project: shutil.rmtree(project.path / ".git/objects") or (project.path / ".git/objects").mkdir(),
        "cannot",
    ),
    "description": (lambda project: project.write(".git/description", "Mine\n"), "description"),
    "sparse": (lambda project: project.git("sparse-checkout", "set", "src"), "worktree"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_every_obstacle_keeps_it(project: Project, obstacle: str) -> None:
    assert project.is_omitted(".git")
    plant, reason = OBSTACLES[obstacle]
    plant(project)
    assert reason in project.why_kept(".git")


def test_a_remote_inside_the_backup_proves_nothing(project: Project) -> None:
    plan = plan_smart([os.fsencode(project.path.parent)])
    [decision] = [each for each in plan.decisions if each.rule == "git"]
    assert not decision.is_omitted
    assert "no remote" in decision.reason


def test_commits_only_on_a_branch_noted_for_no_remote_are_not_proven(project: Project) -> None:
    commit = project.commit("c.txt")
    project.git("update-ref", "refs/remotes/gone/main", commit)
    assert "but for 1" in project.decision(".git").reason


def test_a_pointer_to_a_repository_elsewhere_is_kept_silently(project: Project) -> None:
    project.git("worktree", "add", "-q", "-b", "other", project.path.parent / "other")
    assert plan_smart([os.fsencode(project.path.parent / "other")]).decisions == []


def test_a_hostile_repository_runs_nothing(project: Project, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    script = project.write("evil.sh", f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "diff.external",
        "filter.x.clean",
        "filter.x.process",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "credential.helper",
        "gpg.program",
        "core.gitProxy",
    ):
        project.git("config", key, str(script))
    project.git("config", "alias.ls-files", f"!{script}")
    project.write(".gitattributes", "* filter=x diff=x\n")
    for hook in ("post-index-change", "pre-commit", "reference-transaction", "post-checkout"):
        project.write(f".git/hooks/{hook}", f"#!/bin/sh\ntouch {trap}\n").chmod(0o755)
    project.write("dist/x.js")
    project.write("package.json", '{"scripts": {"build": "x"}}')
    project.write(".gitignore", "dist/\n")
    assert not project.is_omitted(".git")
    assert project.is_omitted("dist")
    assert not trap.exists()


def test_the_environment_of_the_caller_leads_nowhere_else(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.git("init", "-q", project.path.parent / "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(project.path.parent / "elsewhere/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(project.path.parent / "no-index"))
    assert project.is_omitted(".git")
