"""Restores a snapshot twice as an ordinary user: ``REPOSITORY TREE TARGET``. As root it gives its rights up first.

Everything is imported before: an ordinary user may not see where Python is installed.
"""

import os
import sys
from pathlib import Path

from pivori.engine.restore import Restore, RestoreRequest
from pivori.events import Event, FileNotRestored, MetadataNotRestored
from pivori.repository import Repository
from pivori.storage import LocalStorage


def main() -> None:
    """Restore; whatever goes wrong is printed and makes the exit status 1."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    repository = Repository.open(LocalStorage(Path(sys.argv[1])), "x")
    repository.load_index(None)
    wrong: list[Event] = []

    def emit(event: Event) -> None:
        if isinstance(event, FileNotRestored | MetadataNotRestored):
            wrong.append(event)

    for _ in range(2):
        request = RestoreRequest(tree=sys.argv[2], target=Path(sys.argv[3]), verify=True)
        Restore(repository, request, emit=emit).run()
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
