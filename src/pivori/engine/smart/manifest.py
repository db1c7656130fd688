"""The manifest of a smart snapshot: what was left out, in the same form as in an archive.

Its time and name are the snapshot's own. So it stays the same, byte for byte, while the decisions do.
"""

from typing import Final

from pivori.archives import manifest as archives
from pivori.archives.manifest import MANIFEST_NAME, Manifest, Omission
from pivori.engine.smart.plan import SmartPlan
from pivori.engine.strategies import StrategyName

ROOT: Final = b"/"
"""What the paths of a snapshot's manifest are relative to."""


def snapshot_documents(plan: SmartPlan, *, program: str, host: str) -> dict[bytes, bytes]:
    """The documents of a smart snapshot: its manifest, and what the commands in it need."""
    manifest = Manifest(
        id="",
        program=program,
        created="",
        host=host,
        root=ROOT.decode(),
        strategy=StrategyName.SMART.value,
        entries=(),
        omitted=plan.omissions(ROOT),
    )
    return {MANIFEST_NAME: archives.encode(manifest), **plan.documents}


def read_omissions(content: bytes, *, source: str) -> list[Omission]:
    """What a manifest says was left out; ``source`` names where it comes from in errors. Raises ManifestDamaged."""
    return list(archives.decode(content, archive=source).omitted)
