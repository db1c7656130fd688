"""``pivori init FOLDER``: a stack made of what is found in a folder. First all is decided and shown, then it is made.

The configuration file comes last, under its name at once, and never over another one. What was made before something
failed is taken back, as far as nothing rests on it yet.
"""

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pivori.cli.consent import ConsentNeeded, NotAgreed
from pivori.cli.first_run import announce
from pivori.cli.session import Session
from pivori.components.secrets import new_identity
from pivori.errors import PivoriError
from pivori.settings.model import PasswordFrom
from pivori.settings.stack_file import load_stack
from pivori.settings.stack_file.writing import RepositoryPlace, render_stack_file
from pivori.stack.discovery.proposing import Proposals
from pivori.translation import N_, _

STACK_FILE: Final = "pivori.toml"

_IDENTITY: Final = "secrets.key"
_RECIPIENT: Final = re.compile(r"^# public key: (age1[0-9a-z]+)$", re.MULTILINE)
_NOT_YET: Final = "age1…"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PUBLIC: Final = re.compile(r"age1[0-9a-z]+|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]+(?: [^\n]*)?")


class StackFileExists(PivoriError):
    """The folder has a configuration file already."""

    code = "stack-file-exists"
    message = N_("There is a configuration at {path} already.")
    hint = N_("Change it by hand and check it with `pivori config check`, or move it away and run the command again.")


class StackFileNotWritten(PivoriError):
    """The configuration file cannot be written."""

    code = "stack-file-not-written"
    message = N_("{path} could not be written: {reason}.")
    hint = N_("Check the permissions and the free space of the folder, then run the command again.")


class IdentityUnknown(PivoriError):
    """There is a private key already, but it does not say which public key belongs to it."""

    code = "identity-unknown"
    message = N_("The private key {path} cannot be used: it does not say which public key belongs to it.")
    hint = N_("Move it away, and a new one is made; keep it as long as there are secrets that only it opens.")


@dataclass(frozen=True, kw_only=True)
class MakingPlan:
    """What is going to be made. ``recipients`` are somebody's own; empty: those of the key at ``identity``."""

    proposals: Proposals
    path: Path
    identity: Path
    recipients: Sequence[str] = ()
    repository: RepositoryPlace | None = None

    @property
    def has_secrets(self) -> bool:
        """Whether anything will be sealed."""
        return any(component.kind == "secrets" for component in self.proposals.components)

    @property
    def needs_identity(self) -> bool:
        """Whether a key of this machine's own opens what is sealed."""
        return self.has_secrets and not self.recipients


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was made. ``identity`` is the private key, None where nobody's was needed; ``is_new`` when it is new."""

    path: Path
    identity: Path | None
    is_new: bool


def refuse_existing(path: Path) -> None:
    """Raises StackFileExists."""
    if os.path.lexists(path):
        raise StackFileExists(path=path)


def plan_making(session: Session, proposals: Proposals) -> MakingPlan:
    """What is going to be made of a proposal. Raises NoHomeDirectory."""
    settings, environment = session.settings, session.runtime.environment
    place = None
    if not settings.repository_is_default:
        location = settings.repository if "://" in settings.repository else str(Path(settings.repository).absolute())
        file = settings.password.path if settings.password.kind is PasswordFrom.FILE else None
        place = RepositoryPlace(location=location, password_file=str(file.absolute()) if file is not None else None)
    return MakingPlan(
        proposals=proposals,
        path=proposals.root / STACK_FILE,
        identity=environment.config_directory / _IDENTITY,
        repository=place,
    )


