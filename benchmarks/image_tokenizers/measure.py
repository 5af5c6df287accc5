"""Measure trained image tokenizers for the comparison, and write one results file for each.

    python benchmarks/image_tokenizers/measure.py runs/* --data tiny_imagenet_100.tar

A run folder is what ``provq-vision train`` wrote to its end. Row and seed are taken from the recipe
that the model records. Runs that were measured before are left out. Runs with the seed 0 leave a
picture of a few reconstructions beside the results.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules. The
    # script's folder is named like a package that others may have installed.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.curves import METRICS, read_curves  # noqa: E402
from reporting.files import save_results  # noqa: E402
from reporting.machine import machine, versions  # noqa: E402

from image_tokenizers import pictures  # noqa: E402
from image_tokenizers import results as results_file  # noqa: E402
from image_tokenizers.reference import load_reference  # noqa: E402
from image_tokenizers.rows import row_of  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402
from provq_protein.runs import checkpoint  # noqa: E402
from provq_vision.images.listing import ImageSet, open_images  # noqa: E402
from provq_vision.metrics.evaluation import evaluate  # noqa: E402
from provq_vision.metrics.extractors import FeatureExtractor, make_extractor  # noqa: E402
from provq_vision.metrics.files import file_sha256  # noqa: E402
from provq_vision.model import ImageAutoencoder  # noqa: E402

if TYPE_CHECKING:
    from rich.progress import Progress

MODEL = "model"
_CURVES = ("loss_pixel", "codebook_loss", "latent_norm")
# "continuous": the latents themselves were decoded.
_CHECKS = ("psnr", "ssim", "utilization", "perplexity", "continuous")
_PACKAGES = ("provq", "torch", "numpy", "pillow")


@dataclass(frozen=True)
class Ruler:
    """
    What all runs are measured with.

    Attributes
    ----------
    images : ImageSet
        The test images.
    pictured : ImageSet
        Those whose reconstructions are shown.
    extractor : FeatureExtractor or None
        Features of the Frechet distance.
    batch_size : int
        Images at once.
    cache : Path
        Folder for features of the originals.
    """

    images: ImageSet
    pictured: ImageSet
    extractor: FeatureExtractor | None
    batch_size: int
    cache: Path


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
    add_options(parser)
    parser.add_argument("--data", required=True, metavar="PATH", help="folder or .tar of images")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare how runs are measured.

    Parameters
    ----------
    parser : ArgumentParser
        Gets the options that ``row.py`` has as well.
    """
    parser.add_argument("--split", default="test", help="part of the data (default: test)")
    parser.add_argument(
        "--images",
        type=int,
        default=1000,
        metavar="N",
        help="test images, spread evenly over the sorted names (default: 1000)",
    )
    parser.add_argument(
        "--features",
        default="efficientnet-lite0",
        metavar="NAME",
        help="of the Frechet distance, as in provq-vision eval (default: %(default)s)",
    )
    # On one core, batches of 64 spend most of their time on getting memory for the features.
    parser.add_argument("--batch-size", type=int, default=4, help="images at once (default: 4)")
    parser.add_argument(
        "--cache",
        type=Path,
        default=REPOSITORY / "work" / "image_tokenizers",
        metavar="FOLDER",
        help="keeps features of the originals (default: work/image_tokenizers of the repository)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        metavar="FOLDER",
        help="of the files that are written",
    )


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
        0; 1 if a test image could not be read, 2 if something else cannot be; what was measured
        before is kept.
    """
    from rich.console import Console
    from rich.progress import Progress

    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    problems: set[tuple[str, str]] = set()
    try:
        jobs = plan(args.runs, args.results)
        ruler = make_ruler(args)
        with Progress(console=Console(stderr=True)) as bars:
            for path, run in jobs.items():
                if not args.again and results_file.is_current(path, _subject(run, ruler)):
                    print(f"{path.name}: is current")
                    continue
                found = measure(run, ruler, args.results, bars)
                save_results(path, found)
                problems |= {(name, reason) for name, reason in found["evaluation"]["problems"]}
                print(f"wrote {path}")
    except (ProvqError, OSError, ValueError) as error:
        print(f"measure.py: error: {error}", file=sys.stderr)
        return 2
    for name, reason in sorted(problems):
        print(f"{name}: {reason}", file=sys.stderr)
    return 1 if problems else 0


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
        If two runs have the same row and seed, or one records no recipe.
    CheckpointError
        If a folder holds no finished run.
    """
    jobs: dict[Path, Path] = {}
    for run in runs:
        recipe = _record(run)["recipe"]
        path = results_file.path_of(folder, row_of(recipe).key, recipe["seed"])
        if path in jobs:
            msg = f"{run} and {jobs[path]}: both are {path.stem}; name one of them"
            raise ConfigError(msg)
        jobs[path] = run
    return jobs


