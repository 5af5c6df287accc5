"""Measure trained tokenizers for the comparison, and write one results file for each.

    python benchmarks/tokenizer_comparison/measure.py --store chains.h5 runs/*

A run folder is what ``provq-protein train`` wrote to its end. Variant and seed are taken from the
recipe that the model records. Runs that were measured before are left out.
"""

import argparse
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules. The
    # script's folder is named like a package that others may have installed.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reconstruction.run import describe_model  # noqa: E402
from reconstruction.sources import ChainSet, from_arrays, from_files, from_store  # noqa: E402
from reporting.files import save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402
from provq_protein.runs import checkpoint  # noqa: E402
from provq_protein.structure.backbone import Backbone  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402
from tokenizer_comparison import results as results_file  # noqa: E402
from tokenizer_comparison.curves import METRICS, read_curves  # noqa: E402
from tokenizer_comparison.scores import measure_codes, measure_set, picture  # noqa: E402
from tokenizer_comparison.variants import variant_of  # noqa: E402

if TYPE_CHECKING:
    from rich.progress import Progress

MODEL = "model"
_DATA = REPOSITORY.parent / "shared" / "data"


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
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_FOLDER")
    parser.add_argument(
        "--store", type=Path, required=True, help="chain store that the models were trained on"
    )
    parser.add_argument(
        "--casp14",
        type=Path,
        default=_DATA / "structures" / "casp14",
        help="folder with structure files of the targets",
    )
    parser.add_argument("--arrays", type=Path, default=_DATA / "backbones.npz")
    parser.add_argument(
        "--sets", type=Path, default=_DATA / "sets.json", help="lists cameo2022 in --arrays"
    )
    parser.add_argument(
        "--limit", type=int, help="measure this many chains of each set only, for a try"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--output-folder", type=Path, default=Path(__file__).parent / "results", help="of the files"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure and write.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0, or 2 if something cannot be read; what was measured before is kept.
    """
    from rich.console import Console
    from rich.progress import Progress

    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        jobs = plan(args.runs, args.output_folder)
        sets = chain_sets(args, next(iter(jobs.values())))
        wanted = [(one.name, one.content_hash()) for one in sets]
        with Progress(console=Console(stderr=True)) as bars:
            for path, run in jobs.items():
                if results_file.is_current(path, run / MODEL, wanted):
                    print(f"{path.name}: is current")
                    continue
                save_results(path, measure(run, sets, bars))
                print(f"wrote {path}")
    except (ProvqError, OSError, ValueError) as error:
        print(f"measure.py: error: {error}", file=sys.stderr)
        return 2
    return 0


def plan(runs: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """
    Decide which run goes into which file, before the first is measured.

    Parameters
    ----------
    runs : sequence of Path
        Run folders.
    folder : Path
        Of the results.

    Returns
    -------
    dict of Path to Path
        Results file to run folder.

    Raises
    ------
    ConfigError
        If two runs have the same variant and seed, or one has none.
    CheckpointError
        If a folder holds no finished run.
    """
    jobs: dict[Path, Path] = {}
    for run in runs:
        recipe = _training(run)["recipe"]
        path = results_file.path_of(folder, variant_of(recipe, where=str(run)), recipe["seed"])
        if path in jobs:
            msg = f"{run} and {jobs[path]}: both are {path.stem}; name one of them"
            raise ConfigError(msg)
        jobs[path] = run
    return jobs


def chain_sets(args: argparse.Namespace, run: Path) -> list[ChainSet]:
    """
    Read all sets.

    Parameters
    ----------
    args : Namespace
        Parsed options.
    run : Path
        A run; it must have been trained on the store.

    Returns
    -------
    list of ChainSet
        Test sets first.
    """
    sets = [
        from_files("casp14", args.casp14),
        from_arrays("cameo2022", args.arrays, args.sets),
        from_store(args.store, data_hash=_training(run)["data_hash"]),
    ]
    return [
        ChainSet(one.name, one.origin, one.backbones[: args.limit], one.left_out) for one in sets
    ]


def measure(run: Path, sets: Sequence[ChainSet], bars: "Progress") -> dict[str, Any]:
    """
    Measure one run.

    Parameters
    ----------
    run : Path
        Its folder.
    sets : sequence of ChainSet
        From `chain_sets`.
    bars : Progress
        Where to show how far it is.

    Returns
    -------
    dict
        JSON values.
    """
    training = _training(run)
    variant = variant_of(training["recipe"], where=str(run))
    curves = read_curves(run / METRICS)
    tokenizer = StructureTokenizer.from_pretrained(run / MODEL)
    # The folder is called `model` in every run.
    described = {k: v for k, v in describe_model(run / MODEL, tokenizer).items() if k != "name"}
    measured: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    for chains in sets:
        label = f"{variant}.{training['recipe']['seed']} {chains.name}"

        def watch(items: Sequence[Backbone], label: str = label) -> Iterable[Backbone]:
            return bars.track(items, total=len(items), description=label)

        measured[chains.name], latents = measure_set(tokenizer, chains, watch=watch)
        shown = {"set": chains.name, **picture(tokenizer, latents)}
    return {
        "format": results_file.FORMAT,
        "format_version": results_file.FORMAT_VERSION,
        "variant": variant,
        "seed": training["recipe"]["seed"],
        "model": described,
        "training": training,
        "versions": {
            "provq": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "codes": measure_codes(tokenizer),
        "sets": measured,
        "curves": curves,
        "picture": shown,
    }


def _training(run: Path) -> dict[str, Any]:
    document = checkpoint.load_document(run / MODEL / checkpoint.CONFIG)
    training = document.get("training", {})
    if not training.get("recipe"):
        msg = f"{run}: the model records no recipe; measure what provq-protein train wrote"
        raise ConfigError(msg)
    return training


if __name__ == "__main__":
    sys.exit(main())
