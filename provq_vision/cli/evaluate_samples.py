"""How does ``provq-vision eval-gen`` measure how good generated images are?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError
from provq_protein.runs.files import check_output
from provq_vision.cli.options import SPLITS, shown, usable_device
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provq_vision.metrics.extractors import SampleExtractor
    from provq_vision.metrics.generation.record import SampleScores
    from provq_vision.metrics.generation.reference import ReferenceSource
    from provq_vision.metrics.generation.samples import Samples

NAME = "eval-gen"
HELP = "quality of generated images, against a set of real ones"

_DESCRIPTION = """\
Compare generated images with real ones: the Frechet distances of pooled and of spatial features
(FID, sFID), the Inception score, and precision and recall of neighborhoods. All of them depend on
the network, the reference and the numbers of images; those of papers take Inception's features
and 50,000 samples.

SAMPLE is an .npz file as `sample` writes it, with an array arr_0 of shape (image, size, size, 3)
and type uint8; or a folder, an uncompressed .tar or files of images. The reference is a folder,
.tar or .npz of the same kinds, a file of --save-reference, or a published .npz of statistics (mu,
sigma, mu_s, sigma_s), which takes Inception's features. Image files are center-cropped to --size;
those that cannot be read are listed and left out."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``eval-gen``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        NAME,
        help=HELP,
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "samples", nargs="+", metavar="SAMPLE", help=".npz file, folder, .tar or image file"
    )
    parser.add_argument(
        "--reference", metavar="PATH", required=True, help="real images, or what is stored of them"
    )
    parser.add_argument(
        "--reference-split", choices=SPLITS, help="part of a reference folder or archive to take"
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="sides of the crops in pixels (default: those of the samples, or of the reference)",
    )
    parser.add_argument(
        "--features",
        metavar="NAME",
        default="efficientnet-lite0",
        help="network: efficientnet-lite0 (default), or inception:PATH with the path of local "
        "weights",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="measure N samples, spread evenly over all"
    )
    parser.add_argument(
        "--save-reference",
        metavar="FILE",
        type=Path,
        help="keep what the network saw in the reference in this .npz file, for --reference",
    )
    parser.add_argument(
        "--device", default="cpu", help="where to compute, for instance cuda (default: cpu)"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="write all numbers to this JSON file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT and FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``eval-gen``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if an image could not be read.

    Raises
    ------
    ConfigError
        If an output exists already, or an option is impossible.
    ImageError
        If samples or reference cannot be used, or have different sizes.
    CheckpointError
        If weights or a stored reference cannot be loaded.
    """
    for path in (args.output, args.save_reference):
        if path is not None:
            check_output(path, overwrite=args.overwrite)
    _check_kept(args.save_reference)
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_vision.metrics.generation.reference import open_reference
    from provq_vision.metrics.generation.samples import open_samples

    device = usable_device(args.device)
    samples = _limited(open_samples(args.samples), args.limit)
    reference = open_reference(args.reference, split=args.reference_split)
    extractor = _extractor(args.features, device)
    result = _measured(samples, reference, extractor, size=args.size, kept=args.save_reference)
    report = Report()
    for name, reason in result.problems:
        report.problem(f"{shown(name)}: {reason}")
    for line in _lines(result):
        print(line)
    if args.output is not None:
        result.save(args.output)
    report.summary(f"{count(result.setting.n_samples, 'sample')} evaluated")
    return report.exit_code


def _measured(
    samples: "Samples",
    reference: "ReferenceSource",
    extractor: "SampleExtractor",
    *,
    size: int | None,
    kept: Path | None,
) -> "SampleScores":
    from provq_vision.metrics.generation.reference import Reference, measure_reference
    from provq_vision.metrics.generation.scores import common_size, evaluate_samples

    size = common_size(samples, reference, size)
    if not isinstance(reference, Reference):
        with progress(len(reference), label="reference") as advance:
            reference = measure_reference(
                reference, extractor=extractor, size=size, progress=advance
            )
    if kept is not None:
        reference.save(kept)
    with progress(len(samples), label="samples") as advance:
        return evaluate_samples(
            samples, reference, extractor=extractor, size=size, progress=advance
        )


def _check_kept(path: Path | None) -> None:
    if path is not None and path.suffix.lower() != ".npz":
        msg = f"--save-reference {path}: its name must end in .npz, by which --reference knows it"
        raise ConfigError(msg)


def _extractor(name: str, device: str) -> "SampleExtractor":
    from provq_vision.metrics.extractors import make_extractor

    extractor = make_extractor(name, device=device)
    if extractor is None:
        msg = f"--features {name}: nothing can be measured without a network; name one"
        raise ConfigError(msg)
    return extractor


def _limited(samples: "Samples", limit: int | None) -> "Samples":
    from provq_vision.metrics.generation.samples import SampleFiles, spread

    if limit is None:
        return samples
    if limit < 1:
        msg = f"--limit: expected 1 or more, got {limit}"
        raise ConfigError(msg)
    # Samples may be sorted by class: the first N would be of a few classes.
    if isinstance(samples, SampleFiles):
        return samples.limited(limit)
    return samples.select(spread(len(samples), limit).tolist())


def _lines(result: "SampleScores") -> "Iterator[str]":
    setting = result.setting
    pixels = f"{setting.size} x {setting.size} pixels"
    yield f"{count(setting.n_samples, 'sample')} of {pixels}, set {setting.samples[:16]}"
    images = "statistics" if setting.n_reference is None else count(setting.n_reference, "image")
    yield f"reference: {images} of set {setting.reference[:16]}"
    yield f"features: {setting.extractor}, weights {setting.weights_sha256[:8]}"
    yield f"FID {result.fid:.4f}"
    yield f"sFID {result.sfid:.4f} ({setting.spatial_extractor})"
    yield f"Inception score {result.inception_score:.4f}"
    if result.precision is not None and result.recall is not None:
        yield (
            f"precision {result.precision:.4f}, recall {result.recall:.4f} "
            f"({setting.neighbors} neighbors, {setting.n_reference_rows:,} reference images)"
        )
