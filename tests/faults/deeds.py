"""Everything that writes to a repository, each deed with what it takes to be done: for tests that disturb it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pivori.engine.verify import Verify, VerifyRequest
from tests.faults.laboratory import Laboratory, picture_of
from tests.restic import Restic

WRONG_PASSWORD = 12
NEW_PASSWORD = "battery staple"


@dataclass(frozen=True)
class Deed:
    """A command that writes, and what the repository is made to look like before.

    ``is_done`` says that it cannot be done a second time. With ``damaged`` only the history is sound before it is done.
    ``second`` says that it writes to a second repository, too.
    """

    name: str
    arguments: Callable[[Laboratory], list[str | Path]]
    prepare: Callable[[Laboratory], None] = lambda laboratory: None
    is_done: Callable[[Laboratory], bool] = lambda laboratory: False
    workers: int = 1
    fewest_writes: int = 3
    damaged: bool = False
    second: bool = False

    def __str__(self) -> str:
        return self.name


def forget_by_hand(laboratory: Laboratory) -> None:
    """Leave the newest snapshot only, so that there is much to prune and to repack."""
    newest = list(laboratory.history)[-1]
    for name in laboratory.snapshots():
        if name != newest:
            (laboratory.repository / "snapshots" / name).unlink()


def lose_an_index(laboratory: Laboratory) -> None:
    """As an end just before the index is written leaves it: packs that no index lists."""
    before = laboratory.objects()
    laboratory.backup()
    for folder in ("index", "snapshots"):
        for path in (laboratory.repository / folder).iterdir():
            if path.name not in before:
                path.unlink()


def lose_a_pack(laboratory: Laboratory) -> None:
    """A snapshot that lacks a file, but no other, and an index that says so."""
    laboratory.backup()
    expected = picture_of(laboratory.source)
    before = laboratory.objects()
    extra = laboratory.source / "extra"
    extra.write_bytes(os.urandom(400_000))
    broken = laboratory.backup()
    del laboratory.history[broken]
    (laboratory.folder / "chosen").write_text(broken)
    extra.unlink()
    packs = [path for path in (laboratory.repository / "data").rglob("*/*") if path.name not in before]
    max(packs, key=lambda path: path.stat().st_size).unlink()
    assert laboratory.run("repair", "index") == 0
    laboratory.history["once repaired"] = expected


def chosen(laboratory: Laboratory) -> str:
    """The object that the deed is about: the same one in every copy."""
    return (laboratory.folder / "chosen").read_text()


def choose_a_pack(laboratory: Laboratory) -> None:
    """Choose one with many blobs."""
    first = min((laboratory.repository / "data").rglob("*/*"), key=lambda path: path.name)
    (laboratory.folder / "chosen").write_text(first.name)


def new_password(laboratory: Laboratory) -> Path:
    """The file with the password that is to be."""
    return laboratory.folder / "new-password"


def think_of_a_password(laboratory: Laboratory) -> None:
    """Write one down."""
    new_password(laboratory).write_text(NEW_PASSWORD)
    new_password(laboratory).chmod(0o600)


def add_a_key(laboratory: Laboratory) -> None:
    """Add a second key, which is then to be removed."""
    think_of_a_password(laboratory)
    before = laboratory.objects()
    assert laboratory.run("key", "add", "--new-password-file", new_password(laboratory)) == 0
    (name,) = laboratory.objects() - before
    (laboratory.folder / "chosen").write_text(name)


def second_repository(laboratory: Laboratory) -> Laboratory:
    """Where ``copy`` copies to."""
    return replace(laboratory, folder=laboratory.folder / "second", history=dict(laboratory.history))


def make_second_repository(laboratory: Laboratory) -> None:
    """One with a snapshot of its own, and copies of all but the newest."""
    second = second_repository(laboratory)
    second.folder.mkdir()
    second.password_file.write_text(NEW_PASSWORD)
    second.password_file.chmod(0o600)
    assert second.run("init") == 0
    second.backup()
    command, *rest = copy_all(laboratory)
    assert laboratory.run(command, "latest~2", "latest~1", *rest) == 0
    assert len(second.snapshots()) == 3


def copy_all(laboratory: Laboratory) -> list[str | Path]:
    """Copy everything to the second repository."""
    second = second_repository(laboratory)
    return ["copy", "--to", second.repository, "--to-password-file", second.password_file]


def protect_stack(laboratory: Laboratory) -> list[str | Path]:
    """A recovery point of a stack: the source, and what a command prints."""
    file = laboratory.folder / "pivori.toml"
    file.write_text(
        f"""
        [stack]
        name = "laboratory"
        root = "{laboratory.folder}"
        [[components]]
        name = "source"
        kind = "files"
        paths = ["{laboratory.source}"]
        [[components]]
        name = "dump"
        kind = "command"
        capture = ["cat", "{laboratory.source / "larger"}", "{laboratory.source / "large"}"]
        """
    )
    return ["backup", "--config", file]


DEEDS = [
    Deed("backup", lambda laboratory: ["backup", laboratory.source], fewest_writes=6),
    Deed("backup by workers", lambda laboratory: ["backup", laboratory.source], workers=2, fewest_writes=6),
    Deed("backup of a stack", protect_stack, fewest_writes=6),
    Deed("forget", lambda _: ["forget", "--keep-last", "1"], fewest_writes=4),
    Deed("forget and prune", lambda _: ["forget", "--keep-last", "1", "--prune", "--max-unused", "0"], fewest_writes=8),
    Deed("prune", lambda _: ["prune", "--max-unused", "0"], forget_by_hand, fewest_writes=8),
    Deed("repair index", lambda _: ["repair", "index"], lose_an_index),
    Deed(
        "repair packs",
        lambda laboratory: ["repair", "packs", chosen(laboratory)],
        choose_a_pack,
        is_done=lambda laboratory: chosen(laboratory) not in laboratory.objects(),
        fewest_writes=4,
    ),
    Deed(
        "repair snapshots",
        lambda _: ["repair", "snapshots", "--forget"],
        lose_a_pack,
        damaged=True,
        fewest_writes=5,
    ),
    Deed(
        "key add",
        lambda laboratory: ["key", "add", "--new-password-file", new_password(laboratory)],
        think_of_a_password,
    ),
    Deed(
        "key passwd",
        lambda laboratory: ["key", "passwd", "--new-password-file", new_password(laboratory)],
        think_of_a_password,
        fewest_writes=4,
    ),
    Deed(
        "key remove",
        lambda laboratory: ["key", "remove", chosen(laboratory)],
        add_a_key,
        is_done=lambda laboratory: chosen(laboratory) not in laboratory.objects(),
    ),
    Deed("copy", copy_all, make_second_repository, second=True, fewest_writes=9),
    Deed("copy by workers", copy_all, make_second_repository, workers=2, second=True, fewest_writes=9),
]


def find_password(laboratory: Laboratory) -> None:
    """One of the two passwords opens the repository, always."""
    if laboratory.run("key", "list") == WRONG_PASSWORD:
        laboratory.change_password(NEW_PASSWORD)
        assert laboratory.run("key", "list") == 0


def require_as_sound_as_before(laboratory: Laboratory, deed: Deed, restic: Restic) -> None:
    """Everything is sound, but for the one snapshot that was broken before the deed, if it is still there."""
    if not deed.damaged or chosen(laboratory) not in laboratory.snapshots():
        laboratory.require_sound(restic)
        return
    broken = chosen(laboratory)
    laboratory.require_whole_objects()
    found = Verify(laboratory.open(), VerifyRequest(read_data=True), emit=lambda _: None).run()
    assert {name for finding in found.damage for name in finding.hurt.snapshots} == {broken}, found.damage
    said = restic.run(laboratory.repository, laboratory.password_file, "check", "--read-data", "--no-lock", check=False)
    told = [line for line in said.stderr.splitlines() if line.startswith("  ")]
    assert (said.returncode, [line for line in told if 'file "extra" blob' not in line]) == (1, []), said.stderr
    assert told
    laboratory.require_restorable(set(laboratory.snapshots()) - {broken})


def remove_own_locks(laboratory: Laboratory, deed: Deed) -> None:
    """Remove what a run in this process has left behind."""
    laboratory.remove_own_locks()
    if deed.second:
        second_repository(laboratory).remove_own_locks()
