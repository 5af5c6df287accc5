"""How does a stream of structures become a folder of shards, resumable at any moment?"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from provq_protein.batch.encoders import load_tokenizer
from provq_protein.batch.feed import ReadAhead, ShardPlan, Stream
from provq_protein.batch.folder import CONFIGURATION, TOTALS, agree, check_folder, claimed
from provq_protein.batch.messages import Counts, LoadEncoder, ShardDone
from provq_protein.batch.pool import WorkerPool
from provq_protein.batch.shards import ShardSettings
from provq_protein.errors import ConfigError
from provq_protein.hub.folders import model_folder
from provq_protein.precision import Precision, check_precision, not_used, wrong_ids
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.tokens.formats import output_format

if TYPE_CHECKING:
    from provq_protein.batch.ray_engine import RayEngine
    from provq_protein.sources import Member

EngineName = Literal["local", "ray"]
OnProgress = Callable[[Counts], None]
SHARD_SIZE = 1000
TIME_LIMIT = 300.0


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """
    What is seldom asked for.

    Parameters
    ----------
    chains : sequence of str or None
        Chain ids to encode; None for those of the policy.
    policy : ResiduePolicy
        What is taken of each member.
    time_limit : float
        Seconds that reading one member, or encoding one chain of it, may take.
    device : str
        Where to encode, as torch names it.
    precision : {"exact", "fast"}
        How to compute, as `StructureTokenizer` takes it. The manifest says what was done.
    engine : {"local", "ray"}
        Processes of this machine, or a Ray cluster.
    topology : str or Path or None
        Topology file of the trajectories among the inputs.
    on_progress : callable or None
        Called with the `Counts` done since its last call, negative where work was lost with
        a worker and is done again.
    on_warning : callable or None
        Called once with each text that the user should read.
    load_encoder : callable or None
        Returns the `Encoder`, in place of the model of this package; importable in another
        process.
    """

    chains: tuple[str, ...] | None = None
    policy: ResiduePolicy = CONTRACT
    time_limit: float = TIME_LIMIT
    device: str = "cpu"
    precision: Precision = "exact"
    engine: EngineName = "local"
    topology: str | Path | None = None
    on_progress: OnProgress | None = None
    on_warning: Callable[[str], None] | None = None
    load_encoder: LoadEncoder | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """
    What a run has done.

    Parameters
    ----------
    made : Counts
        In shards that this run made.
    found : Counts
        In shards of this job that were done before.
    shards_made : int
        Number of shards that this run made.
    shards_found : int
        Number of shards of this job that were done before.
    members : int
        Number of members of all jobs.
    seconds : float
        Wall time.
    fingerprint : str
        Of the model.
    """

    made: Counts
    found: Counts
    shards_made: int
    shards_found: int
    members: int
    seconds: float
    fingerprint: str

    @property
    def problems(self) -> int:
        """Rows of the manifests of this job, new and old, whose status is not ``"ok"``."""
        total = self.made + self.found
        return total.skipped + total.failed


def encode_to_folder(
    inputs: Iterable[str | Path],
    out: str | Path,
    *,
    model: str | Path | None = None,
    jobs: int = 1,
    shard_size: int = SHARD_SIZE,
    resume: bool = False,
    part: tuple[int, int] = (1, 1),
    format: str = "parquet",
    options: RunOptions | None = None,
) -> Summary:
    """
    Encode structures into a folder of token shards with manifests.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files, patterns, folders, archives, or ``"-"`` for a list on standard input, as in
        `provq_protein.sources.members`.
    out : str or Path
        The folder; created if absent.
    model : str or Path, optional
        A model folder, or a repository of the Hub, which is then fetched before the workers
        start; by default the model that is shipped.
    jobs : int
        Number of worker processes. They import the main module of the calling program, which
        must therefore do its work below ``if __name__ == "__main__":``.
    shard_size : int
        Members per shard.
    resume : bool
        Whether to go on with the run that the folder holds.
    part : tuple of int
        ``(i, n)``: this is job i of n, from 1, and makes every n-th shard.
    format : str
        Format of the token files, one of `provq_protein.tokens.formats.FORMATS`.
    options : RunOptions, optional
        Everything else.

    Returns
    -------
    Summary
        What was done. Bad inputs are rows of the manifests, and counted.

    Raises
    ------
    TokenFormatError
        If the folder is not for this run, or another job does the same part of it.
    ConfigError
        If the folder was made of other inputs or with another configuration, or an argument
        is impossible.
    ProvqError
        If the model cannot be loaded.
    OSError
        If a shard cannot be written; the finished ones are whole.

    Notes
    -----
    Members are numbered in their order, and shard k is made of the members from
    ``k * shard_size`` on. Its bytes depend on them, the model and the configuration alone:
    not on the number of jobs or parts, nor on what was killed and resumed.
    """
    options, out = options or RunOptions(), Path(out)
    _check_arguments(jobs, shard_size, part, options)
    output_format("shard", format=format)
    check_folder(out, part=part, resume=resume)
    given = [os.fspath(item) for item in inputs]
    configuration = _configuration(given, shard_size, format, options)
    started = time.monotonic()
    with claimed(out, part) as work:
        settings = ShardSettings(out, work, format, _policy(options), options.precision)
        with _engine(jobs, model, settings, options) as engine:
            fingerprint = engine.fingerprint()
            warn = options.on_warning or _unheard
            if (reason := engine.exact_because()) is not None:
                warn(not_used(reason))
            configuration["fingerprint"] = fingerprint
            agree(out, CONFIGURATION, configuration, where="the configuration differs")
            plan = ShardPlan(_stream(given, options), out, part=part, shard_size=shard_size)
            tally = _Tally(options.on_progress)
            with closing(ReadAhead(plan)) as feed:
                for event in engine.run(feed):
                    tally.add(event)
                    tally.take(feed.found)
                tally.take(feed.found)
        totals = {"members": plan.members, "shards": plan.shards}
        agree(out, TOTALS, totals, where="the inputs are not those of the run")
    if (total := tally.made + tally.found).mismatches:
        warn(wrong_ids(total.mismatches, total.audited, total.fast))
    return Summary(
        made=tally.made,
        found=tally.found,
        shards_made=tally.shards_made,
        shards_found=tally.shards_found,
        members=plan.members,
        seconds=time.monotonic() - started,
        fingerprint=fingerprint,
    )


class _Tally:
    """What the events of a run add up to."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.made, self.found = Counts(), Counts()
        self.shards_made = self.shards_found = 0
        self._on_progress = on_progress

    def add(self, event: Counts | ShardDone) -> None:
        if isinstance(event, Counts):
            self._tell(event)
        else:
            self.made += event.counts
            self.shards_made += 1

    def take(self, found: list[ShardDone]) -> None:
        while found:
            shard = found.pop()
            self.found += shard.counts
            self.shards_found += 1
            # Not its residues: they say nothing of the speed of this run.
            self._tell(Counts(members=shard.counts.members))

    def _tell(self, counts: Counts) -> None:
        if self._on_progress is not None:
            self._on_progress(counts)


