"""Planted secrets are nowhere but in their places: whatever is done, and wherever it ends."""

import base64
import hashlib
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from pivori.components import private_file
from pivori.components.base import RestoreRequest, plain_text
from pivori.components.secrets import (
    SecretCommand,
    SecretsComponent,
    capturing,
    component,
    found_files,
    new_identity,
    ownership,
    restoring,
    seal_notes,
    sealing,
    secret_command,
)
from pivori.errors import PivoriError
from pivori.testing.component_contract import in_place, move_aside
from tests.interrupting import Interruption
from tests.unit.components.secrets.stacks import SecretStack, make_stack

NAMES = (".env", "config/.env.production", "key", "token")
CANARIES = {name: f"canary-{number}-b7Kq9zXw-{number}" for number, name in enumerate(NAMES)}
SPELLINGS = {
    spelling
    for canary in CANARIES.values()
    for plain in (canary.encode(), canary.encode()[2:-2])
    for spelling in (plain, plain.hex().encode(), base64.b64encode(plain).rstrip(b"="), plain[::-1])
} | {
    hashlib.new(name, content).hexdigest().encode()
    for canary in CANARIES.values()
    for content in (canary.encode(), f"PASSWORD={canary}\n".encode())
    for name in ("md5", "sha1", "sha256", "blake2b")
}
"""Also digests without a key: who has one can try passwords."""


@pytest.fixture
def stack(tmp_path: Path) -> SecretStack:
    return make_stack(tmp_path, {name: f"PASSWORD={canary}\n" for name, canary in CANARIES.items()})


def require_nothing(content: bytes | str, where: object) -> None:
    """No canary in some content."""
    found = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    for spelling in SPELLINGS:
        assert spelling not in found, where


def require_clean(folder: Path, *own: Path) -> None:
    """No canary in any file below a folder, nor in a name, but below the places of secrets; and nobody's leftovers."""
    seen = 0
    for item in folder.rglob("*"):
        if any(item.is_relative_to(place) for place in own):
            assert not item.name.endswith(".partial"), item
            continue
        require_nothing(str(item.relative_to(folder)), item)
        if item.is_symlink():
            require_nothing(os.readlink(item), item)
        elif item.is_file():
            seen += 1
            require_nothing(item.read_bytes(), item)
    assert seen


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """It must be able to fail."""
    canary = CANARIES["token"].encode()
    (tmp_path / "clean").write_bytes(b"")
    require_clean(tmp_path)
    for number, spelled in enumerate((canary, base64.b64encode(canary), canary.hex().encode())):
        (tmp_path / f"dirty {number}").write_bytes(b"x" + spelled)
        with pytest.raises(AssertionError):
            require_clean(tmp_path)
        (tmp_path / f"dirty {number}").unlink()


# ---------------------------------------------------------------------------------------- the whole life of a secret


def as_shown(value: object) -> str:
    """Everything that could be shown of something."""
    return f"{value!r} {value} {msgspec.json.encode(value, enc_hook=plain_text).decode()}"


def test_neither_captures_nor_reports_nor_plans_have_any(stack: SecretStack, tmp_path: Path) -> None:
    request = RestoreRequest(to=tmp_path / "private" / "to", root=tmp_path / "private", aside=move_aside)
    first = stack.capture()
    second = stack.capture(first)
    (stack.root / ".env").write_text("changed\n")
    third = stack.capture(second)
    shown = [as_shown(stack.component.inspect(stack.surroundings)), repr(stack.component)]
    for taken in (first, second, third):
        shown += [as_shown(taken.report), *stack.component.manual(taken.report)]
        shown += map(as_shown, stack.component.verify(taken, stack.surroundings))
        for asked in (in_place(stack.root), request):
            plan = stack.component.plan(taken, asked, stack.surroundings)
            shown += [repr(plan), *plan.steps, *plan.replaces]
    shown.append(as_shown(stack.component.restore(first, request, stack.surroundings)))
    shown.append(as_shown(stack.component.restore(first, in_place(stack.root), stack.surroundings)))
    for number, text in enumerate(shown):
        require_nothing(text, number)
    require_clean(tmp_path, stack.root, stack.vault, tmp_path / "private")
    assert CANARIES[".env"] in (stack.root / ".env").read_text()
    assert CANARIES["token"] in (tmp_path / "private" / "to" / "commands" / "token").read_text()


# ------------------------------------------------------------------------------------------------ whatever goes wrong


