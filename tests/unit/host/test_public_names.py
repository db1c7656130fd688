"""The package's face: what others may use, no more and no less."""

import pivori.host as host

NAMES = {
    "Entry",
    "Captured",
    "available_processors",
    "find_entries",
    "folder_lock",
    "CommandNotStarted",
    "PasswordCommandFailed",
    "Problem",
    "ProcessIdentity",
    "ProcessMark",
    "StreamingProcess",
    "TargetReplaced",
    "TargetTree",
    "UnsafePath",
    "booted_ns",
    "capture_first_line",
    "capture_output",
    "collect_rarely",
    "copy_range",
    "forbid_core_dumps",
    "group_name",
    "is_alive",
    "kill_shell_line",
    "run_shell_line",
    "keep_large_buffers",
    "read_attributes",
    "read_directory",
    "require_program",
    "run_command_line",
    "run_to_end",
    "run_to_stream",
    "same_device",
    "user_name",
    "write_attributes",
    "write_sparse",
}


def test_the_public_names() -> None:
    assert set(host.__all__) == NAMES
    assert all(hasattr(host, name) for name in NAMES)
