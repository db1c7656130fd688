"""What a process asks of the system about its memory."""

import gc
import resource
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
"""Parameters of mallopt(3), from glibc's malloc.h."""

_LARGEST_KEPT_BUFFER = 4 << 20
"""Bytes. Most blobs are smaller; the few larger buffers are better given back at once."""

_KEPT_FREE_MEMORY = 12 << 20


def keep_large_buffers() -> bool:
    """Make glibc keep freed buffers of up to 4 MiB for the next use, instead of giving each back to the system.

    By default each buffer of 128 KiB and more is mapped and unmapped at every use, and the page faults cost several
    times the work done on a buffer of 1 MiB. Returns whether it took effect: elsewhere than on glibc nothing happens.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # ctypes is loaded only in the processes that work on large buffers

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    kept = library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BUFFER) == 1
    return bool(library.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE_MEMORY) == 1) and kept


def collect_rarely() -> None:
    """Make Python look for unreachable cycles rarely: millions of small records are made and none is part of a cycle.

    What is loaded by now is not looked at any more.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def forbid_core_dumps() -> None:
    """See to it that a crash leaves no image of the memory, which may hold keys, on the disk.

    On Linux a limit of one byte does what zero does and also stops the kernel from piping the image to a crash
    handler, for which zero is no limit (core(5), fs/coredump.c).
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    wanted = 1 if sys.platform == "linux" and (hard == resource.RLIM_INFINITY or hard >= 1) else 0
    resource.setrlimit(resource.RLIMIT_CORE, (wanted, hard))