def everything_of(error: BaseException) -> str:
    """All that anybody could show of an error."""
    parts = [repr(error), str(error), "".join(traceback.format_exception(error))]
    if isinstance(error, PivoriError):
        parts += [repr(error.details), str(error.as_reason), error.hint]
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            parts.append(everything_of(inner))
    return "\n".join(parts)


def script(line: str) -> list[str]:
    """A shell that finds the canary in a file: it is in none of the words."""
    return ["sh", "-c", line]


@pytest.mark.parametrize(
    "mistake",
    [
        {"files": [".env", "none"]},
        {"files": ["*.none"], "commands": []},
        {"files": ["config", "large"]},
        {"recipients": [".env"]},
        {"recipients": ["config/.env.production"]},
        {"recipients": []},
        {"recipients": ["age1x"]},
        {"words": script("cat ../vault/token; exit 3")},
        {"words": script("cat ../vault/token >&2; exit 3")},
        {"words": script("cat ../vault/token ../vault/token >&2; cat ../vault/token; kill $$")},
        {"words": script("cat ../vault/token; exec sleep 1000")},
        {"words": script("cat ../vault/token >&2")},
        {"words": script("while cat ../vault/token; do :; done")},
        {"words": ["no-such-program"]},
    ],
    ids=str,
)
def test_no_error_of_a_capture_has_any(stack: SecretStack, mistake: dict[str, Any], tmp_path: Path) -> None:
    with (stack.root / "large").open("wb") as file:
        file.write(CANARIES[".env"].encode())
        file.truncate(found_files.MOST + 1)
    if "words" in mistake:
        mistake = {"commands": [SecretCommand(name="token", words=mistake["words"], timeout=0.5)]}
    with pytest.raises(PivoriError) as raised:
        stack.capture(component=replace(stack.component, **mistake))
    require_nothing(everything_of(raised.value), mistake)
    require_clean(tmp_path, stack.root, stack.vault)


def as_identity(stack: SecretStack, name: str) -> SecretsComponent:
    return replace(stack.component, identity=(stack.root / name).read_text)


def test_no_error_of_a_restore_has_any(stack: SecretStack, tmp_path: Path) -> None:
    taken = stack.capture()
    new_identity(tmp_path / "wrong")
    seal = taken.folder / "files" / ".env.age"
    whole = seal.read_bytes()
    used = stack.component

    def attempts() -> Iterator[tuple[SecretsComponent, Path]]:
        target = tmp_path / "target"
        yield as_identity(stack, ".env"), target
        yield replace(used, identity=None), target
        yield replace(used, identity=(tmp_path / "wrong").read_text), target
        yield used, stack.root / ".env" / "target"  # a file where a folder has to be
        for damaged in (whole[:-1], (stack.root / ".env").read_bytes(), b""):
            seal.write_bytes(damaged)
            yield used, target
        seal.unlink()
        yield used, target

    for number, (tried, target) in enumerate(attempts()):
        request = RestoreRequest(to=target, root=target, aside=move_aside)
        for finding in (
            *tried.plan(taken, request, stack.surroundings).findings,
            *tried.verify(taken, stack.surroundings),
        ):
            require_nothing(f"{finding!r}", number)
        with pytest.raises(PivoriError) as raised:
            tried.restore(taken, request, stack.surroundings)
        require_nothing(everything_of(raised.value), number)
        seal.unlink(missing_ok=True)
        seal.write_bytes(whole)
    require_clean(tmp_path, stack.root, stack.vault, tmp_path / "target")


# ----------------------------------------------------------------------------------------------- interrupted anywhere


