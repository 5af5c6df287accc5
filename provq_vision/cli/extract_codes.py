"""How does ``provq-vision extract-codes`` turn images into what a sequence model trains on?"""

import argparse
from pathlib import Path

from provq_protein.errors import ConfigError
from provq_vision.cli.options import (
    add_image_options,
    add_model_options,
    add_shard_option,
    load_tokenizer,
    report_image,
)
from provq_vision.cli.reporting import Report, count, progress

NAME = "extract-codes"
HELP = "images to a folder of codes, to train a sequence model on"

_DESCRIPTION = """\
Encode several crops of each image into a folder of codes, as LlamaGen trains on them: the corners
and the middle of a central square that is larger than the crop by a margin, and the same of its
mirror image.

IMAGE is a folder of class folders or of splits (train, val, test) of them, or an uncompressed
.tar of the same; every image needs a class. The folder that is written holds codes.json and one
file for every --shard-size images. Files that are whole are kept: the same command goes on with
an extraction that was interrupted. Several processes fill one folder with --shard 1/4, --shard
2/4, ...; what they write does not depend on how many they are.

Images that cannot be read are reported on stderr and recorded in the folder, the others are
encoded, and the exit code is 1. To try them again, delete the files that they belong to."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``extract-codes``.

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
    add_image_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, required=True, help="folder to fill"
    )
    parser.add_argument(
        "--crops",
        choices=("ten", "center"),
        default="ten",
        help="ten crops at each margin (default), or the central crop alone",
    )
    parser.add_argument(
        "--margins",
        type=float,
        nargs="+",
        metavar="M",
        help="sides of the squares of the ten crops, by sides of the crops (default: 1.1 1.05)",
    )
    parser.add_argument(
        "--shard-size", type=int, default=1024, metavar="N", help="images per file (default: 1024)"
    )
    add_shard_option(parser, "work off part I, from 1, of N parts of the files (default: all)")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``extract-codes``.

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
    ProvqError
        If model or images cannot be opened, or the folder holds other codes.
    """
    margins = _margins(args)
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_vision.extraction import CodeExtractor
    from provq_vision.images.listing import open_images

    images = open_images(args.images, split=args.split)
    extractor = CodeExtractor(
        load_tokenizer(args),
        images,
        size=args.size,
        margins=margins,
        shard_size=args.shard_size,
    )
    settings, (number, of) = extractor.settings, args.shard
    report = Report()
    total = sum(len(settings.members(k)) for k in range(number, settings.n_shards, of))
    with progress(total, label="extracting") as done:
        found = extractor.fill(
            args.output,
            number=number,
            of=of,
            on_problem=lambda problem: report_image(report, problem),
            on_done=done,
        )
    part = f" (part {number + 1} of {of})" if of > 1 else ""
    side, size = settings.grid, settings.image_size
    report.summary(
        f"{count(found.images, 'image')} in {args.output}{part}: {count(found.written, 'file')} "
        f"written, {found.kept:,} kept; {count(settings.views, 'view')} of {side} x {side} codes "
        f"each, of {size} x {size} pixels; {found.used:,} of {settings.vocabulary:,} codes used"
    )
    return report.exit_code


def _margins(args: argparse.Namespace) -> tuple[float, ...]:
    if args.crops == "ten":
        return tuple(args.margins or (1.1, 1.05))
    if args.margins:
        msg = "--margins: belong to --crops ten; the central crop has none"
        raise ConfigError(msg)
    return ()
