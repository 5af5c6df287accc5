"""How does ``provq-vision reconstruct`` show what tokens keep of images?"""

import argparse
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError
from provq_vision.cli.options import (
    INPUTS,
    add_image_options,
    add_model_options,
    list_images,
    load_tokenizer,
    report_image,
    shown,
)
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provq_vision.inputs import Gathered
    from provq_vision.tokenizer import ImageTokenizer, Reconstruction

_MOST = 100
_DESCRIPTION = f"""\
Encode and decode images, and write one PNG picture with a row for each: the original, its
reconstruction, and the difference of the two around middle gray. The PSNR of each is printed.

{INPUTS}

Images that cannot be encoded are reported on stderr, the others make up the picture, and the
exit code is 1."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``reconstruct``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "reconstruct",
        help="picture and PSNR of images after encoding and decoding",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_image_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="picture to write (PNG)"
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help=f"take N images, spread evenly over all; needed for more than {_MOST}",
    )
    add_model_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``reconstruct``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if an image could not be encoded.

    Raises
    ------
    ProvqError
        If the picture could not be written, the model not be loaded, or there are too many
        images for a picture.
    """
    from provq_protein.runs.files import check_output
    from provq_vision.images.pictures import grid, save_png

    check_output(Path(args.output), overwrite=args.overwrite)
    report = Report()
    tokenizer = load_tokenizer(args)
    size = tokenizer.size_for(args.size)
    images = list_images(args, report)
    total = len(images.images)
    rows = _rows(tokenizer, _limited(images, args.limit), size, report)
    # Of the whole, which the limit, or what is listed above, has made less.
    of = f"{len(rows):,} of " if total > len(rows) else ""
    done = f"{of}{count(total, 'image')} reconstructed"
    if rows:
        save_png(Path(args.output), grid(rows))
        report.summary(f"{done} to {args.output}: original, reconstruction, difference")
    else:
        report.summary(f"{done}, so nothing was written")
    return report.exit_code


def _rows(
    tokenizer: "ImageTokenizer", images: "Gathered", size: int, report: Report
) -> "list[list[NDArray[np.uint8]]]":
    """Print a line for each image, and return the rows of the picture."""
    rows, scores = [], []
    with progress(len(images.images), label="reconstructing") as done:
        for found in tokenizer.reconstruct(
            images, size=size, on_problem=lambda problem: report_image(report, problem)
        ):
            done(1)
            scores.append(_psnr(found))
            rows.append([found.original, found.pixels, _difference(found)])
            print(f"{scores[-1]:6.2f} dB  {shown(found.name)}", flush=True)
    if len(scores) > 1:
        print(f"{statistics.fmean(scores):6.2f} dB  mean of {len(scores)} images")
    return rows


def _limited(images: "Gathered", limit: int | None) -> "Gathered":
    if limit is None and len(images.images) > _MOST:
        msg = (
            f"{count(len(images.images), 'image')} are too many for one picture (at most {_MOST} "
            "unasked); say how many of them with --limit"
        )
        raise ConfigError(msg)
    total = len(images.images)
    if limit is None or limit >= total:
        return images
    # Names of a set are sorted by class: the first N would be of a few classes.
    chosen = [images.images[number * total // limit] for number in range(limit)]
    return images._replace(images=chosen)


def _psnr(found: "Reconstruction") -> float:
    import torch

    from provq_vision.metrics.fidelity import psnr

    pair = [
        torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        for pixels in (found.pixels, found.original)
    ]
    return float(psnr(*pair))


def _difference(found: "Reconstruction") -> "NDArray[np.uint8]":
    import numpy as np

    gap = found.pixels.astype(np.int16) - found.original + 128
    return np.clip(gap, 0, 255).astype(np.uint8)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"must be 1 or more, got {value}"
        raise argparse.ArgumentTypeError(msg)
    return value
