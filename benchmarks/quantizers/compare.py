"""Compare every quantizer on real latents, each as nothing but a quantizer.

    python benchmarks/quantizers/compare.py --store chains.h5

The shipped model's encoder turns training chains into latents to fit on and validation chains into
latents to measure on. Each preset sees the same batches for the same number of steps. Its
learning rate is the one of a grid that does best on fitting latents that were held back.
The result depends on the model, the chains and the seeds alone: no times, no folders.
"""

import argparse
import hashlib
import math
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.quantize import (  # noqa: E402
    METHODS,
    CodeUsage,
    ProgressiveQuantizer,
    effective_dimension,
    kmeans,
    nearest_codes,
    participation_ratio,
)
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402
from provq_protein.training.store import ChainStore, load_store  # noqa: E402
from quantizers.comparison_report import write_report  # noqa: E402
from quantizers.fitting import TRANSITION, WARMUP, train  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "comparison.json"
CURRICULA = ("", "+soft", "+warmup", "+provq")
LEARNING_RATES = (1e-3, 5e-3, 2e-2)
_HELD_BACK = 0.1


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, help="chain store; without it, only write the report")
    parser.add_argument("--size", type=int, default=512, help="codes (default: 512)")
    parser.add_argument("--steps", type=int, default=800, help="per training (default: 800)")
    parser.add_argument("--batch", type=int, default=1024, help="latents per step (default: 1024)")
    parser.add_argument("--fit-chains", type=int, default=160, help="training chains (160)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each preset (default: 3)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure, if there is a store, and write the report.

    Parameters
    ----------
    argv : list of str, optional
        Arguments instead of those of the command line.

    Returns
    -------
    int
        Exit code.
    """
    args = build_parser().parse_args(argv)
    if args.store is not None:
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        results = compare(
            load_store(args.store),
            size=args.size,
            steps=args.steps,
            batch=args.batch,
            fit_chains=args.fit_chains,
            seeds=args.seeds,
        )
        save_results(args.output, results)
    write_report(args.output, REPOSITORY / "docs" / "results")
    return 0


def compare(
    store: ChainStore, *, size: int, steps: int, batch: int, fit_chains: int, seeds: int
) -> dict[str, Any]:
    """
    Train and measure every preset.

    Parameters
    ----------
    store : ChainStore
        Training and validation chains.
    size : int
        Number of codes.
    steps : int
        Optimizer steps of each training.
    batch : int
        Latents per step.
    fit_chains : int
        Training chains to take latents from, spread evenly over the split.
    seeds : int
        Trainings of each preset.

    Returns
    -------
    dict
        Configuration, and one entry per preset; JSON values.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    tokenizer = StructureTokenizer.from_pretrained()
    fit = latents_of(store, tokenizer, "train", fit_chains)
    measured = latents_of(store, tokenizer, "validation", None)
    names = [f"{method}{curriculum}" for method in METHODS for curriculum in CURRICULA]
    columns = (TextColumn("{task.description:<20}"), MofNCompleteColumn(), TimeElapsedColumn())
    runs = [kmeans_run(fit, measured, size=size, seed=seed) for seed in range(seeds)]
    presets: dict[str, Any] = {"k-means": {"runs": runs}}
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            progress.update(task, description=name)
            presets[name] = fitted(
                name, fit, measured, size=size, steps=steps, batch=batch, seeds=seeds
            )
            progress.advance(task)
    return {
        "format": "provq-quantizer-comparison",
        "config": {
            "size": size,
            "steps": steps,
            "batch": batch,
            "fit_chains": fit_chains,
            "fit_latents": len(fit),
            "measured_latents": len(measured),
            "seeds": list(range(seeds)),
            "learning_rates": list(LEARNING_RATES),
            "warmup_share": WARMUP,
            "transition_share": TRANSITION,
            "initial_coupling": 1.0,
        },
        "model": tokenizer.fingerprint,
        "data_hash": store.content_hash(),
        "latents_sha256": hashlib.sha256(measured.numpy().tobytes()).hexdigest()[:16],
        "latents": spread_of(measured),
        "versions": {
            "provq": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "presets": presets,
    }


@torch.no_grad()
def latents_of(
    store: ChainStore, tokenizer: StructureTokenizer, split: str, count: int | None
) -> Tensor:
    """
    Return the encoder's latents of all resolved residues of some chains.

    Parameters
    ----------
    store : ChainStore
        The chains.
    tokenizer : StructureTokenizer
        Has the encoder.
    split : str
        ``"train"`` or ``"validation"``.
    count : int, optional
        So many chains, spread evenly over the split; all by default.

    Returns
    -------
    Tensor, shape=(latent, dim), dtype=float32
        Latents.
    """
    chains = [int(chain) for chain in store.select(split)]
    if count is not None:
        chains = chains[:: max(1, len(chains) // count)][:count]
    backbones = [store.backbone(chain) for chain in chains]
    latents = torch.cat([torch.from_numpy(each) for each in tokenizer.embed(backbones)])
    return latents[torch.isfinite(latents).all(dim=1)]


def fitted(
    name: str, fit: Tensor, measured: Tensor, *, size: int, steps: int, batch: int, seeds: int
) -> dict[str, Any]:
    """
    Choose a learning rate for a preset, train it with each seed, and measure.

    Parameters
    ----------
    name : str
        The preset.
    fit, measured : Tensor, shape=(latent, dim), dtype=float32
        Latents to train on and latents to measure on.
    size, steps, batch, seeds : int
        As in `compare`.

    Returns
    -------
    dict
        Learning rate, all distortions that it was chosen by, and the runs.
    """
    held = int(len(fit) * _HELD_BACK)
    order = torch.randperm(len(fit), generator=torch.Generator().manual_seed(0))
    choosing, training = fit[order[:held]], fit[order[held:]]
    settings = {"size": size, "steps": steps, "batch": batch}
    first = {rate: train(name, training, rate=rate, seed=0, **settings) for rate in LEARNING_RATES}
    grid = {rate: scores(each, training, choosing)["distortion"] for rate, each in first.items()}
    rate = min(grid, key=grid.__getitem__)
    others = [train(name, training, rate=rate, seed=seed, **settings) for seed in range(1, seeds)]
    return {
        "learning_rate": rate,
        "held_back_distortion": {str(key): value for key, value in grid.items()},
        "runs": [scores(quantizer, training, measured) for quantizer in (first[rate], *others)],
    }


@torch.no_grad()
def scores(quantizer: ProgressiveQuantizer, fit: Tensor, latents: Tensor) -> dict[str, float]:
    """
    Measure a trained quantizer.

    Parameters
    ----------
    quantizer : ProgressiveQuantizer
        In eval mode.
    fit : Tensor, shape=(latent, dim), dtype=float32
        Latents that it was trained on.
    latents : Tensor, shape=(latent, dim), dtype=float32
        Latents that it was not trained on.

    Returns
    -------
    dict
        As `summary`.
    """
    indices = quantizer.encode(latents)
    levels = indices.reshape(len(latents), -1)
    usages = [CodeUsage(quantizer.codebook.size) for _ in range(levels.shape[1])]
    for usage, column in zip(usages, levels.T, strict=True):
        usage.add(column)
    readout = affine_readout(quantizer.decode(quantizer.encode(fit)), fit)
    return summary(latents, quantizer.decode(indices), usages, readout)


def kmeans_run(fit: Tensor, measured: Tensor, *, size: int, seed: int) -> dict[str, float]:
    """
    Measure k-means without any training: what seeding alone would do.

    Parameters
    ----------
    fit, measured : Tensor, shape=(latent, dim), dtype=float32
        Latents to cluster and latents to measure on.
    size : int
        Number of codes.
    seed : int
        Of the clustering.

    Returns
    -------
    dict
        As `summary`.
    """
    codes = kmeans(fit, size, generator=torch.Generator().manual_seed(seed))
    indices = nearest_codes(measured, codes)
    usage = CodeUsage(size)
    usage.add(indices)
    readout = affine_readout(codes[nearest_codes(fit, codes)], fit)
    return summary(measured, codes[indices], [usage], readout)


def affine_readout(quantized: Tensor, latents: Tensor) -> Tensor:
    """
    Return the affine map that best leads from quantized latents back to latents.

    Parameters
    ----------
    quantized, latents : Tensor, shape=(latent, dim), dtype=float32
        After and before quantization.

    Returns
    -------
    Tensor, shape=(dim + 1, dim), dtype=float64
        Its matrix, with the shift in the last row. A decoder can learn it: without it, a book on
        the unit sphere would be charged for the length of the latents.
    """
    # By pseudo-inverse: quantized latents may lie in a subspace.
    return torch.linalg.pinv(_with_ones(quantized)) @ latents.double()


def _with_ones(vectors: Tensor) -> Tensor:
    return torch.cat([vectors.double(), vectors.new_ones(len(vectors), 1).double()], dim=1)


def summary(
    latents: Tensor, quantized: Tensor, usages: list[CodeUsage], readout: Tensor
) -> dict[str, float]:
    """
    Sum up one run.

    Parameters
    ----------
    latents, quantized : Tensor, shape=(latent, dim), dtype=float32
        Before and after.
    usages : list of CodeUsage
        One per level.
    readout : Tensor, shape=(dim + 1, dim), dtype=float64
        From `affine_readout`.

    Returns
    -------
    dict
        Relative distortion with and without the readout, utilization and perplexity (means over
        levels), bits of an index, and the spread of the quantized latents.
    """
    return {
        "distortion": relative_distortion(latents, _with_ones(quantized) @ readout),
        "raw_distortion": relative_distortion(latents, quantized),
        "utilization": sum(each.utilization for each in usages) / len(usages),
        "perplexity": sum(each.perplexity for each in usages) / len(usages),
        "bits": sum(math.log2(len(each.counts)) for each in usages),
        **spread_of(quantized),
    }


def relative_distortion(latents: Tensor, quantized: Tensor) -> float:
    """
    Return the mean squared error relative to the variance of the latents.

    Parameters
    ----------
    latents, quantized : Tensor, shape=(latent, dim), dtype=float32
        Before and after.

    Returns
    -------
    float
        0 for a perfect quantizer, 1 for one that only knows the mean.
    """
    error = (latents - quantized).detach().double().square().sum()
    return float(error / (latents - latents.mean(dim=0)).double().square().sum())


def spread_of(vectors: Tensor) -> dict[str, float]:
    """
    Return how many dimensions vectors fill.

    Parameters
    ----------
    vectors : Tensor, shape=(vector, dim), dtype=float32
        Latents, quantized or not.

    Returns
    -------
    dict
        Principal components for 99 % of the variance, and the participation ratio.
    """
    return {
        "effective_dimension": effective_dimension(vectors),
        "participation_ratio": participation_ratio(vectors),
    }


if __name__ == "__main__":
    sys.exit(main())
