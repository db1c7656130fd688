"""Reading an archive's members on all cores: jobs go to worker processes, which consume the content themselves."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from pivori.archives.container import Piece, ReadJob
from pivori.archives.crew import Crew

R = TypeVar("R")


def run_jobs(jobs: Iterable[ReadJob], consume: Callable[[Iterator[Piece]], R], workers: int) -> Iterator[R]:
    """What ``consume`` makes of each job's pieces, in the order of the jobs.

    ``consume`` is a callable object that can be pickled: every worker has its own copy for all its jobs; with less than
    two workers the parent calls it itself. Only its result travels, never the content. Errors that it lets pass are
    raised here and end everything: to go on after a damaged member it has to catch ArchiveDamaged around ``next``, and
    ask on (see :meth:`ReadJob.pieces`).
    """
    with Crew[ReadJob, R](_Consumer(consume), workers) as crew:
        yield from crew.run(jobs)


class _Consumer(Generic[R]):
    """Runs a job inside a worker."""

    def __init__(self, consume: Callable[[Iterator[Piece]], R]) -> None:
        self._consume = consume

    def __call__(self, job: ReadJob) -> R:
        return self._consume(job.pieces())
