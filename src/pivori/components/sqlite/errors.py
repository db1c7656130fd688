"""What goes wrong with SQLite databases."""

from pivori.components.base import ComponentFailed
from pivori.translation import N_


class NoDatabase(ComponentFailed):
    """There is nothing to capture."""

    code = "sqlite-none"
    message = N_("There is no SQLite database in the paths of the component {component}.")
    hint = N_("Correct the paths of the component in pivori.toml.")


class DatabaseMissing(ComponentFailed):
    """A path that is named without wildcards is not there."""

    code = "sqlite-missing"
    message = N_("{path} of the component {component} is not there.")
    hint = N_("Correct the paths of the component in pivori.toml, or see to it that a disk is mounted.")


class NotADatabase(ComponentFailed):
    """A file that is named does not begin as a SQLite database."""

    code = "sqlite-not-a-database"
    message = N_("{path} is no SQLite database, or an encrypted one.")
    hint = N_("Take it out of the paths; an encrypted database is captured with the program that can open it.")


class DatabaseUnreadable(ComponentFailed):
    """SQLite cannot copy a database."""

    code = "sqlite-unreadable"
    message = N_("The database {path} cannot be copied: {reason}.")
    hint = N_("See that it is not being replaced, that this user may read it, and that the disk has space for a copy.")


class DatabaseBusy(ComponentFailed):
    """Somebody holds a lock for too long."""

    code = "sqlite-busy"
    message = N_("The database {path} was locked for {seconds} seconds.")
    hint = N_("See which program has it locked, then run the backup again.")


class DatabaseCorrupt(ComponentFailed):
    """A database is not in order."""

    code = "sqlite-corrupt"
    message = N_("The database {path} is damaged: {reason}.")
    hint = N_("Recover an earlier state, or mend it with `sqlite3 FILE .recover`.")


class DatabaseNotCaptured(ComponentFailed):
    """One database is wanted, and the capture does not have it."""

    code = "sqlite-not-captured"
    message = N_("{path} is not in the recovery point; it has: {paths}.")
    hint = N_("Give the path of a database as it was on the machine.")


class DatabaseDiffers(ComponentFailed):
    """What is in a recovery point, or was written from it, is not what was captured."""

    code = "sqlite-differs"
    message = N_("{path} is not as it was captured.")
    hint = N_("Run `pivori verify`, and choose an earlier recovery point with --at.")
