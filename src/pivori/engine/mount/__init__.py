"""The verb ``mount``: the snapshots as a read-only folder.

``layout`` says which folders there are above the snapshots, ``view`` answers what lies at a path and what a file
holds (``recent`` keeps what was read last), ``serving`` gives these answers to the kernel.
"""

from pivori.engine.mount.serving import FuseMissing, Mounted, MountFailed, NoMountPoint, NotReadable, mount
from pivori.engine.mount.view import SnapshotView

__all__ = ["FuseMissing", "MountFailed", "Mounted", "NoMountPoint", "NotReadable", "SnapshotView", "mount"]
