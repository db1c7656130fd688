"""What a restore from an archive is about to do, in a few lines, for somebody who is to agree."""

import os
from collections.abc import Iterator, Sequence

from pivori.archives.manifest import Omission
from pivori.cli.session import Session
from pivori.cli.wording import show_bytes, show_duration, show_number, show_path, show_time
from pivori.engine.archive.opening import Opened
from pivori.engine.archive.restore_plan import RestorePlan
from pivori.engine.archive.tree import ArchiveTree
from pivori.translation import _, ngettext

_NAMED = 10
"""So many paths are named that will be replaced."""


def show_intent(
    session: Session, tree: ArchiveTree, plan: RestorePlan, omitted: Sequence[Omission], *, rebuild: bool
) -> None:
    """Say it; with ``--json`` nothing. ``omitted`` is what was left out of the part that is restored."""
    output = session.output
    if output.json:
        return
    output.result(_archive(session, tree.archive))
    for base in tree.archives[1:]:
        output.result(_("It is restored over its base {path}.").format(path=show_path(bytes(base.path))))
    request = plan.request
    text = ngettext("{count} file, {size}, goes to {path}.", "{count} files, {size}, go to {path}.", plan.files)
    target = show_path(bytes(request.target))
    output.result(text.format(count=show_number(plan.files), size=show_bytes(plan.bytes), path=target))
    for line in _replaced(plan):
        output.result(line)
    if omitted:
        size = show_bytes(sum(omission.bytes for omission in omitted))
        text = _("Left out of the archive: {size}. It is made again afterwards.")
        if not rebuild:
            text = _("Left out of the archive: {size}. Add --rebuild to make it again.")
        output.result(text.format(size=size))
    if request.before:
        output.result(_("Before: {command}").format(command=request.before))
    if request.after:
        output.result(_("Afterwards: {command}").format(command=request.after))


def _archive(session: Session, archive: Opened) -> str:
    made = archive.made()
    manifest = archive.manifest
    text = _("Archive {path}: {strategy}, made {time} ({age} ago), of {root}.")
    if manifest is None:
        text = _("Archive {path}: {strategy}, made {time} ({age} ago); it does not say of which directory.")
    return text.format(
        path=show_path(bytes(archive.path)),
        strategy=archive.strategy or "?",
        time=show_time(made),
        age=show_duration(max(0.0, (session.clock.now() - made).total_seconds())),
        root=manifest.root if manifest is not None else "",
    )


def _replaced(plan: RestorePlan) -> Iterator[str]:
    target = plan.request.target
    places = [target / os.fsdecode(part) for part in plan.parts]
    there = [place for place in places if os.path.lexists(place)]
    if not there:
        yield _("Nothing that is there is replaced.")
        return
    aside = show_path(bytes(plan.aside))
    if plan.parts == [b""]:
        yield _("What is there now is moved to {path}, not deleted.").format(path=aside)
        return
    yield _("What is there now is moved below {path}, not deleted:").format(path=aside)
    for place in there[:_NAMED]:
        yield f"  {show_path(bytes(place))}"
    if len(there) > _NAMED:
        yield _("  and {count} more").format(count=show_number(len(there) - _NAMED))
