"""Draw the rate-distortion curve of a model: what limits it, encoder and decoder, codes, or rate?

    python benchmarks/rate_distortion/run.py --store chains.h5  # measure, then write the page
    python benchmarks/rate_distortion/run.py                    # only write the page
    python benchmarks/rate_distortion/run.py --check            # exit 1 if page or figure is stale

Codes are fitted to training chains of the store and measured on its validation chains, and on
structure files if there are any. The numbers depend on model, chains, options and seed: no times,
no folders.
"""

import argparse
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reconstruction.run import describe_model  # noqa: E402
from reconstruction.sources import ChainSet, from_store  # noqa: E402
from reporting.files import save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError, StructureError  # noqa: E402
from provq_protein.runs import checkpoint  # noqa: E402
from provq_protein.structure.reading import read_backbones  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402
from provq_protein.training.store import ChainStore, load_store  # noqa: E402
from rate_distortion import figure, page  # noqa: E402
from rate_distortion import results as results_file  # noqa: E402
from rate_distortion.measure import (  # noqa: E402
    Settings,
    Watch,
    build_points,
    describe_set,
    measure_set,
    to_json,
    training_chains,
)

SHIPPED = REPOSITORY / "provq_protein" / "models" / "default"
_PAGE = REPOSITORY / "docs" / "results" / "rate_distortion.md"
_SCRIPT = "benchmarks/rate_distortion/run.py"
_Item = TypeVar("_Item")


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
    add = parser.add_argument
    add("--store", type=Path, help="chain store that the model was trained on; without it, measure "
        "nothing")  # fmt: skip
    add("--model", type=Path, default=SHIPPED, help="model folder (default: the shipped model)")
    add("--structures", type=Path, nargs="+", default=[], metavar="FILE", help="measured apart")
    add("--chains", type=_count, default=64, help="validation chains, at most (default: 64)")
    add("--sizes", type=_count, nargs="+", default=[64, 256, 1024, 4096, 16384], metavar="CODES",
        help="of k-means (default: 64 256 1024 4096 16384)")  # fmt: skip
    add("--residual-sizes", type=_count, nargs="+", default=[256, 4096], metavar="CODES",
        help="of a second level (default: 256 4096)")  # fmt: skip
    add("--step-sizes", type=_count, nargs="+", default=[512, 4096], metavar="CODES",
        help="of the baseline without a network (default: 512 4096)")  # fmt: skip
    add("--latents", type=_count, default=131072, help="to fit codes to (default: 131072)")
    add("--iterations", type=_count, default=10, help="of k-means, at most (default: 10)")
    add("--seed", type=int, default=0, help="of sample, centroids and bootstrap samples")
    add("--threads", type=_count, default=1, help="CPU threads (default: 1)")
    add("--results", type=Path, help="results file (default: in this folder, after the model)")
    add("--page", type=Path, help="page, with the figure beside it (default: docs/results for the "
        "shipped model, else beside the results)")  # fmt: skip
    add("--check", action="store_true", help="write nothing; exit 1 if page or figure is stale")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure, if there is a store, and write the page; or check it.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if something is stale, 2 if something cannot be read.
    """
    args = build_parser().parse_args(argv)
    results_path, page_path = places(args)
    try:
        if args.store is not None and not args.check:
            torch.set_num_threads(args.threads)
            save_results(results_path, measure(args))
            print(f"wrote {results_path}")
        results = results_file.load_results(results_path)
        if args.check:
            return _check(results, page_path)
        page_path.parent.mkdir(parents=True, exist_ok=True)
        figure.draw(results, page_path.with_suffix(""))
        page_path.write_text(page.document(results, page_path.stem), encoding="utf-8")
    except (ProvqError, OSError, ValueError) as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    print("wrote", page_path, *figure.paths(page_path), sep="\n  ")
    return 0


def places(args: argparse.Namespace) -> tuple[Path, Path]:
    """
    Return where results and page are kept.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    tuple of (Path, Path)
        Results file and page.
    """
    folder = Path(__file__).parent / "results"
    model = args.model.resolve()
    if model == SHIPPED:
        results, written = args.results or folder / "default.json", _PAGE
    else:
        # Model folders of runs are all called `model`.
        results = args.results or folder / f"{model.parent.name}_{model.name}.json"
        written = results.with_suffix(".md")
    # A results file of one's own does not replace the page of the shipped model.
    return results, args.page or (results.with_suffix(".md") if args.results else written)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """
    Measure the model.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ProvqError
        If model, store or structures cannot be used.
    """
    from rich.console import Console
    from rich.progress import Progress

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    data_hash = _data_hash(args.model)
    store = load_store(args.store)
    sets = chain_sets(args, store, data_hash)
    settings = _settings(args)
    with Progress(console=Console(stderr=True)) as bars, torch.no_grad():

        def track(items: Sequence[_Item], label: str, /) -> Iterable[_Item]:
            return bars.track(items, total=len(items), description=label)

        watch: Watch = track
        chains = training_chains(store, settings)
        points, fitted_to = build_points(tokenizer, chains, settings, watch)
        measured = {one.name: measure_set(tokenizer, one, points, watch) for one in sets}
    return {
        "format": results_file.FORMAT,
        "format_version": results_file.FORMAT_VERSION,
        "model": describe_model(args.model, tokenizer),
        "data_hash": data_hash,
        "settings": {"iterations": settings.iterations, "seed": settings.seed},
        "fitted_to": fitted_to,
        "command": command(args),
        "versions": {
            "provq": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "sets": {one.name: describe_set(one) for one in sets},
        "points": to_json(points, measured),
    }


def chain_sets(args: argparse.Namespace, store: ChainStore, data_hash: str) -> list[ChainSet]:
    """
    Read all sets, before codes are fitted.

    Parameters
    ----------
    args : Namespace
        Parsed options.
    store : ChainStore
        The store of the option.
    data_hash : str
        Content hash of the store that the model was trained on.

    Returns
    -------
    list of ChainSet
        Validation, then structures if there are any.

    Raises
    ------
    StructureError
        If a set has no chain, or the store is another one.
    """
    if not len(store.select("validation")):
        msg = f"{args.store}: has no validation chains to measure on; make another chain store"
        raise StructureError(msg)
    found = from_store(args.store, data_hash=data_hash)
    chosen = found.backbones[: args.chains]
    origin = f"the first {len(chosen)} chains of the {found.origin}"
    sets = [ChainSet(found.name, origin, chosen, found.left_out)]
    if args.structures:
        sets.append(from_paths(args.structures))
    return sets


def from_paths(paths: Sequence[Path]) -> ChainSet:
    """
    Read structure files.

    Parameters
    ----------
    paths : sequence of Path
        The files.

    Returns
    -------
    ChainSet
        The set ``structures``: all protein chains of model 1 of each file.

    Raises
    ------
    StructureError
        If a file cannot be read, or no chain has a resolved residue.
    """
    found = [chain for path in paths for chain in read_backbones(path)]
    usable = [chain for chain in found if chain.resolved.any()]
    if not usable:
        msg = f"--structures: no residue of {len(found)} chains has all of N, CA and C"
        raise StructureError(msg)
    folders = sorted({path.resolve().parent.name for path in paths})
    origin = f"{len(paths)} structure files of {' and '.join(folders)}"
    left_out = [f"{one.source}: chain {one.chain_id}" for one in found if not one.resolved.any()]
    return ChainSet("structures", origin, usable, left_out)


def command(args: argparse.Namespace) -> str:
    """
    Return the command that makes the same numbers, without folders of this machine.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    str
        For a shell.
    """
    words = ["python", _SCRIPT, "--store", args.store.name]
    if args.model.resolve() != SHIPPED:
        words += ["--model", args.model.resolve().name]
    default = build_parser()
    for name in ("sizes", "residual_sizes", "step_sizes"):
        if getattr(args, name) != default.get_default(name):
            words += [f"--{name.replace('_', '-')}", *map(str, getattr(args, name))]
    for name in ("chains", "latents", "iterations", "seed"):
        if getattr(args, name) != default.get_default(name):
            words += [f"--{name}", str(getattr(args, name))]
    shown = sorted({f"{path.resolve().parent.name}/*{path.suffix}" for path in args.structures})
    return " ".join([shlex.join(words), *(["--structures", *shown] if shown else [])])


def _check(results: results_file.Results, page_path: Path) -> int:
    stale = [path for path in figure.paths(page_path) if not figure.is_current(path, results)]
    text = page.document(results, page_path.stem)
    if not page_path.is_file() or page_path.read_text(encoding="utf-8") != text:
        stale.append(page_path)
    for path in stale:
        print(f"{path}: does not show the current results; run {_SCRIPT}", file=sys.stderr)
    return 1 if stale else 0


def _data_hash(model: Path) -> str:
    training = checkpoint.load_document(model / checkpoint.CONFIG).get("training", {})
    if not training.get("data_hash"):
        msg = (
            f"{model}: records no chain store that it was trained on, so that its validation "
            "chains are unknown; measure what provq-protein train wrote"
        )
        raise ConfigError(msg)
    return training["data_hash"]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"expected 1 or more, got {number}"
        raise argparse.ArgumentTypeError(msg)
    return number


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(
        sizes=_distinct(args.sizes),
        residual_sizes=_distinct(args.residual_sizes),
        step_sizes=_distinct(args.step_sizes),
        latents=args.latents,
        iterations=args.iterations,
        seed=args.seed,
    )


def _distinct(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(sizes)))


if __name__ == "__main__":
    sys.exit(main())
