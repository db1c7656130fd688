"""A bundle of what no remote has: the middle way between keeping a ``.git`` and leaving it out.

The file is what ``git bundle`` reads (gitformat-bundle, version 2). It is put together here, because ``git bundle
create`` names no ref whose commits are all on a remote: here every branch and tag is named, so one ``git fetch``
brings all of them back, also when nothing at all is unpushed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pivori.engine.smart.git_refs import References
from pivori.host.git import Git

HEAD_REF: Final = "refs/pivori/head"
"""Carries a detached HEAD."""

STASH_REFS: Final = "refs/pivori/stash/"
"""Carry the stashes, numbered as in ``git stash list``."""

_SIGNATURE: Final = b"# v2 git bundle\n"


class Bundle(NamedTuple):
    """A bundle, and how many commits it holds that no remote is known to have."""

    content: bytes
    commits: int


def make_bundle(git: Git, references: References) -> Bundle:
    """Bundle everything that the refs need and remotes are not known to have. Raises GitFailed."""
    refs = _refs(references)
    revisions = _revisions(refs.values(), references.known)
    commits, boundary = _missing(git, revisions)
    pack = git(
        "pack-objects", "--revs", "--thin", "--delta-base-offset", "--stdout", "-q", "--threads=1", stdin=revisions
    )
    lines = [_SIGNATURE, *(b"-%s \n" % commit for commit in boundary)]
    lines += [f"{item} {name}\n".encode() for name, item in sorted(refs.items())]
    return Bundle(b"".join([*lines, b"\n", pack]), commits)


def _refs(references: References) -> dict[str, str]:
    refs = dict(references.own)
    if references.head_branch is None:
        refs[HEAD_REF] = references.head
    for number, (commit, _) in enumerate(references.stashes):
        refs[f"{STASH_REFS}{number}"] = commit
    return refs


def _revisions(wanted: Iterable[str], known: Iterable[str]) -> bytes:
    """The input of git's revision walk: these, without what those reach."""
    lines = [*sorted(set(wanted)), *(f"^{item}" for item in sorted(known))]
    return "".join(f"{line}\n" for line in lines).encode()


def _missing(git: Git, revisions: bytes) -> tuple[int, Sequence[bytes]]:
    """How many commits remotes do not have, and the commits of remotes that these build on."""
    lines = git("rev-list", "--boundary", "--stdin", stdin=revisions).split()
    boundary = [line[1:] for line in lines if line.startswith(b"-")]
    return len(lines) - len(boundary), boundary
