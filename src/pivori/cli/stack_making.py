"""``pivori init FOLDER``: a stack made of what is found in a folder. First all is decided and shown, then it is made.

The configuration file comes last, under its name at once, and never over another one. What was made before something
failed is taken back, as far as nothing rests on it yet.
"""

import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pivori.cli.consent import ConsentNeeded, NotAgreed
from pivori.cli.first_run import announce
from pivori.cli.session import Session
from pivori.components.secrets import IdentityNotWritten, new_identity
from pivori.errors import PivoriError
from pivori.host.durable import write_durably
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
    home: Path | None = None
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
        home=environment.home,
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
    making = _Making(session, plan)
    # An interruption comes once at most: should it come where the inner clean-up is, the outer one does it.
    try:
        try:
            return making.run()
        finally:
            making.tidy()
    finally:
        making.tidy()


def _rendered(plan: MakingPlan, recipients: Sequence[str]) -> str:
    identity = _from_home(plan.identity, plan.home) if plan.needs_identity else None
    return render_stack_file(plan.proposals, recipients=recipients, identity=identity, repository=plan.repository)


def _from_home(path: Path, home: Path | None) -> str:
    """A path as it is right for whoever brings the key along: seen from the home folder when it is in there."""
    return f"~/{path.relative_to(home)}" if home is not None and path.is_relative_to(home) else str(path)


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


class _Making:
    """One making: what is to be taken back is known before it exists."""

    def __init__(self, session: Session, plan: MakingPlan) -> None:
        self._session = session
        self._plan = plan
        self._draft = plan.path.with_name(f".{STACK_FILE}.{secrets.token_hex(8)}")
        self._has_new_identity = False

    def run(self) -> Made:
        """Make all of it."""
        plan = self._plan
        recipients = plan.recipients or ([self._recipient()] if plan.needs_identity else [])
        try:
            write_durably(self._draft, _rendered(plan, recipients).encode(), mode=0o644)
        except OSError as error:
            raise StackFileNotWritten(path=plan.path, reason=error.strerror or str(error)) from None
        load_stack(self._draft, self._session.runtime.environment)
        _ensure_repository(self._session)
        _give_name(self._draft, plan.path)
        return Made(
            path=plan.path, identity=plan.identity if plan.needs_identity else None, is_new=self._has_new_identity
        )

    def tidy(self) -> None:
        """Remove the draft, and a new key that no configuration names; may be called again."""
        with suppress(OSError):
            self._draft.unlink()
        if self._has_new_identity and not os.path.lexists(self._plan.path):
            with suppress(OSError):
                self._plan.identity.unlink()

    def _recipient(self) -> str:
        """The public key of this machine's own identity, which is made when it is missing."""
        path = self._plan.identity
        if os.path.lexists(path):
            return _known_recipient(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise IdentityNotWritten(path=str(path), reason=error.strerror or str(error)) from None
        self._has_new_identity = True
        try:
            return new_identity(path)
        except IdentityNotWritten:
            # Perhaps because somebody else has made one just now: it is not ours to remove.
            self._has_new_identity = False
            raise


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