def _unheard(text: str) -> None:
    """Warn nobody."""


def _check_arguments(
    jobs: int, shard_size: int, part: tuple[int, int], options: RunOptions
) -> None:
    for name, value in (("jobs", jobs), ("shard_size", shard_size)):
        if value < 1:
            msg = f"{name} must be at least 1, got {value}"
            raise ConfigError(msg)
    check_precision(options.precision)
    _policy(options)
    if not 1 <= part[0] <= part[1]:
        msg = f"part must be (i, n) with 1 <= i <= n, got {part}"
        raise ConfigError(msg)
    if options.time_limit <= 0:
        msg = f"time_limit must be positive, got {options.time_limit:g}"
        raise ConfigError(msg)


def _configuration(
    given: list[str], shard_size: int, format: str, options: RunOptions
) -> dict[str, Any]:
    from provq_protein import __version__

    policy = _policy(options)
    others = {
        field.name: getattr(policy, field.name)
        for field in fields(policy)
        if field.name != "chains" and getattr(policy, field.name) != getattr(CONTRACT, field.name)
    }
    return {
        "provq": __version__,
        "fingerprint": "",
        "inputs": given,
        "shard_size": shard_size,
        "format": format,
        "chains": None if policy.chains is None else list(policy.chains),
        "precision": options.precision,
        "device": options.device,
        "topology": None if options.topology is None else os.fspath(options.topology),
        # Only where it is not the contract's: runs from before there were others go on.
        **({"policy": others} if others else {}),
    }


def _policy(options: RunOptions) -> ResiduePolicy:
    return options.policy.limited_to(options.chains)


def _stream(given: list[str], options: RunOptions) -> Stream:
    def stream(wanted: Callable[[int], bool]) -> "Iterator[Member]":
        from provq_protein.sources import FOLDCOMP_WARNING, members

        warn = options.on_warning
        for member in members(given, wanted=wanted, topology=options.topology):
            if member.source == "foldcomp" and warn is not None:
                warn(FOLDCOMP_WARNING)
                warn = None
            yield member

    return stream


def _engine(
    jobs: int, model: str | Path | None, settings: ShardSettings, options: RunOptions
) -> "WorkerPool | RayEngine":
    # Found once, so that all workers load the same folder.
    name = None if model is None or options.load_encoder else os.fspath(model_folder(model))
    load = options.load_encoder or partial(
        load_tokenizer, name, device=options.device, precision=options.precision
    )
    if options.engine == "local":
        return WorkerPool(jobs, load, settings, time_limit=options.time_limit)
    from provq_protein.batch.ray_engine import RayEngine

    return RayEngine(jobs, load, settings, time_limit=options.time_limit)
