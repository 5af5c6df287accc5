"""Which batch is ready when a step begins?"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """
    Build the batch of the next step in a thread of its own while this one is trained on.

    Parameters
    ----------
    build : callable
        Returns the batch of a step; a pure function of the step, so that batches are the same
        with and without the thread.
    last : int
        No step from here on is prepared.
    enabled : bool
        Without, each batch is built when it is asked for.

    Examples
    --------
    >>> with Prefetch(lambda step: step, last=3) as ready:
    ...     [ready.batch(step) for step in (0, 1, 2)]
    [0, 1, 2]
    """

    def __init__(self, build: Callable[[int], Batch], *, last: int, enabled: bool = True) -> None:
        self._build = build
        self._last = last
        self._pool = ThreadPoolExecutor(max_workers=1) if enabled else None
        self._next: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> "Prefetch[Batch]":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def batch(self, step: int) -> Batch:
        """
        Return the batch of a step, and start on the next one.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        object
            As `build` returns it; what it raises is raised here.
        """
        if self._pool is None:
            return self._build(step)
        if self._next is not None and self._next[0] == step:
            batch = self._next[1].result()
        else:
            batch = self._build(step)
        self._next = None
        if step + 1 < self._last:
            self._next = (step + 1, self._pool.submit(self._build, step + 1))
        return batch
