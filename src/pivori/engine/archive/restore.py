"""The verb ``archive restore``: the tree of an archive back to a directory.

A tree that replaces another is restored beside it first, while whoever works in the old one goes on working; only then
comes the ``--before`` command, two renames, and the ``--after`` command. Whatever fails, the old tree is in its place
at the end, and the ``--after`` command has run if the ``--before`` command has.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pivori.engine.archive.in_place import Swap, aside_name, stamp_of_staged
from pivori.engine.archive.placing import free_bytes
from pivori.engine.archive.restore_files import Filling, NoSpaceForRestore, RestoreOutcome
from pivori.engine.archive.restore_plan import RestorePlan, RestoreRequest, check_names, plan_restore
from pivori.engine.archive.tree import ArchiveTree, open_tree
from pivori.errors import PivoriError
from pivori.events import Event
from pivori.host import run_command_line
from pivori.host.removal import remove_entry
from pivori.translation import N_, ByteCount


class HookFailed(PivoriError):
    """The command that was to run before a restore failed, so nothing was restored."""

    code = "hook-failed"
    message = N_('The command before the restore ended with status {status}, saying "{output}". Nothing was changed.')
    hint = N_("Run the command by hand to see what is wrong: {command}")


class AfterHookFailed(HookFailed):
    """The command that was to run after a restore failed."""

    message = N_('The files are restored, but the command after it ended with status {status}, saying "{output}".')


class RestoreUndone(HookFailed):
    """The command after a restore failed, so the tree that was there before is in its place again."""

    message = N_(
        'The command after the restore ended with status {status}, saying "{output}". '
        "The tree from before is in its place again; the restored one is {restored}."
    )
    hint = N_("See what is wrong with the restored tree, or add --keep-restored: {command}")


class TargetUnwritable(PivoriError):
    """Nothing can be written to the place where the tree should go."""

    code = "target-unwritable"
    message = N_("Nothing can be restored to {path}: {reason}. Nothing was changed.")
    hint = N_("Check the permissions there, or restore elsewhere with --target.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapWasKilled(Event):
    """An earlier restore to ``target`` did not live to put all in place; what it had moved aside is in ``aside``."""

    target: Path
    aside: Path


def restore_archive(request: RestoreRequest, emit: Callable[[Event], None]) -> RestoreOutcome:
    """Restore. Raises what :func:`open_tree` and :func:`plan_restore` raise, and the errors of this module.

    When it raises, the target is what it was before; but for AfterHookFailed.
    """
    with open_tree(request.path, base=request.base, keys=request.keys, allow_large=request.allow_large) as tree:
        plan = plan_restore(tree, request)
        return run_plan(tree, plan, emit)


def run_plan(
    tree: ArchiveTree,
    plan: RestorePlan,
    emit: Callable[[Event], None],
    *,
    in_place: Callable[[], None] = lambda: None,
) -> RestoreOutcome:
    """Carry out a plan that was made for an open tree. Raises like :func:`restore_archive`.

    ``in_place`` is called when the tree is where it belongs, before the command that comes after: to rebuild what the
    archive does not hold. What it raises brings back the tree that was replaced; one restored to where nothing was
    stays.
    """
    request = plan.request
    if plan.replaces:
        return _replace(tree, plan, emit, in_place)
    if request.before:
        _before(request)
    try:
        outcome = _restore_fresh(tree, plan, emit)
        in_place()
    except BaseException:
        if request.before and request.after:
            _run_after(request)
        raise
    failed = _run_after(request)
    if failed is not None:
        raise AfterHookFailed(status=failed[0], output=failed[1], command=request.after)
    return outcome


def _restore_fresh(tree: ArchiveTree, plan: RestorePlan, emit: Callable[[Event], None]) -> RestoreOutcome:
    """Restore to where nothing is: beside it first, or into the empty directory that is there."""
    target = plan.request.target
    if os.path.lexists(target):
        if not os.access(target, os.W_OK | os.X_OK):
            raise TargetUnwritable(path=str(target), reason=_writing_refused(target))
        filling = Filling(tree, plan, target, emit)
        _check_room(plan, target)
        try:
            return filling.run()
        except BaseException:
            _empty(target)
            raise
    try:
        plan.staged.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetUnwritable(path=str(target), reason=error.strerror or str(error)) from None
    with _staging(plan, emit):
        outcome = Filling(tree, plan, plan.staged, emit).run()
        os.rename(plan.staged, target)
    return outcome


def _writing_refused(directory: Path) -> str:
    """Why nothing can be written to a directory."""
    is_fixed = os.statvfs(directory).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if is_fixed else errno.EACCES)


def _replace(
    tree: ArchiveTree, plan: RestorePlan, emit: Callable[[Event], None], in_place: Callable[[], None]
) -> RestoreOutcome:
    """Restore beside the tree that is there, then exchange the two."""
    request = plan.request
    with _staging(plan, emit):
        outcome = Filling(tree, plan, plan.staged, emit).run()
        if request.before:
            _before(request)
        swap = Swap(live=request.target, staged=plan.staged, aside=plan.aside)
        try:
            swap.run(list(plan.parts), list(plan.carried))
            _in_place(swap, in_place)
        except BaseException:
            if request.before:
                _run_after(request)
            raise
        failed = _run_after(request)
        if failed is not None:
            if request.keep_restored:
                raise AfterHookFailed(status=failed[0], output=failed[1], command=request.after)
            swap.put_back()
            kept = plan.staged.with_name(plan.aside.name.replace(".before-", ".restored-"))
            os.rename(plan.staged, kept)
            _run_after(request)
            raise RestoreUndone(status=failed[0], output=failed[1], command=request.after, restored=str(kept))
    outcome.aside = plan.aside if swap.has_moved_aside else None
    return outcome


def _in_place(swap: Swap, act: Callable[[], None]) -> None:
    """Do what follows the exchange; what it raises undoes the exchange."""
    try:
        act()
    except BaseException:
        swap.put_back()
        raise


# Hooks


def _before(request: RestoreRequest) -> None:
    failed = _run(request.before, request.target)
    if failed is not None:
        raise HookFailed(status=failed[0], output=failed[1], command=request.before)


def _run_after(request: RestoreRequest) -> tuple[int, str] | None:
    """Run the command that comes after, if there is one; its status and output when it failed."""
    return _run(request.after, request.target)


def _run(command: str | None, target: Path) -> tuple[int, str] | None:
    if not command:
        return None
    directory = next(place for place in (target, *target.parents) if place.is_dir())
    try:
        status, output = run_command_line(command, directory=os.fsencode(directory))
    except PivoriError as error:
        return 127, str(error)
    return (status, output) if status else None


# Places


@contextmanager
def _staging(plan: RestorePlan, emit: Callable[[Event], None]) -> Iterator[None]:
    """The directory that the tree is restored to first; it is gone afterwards, unless it went to its place."""
    staged = plan.staged
    _remove_leftovers(plan, emit)
    try:
        staged.mkdir(mode=0o700)
    except OSError as error:
        raise TargetUnwritable(path=str(plan.request.target), reason=error.strerror or str(error)) from None
    descriptor = os.open(staged, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_room(plan, staged)
        check_names(plan, staged)
        yield
    finally:
        # Before the lock goes: whatever is still there is ours.
        if os.path.lexists(staged) and os.path.samestat(os.stat(staged), os.fstat(descriptor)):
            remove_tree(staged)
        os.close(descriptor)


def _check_room(plan: RestorePlan, place: Path) -> None:
    free = free_bytes(place)
    if plan.room > free:
        raise NoSpaceForRestore(path=str(plan.request.target), needed=ByteCount(plan.room), free=ByteCount(free))


def _remove_leftovers(plan: RestorePlan, emit: Callable[[Event], None]) -> None:
    """Remove what restores that were killed left beside the target: nobody has it locked.

    What such a one had moved aside stays there, and is told.
    """
    target, place = plan.request.target, plan.staged.parent
    for path in place.iterdir():
        stamp = stamp_of_staged(path.name, target.name)
        if stamp is None:
            continue
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
            finally:
                os.close(descriptor)
            aside = place / aside_name(target.name, stamp)
            if os.path.lexists(aside):
                emit(SwapWasKilled(target=target, aside=aside))


def remove_tree(path: Path) -> None:
    """Remove a directory and all it holds, following nothing. Raises OSError."""
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_entry(parent, os.fsencode(path.name))
    finally:
        os.close(parent)


def _empty(directory: Path) -> None:
    """Remove what a restore that failed has put into an empty directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(os.fsencode(directory)):
            with suppress(OSError):
                remove_entry(descriptor, name)
    finally:
        os.close(descriptor)
