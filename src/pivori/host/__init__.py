"""The machine: its files, as they are read and as they are written back, and its processes.

``scan`` and ``extended_attributes`` read; ``target`` is the only way a restore writes; ``process``,
``capture`` and ``filter`` are the only ways to other programs.
"""

from pivori.host.capture import (
    Captured,
    capture_output,
    kill_shell_line,
    run_command_line,
    run_shell_line,
    run_to_end,
)
from pivori.host.copying import copy_range
from pivori.host.directories import UnsafePath
from pivori.host.extended_attributes import read_attributes, write_attributes
from pivori.host.folder_lock import folder_lock
from pivori.host.memory import collect_rarely, forbid_core_dumps, keep_large_buffers
from pivori.host.owners import group_name, user_name
from pivori.host.problem import Problem
from pivori.host.process import (
    CommandNotStarted,
    PasswordCommandFailed,
    ProcessIdentity,
    StreamingProcess,
    available_processors,
    capture_first_line,
    is_alive,
    require_program,
    run_to_stream,
)
from pivori.host.process_mark import ProcessMark, booted_ns
from pivori.host.scan import Entry, find_entries, read_directory, same_device
from pivori.host.sparse import write_sparse
from pivori.host.target import TargetReplaced, TargetTree

__all__ = [
    "Captured",
    "CommandNotStarted",
    "Entry",
    "PasswordCommandFailed",
    "Problem",
    "ProcessIdentity",
    "ProcessMark",
    "StreamingProcess",
    "TargetReplaced",
    "TargetTree",
    "UnsafePath",
    "available_processors",
    "booted_ns",
    "capture_first_line",
    "capture_output",
    "collect_rarely",
    "copy_range",
    "find_entries",
    "folder_lock",
    "forbid_core_dumps",
    "group_name",
    "is_alive",
    "keep_large_buffers",
    "kill_shell_line",
    "read_attributes",
    "read_directory",
    "require_program",
    "run_command_line",
    "run_shell_line",
    "run_to_end",
    "run_to_stream",
    "same_device",
    "user_name",
    "write_attributes",
    "write_sparse",
]
