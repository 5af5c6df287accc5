"""How are all rows trained, on several processes, and what is written down?"""

import multiprocessing
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

import torch
from torch import Tensor

from provq_protein import __version__
from topodisc.results import FORMAT, FORMAT_VERSION, median_seed
from topodisc.settings import BASELINE, PROVQ, ROWS, SOFT, Settings
from topodisc.training import Outcome, Training

# The rows of Figure 3.
DRAWN = (BASELINE, SOFT, PROVQ)
_REPORT_EVERY = 5
# Where a process reports to. A queue can be given to a process only when it starts.
_process: dict[str, "Queue[tuple[str, int]]"] = {}


def measure(
    settings: Settings,
    seeds: Sequence[int],
    *,
    jobs: int,
    progress: Callable[[str, int], object] = lambda row, epoch: None,
) -> dict[str, Any]:
    """
    Train every row with every seed.

    Parameters
    ----------
    settings : Settings
        What all rows share.
    seeds : sequence of int
        Different from each other.
    jobs : int
        Rows trained at once, each in a process with one thread.
    progress : callable
        Called with the name of a row and the number of its epochs done.

    Returns
    -------
    dict
        JSON values; see `results.load_results`.
    """
    for row in ROWS.values():
        row.schedule(settings)  # Refuse now what would fail in a process later.
    # Not forked: a process that has used torch's threads cannot be copied safely.
    context = multiprocessing.get_context("spawn")
    reports: Queue[tuple[str, int]] = context.Queue()
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start_process, initargs=(reports,)
    ) as pool:
        futures = {name: pool.submit(_train, name, settings, list(seeds)) for name in ROWS}
        _follow(list(futures.values()), reports, progress)
        outcomes = {name: future.result() for name, future in futures.items()}
    for name in ROWS:
        progress(name, settings.epochs)  # A last report may still be on its way.
    return assemble(settings, seeds, outcomes)


def assemble(
    settings: Settings, seeds: Sequence[int], outcomes: Mapping[str, Outcome]
) -> dict[str, Any]:
    """
    Turn outcomes into what is written to the results file.

    Parameters
    ----------
    settings : Settings
        Of the trainings.
    seeds : sequence of int
        In the order of the outcomes.
    outcomes : mapping of {str : Outcome}
        By row.

    Returns
    -------
    dict
        JSON values.
    """
    results: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "settings": asdict(settings),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "provq": __version__,
        },
        "seeds": list(seeds),
        "rows": {name: _numbers(name, settings, one) for name, one in outcomes.items()},
    }
    position = results["seeds"].index(median_seed(results))
    results["snapshots"] = {
        name: {
            str(epoch): {
                "latents": _columns(snapshot.latents[position]),
                "codes": _columns(snapshot.codes[position]),
            }
            for epoch, snapshot in outcomes[name].snapshots.items()
        }
        for name in DRAWN
    }
    return results


def _start_process(reports: "Queue[tuple[str, int]]") -> None:
    _process["reports"] = reports
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def _train(name: str, settings: Settings, seeds: list[int]) -> Outcome:
    def report(epoch: int) -> None:
        if epoch % _REPORT_EVERY == 0 or epoch == settings.epochs:
            _process["reports"].put((name, epoch))

    return Training(ROWS[name], settings, seeds).run(report)


def _follow(
    futures: list[Future[Outcome]],
    reports: "Queue[tuple[str, int]]",
    progress: Callable[[str, int], object],
) -> None:
    """Pass on what the processes report until all are done."""
    pending = set(futures)
    while pending:
        pending = wait(pending, timeout=0.2).not_done
        while True:
            try:
                progress(*reports.get_nowait())
            except Empty:
                break


def _numbers(name: str, settings: Settings, outcome: Outcome) -> dict[str, Any]:
    warmup, transition = ROWS[name].stages(settings.epochs)
    return {
        "title": ROWS[name].title,
        "warmup_epochs": warmup,
        "transition_epochs": transition,
        "kmeans": ROWS[name].kmeans,
        "disk_mse": _rounded(outcome.disk_mse, 7),
        "triangle_mse": _rounded(outcome.triangle_mse, 7),
        "total_mse": _rounded(outcome.total_mse, 7),
        "codes_used": outcome.codes_used.tolist(),
    }


def _columns(places: Tensor) -> dict[str, list[float]]:
    """Return x and y apart: the file has one line for each."""
    return {"x": _rounded(places[:, 0], 4), "y": _rounded(places[:, 1], 4)}


def _rounded(values: Tensor, digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
