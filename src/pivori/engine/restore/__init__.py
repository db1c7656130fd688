"""The verb ``restore``.

``items`` says what a tree asks for; ``window`` sorts the blobs of some thousand files by pack; ``writing`` does the
byte work, in worker processes (``jobs``); ``deletion`` says what goes, ``unfinished`` removes what is not whole and
never will be; ``run`` ties them together.
"""

from pivori.engine.restore.deletion import IN_THE_WAY, DeletionRefused
from pivori.engine.restore.items import PathNotInSnapshot
from pivori.engine.restore.plan import Action, PlannedAction, plan_restore
from pivori.engine.restore.request import Expectation, RestoreRequest
from pivori.engine.restore.run import Restore, RestoreOutcome

__all__ = [
    "IN_THE_WAY",
    "Action",
    "DeletionRefused",
    "Expectation",
    "PathNotInSnapshot",
    "PlannedAction",
    "Restore",
    "RestoreOutcome",
    "RestoreRequest",
    "plan_restore",
]