def ask(session: Session, plan: MakingPlan) -> MakingPlan:
    """Ask what cannot be known: the name, and who opens the secrets. Raises ConsentNeeded and NotAgreed."""
    environment, output = session.runtime.environment, session.output
    if output.json or not (environment.stdin_is_terminal and environment.stdout_is_terminal):
        raise ConsentNeeded()
    while True:
        name = _answer(session, _("Name of the stack [{name}]:").format(name=plan.proposals.name))
        if not name or _NAME.fullmatch(name):
            break
        output.warn(_("A name has small letters, digits, - and _, and is 63 characters at most."))
    plan = replace(plan, proposals=replace(plan.proposals, name=name or plan.proposals.name))
    while plan.has_secrets:
        public = _answer(session, _("Public key that secrets are sealed to (age1… or ssh-…) [a new one]:"))
        if not public:
            break
        if _PUBLIC.fullmatch(public):
            plan = replace(plan, recipients=[public])
            break
        output.warn(_("That is no public key: it begins with age1, ssh-ed25519 or ssh-rsa."))
    if _answer(session, _("Make {path}? [Y/n]").format(path=plan.path)).casefold() in _(N_("n no")).split():
        raise NotAgreed()
    return plan


def preview(plan: MakingPlan) -> str:
    """The configuration file as it would be; a key that is not made yet stands as dots."""
    return _rendered(plan, plan.recipients or [_NOT_YET]).rstrip("\n")


def make(session: Session, plan: MakingPlan) -> Made:
    """Make the key, the repository and the file, in this order. Raises what keeps one of them from being made."""
    with (
        _identity(plan) as (recipient, is_new),
        _beside(plan, _rendered(plan, plan.recipients or [recipient])) as draft,
    ):
        load_stack(draft, session.runtime.environment)
        _ensure_repository(session)
        _give_name(draft, plan.path)
    return Made(path=plan.path, identity=plan.identity if plan.needs_identity else None, is_new=is_new)


def _rendered(plan: MakingPlan, recipients: Sequence[str]) -> str:
    identity = str(plan.identity) if plan.needs_identity else None
    return render_stack_file(plan.proposals, recipients=recipients, identity=identity, repository=plan.repository)


def _ensure_repository(session: Session) -> None:
    """The repository of the settings, made when it is missing."""
    from pivori.app import RepositoryExists

    app = session.app
    if session.settings.repository_is_default:
        created = app.ensure_default_repository()
    else:
        try:
            created = app.create_repository()
        except RepositoryExists:
            created = None
    if created is not None:
        announce(created, session.output)


@contextmanager
def _identity(plan: MakingPlan) -> Iterator[tuple[str, bool]]:
    """The public key of this machine's own identity, and whether it is new; a new one goes when the rest fails."""
    if not plan.needs_identity:
        yield "", False
        return
    if os.path.lexists(plan.identity):
        yield _known_recipient(plan.identity), False
        return
    plan.identity.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = False
    try:
        yield new_identity(plan.identity), True
        done = True
    finally:
        # The file that names the public key is what rests on it.
        if not done and not os.path.lexists(plan.path):
            with suppress(FileNotFoundError):
                plan.identity.unlink()


def _known_recipient(path: Path) -> str:
    """The public key of an identity that is there. Raises IdentityUnknown."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
        found = _RECIPIENT.search(path.read_text(errors="replace")) if is_file else None
    except OSError:
        found = None
    if found is None:
        raise IdentityUnknown(path=path)
    return found[1]


@contextmanager
def _beside(plan: MakingPlan, text: str) -> Iterator[Path]:
    """The file under a name of its own in the same folder, gone afterwards."""
    draft = plan.path.with_name(f".{STACK_FILE}.{secrets.token_hex(8)}")
    try:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StackFileNotWritten(path=plan.path, reason=error.strerror or str(error)) from None
        yield draft
    finally:
        with suppress(OSError):
            draft.unlink()


def _give_name(draft: Path, path: Path) -> None:
    """Let the file have its name, unless another one has it by now."""
    try:
        # A link, unlike a rename, never replaces a file that somebody has just made.
        os.link(draft, path)
    except FileExistsError:
        raise StackFileExists(path=path) from None
    except OSError:
        refuse_existing(path)
        try:
            draft.rename(path)
        except OSError as error:
            raise StackFileNotWritten(path=path, reason=error.strerror or str(error)) from None


def _answer(session: Session, question: str) -> str:
    """What is typed; the end of the input is no agreement."""
    session.output.ask(question)
    line = sys.stdin.readline()
    if not line:
        raise NotAgreed()
    return line.strip()
