"""The simplest component there is: a folder whose files are streamed, with switches for what can go wrong."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pivori.clock import SystemClock
from pivori.components.base import (
    ComponentFailed,
    Consistency,
    Finding,
    Gravity,
    Inspection,
    Report,
    Restored,
    RestorePlan,
    RestoreRequest,
    Sink,
    Source,
    Surroundings,
)
from pivori.engine.recovery_point import PointRequest
from pivori.events import Event
from pivori.host import ProcessIdentity
from pivori.repository import Repository
from pivori.stack.model import Contacts, Hook, Member, Stack
from pivori.stack.points import RecoveryPoints
from pivori.stack.protect import Protect, Protected, ProtectRequest
from pivori.stack.recover import Recovery
from pivori.stack.recovery_plan import RecoveryRequest
from pivori.storage import MemoryStorage
from pivori.translation import Phrase
from tests.unit.engine.looking import SECOND, START_NS, new_repository


class Box:
    """A component over ``folder``. ``fails`` makes the capture fail, ``stops`` the restore."""

    kind = "files"

    def __init__(self, name: str, folder: Path, *, keeps: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.keeps = keeps
        self.fails = self.stops = False
        self.obstacle = ""
        self.replay_from = ""
        self.confirmed: list[Report] = []
        self.asked: list[RestoreRequest] = []
        folder.mkdir(parents=True, exist_ok=True)

    def places(self) -> Sequence[Path]:
        """The folder."""
        return [self.folder]

    def inspect(self, surroundings: Surroundings) -> Inspection:
        """How many files."""
        return Inspection(counts={"files": len(list(self.folder.iterdir()))})

    def capture(self, sink: Sink, surroundings: Surroundings) -> Report:
        """Every file, as a stream; with ``keeps``, those that the previous capture has are taken over."""
        kept = 0
        for path in sorted(item for item in self.folder.iterdir() if item.is_file()):
            if self.keeps and path.name in sink.names("") and sink.keep(path.name) is not None:
                kept += 1
            else:
                with path.open("rb") as file:
                    sink.stream(path.name, file.readinto)
        if self.fails:
            raise ComponentFailed(component=self.name, reason="it is meant to")
        facts = {"kept": kept, "before": sink.previous is not None}
        return Report(consistency=Consistency.FILES, counts={"files": 1}, facts=facts, replay_from=self.replay_from)

    def stored(self, report: Report, surroundings: Surroundings) -> None:
        """Take note."""
        self.confirmed.append(report)

    def verify(self, source: Source, surroundings: Surroundings) -> Sequence[Finding]:
        """Nothing to say."""
        return ()

    def plan(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> RestorePlan:
        """One step."""
        findings = [Finding(gravity=Gravity.FAILURE, message=Phrase(self.obstacle))] if self.obstacle else []
        return RestorePlan(steps=[Phrase("files")], findings=findings)

    def restore(self, source: Source, request: RestoreRequest, surroundings: Surroundings) -> Restored:
        """The files, in a fresh folder."""
        self.asked.append(request)
        target = self.folder if request.to is None else request.to
        if request.to is None and target.exists():
            request.aside(target)
        target.mkdir(parents=True, exist_ok=True)
        written = 0
        for file in source.files():
            written += (target / file.path).write_bytes(b"".join(source.pieces(file.path)))
        if self.stops:
            raise ComponentFailed(component=self.name, reason="it is meant to")
        return Restored(bytes=written, checked=[Phrase("files")])

    def resume(self, surroundings: Surroundings) -> Sequence[Phrase]:
        """Nothing is ever left."""
        return ()

    def manual(self, report: Report) -> Sequence[str]:
        """Copy it."""
        return ["cp -a . $TARGET"]


def no_hooks(_hooks: Sequence[Hook], _component: str) -> AbstractContextManager[object]:
    """Runs nothing."""
    return nullcontext()


class Workshop:
    """A stack of boxes in one folder, its repository, and what happened."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.boxes = {name: Box(name, folder / "app" / name) for name in names}
        self.repository: Repository = new_repository(MemoryStorage())
        self.events: list[Event] = []
        self.runs = 0
        self.smallest = 0.5
        self.order: Sequence[str] = ()
        self.hooks: Sequence[Hook] = ()

    @property
    def stack(self) -> Stack:
        """The stack, as it is configured now."""
        return Stack(
            name="shop",
            root=self.folder / "app",
            members=[Member(component=box, smallest=self.smallest) for box in self.boxes.values()],
            recovery_order=self.order,
            hooks=self.hooks,
            contacts=Contacts(email="nobody@example.org"),
            configuration=b"[stack]\n",
        )

    @property
    def points(self) -> RecoveryPoints:
        """The recovery points so far."""
        self.repository.load_index(None)
        return RecoveryPoints(self.repository, "shop", self.repository.snapshots(), self.events.append)

    def state(self, name: str) -> Path:
        """The private folder of a component."""
        place = self.folder / "state" / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    def protect(
        self,
        *names: str,
        accept_smaller: Sequence[str] = (),
        around: Callable[[Sequence[Hook], str], AbstractContextManager[object]] = no_hooks,
    ) -> Protected:
        """One more recovery point, a minute after the one before."""
        self.runs += 1
        point = PointRequest(
            identity=ProcessIdentity.current(),
            host="h",
            time_ns=START_NS + self.runs * 60 * SECOND,
            program_version="pivori",
        )
        request = ProtectRequest(
            stack=self.stack, names=names or list(self.boxes), point=point, accept_smaller=accept_smaller
        )
        return Protect(
            self.repository,
            request,
            self.points,
            state=self.state,
            around=around,
            clock=SystemClock(),
            emit=self.events.append,
        ).run()

    def recovery(self, *names: str, **options: object) -> Recovery:
        """A recovery that is not planned yet."""
        return Recovery(
            self.repository,
            self.points,
            RecoveryRequest(stack=self.stack, names=names or list(self.boxes), **options),
            state=self.state,
            recoveries=self.state(".recoveries"),
            clock=SystemClock(),
            emit=self.events.append,
            workers=1,
        )

    def content(self, name: str) -> dict[str, bytes]:
        """The files of a box."""
        return {path.name: path.read_bytes() for path in self.boxes[name].folder.iterdir() if path.is_file()}

    def fill(self, **contents: str) -> None:
        """Give each box one file ``f`` with a content."""
        for name, content in contents.items():
            (self.boxes[name].folder / "f").write_text(content)


def names_in(folder: Path) -> list[str]:
    """What is in a folder, sorted."""
    return sorted(os.listdir(folder))
