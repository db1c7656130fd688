"""Only commands of our own forms are run, only inside the target, and every outcome is told."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from pivori.archives.manifest import Omission
from pivori.engine.smart import plan_smart
from pivori.engine.smart.rebuild import Step, StepState, check_step, documents_of, rebuild, rebuild_steps
from tests.conftest import missing
from tests.contract.smart.conftest import Project

DOCUMENT = ".pivori/bundles/0123456789abcdef.bundle"
LISTING = ".pivori/packages/0123456789abcdef.txt"
INSTALL = ["venv/bin/python", "-m", "pip", "install", "--no-deps", "--requirement", LISTING]


def omission(path: str, rule: str, *commands: list[str]) -> Omission:
    return Omission(path=path, rule=rule, rebuild=list(commands))


def state(target: Path, each: Omission) -> StepState:
    [step] = rebuild_steps([each])
    return check_step(step, os.fsencode(target)).state


GOOD = [
    omission("node_modules", "node-modules", ["npm", "ci"]),
    omission("a/node_modules", "node-modules", ["pnpm", "install", "--frozen-lockfile"]),
    omission("dist", "build-output", ["yarn", "run", "build"]),
    omission("venv", "virtual-environment", ["python3.11", "-m", "venv", "venv"], INSTALL),
    omission("venv", "virtual-environment", ["python3", "-m", "venv", "--system-site-packages", "venv"], INSTALL),
    omission(
        ".git",
        "git",
        ["git", "init", "--quiet"],
        ["git", "config", "--add", "remote.origin.url", "git@example.org:shop/shop.git"],
        ["git", "config", "--add", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"],
        ["git", "config", "--add", "core.hookspath", ".husky/_"],
        ["git", "fetch", "--quiet", "--no-tags", "origin"],
        ["git", "fetch", "--quiet", "--no-tags", "--update-head-ok", DOCUMENT, "+refs/*:refs/*"],
        ["git", "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"],
        ["git", "symbolic-ref", "HEAD", "refs/heads/topic/one"],
        ["git", "stash", "store", "--quiet", "-m", "WIP on main: $(x) `y`; z", "refs/pivori/stash/0"],
        ["git", "update-ref", "-d", "refs/pivori/stash/0"],
        ["git", "reset", "--quiet"],
    ),
]


@pytest.mark.parametrize("each", GOOD, ids=lambda each: each.path)
def test_what_the_rules_write_is_run(tmp_path: Path, each: Omission) -> None:
    (tmp_path / os.path.dirname(each.path)).mkdir(exist_ok=True)
    assert state(tmp_path, each) is StepState.PLANNED


def git(*words: str) -> Omission:
    return omission(".git", "git", ["git", "init", "--quiet"], ["git", *words])


EVIL = [
    omission("node_modules", "node-modules", ["sh", "-c", "true"]),
    omission("node_modules", "node-modules", ["npm", "ci", "--prefix=/"]),
    omission("node_modules", "node-modules", ["npm", "ci"], ["npm", "run", "build"]),
    omission("node_modules", "nonsense", ["npm", "ci"]),
    omission("node_modules", "log", ["npm", "ci"]),
    omission("x", "node-modules", ["npm", "ci"]),
    omission("dist", "build-output", ["./evil"]),
    omission("venv", "virtual-environment", INSTALL),
    omission("venv", "virtual-environment", ["python3", "-m", "venv", "other"], INSTALL),
    omission("venv", "virtual-environment", ["python3", "-c", "x", "venv"], INSTALL),
    omission("venv", "virtual-environment", ["python3", "-m", "venv", "venv"], ["evil/bin/python", *INSTALL[1:]]),
    omission("venv", "virtual-environment", ["python3", "-m", "venv", "venv"], [*INSTALL[:-1], "evil.txt"]),
    omission("venv", "virtual-environment", ["/tmp/python3", "-m", "venv", "venv"], INSTALL),
    omission("-c", "virtual-environment", ["python3", "-m", "venv", "-c"], ["-c/bin/python", *INSTALL[1:]]),
    omission(".git", "git", ["git", "reset", "--quiet"]),
    omission("x", "git", ["git", "init", "--quiet"]),
    git("config", "--add", "core.sshcommand", "evil"),
    git("config", "--add", "core.fsmonitor", "evil"),
    git("config", "--add", "core.hookspath", "/tmp/evil"),
    git("config", "--add", "core.hookspath", "../evil"),
    git("config", "--add", "alias.x", "!evil"),
    git("config", "--add", "remote.origin.url", "ext::sh -c evil"),
    git("config", "--add", "remote.origin.url", "ssh://-oProxyCommand=evil/x"),
    git("config", "--add", "remote.origin.url", "-oProxyCommand=evil:x"),
    git("config", "--add", "remote.origin.url", "https://a:b@example.org/x"),
    git("config", "--add", "remote.origin.uploadpack", "evil"),
    git("config", "--add", "remote.origin.vcs", "evil"),
    git("config", "--add", "user.name", "-evil"),
    git("config", "--add", "user.name", "a\nb"),
    git("config", "--global", "--add", "user.name", "x"),
    git("fetch", "--quiet", "--no-tags", "--upload-pack=evil"),
    git("fetch", "--quiet", "--no-tags", "../evil"),
    git("fetch", "--quiet", "--no-tags", "--update-head-ok", "evil.bundle", "+refs/*:refs/*"),
    git("fetch", "--quiet", "--no-tags", "--update-head-ok", ".pivori/../evil.bundle", "+refs/*:refs/*"),
    git("symbolic-ref", "HEAD", "refs/heads/../../evil"),
    git("symbolic-ref", "HEAD", "-d"),
    git("symbolic-ref", "refs/heads/main", "refs/remotes/origin/main"),
    git("update-ref", "-d", "refs/heads/main"),
    git("stash", "store", "--quiet", "-m", "-x", "refs/pivori/stash/0"),
    git("stash", "store", "--quiet", "-m", "x", "HEAD"),
    git("checkout", "."),
    git("-c", "core.pager=evil", "log"),
]


@pytest.mark.parametrize("each", EVIL, ids=lambda each: " ".join(each.rebuild[-1])[:60])
def test_anything_else_is_refused_and_not_run(tmp_path: Path, each: Omission) -> None:
    assert state(tmp_path, each) is StepState.REFUSED
    heard: list[object] = []
    [outcome] = rebuild(
        rebuild_steps([each]), os.fsencode(tmp_path), {}, starting=lambda *started: heard.append(started)
    )
    assert outcome.state is StepState.REFUSED
    assert outcome.is_trouble
    assert not heard
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["../node_modules", "/tmp/node_modules", "a/../../node_modules", "link/node_modules"])
def test_paths_that_lead_out_of_the_target_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/link").symlink_to(tmp_path)
    assert state(tmp_path / "target", omission(path, "node-modules", ["npm", "ci"])) is StepState.REFUSED


def test_what_is_there_already_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "dist").symlink_to("nowhere")
    for each in GOOD[0], GOOD[2]:
        [outcome] = rebuild(rebuild_steps([each]), os.fsencode(tmp_path), {})
        assert (outcome.state, outcome.reason) == (StepState.SKIPPED, "it is there already")


def test_what_was_not_restored_is_not_rebuilt(tmp_path: Path) -> None:
    assert state(tmp_path, GOOD[1]) is StepState.SKIPPED


def test_the_order_is_history_packages_builds() -> None:
    omissions = [
        omission("b/dist", "build-output", ["npm", "run", "build"]),
        omission("b/node_modules", "node-modules", ["npm", "ci"]),
        Omission(path="x.log", rule="log"),
        omission("b/.git", "git", ["git", "init", "--quiet"]),
        omission("a/dist", "build-output", ["npm", "run", "build"]),
    ]
    assert [step.path for step in rebuild_steps(omissions)] == [b"b/.git", b"b/node_modules", b"a/dist", b"b/dist"]
    assert [step.path for step in rebuild_steps(omissions, below=b"b")] == [b".git", b"node_modules", b"dist"]


def test_documents_are_named_by_the_commands() -> None:
    assert documents_of(rebuild_steps(GOOD)) == {DOCUMENT.encode(), LISTING.encode()}


def test_a_missing_document_a_failing_command_and_a_missing_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "npm").write_text('#!/bin/sh\necho "in $PWD"; echo bad >&2; exit 9\n')
    (programs / "npm").chmod(0o755)
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(programs))
    steps = rebuild_steps(
        [
            git("fetch", "--quiet", "--no-tags", "--update-head-ok", DOCUMENT, "+refs/*:refs/*"),
            GOOD[0],
            omission("target", "build-output", ["cargo", "build"]),
        ]
    )
    outcomes = list(rebuild(steps, os.fsencode(target), {}))
    assert [(each.state, each.reason, each.output) for each in outcomes] == [
        (StepState.FAILED, f"the backup does not hold {DOCUMENT}", ""),
        (StepState.FAILED, "npm ci ended with status 9", f"in {target} bad"),
        (StepState.SKIPPED, "the program cargo is missing", ""),
    ]


def test_one_build_that_makes_two_outputs_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "npm").write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\n")
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")
    command = ["npm", "run", "build"]
    steps = rebuild_steps([omission("build", "build-output", command), omission("dist", "build-output", command)])
    outcomes = list(rebuild(steps, os.fsencode(tmp_path), {}))
    assert [each.state for each in outcomes] == [StepState.DONE, StepState.DONE]
    assert (tmp_path / "runs").read_text() == "run\n"


def test_every_command_of_a_plan_fits_its_own_form(project: Project) -> None:
    project.git("config", "user.name", "Ada “Ω” Lovelace")
    project.git("checkout", "-q", "-b", "feature/ü")
    project.write("package.json", '{"scripts": {"build": "x"}}')
    project.write("package-lock.json", json.dumps({"packages": {"node_modules/a": {}}}))
    project.write("node_modules/a/x.js")
    project.write("dist/x.js")
    project.write(".gitignore", "dist\n")
    root = os.fsencode(project.path)
    plan = plan_smart([root])
    kept = [each for each in plan.decisions if not each.is_omitted]
    assert [str(each.reason) for each in kept] == ["it has a ref that cannot be carried: refs/heads/feature/ü"]
    project.git("checkout", "-q", "main")
    project.git("branch", "-q", "-D", "feature/ü")
    shutil.copytree(
        project.path, project.path.parent / "back", ignore=shutil.ignore_patterns(".git", "node_modules", "dist")
    )
    steps = rebuild_steps(plan_smart([root]).omissions(root))
    assert [step.path for step in steps] == [b".git", b"node_modules", b"dist"]
    target = os.fsencode(project.path.parent / "back")
    assert {check_step(step, target).state for step in steps} == {StepState.PLANNED}


def test_a_folder_that_is_still_to_be_restored_is_no_obstacle(tmp_path: Path) -> None:
    [step] = rebuild_steps([omission("a/node_modules", "node-modules", ["npm", "ci"])])
    target = os.fsencode(tmp_path)
    assert check_step(step, target).state is StepState.SKIPPED
    assert check_step(step, target, restored=False).state is StepState.PLANNED
    (tmp_path / "a" / "node_modules").mkdir(parents=True)
    assert check_step(step, target, restored=False).state is StepState.SKIPPED


def test_a_step_says_where_its_commands_run() -> None:
    step = Step(path=b"a/b/node_modules", rule="node-modules", commands=(("npm", "ci"),))
    assert step.directory == b"a/b"


def test_what_a_failed_command_left_is_taken_away(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    each = omission(
        ".git",
        "git",
        ["git", "init", "--quiet"],
        ["git", "config", "--add", "remote.origin.url", str(tmp_path / "nowhere")],
        ["git", "fetch", "--quiet", "--no-tags", "origin"],
    )
    [outcome] = rebuild(rebuild_steps([each]), os.fsencode(target), {})
    assert outcome.state is StepState.FAILED
    assert "nowhere" in outcome.output
    assert not list(target.iterdir())


@pytest.mark.root
def test_root_rebuilds_as_the_owner_of_the_folder() -> None:
    if os.geteuid() != 0:
        missing("the right to run something as somebody else (root)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        project = Project(folder / "project", folder / "remote.git")
        project.path.mkdir()
        project.git("init", "-q", "--bare", "-b", "main", project.remote, cwd=folder)
        project.git("init", "-q", "-b", "main")
        project.git("remote", "add", "origin", project.remote)
        project.commit("a.txt", push=True)
        project.git("tag", "-a", "v1", "-m", "One")
        for path in (project.path, *project.path.rglob("*"), project.remote, *project.remote.rglob("*")):
            os.chown(path, 12345, 12345)
        plan = project.plan()
        assert [each.is_omitted for each in plan.decisions] == [True], "root may look at everybody's repository"
        shutil.rmtree(project.path / ".git")
        steps = rebuild_steps(plan.omissions(os.fsencode(project.path)))
        [outcome] = rebuild(steps, os.fsencode(project.path), plan.documents)
        assert (outcome.state, outcome.output) == (StepState.DONE, "")
        assert {path.stat().st_uid for path in project.path.rglob("*")} == {12345}
