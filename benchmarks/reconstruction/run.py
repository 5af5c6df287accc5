"""Measure how well a model reconstructs named sets of chains, and write the numbers down.

    python benchmarks/reconstruction/run.py --store chains.h5

With the defaults, the shipped model is measured on CASP14 (structure files), CAMEO2022 (array
layout) and, if ``--store`` names the chain store it was trained on, that store's validation split.
The result depends on nothing but the model, the chains and the seed: no times, no folders.
"""

import argparse
import multiprocessing
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.evaluation.roundtrip import evaluate_roundtrip  # noqa: E402
from provq_protein.runs import checkpoint  # noqa: E402
from provq_protein.structure.backbone import Backbone  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402
from reconstruction import results as results_file  # noqa: E402
from reconstruction.sources import ChainSet, from_arrays, from_files, from_store  # noqa: E402

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
    parser.add_argument(
        "--model",
        type=Path,
        default=REPOSITORY / "provq_protein" / "models" / "default",
        help="model folder (default: the shipped model); its name is that of the results file",
    )
    parser.add_argument(
        "--store", type=Path, help="chain store the model was trained on, for the set validation"
    )
    parser.add_argument(
        "--files",
        action="append",
        type=named_path,
        metavar="NAME=FOLDER",
        help="set of structure files (repeatable; default: CASP14 targets as casp14)",
    )
    parser.add_argument(
        "--array-set",
        action="append",
        metavar="NAME",
        help="set of records of --arrays, listed in --sets (repeatable; default: cameo2022)",
    )
    parser.add_argument("--arrays", type=Path, default=_DATA / "backbones.npz")
    parser.add_argument("--sets", type=Path, default=_DATA / "sets.json")
    parser.add_argument(
        "--data-description",
        type=Path,
        default=Path(__file__).parent / "training_data.txt",
        help="text about the training data, for the model card",
    )
    parser.add_argument("--seed", type=int, default=0, help="of controls and bootstrap samples")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per job (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="sets measured at once (default: 1)")
    parser.add_argument(
        "--output-folder", type=Path, default=Path(__file__).parent / "results", help="of the file"
    )
    return parser


