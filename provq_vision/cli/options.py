"""Which options do commands share, and what is checked before a model is loaded?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError
from provq_vision.cli.reporting import Report

if TYPE_CHECKING:
    from provq_vision.images.decoding import ImageProblem
    from provq_vision.inputs import Gathered
    from provq_vision.tokenizer import ImageTokenizer

SPLITS = ("train", "val", "test")
INPUTS = """\
IMAGE is an image file (jpg, png, webp, bmp, ppm, tif), a folder of them, of class folders or of
splits (train, val, test), or an uncompressed .tar of the same; a folder or .tar that holds
several splits needs --split. Every image is cropped to its central square, and brought to --size
pixels by averaging and bicubic resampling."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare ``--model`` and ``--device``.

    Parameters
    ----------
    parser : ArgumentParser
        Where to add them.
    """
    parser.add_argument(
        "--model", metavar="FOLDER", required=True, help="model folder, as `train` writes it"
    )
    parser.add_argument(
        "--device", default="cpu", help="where to compute, for instance cuda (default: cpu)"
    )


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare which images are read, and how they are cropped.

    Parameters
    ----------
    parser : ArgumentParser
        Where to add them.
    """
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image file, folder or .tar")
    parser.add_argument("--split", choices=SPLITS, help="part of folders and archives to take")
    parser.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="sides of the crops in pixels (default: those that the model was trained on)",
    )


def add_shard_option(parser: argparse.ArgumentParser, help_text: str) -> None:
    """
    Declare ``--shard``, counted from 1 as by ``provq-protein``.

    Parameters
    ----------
    parser : ArgumentParser
        Where to add it. Its value is the number of the part, from 0, and of how many.
    help_text : str
        What a part is.
    """
    parser.add_argument("--shard", type=_part, default=(0, 1), metavar="I/N", help=help_text)


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        msg = f"expected I/N with 1 <= I <= N, for instance 1/8; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(part) - 1, int(parts)


def load_tokenizer(args: argparse.Namespace) -> "ImageTokenizer":
    """
    Return the tokenizer that the options name.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    ImageTokenizer
        On its device.

    Raises
    ------
    ProvqError
        If the model cannot be loaded, or the device not be used.
    """
    # Not at the top: it imports torch, for which `--help` should not wait.
    from provq_vision.tokenizer import ImageTokenizer

    return ImageTokenizer.from_pretrained(Path(args.model), device=args.device)


def usable_device(name: str) -> str:
    """
    Refuse a device that is not there, before anything is read.

    Parameters
    ----------
    name : str
        As the user gave it.

    Returns
    -------
    str
        The same.

    Raises
    ------
    ConfigError
        If torch cannot use it.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        # The first line; what follows is for those who build torch.
        reason = str(error).partition("\n")[0]
        msg = f"--device {name}: cannot be used here: {reason}"
        raise ConfigError(msg) from error
    return name


def list_images(args: argparse.Namespace, report: Report) -> "Gathered":
    """
    List the images that the options name, and report the inputs that hold none.

    Parameters
    ----------
    args : Namespace
        The parsed options.
    report : Report
        Told what is wrong.

    Returns
    -------
    Gathered
        The images, not decoded yet.
    """
    from provq_vision.inputs import gather

    return gather(
        args.images, split=args.split, on_problem=lambda found: report_image(report, found)
    )


def report_image(report: Report, found: "ImageProblem") -> None:
    """
    Print one row for an image that cannot be used.

    Parameters
    ----------
    report : Report
        Counts it.
    found : ImageProblem
        Name and reason.
    """
    report.problem(f"{shown(found.name)}: {found.reason}")


def shown(name: str) -> str:
    """
    Return a name of an image as it can be printed in one line.

    Parameters
    ----------
    name : str
        Any text; members of archives may have line breaks in their names.

    Returns
    -------
    str
        The same if it is printable.

    Examples
    --------
    >>> shown("cat.png"), shown("a\\nb")
    ('cat.png', "'a\\\\nb'")
    """
    return name if name.isprintable() else ascii(name)
