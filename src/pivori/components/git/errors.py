"""What goes wrong with git repositories."""

from pivori.components.base import ComponentFailed
from pivori.translation import N_


class NoWorkTree(ComponentFailed):
    """There is no repository with a work tree at the path."""

    code = "git-no-work-tree"
    message = N_("{path} is not the top folder of a git work tree.")
    hint = N_("Correct the path of the component in pivori.toml; a bare repository is captured as files.")


class RepositoryUnreadable(ComponentFailed):
    """Git cannot say or give something."""

    code = "git-unreadable"
    message = N_("The repository {path} cannot be read: {reason}.")
    hint = N_("Run `git fsck` in it to see what is wrong.")


class RepositoryPartial(ComponentFailed):
    """A part of the history is at the remote alone."""

    code = "git-partial-clone"
    message = N_("{path} is a partial clone: a part of its objects is at the remote alone.")
    hint = N_("Make it whole with `git fetch --refetch --no-filter`, and unset remote.NAME.promisor.")


class CaptureDamaged(ComponentFailed):
    """A file of a capture is not what was captured, or git cannot use it."""

    code = "git-capture-damaged"
    message = N_("{path} of the recovery point cannot be used: {reason}.")
    hint = N_("Run `pivori verify`, and choose an earlier recovery point with --at.")


class RestoreDiffers(ComponentFailed):
    """What was brought back is not what was captured."""

    code = "git-differs"
    message = N_("The repository in {path} is not as it was captured: {reason}.")
    hint = N_("Run the same command again, or choose an earlier recovery point with --at.")
