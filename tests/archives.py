"""Trees and archives for the tests of ``pivori archive``: one of every kind of file, and what a tree is, to compare."""

import hashlib
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pivori.archives.container import ArchiveFormat
from pivori.engine.archive.create import CreateOutcome, CreateRequest, create_archive
from pivori.engine.archive.differential import BaseArchive
from pivori.engine.archive.opening import NO_KEYS, Keys
from pivori.engine.archive.planning import PlanRequest, plan_archive
from pivori.engine.archive.restore import restore_archive
from pivori.engine.archive.restore_files import RestoreOutcome
from pivori.engine.archive.restore_plan import RestoreRequest
from pivori.events import Event

LONG_AGO = 1_700_000_000_123_456_789
IS_ROOT = os.geteuid() == 0


def nobody_listens(_event: Event) -> None:
    """Takes events that a test does not look at."""


def archive(
    root: Path,
    path: Path,
    *,
    strategy: str = "complete",
    container: ArchiveFormat = ArchiveFormat.ZIP,
    base: BaseArchive | None = None,
    created: datetime | None = None,
    workers: int = 1,
    password: str | None = None,
) -> CreateOutcome:
    """An archive of a tree, made by the engine."""
    created = created or datetime.now(UTC)
    plan = plan_archive(PlanRequest(root=root, strategy=strategy, directory=path.parent, base=base))
    request = CreateRequest(
        plan=plan,
        id=hashlib.sha256(os.fsencode(path)).hexdigest()[:32],
        created=created,
        host="here",
        program="test",
        format=container,
        password=password,
        keys=NO_KEYS if password is None else Keys(password=lambda _name: password),
        workers=workers,
    )
    return create_archive(request, path, nobody_listens)


def restore(path: Path, target: Path, **options: object) -> RestoreOutcome:
    """Restore an archive with the engine."""
    moment = datetime(2025, 11, 8, 12, 0, 0)
    return restore_archive(RestoreRequest(path=path, target=target, moment=moment, **options), nobody_listens)


def everything(root: Path) -> None:
    """Fill a directory with one of every kind of file that an archive keeps."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "text").write_text("hello\n")
    (root / "nothing").touch()
    (root / "large").write_bytes(os.urandom(1 << 20) * 9 + b"end")
    (root / "empty directory").mkdir()
    deep = root.joinpath(*(f"level {number}" for number in range(20)))
    deep.mkdir(parents=True)
    (deep / "deep").write_text("down here")
    (root / "link").symlink_to("text")
    (root / "dangling").symlink_to("/nowhere/at/all")
    (root / "to directory").symlink_to("empty directory")
    os.link(root / "text", root / "another name of text")
    os.link(root / "text", root / "a third one")
    os.mkfifo(root / "fifo")
    with (root / "holes").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"in the middle")
    raw = os.fsencode(root)
    for name in (
        b"caf\xe9",
        b"line\nbreak",
        b"back\\slash",
        "Ünïcödé".encode(),
        b"\\xe9",
        b" spaces ",
        b"dot.",
        b"-dash",
    ):
        with open(os.path.join(raw, name), "wb") as file:
            file.write(name)
    os.mkdir(os.path.join(raw, b"d\xff"))
    with open(os.path.join(raw, b"d\xff", b"in\xfe"), "wb") as file:
        file.write(b"odd in odd")
    (root / ".pivori").mkdir()
    (root / ".pivori" / "manifest.json").write_text("not ours")
    for name, mode in (("script", 0o755), ("secret", 0o600), ("read only", 0o444), ("setuid", 0o4755)):
        (root / name).write_text(name)
        (root / name).chmod(mode)
    (root / "closed").mkdir()
    (root / "closed" / "inside").write_text("x")
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    os.setxattr(root / "text", "user.kind", b"greeting\0\xff")
    os.setxattr(root / "empty directory", "user.kind", b"nothing")
    if IS_ROOT:
        os.chown(root / "secret", 12345, 23456)
        os.chown(root / "dangling", 777, 777, follow_symlinks=False)
    for number, (directory, names, files) in enumerate(os.walk(raw, topdown=False)):
        for name in (*files, *names):
            moment = LONG_AGO + number * 1_000_003
            os.utime(os.path.join(directory, name), ns=(moment, moment), follow_symlinks=False)
    (root / "closed").chmod(0o500)
    os.utime(root, ns=(LONG_AGO, LONG_AGO))


def picture(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What a tree is: everything that a restore has to bring back, by path."""
    raw = os.fsencode(root)
    inodes: dict[tuple[int, int], bytes] = {}
    found: dict[bytes, tuple[object, ...]] = {}
    for path in sorted(_paths(raw)):
        absolute = os.path.join(raw, path) if path else raw
        status = os.lstat(absolute)
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        first = path
        if kind == stat.S_IFREG:
            with open(absolute, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            first = inodes.setdefault((status.st_dev, status.st_ino), path)
        elif kind == stat.S_IFLNK:
            content = os.readlink(absolute)
        names = os.listxattr(absolute, follow_symlinks=False)
        attributes = tuple((name, os.getxattr(absolute, name, follow_symlinks=False)) for name in sorted(names))
        found[path] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content, first, attributes)
    return found


def _paths(root: bytes) -> Sequence[bytes]:
    found = [b""]
    for directory, names, files in os.walk(root):
        found += [os.path.relpath(os.path.join(directory, name), root) for name in (*names, *files)]
    return found
