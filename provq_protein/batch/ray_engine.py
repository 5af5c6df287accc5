"""How do the machines of a Ray cluster make shards?"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Self

from provq_protein.batch.feed import Feed
from provq_protein.batch.messages import Counts, LoadEncoder, ShardDone, ShardTask, Stopped
from provq_protein.batch.pool import WorkerPool, as_error
from provq_protein.batch.shards import ShardSettings
from provq_protein.batch.worker import stopped
from provq_protein.errors import ConfigError
from provq_protein.extras import require_extra

# How often the machine under a shard may vanish before the run gives up.
_LOSSES = 3
_POLL_SECONDS = 0.05


class RayEngine:
    """
    Ray actors that make shards.

    Parameters
    ----------
    jobs : int
        Number of actors, of one CPU each.
    load_encoder : callable
        Returns the `Encoder`; must be importable on every machine.
    settings : ShardSettings
        Where shards are put: a folder that every machine sees under the same path.
    time_limit : float
        Seconds for reading one member, or encoding one chain of it.
    gpus : float
        GPUs per actor; a fraction shares one.

    Notes
    -----
    An actor runs a `WorkerPool` of one process, so that crashes and hanging members are met
    as on one machine. The actors are all that is asked of the cluster: nothing else has to
    find a free CPU beside them, as the reading and writing tasks of Ray Data would.
    """

    def __init__(
        self,
        jobs: int,
        load_encoder: LoadEncoder,
        settings: ShardSettings,
        *,
        time_limit: float,
        gpus: float = 0.0,
    ) -> None:
        self._jobs, self._gpus = jobs, gpus
        self._arguments = (load_encoder, settings, time_limit)
        self._ray = require_extra("ray", extra="ray", purpose="--engine ray")
        self._actors: list[Any] = []
        self._losses: dict[int, int] = {}
        self._is_mine = False

    def __enter__(self) -> Self:
        """Join the cluster, or start one on this machine, and start the actors."""
        if not self._ray.is_initialized():
            self._is_mine = True
            self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            check_resources(self._ray, jobs=self._jobs, gpus=self._gpus)
            self._actors = [self._start() for _ in range(self._jobs)]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the cluster."""
        self.close()

    def fingerprint(self) -> str:
        """
        Wait for the first actor to have loaded the model.

        Returns
        -------
        str
            The model's.

        Raises
        ------
        ProvqError
            If it cannot be loaded.
        """
        answer = self._ray.get(self._actors[0].fingerprint.remote())
        if isinstance(answer, Stopped):
            raise as_error(answer, None)
        return answer

    def exact_because(self) -> str | None:
        """
        Tell why the first actor computes exactly although fast precision was asked for.

        Returns
        -------
        str or None
            None if it does not.
        """
        return self._ray.get(self._actors[0].exact_because.remote())

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
            What has been done since the last time, and each shard once it is on disk.

        Raises
        ------
        ProvqError
            If machines vanish again and again, or the model cannot be loaded.
        OSError
            If a shard cannot be written.
        """
        idle = list(self._actors)
        busy: dict[Any, tuple[Any, ShardTask]] = {}
        while True:
            while idle and (task := feed.take()) is not None:
                actor = idle.pop()
                busy[actor.encode.remote(task)] = (actor, task)
            if not busy and feed.exhausted:
                return
            waiting = idle and not feed.exhausted
            finished, _ = self._ray.wait(list(busy), timeout=_POLL_SECONDS if waiting else None)
            for reference in finished:
                actor, task = busy.pop(reference)
                answer = self._answer(reference, task)
                if answer is None:
                    actor = self._replaced(actor)
                    busy[actor.encode.remote(task)] = (actor, task)
                    continue
                idle.append(actor)
                yield answer.counts
                yield answer

    def close(self) -> None:
        """End the actors, and the cluster if it was started here."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()
        if self._is_mine:
            self._ray.shutdown()

    def _start(self) -> Any:  # noqa: ANN401 - Ray makes the class at run time
        actor = self._ray.remote(ShardActor).options(num_cpus=1, num_gpus=self._gpus)
        return actor.remote(*self._arguments)

    def _replaced(self, actor: Any) -> Any:  # noqa: ANN401 - as above
        self._actors.remove(actor)
        self._actors.append(self._start())
        return self._actors[-1]

    def _answer(self, reference: Any, task: ShardTask) -> ShardDone | None:  # noqa: ANN401
        """Return what an actor has made; None if it vanished together with its machine."""
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            self._losses[task.number] = self._losses.get(task.number, 0) + 1
            if self._losses[task.number] >= _LOSSES:
                msg = f"shard {task.number}: {_LOSSES} actors vanished as they made it: {error}"
                raise ConfigError(msg) from error
            return None
        if isinstance(answer, Stopped):
            raise as_error(answer, None)
        return answer


class ShardActor:
    """
    What runs on a machine of the cluster.

    Parameters
    ----------
    load_encoder : callable
        Returns the `Encoder`.
    settings : ShardSettings
        Where shards are put.
    time_limit : float
        Seconds for reading one member, or encoding one chain of it.
    """

    def __init__(
        self, load_encoder: LoadEncoder, settings: ShardSettings, time_limit: float
    ) -> None:
        self._pool = WorkerPool(1, load_encoder, settings, time_limit=time_limit)
        self._pool.__enter__()

    def fingerprint(self) -> str | Stopped:
        """
        Return the model's fingerprint.

        Returns
        -------
        str or Stopped
            Why there is none, if so.
        """
        try:
            return self._pool.fingerprint()
        except Exception as error:  # noqa: BLE001 - raised again by the driver
            return stopped(error)

    def exact_because(self) -> str | None:
        """
        Tell why the worker computes exactly although fast precision was asked for.

        Returns
        -------
        str or None
            None if it does not.
        """
        return self._pool.exact_because()

    def encode(self, task: ShardTask) -> ShardDone | Stopped:
        """
        Make one shard.

        Parameters
        ----------
        task : ShardTask
            Which.

        Returns
        -------
        ShardDone or Stopped
            Why it is not there, if so.
        """
        try:
            self._pool.fingerprint()
            events = list(self._pool.run(_OneTask(task)))
        except Exception as error:  # noqa: BLE001 - as above
            return stopped(error)
        return next(event for event in events if isinstance(event, ShardDone))


class _OneTask:
    """A feed of one shard."""

    def __init__(self, task: ShardTask) -> None:
        self._task: ShardTask | None = task

    def take(self) -> ShardTask | None:
        task, self._task = self._task, None
        return task

    @property
    def exhausted(self) -> bool:
        return self._task is None


def check_resources(ray: ModuleType, *, jobs: int, gpus: float) -> None:
    """
    Refuse actors that would wait for ever for a place.

    Parameters
    ----------
    ray : ModuleType
        Connected to a cluster.
    jobs : int
        Number of actors, of one CPU each.
    gpus : float
        GPUs per actor.

    Raises
    ------
    ConfigError
        If the cluster has not that many free CPUs or GPUs.
    """
    free = ray.available_resources()
    for name, needed in (("CPU", float(jobs)), ("GPU", jobs * gpus)):
        if needed > free.get(name, 0.0) + 1e-6:
            msg = (
                f"--engine ray: {jobs} actors need {needed:g} {name}s and the cluster has "
                f"{free.get(name, 0.0):g} free: they would wait for ever; use fewer (-j), or "
                "add machines"
            )
            raise ConfigError(msg)
