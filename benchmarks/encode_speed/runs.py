"""What do worker processes gain, and what does the manifest of a run cost?"""

import multiprocessing
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.batch.make_tar import add_chain
from encode_speed.chains import load_chains, resolved_residues
from encode_speed.speed import spread
from provq_protein.batch.run import encode_to_folder
from provq_protein.tokenizer import StructureTokenizer

REPOSITORY = Path(__file__).resolve().parents[2]


def manifest_cost(source: Path, residues: int, *, seed: int) -> dict[str, Any]:
    """
    Encode chains into a folder, and measure what of that is the manifest.

    Parameters
    ----------
    source : Path
        Where chains come from.
    residues : int
        How many.
    seed : int
        Decides which.

    Returns
    -------
    dict
        What ``benchmarks/batch/manifest_cost.py`` says of a run of the shipped model.
    """
    chains = load_chains(source, residues, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with tarfile.open(folder / "chains.tar", "w") as archive:
            for chain in chains:
                add_chain(archive, chain, folder)
        encode_to_folder([folder / "chains.tar"], folder / "out", format="npz")
        script = REPOSITORY / "benchmarks" / "batch" / "manifest_cost.py"
        done = subprocess.run(
            [sys.executable, str(script), str(folder / "out")],
            check=True,
            capture_output=True,
            text=True,
        )
    share = float(done.stdout.splitlines()[-1].split()[1])
    return {"chains": len(chains), "residues": resolved_residues(chains), "percent": share}


def workers_ratio(source: Path, residues: int, *, rounds: int, seed: int) -> dict[str, Any]:
    """
    Compare two processes of one thread with one, by the clock, over the shipped model.

    Parameters
    ----------
    source : Path
        Where chains come from.
    residues : int
        How many each process encodes.
    rounds : int
        How often both are measured, in turn.
    seed : int
        Decides which.

    Returns
    -------
    dict
        Spread of residues per second of two over those of one.
    """
    context = multiprocessing.get_context("spawn")
    rates: dict[int, list[float]] = {1: [], 2: []}
    pools = {}
    for count in rates:
        barrier = context.Barrier(count)
        start = (barrier, str(source), residues, seed)
        pools[count] = context.Pool(count, initializer=_prepare, initargs=start)
    for number in range(rounds + 1):
        for count, pool in pools.items():
            slowest = max(pool.map(_encode_all, range(count), chunksize=1))
            if number:
                rates[count].append(count / slowest)
    for pool in pools.values():
        pool.terminate()
        pool.join()
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    return {"residues": residues, "rounds": rounds, **spread(ratios)}


_prepared: dict[str, Any] = {}


def _prepare(barrier: Any, source: str, residues: int, seed: int) -> None:  # noqa: ANN401
    torch.set_num_threads(1)
    chains = load_chains(Path(source), residues, seed=seed)
    tokenizer = StructureTokenizer.from_pretrained()
    _prepared.update(barrier=barrier, chains=chains, tokenizer=tokenizer)


def _encode_all(number: int) -> float:
    """Encode with the shipped model when all processes are ready; return seconds."""
    _prepared["barrier"].wait()
    start = time.perf_counter()
    _prepared["tokenizer"].encode(_prepared["chains"])
    return time.perf_counter() - start
