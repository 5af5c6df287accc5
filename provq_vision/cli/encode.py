"""How does ``provq-vision encode`` turn images into tokens?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_vision.cli.options import (
    INPUTS,
    add_image_options,
    add_model_options,
    list_images,
    load_tokenizer,
    report_image,
)
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    from provq_vision.tokens import ImageTokens

_DESCRIPTION = f"""\
Encode images into one file of tokens: a grid of code numbers per image, with names and classes.

{INPUTS}

Images that cannot be encoded are reported on stderr, the others are encoded in the order of the
command line, and the exit code is 1."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``encode``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "encode",
        help="images to tokens",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_image_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="token file to write (.npz)"
    )
    add_model_options(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``encode``.

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
        If the output could not be written, or the model not be loaded; nothing is encoded.
    """
    from provq_protein.runs.files import check_output

    check_output(Path(args.output), overwrite=args.overwrite)
    report = Report()
    tokenizer = load_tokenizer(args)
    size = tokenizer.size_for(args.size)
    images = list_images(args, report)
    with progress(len(images.images), label="encoding") as done:
        tokens = tokenizer.encode(
            images,
            size=size,
            on_problem=lambda found: report_image(report, found),
            on_done=done,
        )
    number = f"{count(len(tokens), 'image')} encoded"
    if len(tokens):
        tokens.save(args.output, overwrite=args.overwrite)
        report.summary(f"{number} to {args.output}: {_content(tokens, size)}")
    else:
        report.summary(f"{number}, so nothing was written")
    return report.exit_code


def _content(tokens: "ImageTokens", size: int) -> str:
    import numpy as np

    rows, columns = tokens.grid
    levels = f" x {tokens.levels} levels" if tokens.levels > 1 else ""
    used = len(np.unique(tokens.ids))
    return (
        f"{rows} x {columns}{levels} tokens each, of {size} x {size} pixels; "
        f"{used:,} of {tokens.codebook_size:,} codes used"
    )
