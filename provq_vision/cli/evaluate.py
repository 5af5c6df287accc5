"""How does ``provq-vision eval`` measure what encoding and decoding leave of images?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError
from provq_protein.runs.files import check_output
from provq_vision.cli.options import usable_device
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provq_vision.images.listing import ImageSet
    from provq_vision.metrics.frechet import FeatureSums
    from provq_vision.metrics.record import Evaluation

NAME = "eval"
HELP = "reconstruction quality and use of the codes on a set of images"

_DESCRIPTION = """\
Encode and decode images, and compare the result with the originals: PSNR and SSIM of each image,
the Frechet distance between the two sets (rFID) where --features names a network, and how the
codes are used. Images are center-cropped; those that cannot be read are listed and left out."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``eval``.

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
    parser.add_argument("--model", metavar="FOLDER", type=Path, required=True, help="model folder")
    parser.add_argument(
        "--data",
        metavar="PATH",
        nargs="+",
        required=True,
        help="folder, tar archive or image files",
    )
    parser.add_argument("--split", help="part of the data, for instance val")
    parser.add_argument(
        "--size",
        type=int,
        help="sides of the center crops, in pixels (default: those that the model was trained on)",
    )
    parser.add_argument(
        "--eval-size",
        type=int,
        metavar="SIZE",
        help="resize both to this before they are compared (default: the value of --size)",
    )
    parser.add_argument(
        "--features",
        metavar="NAME",
        default="none",
        help="network of the Frechet distance: efficientnet-lite0, inception:PATH with the path of "
        "local weights, or none (default)",
    )
    parser.add_argument(
        "--reference",
        metavar="PATH",
        help="images that the reconstructions are compared with as a set, or an .npz file of "
        "feature sums (default: the originals)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="measure N images, spread evenly over the sorted names",
    )
    parser.add_argument("--batch-size", type=int, default=64, help="images at once (default: 64)")
    parser.add_argument("--device", default="cpu", help="for instance cuda (default: cpu)")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="write all numbers to this JSON file"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``eval``.

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
        If the output exists already, an option is impossible, or model, images or weights cannot
        be loaded.
    """
    if args.output is not None:
        check_output(args.output, overwrite=args.overwrite)
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_vision.images.listing import open_images
    from provq_vision.metrics.evaluation import evaluate
    from provq_vision.metrics.extractors import make_extractor
    from provq_vision.tokenizer import ImageTokenizer

    device = usable_device(args.device)
    images = _limited(open_images(args.data, split=args.split), args.limit)
    extractor = make_extractor(args.features, device=device)
    reference = None if args.reference is None else _reference(args.reference)
    tokenizer = ImageTokenizer.from_pretrained(args.model, device=device)
    with progress(len(images), label="evaluating") as advance:
        result = evaluate(
            tokenizer.model,
            images,
            size=tokenizer.size_for(args.size),
            eval_size=args.eval_size,
            batch_size=args.batch_size,
            extractor=extractor,
            reference=reference,
            progress=advance,
        )
    report = Report()
    for name, reason in result.problems:
        report.problem(f"{name}: {reason}")
    for line in _lines(result):
        print(line)
    if args.output is not None:
        result.save(args.output)
    report.summary(f"{count(result.setting.n_images, 'image')} evaluated")
    return report.exit_code


def _limited(images: "ImageSet", limit: int | None) -> "ImageSet":
    if limit is None:
        return images
    if limit < 1:
        msg = f"--limit: expected 1 or more, got {limit}"
        raise ConfigError(msg)
    # Names are sorted by class: the first N would be of a few classes.
    total = len(images)
    return (
        images.select(index * total // limit for index in range(limit)) if limit < total else images
    )


def _reference(path: str) -> "ImageSet | FeatureSums":
    from provq_vision.images.listing import open_images
    from provq_vision.metrics.frechet import FeatureSums

    return FeatureSums.load(Path(path)) if path.endswith(".npz") else open_images(path)


def _lines(result: "Evaluation") -> "Iterator[str]":
    setting, fidelity, frechet = result.setting, result.fidelity, result.frechet
    yield f"model {setting.model}, {count(setting.n_images, 'image')} of set {setting.images[:16]}"
    grid = f"{setting.token_rows} x {setting.token_columns}"
    yield f"size {setting.size}, compared at {setting.eval_size}, {grid} tokens per image"
    if fidelity.psnr is not None:
        yield f"PSNR {fidelity.psnr:.3f} dB"
    if fidelity.n_identical:
        yield f"{count(fidelity.n_identical, 'image')} reproduced exactly, not counted in the PSNR"
    yield f"SSIM {fidelity.ssim:.4f} (data range 2, as LlamaGen: {fidelity.ssim_llamagen:.4f})"
    if frechet is not None:
        which = "the originals" if frechet.is_paired else frechet.reference[:16]
        yield (
            f"rFID {frechet.rfid:.4f} ({frechet.extractor}, weights {frechet.weights_sha256[:8]}, "
            f"N {frechet.n_images:,} against {frechet.n_reference:,} of {which})"
        )
    for level, codes in enumerate(result.codes):
        where = f"level {level}: " if len(result.codes) > 1 else ""
        yield (
            f"{where}codes used {codes.utilization:.2%} of {setting.codebook_size:,} by "
            f"{codes.n_tokens:,} tokens; perplexity {codes.perplexity:.1f}, "
            f"{codes.group_perplexity:.1f} in a group of {codes.tokens_per_group:,.0f}"
        )
        distances = f"{codes.distance:.4f}, of the table {codes.distance_raw:.4f}"
        yield f"{where}mean code distance {distances}"
    yield f"mean length of latents {result.latent_norm:.4f}"