def make_ruler(args: argparse.Namespace) -> Ruler:
    """
    Open what all runs are measured with.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    Ruler
        Images and features.
    """
    images = open_images(args.data, split=args.split)
    return Ruler(
        images=spread(images, args.images),
        pictured=pictures.photographs(),
        extractor=make_extractor(args.features),
        batch_size=args.batch_size,
        cache=args.cache,
    )


def spread(images: ImageSet, count: int) -> ImageSet:
    """
    Choose images evenly over the sorted names, as ``provq-vision eval --limit`` does.

    Parameters
    ----------
    images : ImageSet
        Sorted by class.
    count : int
        How many.

    Returns
    -------
    ImageSet
        All of them, where there are no more.

    Raises
    ------
    ConfigError
        If the number is below 1.
    """
    if count < 1:
        msg = f"--images: expected 1 or more, got {count}"
        raise ConfigError(msg)
    total = len(images)
    if count >= total:
        return images
    return images.select(index * total // count for index in range(count))


def measure(run: Path, ruler: Ruler, folder: Path, bars: "Progress") -> dict[str, Any]:
    """
    Measure one run.

    Parameters
    ----------
    run : Path
        Its folder.
    ruler : Ruler
        From `make_ruler`.
    folder : Path
        Of the results; pictures go there.
    bars : Progress
        Where to show how far it is.

    Returns
    -------
    dict
        JSON values.
    """
    record = _record(run)
    row, seed, size = row_of(record["recipe"]), record["recipe"]["seed"], record["image_size"]
    curves = read_curves(run / METRICS, train=_CURVES, validation=_CHECKS)
    model = ImageAutoencoder.load(run / MODEL)
    originals = None
    if ruler.extractor is not None:
        originals = load_reference(
            ruler.images,
            extractor=ruler.extractor,
            size=size,
            batch_size=ruler.batch_size,
            cache=ruler.cache,
        )
    with _bar(bars, f"{row.key}.{seed}", len(ruler.images)) as advance:
        evaluation = evaluate(
            model,
            ruler.images,
            size=size,
            batch_size=ruler.batch_size,
            extractor=ruler.extractor,
            reference=originals,
            progress=advance,
        )
    return {
        "format": results_file.FORMAT,
        "format_version": results_file.FORMAT_VERSION,
        "row": row.key,
        "preset": row.preset,
        "scheduler": row.shape,
        "seed": seed,
        "model": {
            "fingerprint": model.fingerprint(),
            "weights_sha256": file_sha256(run / MODEL / checkpoint.WEIGHTS),
            "parameters": sum(one.numel() for one in model.parameters()),
        },
        "training": record,
        "evaluation": evaluation.to_json(),
        "curves": curves,
        "picture": pictures.write(model, ruler.pictured, folder, row=row.key, seed=seed, size=size),
        "machine": machine(),
        "versions": versions(_PACKAGES),
    }


@contextmanager
def _bar(bars: "Progress", label: str, total: int) -> "Iterator[Any]":
    task = bars.add_task(label, total=total)
    try:
        yield lambda done: bars.advance(task, done)
    finally:
        bars.remove_task(task)


def _subject(run: Path, ruler: Ruler) -> results_file.Subject:
    return results_file.Subject(
        weights_sha256=file_sha256(run / MODEL / checkpoint.WEIGHTS),
        images=ruler.images.content_hash(),
        size=_record(run)["image_size"],
        extractor=None if ruler.extractor is None else ruler.extractor.id,
    )


def _record(run: Path) -> dict[str, Any]:
    document = checkpoint.load_document(run / MODEL / checkpoint.CONFIG)
    training = document.get("training", {})
    if not training.get("recipe") or "image_size" not in training:
        msg = f"{run}: the model records no recipe; measure what provq-vision train wrote"
        raise ConfigError(msg)
    return training


if __name__ == "__main__":
    sys.exit(main())
