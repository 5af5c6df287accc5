"""How do worker processes make shards although any of them may die or hang?"""

import errno
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection as connections
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Self

from provq_protein import errors
from provq_protein.batch.feed import Feed
from provq_protein.batch.messages import (
    Counts,
    LoadEncoder,
    Ready,
    ShardDone,
    ShardTask,
    Stopped,
    Working,
)
from provq_protein.batch.shards import ShardSettings
from provq_protein.batch.worker import serve
from provq_protein.errors import ConfigError

# A member has killed when it was at hand at this many deaths. One is not enough: the system may
# have taken the worker because its neighbour was too big.
_DEATHS = 2
# For a worker that dies at nothing in particular: while it starts, or writes.
_DEATHS_AT_NOTHING = 3
_NOTHING = -1
_POLL_SECONDS = 0.05
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    ready: bool = False
    task: ShardTask | None = None
    position: int | None = None
    since: float = 0.0
    done: Counts = field(default_factory=Counts)


class WorkerPool:
    """
    Processes that make shards.

    Parameters
    ----------
    jobs : int
        How many.
    load_encoder : callable
        Returns the `Encoder`; must be importable where the processes run.
    settings : ShardSettings
        Where shards are put.
    time_limit : float
        Seconds for reading one member, or encoding one chain of it.

    Notes
    -----
    A worker says what it begins. If it dies, or says nothing for longer than the time limit,
    it is replaced and its shard is made again, the member that it was at first. A member that
    hangs, or at which a second worker dies, gets a row that says so and is not touched again.
    """

    def __init__(
        self, jobs: int, load_encoder: LoadEncoder, settings: ShardSettings, *, time_limit: float
    ) -> None:
        self._jobs, self._load_encoder, self._settings = jobs, load_encoder, settings
        self._time_limit = time_limit
        self._workers: list[_Worker] = []
        self._again: deque[ShardTask] = deque()
        self._early_deaths = 0
        self._fingerprint: str | None = None
        self._exact_because: str | None = None

    def __enter__(self) -> Self:
        """Start the processes."""
        try:
            for _ in range(self._jobs):
                self._workers.append(self._start())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes."""
        self.close()

    def fingerprint(self) -> str:
        """
        Wait for the first worker to have loaded the model.

        Returns
        -------
        str
            The model's.

        Raises
        ------
        ProvqError
            If it cannot be loaded.
        """
        while self._fingerprint is None:
            for _ in self._listen(timeout=None):
                pass
        return self._fingerprint

    def exact_because(self) -> str | None:
        """
        Tell why the first worker computes exactly although fast precision was asked for.

        Returns
        -------
        str or None
            None if it does not, or before there is a `fingerprint`.
        """
        return self._exact_because

    def run(self, feed: Feed) -> Iterator[Counts | ShardDone]:
        """
        Make shards until there are no more.

        Parameters
        ----------
        feed : Feed
            Where they come from.

        Yields
        ------
        Counts or ShardDone
            What has been done since the last time, which is less than nothing where work was
            lost with a worker; and each shard once it is on disk.

        Raises
        ------
        ProvqError
            If the model cannot be loaded, or workers die for no reason to be seen.
        OSError
            If a shard cannot be written.
        """
        while True:
            waiting = self._assign(feed)
            if not waiting and not self._again and not any(w.task for w in self._workers):
                return
            yield from self._listen(timeout=self._patience(waiting=waiting))
            yield from self._end_hanging()

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self._workers:
            worker.connection.close()
            if worker.task is not None or not worker.ready:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(timeout=2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers.clear()

    def _assign(self, feed: Feed) -> bool:
        """Give idle workers something to do; tell whether one waits for the feed."""
        for worker in [w for w in self._workers if w.ready and w.task is None]:
            task = self._again.popleft() if self._again else feed.take()
            if task is None:
                break
            worker.task, worker.position, worker.done = task, None, Counts()
            worker.since = time.monotonic()
            try:
                worker.connection.send(task)
            except OSError:
                continue  # it is dead, which `_listen` will find out
        return not feed.exhausted

    def _patience(self, *, waiting: bool) -> float | None:
        """Seconds until something has to be looked after without any worker saying so."""
        idle = any(worker.ready and worker.task is None for worker in self._workers)
        if waiting and idle:
            return _POLL_SECONDS
        now = time.monotonic()
        left = [
            worker.since + self._time_limit - now
            for worker in self._workers
            if worker.position is not None
        ]
        return max(0.0, min(left)) if left else None

    def _listen(self, timeout: float | None) -> Iterator[Counts | ShardDone]:
        by_connection = {worker.connection: worker for worker in self._workers}
        for ready in connections.wait(list(by_connection), timeout):
            worker = by_connection[ready]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield self._died(worker, timed_out=False)
            else:
                yield from self._heard(worker, message)

    def _heard(self, worker: _Worker, message: object) -> Iterator[Counts | ShardDone]:
        if isinstance(message, Working):
            worker.position, worker.since = message.position, time.monotonic()
            yield message.done - worker.done
            worker.done = message.done
        elif isinstance(message, ShardDone):
            yield message.counts - worker.done
            worker.task, worker.position, worker.done = None, None, Counts()
            yield message
        elif isinstance(message, Ready):
            worker.ready, self._early_deaths = True, 0
            self._exact_because = self._exact_because or message.exact_because
            self._agree(message.fingerprint)
        elif isinstance(message, Stopped):
            raise as_error(message, worker.task)

    def _agree(self, fingerprint: str) -> None:
        if self._fingerprint not in (None, fingerprint):
            msg = (
                f"the model changed while the run was going on: its fingerprint was "
                f"{self._fingerprint} and is now {fingerprint}; put the old one back and go on "
                "with --resume"
            )
            raise ConfigError(msg)
        self._fingerprint = fingerprint

    def _end_hanging(self) -> Iterator[Counts]:
        now = time.monotonic()
        for worker in list(self._workers):
            late = worker.position is not None and now - worker.since >= self._time_limit
            # What it said while others were looked after counts.
            if late and not worker.connection.poll():
                yield self._died(worker, timed_out=True)

    def _died(self, worker: _Worker, *, timed_out: bool) -> Counts:
        """Replace a worker, have its shard made again, and return what is lost."""
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode or 0
        worker.connection.close()
        worker.process.close()
        self._workers.remove(worker)
        self._blame(worker, code, timed_out=timed_out)
        self._workers.append(self._start())
        return Counts() - worker.done

    def _blame(self, worker: _Worker, code: int, *, timed_out: bool) -> None:
        task, position = worker.task, worker.position
        if task is None:
            self._early_deaths += 1
            if self._early_deaths >= _DEATHS_AT_NOTHING:
                what = "worker processes end as they start"
                raise _hopeless(what, code)
            return
        self._again.append(task)
        if position is None:
            task.deaths[_NOTHING] += 1
            if task.deaths[_NOTHING] >= _DEATHS_AT_NOTHING:
                what = f"workers die as they write shard {task.number}"
                raise _hopeless(what, code)
            return
        task.deaths[position] += 1
        if timed_out:
            limit = f"{self._time_limit:g} s"
            task.condemned[position] = f"time limit: no result within {limit} (--time-limit)"
        elif task.deaths[position] >= _DEATHS:
            task.condemned[position] = f"crash: the worker process died at it ({_cause(code)})"

    def _start(self) -> _Worker:
        context = get_context("spawn")
        mine, theirs = context.Pipe()
        arguments = (theirs, self._load_encoder, self._settings)
        process = context.Process(target=serve, args=arguments, daemon=True)
        # Started before signals are blocked: it would unblock them.
        resource_tracker.ensure_running()
        with _inherited_by_worker():
            process.start()
        # Only with the worker's own end open is its death the end of the connection.
        theirs.close()
        return _Worker(process, mine)


@contextmanager
def _inherited_by_worker() -> Iterator[None]:
    """Let a process begin with one thread for arithmetic, and deaf to Ctrl-C."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    set_mask = getattr(signal, "pthread_sigmask", None)
    mask = set_mask(signal.SIG_BLOCK, [signal.SIGINT]) if set_mask else ()
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if set_mask:
            set_mask(signal.SIG_SETMASK, mask)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}: out of memory?" if name == "SIGKILL" else name


def _hopeless(what: str, code: int) -> ConfigError:
    return ConfigError(
        f"{what} ({_cause(code)}); free memory or use fewer jobs (-j), then go on with --resume. "
        'A script that calls this must do so below `if __name__ == "__main__":`'
    )


def as_error(message: Stopped, task: ShardTask | None) -> Exception:
    """
    Return what to raise for a worker that cannot go on.

    Parameters
    ----------
    message : Stopped
        What it said.
    task : ShardTask or None
        What it was at; None if it was at nothing, or the message says so already.

    Returns
    -------
    Exception
        An error of the operating system as such, one of provq by its own class.
    """
    if message.errno is not None:
        hint = "make room, " if message.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        where = (
            ""
            if task is None
            else (
                f"; shard {task.number} was not written, those before it are whole; "
                f"{hint}then go on with --resume"
            )
        )
        return OSError(message.errno, message.text + where)
    kind = getattr(errors, message.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.ProvqError):
        return kind(message.text)
    return ConfigError(f"a worker process stopped: {message.kind}: {message.text}")
