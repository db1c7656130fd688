"""The smart strategy: what can be made again is left out, only where that is proven, and said.

``plan`` goes through the sources; ``rules`` are the names it looks for, and one module per kind of evidence decides
(``git_evidence``, ``packages``, ``environments``, ``builds``, ``leftovers``). ``manifest`` records what was left out;
``rebuild`` makes it again after a restore, with commands that fit ``forms`` and no others; it is entered directly, as
no backup needs it.
"""

from pivori.engine.smart.manifest import read_omissions, snapshot_documents
from pivori.engine.smart.plan import Decision, SmartExclusion, SmartPlan, plan_smart

__all__ = [
    "Decision",
    "SmartExclusion",
    "SmartPlan",
    "plan_smart",
    "read_omissions",
    "snapshot_documents",
]
