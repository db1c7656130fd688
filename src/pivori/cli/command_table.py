"""The commands by name: all that is imported for ``pivori --help``; a command's module is loaded when it is used.

Sections stand in the help in the order of the table.
"""

from typing import NamedTuple

from pivori.translation import N_


class Entry(NamedTuple):
    """A command: its module below ``cli/commands``, the section of ``--help`` it stands in, and what it does.

    Those in the section :data:`HIDDEN` are left out of the help.
    """

    module: str
    section: str
    summary: str


DAILY = N_("Daily use")
LOOKING = N_("Looking inside")
UPKEEP = N_("Upkeep")
PORTABLE = N_("Portable archives")
ACCESS = N_("Keys and access")
SUBCOMMANDS = N_("Commands")
HIDDEN = ""

TABLE: dict[str, Entry] = {
    "backup": Entry("backup", DAILY, N_("Save files and folders, or a whole stack.")),
    "snapshots": Entry("snapshots", DAILY, N_("List the snapshots.")),
    "restore": Entry("restore", DAILY, N_("Bring files back from a snapshot.")),
    "recover": Entry("recover", DAILY, N_("Bring a whole stack back from its recovery points.")),
    "runbook": Entry("runbook", DAILY, N_("Print how a stack is brought back, for a person under stress.")),
    "verify": Entry("verify", DAILY, N_("Check that everything is there and can be read back.")),
    "ls": Entry("ls", LOOKING, N_("List the files of a snapshot.")),
    "find": Entry("find", LOOKING, N_("Find files in the snapshots.")),
    "diff": Entry("diff", LOOKING, N_("Show what changed between two snapshots.")),
    "dump": Entry("dump", LOOKING, N_("Write a file of a snapshot to standard output.")),
    "mount": Entry("mount", LOOKING, N_("Browse the snapshots as a read-only folder.")),
    "stats": Entry("stats", LOOKING, N_("Say how much is stored, and how well it is packed.")),
    "archive": Entry("archive", PORTABLE, N_("Make, check and restore files that open without this program.")),
    "menu": Entry("menu", PORTABLE, N_("Do the same from a menu.")),
    "script": Entry("script", HIDDEN, N_("Run the commands of backup-scripts-expert.sh.")),
    "forget": Entry("forget", UPKEEP, N_("Remove snapshots that a policy no longer keeps.")),
    "prune": Entry("prune", UPKEEP, N_("Free the space that no snapshot needs.")),
    "copy": Entry("copy", UPKEEP, N_("Copy snapshots to a second repository.")),
    "repair": Entry("repair", UPKEEP, N_("Repair a damaged index, packs or snapshots.")),
    "init": Entry("init", ACCESS, N_("Make a new repository, or the configuration of a stack.")),
    "config": Entry("config", ACCESS, N_("Check, show and explain the configuration file.")),
    "key": Entry("key", ACCESS, N_("List, add, remove and change passwords.")),
    "resume": Entry("resume", UPKEEP, N_("Undo what killed backups of a stack have left.")),
    "unlock": Entry("unlock", ACCESS, N_("Remove locks that were left behind.")),
    "completion": Entry("completion", ACCESS, N_("Print the completion script of a shell.")),
}

ARCHIVE: dict[str, Entry] = {
    "create": Entry("archive_create", SUBCOMMANDS, N_("Put a directory into a portable archive.")),
    "list": Entry("archive_list", SUBCOMMANDS, N_("List the archives in a directory.")),
    "show": Entry("archive_show", SUBCOMMANDS, N_("Show what an archive is and what it holds.")),
    "verify": Entry("archive_verify", SUBCOMMANDS, N_("Check that archives are whole.")),
    "restore": Entry("archive_restore", SUBCOMMANDS, N_("Bring the files of an archive back.")),
    "import": Entry("archive_import", SUBCOMMANDS, N_("Make snapshots of archives.")),
    "export": Entry("archive_export", SUBCOMMANDS, N_("Make a portable archive of a snapshot.")),
    "prune": Entry("archive_prune", SUBCOMMANDS, N_("Remove archives that no rule keeps.")),
}
