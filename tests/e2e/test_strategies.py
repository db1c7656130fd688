"""``backup --strategy``, ``--explain`` and ``restore --rebuild`` as a person runs them, with the real git, npm, pip."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pivori
from tests.git import IDENTITY
from tests.restic import Restic

PASSWORD = {"PIVORI_PASSWORD": "secret"}


@pytest.fixture
def repository(pivori: Pivori, tmp_path: Path) -> str:
    """A fresh repository, opened by the password in the environment."""
    place = str(tmp_path / "repository")
    pivori("init", "-r", place, **PASSWORD)
    return place


def git(directory: Path, *arguments: str | Path) -> str:
    command = ["git", "-C", directory, *arguments]
    return subprocess.run(
        command, env={**os.environ, **IDENTITY}, check=True, capture_output=True, text=True
    ).stdout.strip()


def write(path: Path, content: str = "x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def local_package(project: Path) -> None:
    """A project with one dependency that is a folder of its own, so that npm needs no network."""
    write(project / "left/package.json", '{"name": "left", "version": "1.0.0"}')
    write(project / "left/index.js", "module.exports = 7\n")
    manifest = {
        "name": "shop",
        "version": "1.0.0",
        "dependencies": {"left": "file:./left.tgz"},
        "scripts": {
            "build": "node -e \"fs.mkdirSync('dist');fs.writeFileSync('dist/out.js', String(require('left')))\""
        },
    }
    environment = {
        **os.environ,
        "npm_config_offline": "true",
        "npm_config_cache": str(project.parent.parent / "npm-cache"),
    }
    subprocess.run(["npm", "pack", "--silent"], cwd=project / "left", env=environment, check=True, capture_output=True)
    (project / "left/left-1.0.0.tgz").rename(project / "left.tgz")
    shutil.rmtree(project / "left")
    write(project / "package.json", json.dumps(manifest))
    for command in (["install"], ["run", "build"]):
        subprocess.run(["npm", *command, "--silent"], cwd=project, env=environment, check=True, capture_output=True)


def environment_with_a_package(project: Path) -> None:
    """A virtual environment with one package from a folder of wheels, so that pip needs no network."""
    (project / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(project / "wheels/demo-1.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo/__init__.py", "ANSWER = 42\n")
        wheel.writestr("demo-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.5\n")
        wheel.writestr("demo-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("demo-1.5.dist-info/RECORD", "demo/__init__.py,,\ndemo-1.5.dist-info/METADATA,,\n")
    write(project / "requirements.txt", "--no-index\n--find-links ./wheels\ndemo\n")
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True, capture_output=True)
    subprocess.run(
        [project / ".venv/bin/pip", "install", "-q", "-r", "requirements.txt"],
        cwd=project,
        check=True,
        capture_output=True,
    )


def stack(folder: Path) -> Path:
    """A project as people have them: a back end, a front end, history, logs, caches."""
    project = folder / "stack"
    write(project / "backend/app.py", "import demo\n")
    environment_with_a_package(project / "backend")
    write(project / "backend/__pycache__/app.cpython-311.pyc", "x")
    local_package(project / "frontend")
    write(project / ".gitignore", "node_modules/\ndist/\n.venv/\n__pycache__/\n*.log\n.env\n.DS_Store\n")
    write(project / "logs/server.log", "started\n")
    write(project / ".env", "SECRET=1\n")
    write(project / ".DS_Store")
    git(folder, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(folder, "init", "-q", "-b", "main", project)
    git(project, "remote", "add", "origin", folder / "remote.git")
    git(project, "add", ".gitignore", "backend/app.py", "frontend/package.json", "frontend/package-lock.json")
    git(project, "commit", "-q", "-m", "All")
    git(project, "push", "-q", "-u", "origin", "main")
    return project


@pytest.fixture(scope="session")
def real_stack(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], Path]) -> Path:
    """The project, made once; tests that change it take a copy."""
    for name in ("git", "npm"):
        program(name)
    return stack(Path(os.path.realpath(tmp_path_factory.mktemp("work"))))


def records(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_explain_lists_what_is_left_out_and_kept_and_stores_nothing(
    pivori: Pivori, repository: str, real_stack: Path
) -> None:
    shown = pivori("backup", "-r", repository, "-s", "smart", "--explain", "--json", real_stack, **PASSWORD)
    *decisions, summary = records(shown.stdout)
    omitted = {os.path.relpath(each["path"], real_stack): each for each in decisions if each["omitted"]}
    assert set(omitted) == {
        ".git",
        ".DS_Store",
        "backend/.venv",
        "backend/__pycache__",
        "frontend/dist",
        "frontend/node_modules",
        "logs/server.log",
    }
    assert all(each["bytes"] and each["files"] and each["reason"] for each in omitted.values())
    assert omitted["frontend/node_modules"]["rebuild"] == [["npm", "ci"]]
    assert summary["omitted"] == 7
    assert summary["omitted_bytes"] == sum(each["bytes"] for each in omitted.values())
    text = pivori("backup", "-r", repository, "-s", "smart", "--explain", real_stack, **PASSWORD).stdout
    assert f"leave out {real_stack}/frontend/node_modules" in text
    assert "node-modules: package-lock.json names all of the 1 packages in it" in text
    assert "$ npm ci" in text
    assert not list((Path(repository) / "snapshots").iterdir())


def test_explain_needs_no_repository(pivori: Pivori, tmp_path: Path) -> None:
    write(tmp_path / "source/x.log")
    shown = pivori("backup", "--strategy", "smart", "--explain", tmp_path / "source")
    assert "x.log" in shown.stdout
    assert not list(pivori.home.iterdir())


def test_a_smart_snapshot_comes_back_whole_with_rebuild(
    pivori: Pivori, repository: str, real_stack: Path, tmp_path: Path
) -> None:
    stored = pivori.json("backup", "-r", repository, "-s", "smart", real_stack, **PASSWORD)
    assert (stored["strategy"], stored["omitted"]) == ("smart", 7)
    [snapshot] = pivori.json("snapshots", "-r", repository, **PASSWORD)
    assert snapshot["tags"] == ["strategy:smart"]
    target = tmp_path / "back"
    place = f"latest:{real_stack}"
    plain = pivori("restore", "-r", repository, place, "--target", target, **PASSWORD)
    assert "--rebuild does it" in plain.stdout
    left_out = (".git", "backend/.venv", "frontend/node_modules", "frontend/dist", "logs/server.log", ".DS_Store")
    assert not [name for name in left_out if (target / name).exists()]
    assert (target / ".env").read_text() == "SECRET=1\n"
    planned = pivori("restore", "-r", repository, place, "--target", target, "--rebuild", "--dry-run", **PASSWORD)
    assert planned.stdout.index("rebuild .git") < planned.stdout.index("rebuild frontend/dist")
    assert not (target / ".git").exists()
    offline = {"npm_config_offline": "true", "npm_config_cache": str(tmp_path / "cache")}
    done = pivori("restore", "-r", repository, place, "--target", target, "--rebuild", "--json", **PASSWORD, **offline)
    *_, summary = records(done.stdout)
    assert summary == {
        "message_type": "rebuild_summary",
        "planned": 0,
        "done": 4,
        "failed": 0,
        "skipped": 0,
        "refused": 0,
    }
    assert git(target, "status", "--porcelain") == git(real_stack, "status", "--porcelain")
    assert git(target, "for-each-ref") == git(real_stack, "for-each-ref")
    assert (target / "frontend/dist/out.js").read_text() == "7"
    same = ["diff", "-r", real_stack / "frontend/node_modules", target / "frontend/node_modules"]
    assert subprocess.run(same, capture_output=True, text=True).stdout == ""
    answer = [target / "backend/.venv/bin/python", "-c", "import demo; print(demo.ANSWER)"]
    assert subprocess.run(answer, capture_output=True, text=True).stdout == "42\n"


def test_the_manifest_and_its_documents_are_files_for_restic(
    pivori: Pivori, repository: str, real_stack: Path, tmp_path: Path, newest_restic: Restic
) -> None:
    project = tmp_path / "stack"
    shutil.copytree(real_stack, project, symlinks=True)
    write(project / "new.py")
    git(project, "add", "new.py")
    git(project, "commit", "-q", "-m", "Unpushed")
    pivori("backup", "-r", repository, "-s", "smart", project, **PASSWORD)
    target = tmp_path / "back"
    restic = [newest_restic.path, "-r", repository, "--no-cache"]
    environment = {**os.environ, "RESTIC_PASSWORD": "secret"}
    subprocess.run([*restic, "restore", "latest", "-t", target], env=environment, check=True, capture_output=True)
    subprocess.run([*restic, "check", "--read-data"], env=environment, check=True, capture_output=True)
    manifest = json.loads((target / ".pivori/manifest.json").read_bytes())
    assert (target / ".pivori/manifest.json").stat().st_mode & 0o7777 == 0o600
    assert {each["rule"] for each in manifest["omitted"]} >= {"git", "node-modules", "virtual-environment", "log"}
    [bundle] = (target / ".pivori/bundles").iterdir()
    assert "refs/heads/main" in git(project, "bundle", "list-heads", bundle)
    [listing] = (target / ".pivori/packages").iterdir()
    assert listing.read_text() == "--no-index\n--find-links ./wheels\ndemo==1.5\n"


def test_an_unchanged_smart_backup_can_be_skipped_and_a_complete_one_has_no_documents(
    pivori: Pivori, repository: str, real_stack: Path
) -> None:
    first = pivori.json("backup", "-r", repository, "-s", "smart", real_stack, **PASSWORD)
    for _ in range(9):  # somebody else may have written into a folder above the project meanwhile
        again = pivori.json("backup", "-r", repository, "-s", "smart", "--skip-if-unchanged", real_stack, **PASSWORD)
        if again["snapshot_id"] is None:
            break
    assert again["snapshot_id"] is None
    assert (again["files_new"], again["files_changed"], again["data_blobs"]) == (0, 0, 0)
    assert first["omitted"] == again["omitted"]
    pivori("backup", "-r", repository, real_stack, **PASSWORD)
    assert "/.pivori" not in pivori("ls", "-r", repository, "latest", **PASSWORD).stdout
    assert "/frontend/node_modules/left/index.js" in pivori("ls", "-r", repository, "latest", **PASSWORD).stdout
    pivori("backup", "-r", repository, "-s", "smart", real_stack, **PASSWORD)
    assert "/.pivori/manifest.json" in pivori("ls", "-r", repository, "latest", **PASSWORD).stdout
    assert "/node_modules" not in pivori("ls", "-r", repository, "latest", **PASSWORD).stdout
    pivori("verify", "-r", repository, "--read-data", **PASSWORD)


def test_complete_reads_again_and_compressed_compresses_more(pivori: Pivori, repository: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source / "a.txt", "".join(f"{number} lines of text\n" for number in range(20000)))
    pivori("backup", "-r", repository, source, **PASSWORD)
    plain = pivori.json("backup", "-r", repository, source, **PASSWORD)
    complete = pivori.json("backup", "-r", repository, "-s", "complete", source, **PASSWORD)
    assert (plain["files_unmodified"], complete["files_unmodified"], complete["files_new"]) == (1, 0, 1)
    tags = [each.get("tags", []) for each in pivori.json("snapshots", "-r", repository, **PASSWORD)]
    assert tags == [[], [], ["strategy:complete"]]
    packed = []
    for number, strategy in enumerate(("complete", "compressed")):
        place = str(tmp_path / f"other{number}")
        pivori("init", "-r", place, **PASSWORD)
        packed.append(pivori.json("backup", "-r", place, "-s", strategy, source, **PASSWORD)["data_added_packed"])
    assert packed[1] < packed[0]


def test_a_differential_one_reports_what_differs_from_the_last_complete_one(
    pivori: Pivori, repository: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for name in ("kept", "changed", "removed"):
        write(source / name)
    pivori("backup", "-r", repository, "-s", "differential", source, expect=1, **PASSWORD)
    base = pivori.json("backup", "-r", repository, "-s", "complete", source, **PASSWORD)["snapshot_id"]
    write(source / "changed", "other\n")
    (source / "removed").unlink()
    write(source / "new/one")
    for _ in range(2):
        done = pivori("backup", "-r", repository, "-s", "differential", "--json", "-v", source, **PASSWORD)
        *_, difference, summary = records(done.stdout)
        assert difference == {"message_type": "difference", "base": base, "new": 1, "changed": 1, "removed": 1}
        assert summary["parent"] == base
    snapshot = pivori.json("snapshots", "-r", repository, "latest", **PASSWORD)[0]
    assert snapshot["tags"] == [f"base:{base}", "strategy:differential"]
    text = pivori("backup", "-r", repository, "-s", "differential", "-v", source, **PASSWORD).stdout
    assert f"+    {source}/new/one" in text
    assert f"-    {source}/removed" in text
    assert "new 1, changed 1, removed 1" in text
    refused = pivori("backup", "-r", repository, "-s", "differential", "--base", "latest", source, expect=2, **PASSWORD)
    assert "differential one itself" in refused.stderr
    pivori("forget", "-r", repository, base, "--prune", **PASSWORD)
    target = tmp_path / "back"
    pivori("restore", "-r", repository, f"latest:{source}", "--target", target, **PASSWORD)
    assert sorted(path.name for path in target.rglob("*")) == ["changed", "kept", "new", "one"]


@pytest.mark.parametrize(
    "options",
    [("--base", "latest", "x"), ("-s", "smart", "--base", "latest", "x"), ("-s", "nonsense", "x")],
    ids=" ".join,
)
def test_options_that_do_not_fit(pivori: Pivori, repository: str, options: tuple[str, ...]) -> None:
    pivori("backup", "-r", repository, *options, expect=2, **PASSWORD)


@pytest.mark.parametrize("strategy", ["smart", "differential"])
def test_a_stream_is_stored_whole(pivori: Pivori, repository: str, strategy: str) -> None:
    pivori("backup", "-r", repository, "-s", strategy, "--stdin-from-command", "x", "--", "echo", expect=2, **PASSWORD)


def test_what_cannot_be_rebuilt_is_told_and_the_status_says_so(
    pivori: Pivori, repository: str, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    program("npm")
    source = tmp_path / "source"
    write(source / "package.json", '{"scripts": {"build": "echo broken >&2; exit 7"}}')
    write(source / "dist/out.js")
    pivori("backup", "-r", repository, "-s", "smart", source, **PASSWORD)
    target = tmp_path / "back"
    failed = pivori(
        "restore", "-r", repository, f"latest:{source}", "--target", target, "--rebuild", expect=3, **PASSWORD
    )
    assert "failed dist: npm run build ended with status 7" in failed.stderr
    assert "broken" in failed.stdout
    shutil.rmtree(target)
    (tmp_path / "bin").mkdir()
    skipped = pivori(
        "restore",
        "-r",
        repository,
        f"latest:{source}",
        "--target",
        target,
        "--rebuild",
        **PASSWORD,
        PATH=str(tmp_path / "bin"),
    )
    assert "skipped dist: the program npm is missing" in skipped.stdout


def test_in_place_nothing_of_the_backup_itself_comes_to_the_root_of_the_machine(
    pivori: Pivori, repository: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write(source / "a.txt")
    write(source / "x.log")
    pivori("backup", "-r", repository, "-s", "smart", source, **PASSWORD)
    (source / "a.txt").unlink()
    planned = pivori("restore", "-r", repository, "latest", "--in-place", "--dry-run", **PASSWORD)
    assert ".pivori" not in planned.stdout
    pivori("restore", "-r", repository, "latest", "--in-place", "--rebuild", **PASSWORD)
    assert (source / "a.txt").read_text() == "x\n"
    assert not Path("/.pivori").exists()
    pivori("restore", "-r", repository, "latest", "--target", tmp_path / "back", **PASSWORD)
    assert (tmp_path / "back/.pivori/manifest.json").exists()


def test_a_folder_named_as_the_documents_are_says_nothing(
    pivori: Pivori, repository: str, tmp_path: Path, newest_restic: Restic
) -> None:
    source = tmp_path / "source"
    write(source / "package.json", '{"scripts": {"build": "x"}}')
    write(source / "dist/a.js")
    pivori("backup", "-r", repository, "-s", "smart", source, **PASSWORD)
    forged = tmp_path / "forged"
    pivori("restore", "-r", repository, "latest", "--target", forged, **PASSWORD)
    manifest = forged / ".pivori/manifest.json"
    manifest.write_text(manifest.read_text().replace('["npm","run","build"]', f'["touch","{tmp_path}/trap"]'))
    restic = [newest_restic.path, "-r", repository, "--no-cache", "backup", "."]
    environment = {**os.environ, "RESTIC_PASSWORD": "secret"}
    subprocess.run(restic, cwd=forged, env=environment, check=True, capture_output=True)
    shown = pivori("restore", "-r", repository, "latest", "--target", tmp_path / "b", "--rebuild", **PASSWORD)
    assert "nothing to rebuild" in shown.stdout
    assert (tmp_path / "b/.pivori/manifest.json").read_text() == manifest.read_text()
    assert not (tmp_path / "trap").exists()


def test_a_damaged_or_hostile_manifest_does_not_keep_the_files_from_coming_back(
    pivori: Pivori, repository: str, tmp_path: Path
) -> None:
    from pivori.clock import SystemClock
    from pivori.engine.backup import Backup, BackupRequest
    from pivori.host import ProcessIdentity
    from pivori.repository import Repository
    from pivori.storage import open_storage

    source = tmp_path / "source"
    write(source / "a.txt")
    storage = open_storage(repository)
    opened = Repository.open(storage, "secret", on_damage=lambda _error: None)
    opened.load_index(None)
    forged = {
        "id": "",
        "format": 1,
        "program": "",
        "created": "",
        "host": "",
        "root": "/",
        "strategy": "smart",
        "omitted": [
            {
                "path": os.path.relpath(source / "dist", "/"),
                "rule": "build-output",
                "rebuild": [["touch", str(tmp_path / "trap")]],
            }
        ],
    }
    for content in (b"no manifest", json.dumps(forged).encode()):
        request = BackupRequest(
            sources=[os.fsencode(source)],
            identity=ProcessIdentity.current(),
            host="h",
            time_ns=SystemClock().now_ns(),
            documents={b".pivori/manifest.json": content},
        )
        Backup(opened, request, clock=SystemClock(), emit=lambda _event: None).run()
    target = tmp_path / "back"
    broken = pivori("restore", "-r", repository, "latest~1", "--target", target, "--rebuild", expect=3, **PASSWORD)
    assert "manifest" in broken.stderr
    assert (target / os.path.relpath(source / "a.txt", "/")).exists()
    plain = pivori("restore", "-r", repository, "latest~1", "--target", target, **PASSWORD)
    assert plain.returncode == 0
    refused = pivori("restore", "-r", repository, "latest", "--target", target, "--rebuild", expect=3, **PASSWORD)
    assert "refused" in refused.stderr
    assert f"touch {tmp_path}/trap" in refused.stdout
    assert not (tmp_path / "trap").exists()


def test_a_stack_is_captured_smart_and_made_again_where_it_is_recovered(
    pivori: Pivori, repository: str, real_stack: Path, tmp_path: Path
) -> None:
    configuration = tmp_path / "pivori.toml"
    configuration.write_text(
        f'[stack]\nname = "shop"\nroot = "{real_stack}"\nstrategy = "smart"\n'
        '[[components]]\nname = "all"\nkind = "files"\npaths = ["."]\n'
    )
    pivori("backup", "-r", repository, "--config", configuration, **PASSWORD)
    [snapshot] = pivori.json("snapshots", "-r", repository, **PASSWORD)
    assert "strategy:smart" in snapshot["tags"]
    options = ["recover", "-r", repository, "--config", str(configuration)]
    plain = pivori(*options, "--to", tmp_path / "plain", **PASSWORD)
    assert "--rebuild does it" in plain.stdout
    assert not (tmp_path / "plain/frontend/node_modules").exists()
    target = tmp_path / "back"
    offline = {"npm_config_offline": "true", "npm_config_cache": str(tmp_path / "cache")}
    done = pivori(*options, "--to", target, "--rebuild", "--json", **PASSWORD, **offline)
    summary = next(each for each in records(done.stdout) if each["message_type"] == "rebuild_summary")
    assert (summary["done"], summary["failed"], summary["refused"]) == (4, 0, 0)
    assert git(target, "for-each-ref") == git(real_stack, "for-each-ref")
    assert (target / "frontend/dist/out.js").read_text() == "7"
    assert (target / "frontend/node_modules").is_dir()
