"""How does ``provq-vision sample`` draw new images of classes?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError
from provq_vision.cli.options import add_model_options, add_shard_option, load_tokenizer
from provq_vision.cli.reporting import Report, count, progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provq_vision.generation.folder import TrainedGpt
    from provq_vision.samples import DrawPlan, SampleSet

NAME = "sample"
HELP = "draw new images of classes"

_COLUMNS = _ROWS = 10
_DESCRIPTION = """\
Draw images with an autoregressive model, and decode them with the tokenizer on whose tokens it was
trained. FILE gets the images (arr_0, as evaluation programs read them), their classes, seeds and
tokens, and how they were drawn.

An image follows from its number, the seed and the options, not from how many are drawn, nor from
--shard. Other values of --width, other devices and other versions of torch round differently and
may give other images."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``sample``.

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
        "--gpt", metavar="FOLDER", required=True, help="model folder, as `train-ar` writes it"
    )
    add_model_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="file of images to write (.npz)"
    )
    _add_images(parser)
    _add_choice(parser)
    parser.add_argument(
        "--picture",
        metavar="PNG",
        help=f"also write the first {_COLUMNS * _ROWS} images as one picture",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace FILE and PNG if they exist"
    )
    parser.set_defaults(run=run)


def _add_images(parser: argparse.ArgumentParser) -> None:
    """Declare which images are drawn."""
    number = parser.add_mutually_exclusive_group(required=True)
    number.add_argument(
        "--count", type=int, metavar="N", help="N images, each of a class drawn at random"
    )
    number.add_argument(
        "--per-class", type=int, metavar="N", help="N images of each class, class after class"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="CLASS",
        help="names or ids of the classes to draw (default: all)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another one, other images (default: 0)"
    )
    add_shard_option(parser, "draw part I, from 1, of N parts of the images (default: all)")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare how tokens are chosen."""
    parser.add_argument(
        "--guidance",
        type=float,
        default=1.0,
        metavar="SCALE",
        help="of classifier-free guidance, above 0; costs twice the time (default: 1, none)",
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="divides the logits (default: 1)"
    )
    parser.add_argument(
        "--top-k",
        type=int,
        default=0,
        metavar="K",
        help="only the K likeliest tokens (default: all)",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="only the likeliest tokens that reach P together (default: 1, all)",
    )
    parser.add_argument(
        "--width", type=int, default=16, metavar="N", help="images computed at once (default: 16)"
    )


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``sample``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0.

    Raises
    ------
    ProvqError
        If an output could not be written, an option is impossible, or the models cannot be
        loaded or do not belong together; nothing is drawn.
    """
    _check_outputs(args)
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_vision.drawing import draw
    from provq_vision.generation.choosing import Sampling
    from provq_vision.generation.folder import TrainedGpt

    sampling = Sampling(
        guidance=_guidance(args.guidance),
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
    )
    gpt = TrainedGpt.load(Path(args.gpt))
    plan = _plan(args, gpt)
    tokenizer = load_tokenizer(args)
    gpt.model.to(args.device)
    with progress(len(plan.numbers), label="drawing") as done:
        samples = draw(gpt, tokenizer, plan, sampling=sampling, width=args.width, on_done=done)
    samples.save(args.output, overwrite=args.overwrite)
    if args.picture is not None:
        from provq_vision.images.pictures import save_png

        save_png(Path(args.picture), _picture(samples))
    drawn = f"{count(len(samples), 'image')} drawn to {args.output}"
    Report().summary(f"{drawn}: {_content(samples)}")
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    from provq_protein.runs.files import check_output

    check_output(Path(args.output), overwrite=args.overwrite)
    if args.picture is None:
        return
    check_output(Path(args.picture), overwrite=args.overwrite)
    if Path(args.picture).resolve() == Path(args.output).resolve():
        msg = f"--picture {args.picture}: is the file of the images; name another"
        raise ConfigError(msg)
    from provq_vision.images.decoding import pillow

    # Not only when the images are drawn, which takes long.
    pillow()


def _guidance(scale: float) -> float:
    if not scale > 0.0:
        msg = (
            f"--guidance: must be above 0, got {scale:g}; 1 is without guidance. A scale of 0, "
            "which leaves the class out, is there from Python only"
        )
        raise ConfigError(msg)
    return scale


def _plan(args: argparse.Namespace, gpt: "TrainedGpt") -> "DrawPlan":
    from provq_vision.drawing import class_ids
    from provq_vision.samples import DrawPlan

    part, parts = args.shard
    return DrawPlan(
        classes=class_ids(gpt, args.classes),
        count=args.count,
        per_class=args.per_class,
        seed=args.seed,
        shard=part,
        shards=parts,
    )


def _content(samples: "SampleSet") -> str:
    plan, (rows, columns) = samples.settings.plan, samples.images.shape[1:3]
    part = f"part {plan.shard + 1} of {plan.shards}, " if plan.shards > 1 else ""
    return (
        f"{part}{rows} x {columns} pixels, guidance {samples.settings.guidance:g}, seed {plan.seed}"
    )


def _picture(samples: "SampleSet") -> "NDArray[np.uint8]":
    """Return the first images, a row for each class where its images fit in one."""
    from provq_vision.images.pictures import grid

    per_class = samples.settings.plan.per_class or 0
    columns = per_class if 1 < per_class <= _COLUMNS else _COLUMNS
    shown = samples.images[: columns * _ROWS]
    return grid([list(shown[start : start + columns]) for start in range(0, len(shown), columns)])