def named_path(text: str) -> tuple[str, Path]:
    """
    Parse the value of ``--files``.

    Parameters
    ----------
    text : str
        For instance ``casp14=structures/casp14``.

    Returns
    -------
    tuple of (str, Path)
        Name and folder.

    Raises
    ------
    argparse.ArgumentTypeError
        If one of both is missing.
    """
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        msg = f"expected NAME=FOLDER, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, Path(folder)


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
        0, or 2 if something cannot be read.
    """
    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        document = checkpoint.load_document(args.model / checkpoint.CONFIG)
        tokenizer = StructureTokenizer.from_pretrained(args.model)
        sets = chain_sets(args, document["training"])
        described = args.data_description.read_text(encoding="utf-8").strip()
    except (ProvqError, OSError) as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    results = {
        "format": results_file.FORMAT,
        "format_version": results_file.FORMAT_VERSION,
        "model": describe_model(args.model, tokenizer),
        "config": document["model"],
        "training": document["training"],
        "training_data": described,
        "command": command(args),
        "versions": {
            "provq": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "sets": dict(zip([one.name for one in sets], measure_all(sets, args), strict=True)),
    }
    path = args.output_folder / f"{args.model.resolve().name}.json"
    save_results(path, results)
    print(f"wrote {path}; now update the model card with benchmarks/reconstruction/card.py")
    return 0


def chain_sets(args: argparse.Namespace, training: dict[str, Any]) -> list[ChainSet]:
    """
    Read all sets, before an hour is spent on the first.

    Parameters
    ----------
    args : Namespace
        Parsed options.
    training : dict
        How the model was made, from its configuration.

    Returns
    -------
    list of ChainSet
        Validation first.
    """
    sets = []
    if args.store is not None:
        sets.append(from_store(args.store, data_hash=training["data_hash"]))
    for name, folder in args.files or [("casp14", _DATA / "structures" / "casp14")]:
        sets.append(from_files(name, folder))
    for name in args.array_set or ["cameo2022"]:
        sets.append(from_arrays(name, args.arrays, args.sets))
    return sets


def measure_all(sets: Sequence[ChainSet], args: argparse.Namespace) -> list[dict[str, Any]]:
    """
    Measure sets, several at once if asked to; the numbers do not depend on it.

    Parameters
    ----------
    sets : sequence of ChainSet
        The sets.
    args : Namespace
        Parsed options.

    Returns
    -------
    list of dict
        JSON values, in the order of the sets.
    """
    common = [args.model] * len(sets), [args.seed] * len(sets), [args.threads] * len(sets)
    if args.jobs == 1:
        return [measure_with(*one) for one in zip(sets, *common, strict=True)]
    # Not forked: a fork of a process that has used torch's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=args.jobs, mp_context=context) as pool:
        return list(pool.map(measure_with, sets, *common))


def measure_with(chains: ChainSet, model: Path, seed: int, threads: int) -> dict[str, Any]:
    """
    Measure one set with a model that is loaded for it.

    Parameters
    ----------
    chains : ChainSet
        The set.
    model : Path
        Model folder.
    seed : int
        Of controls and bootstrap samples.
    threads : int
        CPU threads.

    Returns
    -------
    dict
        JSON values.
    """
    torch.set_num_threads(threads)
    return measure(chains, StructureTokenizer.from_pretrained(model), seed)


def measure(chains: ChainSet, tokenizer: StructureTokenizer, seed: int) -> dict[str, Any]:
    """
    Measure one set.

    Parameters
    ----------
    chains : ChainSet
        The set.
    tokenizer : StructureTokenizer
        The model.
    seed : int
        Of controls and bootstrap samples.

    Returns
    -------
    dict
        JSON values.
    """

    def watched(backbones: Sequence[Backbone]) -> Iterator[Backbone]:
        for number, backbone in enumerate(backbones, start=1):
            yield backbone
            if number % 10 == 0 or number == len(backbones):
                print(f"{chains.name}: {number} of {len(backbones)} chains", file=sys.stderr)

    report = evaluate_roundtrip(tokenizer, chains.backbones, seed=seed, progress=watched)
    return {
        "origin": chains.origin,
        "content_hash": chains.content_hash(),
        "chain_count": len(chains.backbones),
        "left_out": chains.left_out,
        **report.to_json(),
    }


def describe_model(folder: Path, tokenizer: StructureTokenizer) -> dict[str, Any]:
    """
    Return what identifies a model, and how large it is.

    Parameters
    ----------
    folder : Path
        Model folder.
    tokenizer : StructureTokenizer
        The same, loaded.

    Returns
    -------
    dict
        JSON values.
    """
    model = tokenizer.model
    # What codes mean is part of the codebook: the vectors and, where there is one, the steps.
    meaning = [model.quantizer, *([] if model.course is None else [model.course])]
    parts = {"encoder": [model.encoder], "codebook": meaning, "decoder": [model.decoder]}
    return {
        "name": folder.resolve().name,
        "fingerprint": tokenizer.fingerprint,
        "weights_sha256": results_file.weights_digest(folder),
        "weights_bytes": (folder / checkpoint.WEIGHTS).stat().st_size,
        "codebook_size": tokenizer.codebook_size,
        "latent_dim": int(tokenizer.codebook.shape[1]),
        "parameters": {
            name: sum(values.numel() for module in modules for values in module.parameters())
            for name, modules in parts.items()
        },
    }


def command(args: argparse.Namespace) -> str:
    """
    Return the command that makes the same file, without folders of this machine.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    str
        For a shell.
    """
    words = ["python", "benchmarks/reconstruction/run.py"]
    if args.model != build_parser().get_default("model"):
        words += ["--model", args.model.name]
    if args.store is not None:
        words += ["--store", args.store.name]
    for name, folder in args.files or []:
        words += ["--files", f"{name}={folder.name}"]
    for name in args.array_set or []:
        words += ["--array-set", name]
    if args.seed:
        words += ["--seed", str(args.seed)]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