@pytest.mark.parametrize(
    "module",
    [component, capturing, found_files, sealing, seal_notes, secret_command, private_file],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_an_interrupted_capture_leaves_none(stack: SecretStack, module: ModuleType, tmp_path: Path) -> None:
    before = stack.capture()
    (stack.root / ".env").write_text(f"NEW={CANARIES['.env']}\n")
    for step in itertools.count():
        with Interruption(step, Path(str(module.__file__))) as interruption:
            stack.capture(before)
        require_clean(tmp_path, stack.root, stack.vault)
        if not interruption.came:
            break
        assert not list(stack.surroundings.state.glob("*.partial")), step
    assert step > 3


@pytest.mark.parametrize(
    "module",
    [component, restoring, ownership, sealing, private_file],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_an_interrupted_restore_leaves_it_in_its_place_alone(
    stack: SecretStack, module: ModuleType, tmp_path: Path
) -> None:
    taken = stack.capture()
    names = {item.relative_to(stack.root) for item in stack.root.rglob("*")}
    for step in itertools.count():
        (stack.root / ".env").unlink(missing_ok=True)
        with Interruption(step, Path(str(module.__file__))) as interruption:
            stack.component.restore(taken, in_place(stack.root), stack.surroundings)
        require_clean(tmp_path, stack.root, stack.vault)
        assert {item.relative_to(stack.root) for item in stack.root.rglob("*")} <= names, step
        if not interruption.came:
            break
    assert step > 3


# ------------------------------------------------------------------------------------------- what others see meanwhile

RUN = """
import json, logging, sys
from pathlib import Path
import msgspec
from pivori.components.base import plain_text
from pivori.components.secrets import SecretCommand, SecretsComponent
from pivori.testing.capture_folder import FolderSink
from pivori.testing.component_contract import surroundings_in
folder = Path(sys.argv[1])
logging.basicConfig(filename=folder / "watched" / "log", level=logging.DEBUG)
component = SecretsComponent(
    name="secrets", root=folder / "stack", files=[".env", "**/.env.production"],
    commands=[SecretCommand(name="token", words=["sh", "-c", sys.argv[3]])], recipients=[sys.argv[2]],
)
sink = FolderSink(folder / "watched" / "capture")
report = component.capture(sink, surroundings_in(folder / "watched", folder / "stack"))
print(msgspec.json.encode(report, enc_hook=plain_text).decode())
"""


@dataclass
class Watched:
    """A capture in a process of its own, whose command has printed the secret and waits for ``gate`` to be opened."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    seen: dict[str, bytes] = field(default_factory=dict)

    def family(self) -> list[int]:
        """The process and all that come from it."""
        found = [self.process.pid]
        for pid in found:
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def look(self) -> None:
        """What anybody sees of the processes, and the files that they have open without a name."""
        for pid in self.family():
            for what in ("cmdline", "environ", "comm", "status"):
                self.seen[f"{what} of {pid}"] = Path(f"/proc/{pid}/{what}").read_bytes()
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (core,) = [line.split()[4] for line in limits if line.startswith("Max core file size")]
            assert core in ("0", "1")
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                if stat.S_ISREG(descriptor.stat().st_mode):
                    assert "(deleted)" not in os.readlink(descriptor)


@contextmanager
def watched_capture(stack: SecretStack) -> Iterator[Watched]:
    folder = stack.folder
    (folder / "watched" / "tmp").mkdir(parents=True)
    os.mkfifo(folder / "gate")
    line = "cat ../vault/token; echo there > ../printed; read go < ../gate"
    recipient = stack.identity.read_text().split()[-1]
    allowed = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2);"
    allowed += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    with (folder / "watched" / "out").open("wb") as out, (folder / "watched" / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", allowed, "-c", RUN, folder, recipient, line],
            stdout=out,
            stderr=err,
            cwd=folder / "watched",
            env={**os.environ, "TMPDIR": str(folder / "watched" / "tmp")},
        )
        watched = Watched(process, folder)
        try:
            while not (folder / "printed").exists():
                assert process.poll() is None, (folder / "watched" / "err").read_text()
                time.sleep(0.01)
            yield watched
        finally:
            family = watched.family()
            process.kill()
            process.wait()
            for pid in family[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def require_unseen(stack: SecretStack, watched: Watched) -> None:
    for where, content in watched.seen.items():
        require_nothing(content, where)
    require_clean(stack.folder, stack.root, stack.vault)


def test_nobody_sees_any_while_it_runs(stack: SecretStack) -> None:
    with watched_capture(stack) as watched:
        watched.look()
        assert len(watched.family()) == 2
        require_unseen(stack, watched)
        (stack.folder / "gate").write_bytes(b"go\n")
        assert watched.process.wait() == 0
    require_unseen(stack, watched)
    assert json.loads((stack.folder / "watched" / "out").read_bytes())["counts"] == {"files": 2, "commands": 1}
    assert list((stack.folder / "watched" / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT])
def test_nothing_is_left_of_a_capture_that_dies(stack: SecretStack, number: signal.Signals) -> None:
    """While it holds the files' contents and half of a command's output."""
    with watched_capture(stack) as watched:
        watched.process.send_signal(number)
        assert watched.process.wait() != 0
    require_unseen(stack, watched)
    assert list((stack.folder / "watched" / "tmp").iterdir()) == []
