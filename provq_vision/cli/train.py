"""`provq-vision train`: run a recipe on images."""

import argparse
import hashlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provq_vision.cli.running import (
    add_run_options,
    go_through,
    in_processes,
    speaking_console,
)

if TYPE_CHECKING:
    import torch

    from provq_vision.model.autoencoder import ImageAutoencoder
    from provq_vision.training.config import ImageTrainingConfig

NAME = "train"
HELP = "train an image tokenizer from a recipe, resumably"
_EPILOG = """\
PATH is a folder or an uncompressed .tar with the splits train and val above the class folders; with
--validation it holds training images only. Presets are the rows of the paper's tables: vanilla,
vanilla_l2 (LlamaGen's), simvq and others, each alone or with +soft, +warmup or +provq; the
scheduler "hard" is --set 'curriculum.shape="hard"'. Several processes:
torchrun --nproc-per-node N -m provq_vision train ..."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Register the command.

    Parameters
    ----------
    subparsers : argparse action
        Of the top-level parser.
    """
    parser = subparsers.add_parser(NAME, help=HELP, description=__doc__, epilog=_EPILOG)
    parser.add_argument("--recipe", required=True, help="a shipped recipe, or a .toml file")
    parser.add_argument("--preset", help="another row of the paper's tables than the recipe's own")
    parser.add_argument(
        "--data", required=True, nargs="+", type=Path, metavar="PATH", help="training images"
    )
    parser.add_argument(
        "--validation", nargs="+", type=Path, metavar="PATH",
        help="validation images (default: the split val of --data)",
    )  # fmt: skip
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the classes to use, one a line"
    )
    parser.add_argument(
        "--init", type=Path, metavar="FILE",
        help="start from a checkpoint of LlamaGen's tokenizer (.pt), read without running code",
    )  # fmt: skip
    parser.add_argument(
        "--vgg", type=Path, metavar="FILE",
        help="weights of torchvision's VGG16, for the perceptual loss lpips",
    )  # fmt: skip
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Train to the end of the recipe, continuing an interrupted run.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed options.

    Returns
    -------
    int
        0; 1 if the run diverged, another process of it failed, or images could not be read and
        others were taken instead. Mistakes in recipe or data raise.
    """
    return in_processes(args, _train)


def _train(args: argparse.Namespace, device: "torch.device") -> int:

    from provq_vision.model.perceptual import build_perceptual
    from provq_vision.training.config import load_recipe
    from provq_vision.training.data import training_images
    from provq_vision.training.trainer import ImageTrainer

    console = speaking_console()
    config = load_recipe(args.recipe, args.assignments, preset=args.preset)
    trainer = ImageTrainer(
        config,
        training_images(
            config, args.data, args.output, validation=args.validation, classes=args.classes
        ),
        args.output,
        perceptual=build_perceptual(config.perceptual, vgg=args.vgg),
        command=_command(args),
        initialize=_initializer(args.init, config) if args.init else None,
        amend=args.amend,
        device=device,
        compiled=args.compiled,
    )
    go_through(args, trainer, _Words(), console)
    for name, reason in trainer.unreadable.items():
        console.print(f"{name}: {reason}; another image was taken in its place", markup=False)
    return 1 if trainer.unreadable else 0


def _initializer(
    path: Path, config: "ImageTrainingConfig"
) -> "Callable[[ImageAutoencoder], Mapping[str, Any]]":
    """Return what gives a model the weights of a LlamaGen checkpoint."""
    from provq_vision.model.llamagen import load_llamagen, read_llamagen

    def initialize(model: "ImageAutoencoder") -> Mapping[str, Any]:
        # Codes that are to be seeded, or are no free table, are not theirs.
        free = config.model.codebook.method in ("vanilla", "vanilla_l2")
        keep = free and not config.is_seeded
        load_llamagen(model, read_llamagen(path), codebook=keep, source=str(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return {"file": path.name, "sha256": digest, "codes": keep}

    return initialize


def _command(args: argparse.Namespace) -> str:
    """Return the command without machine-specific folders, for the model's record."""
    words = ["provq-vision", NAME, "--recipe", args.recipe]
    words += ["--preset", args.preset] if args.preset else []
    words += ["--data", *(path.name for path in args.data)]
    words += ["--validation", *(path.name for path in args.validation)] if args.validation else []
    words += ["--classes", args.classes.name] if args.classes else []
    words += ["--init", args.init.name] if args.init else []
    words += ["--output", args.output.name]
    for assignment in args.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


class _Words:
    """How the events of this training are put into words."""

    def status(self, event: dict[str, Any]) -> str:
        """Return what stands beside the progress bar."""
        used = event["batch_utilization"]
        words = f"{event['stage']} loss {event['loss']:.4f} alpha {event['alpha']:.2f}"
        return words if used is None else f"{words} codes used {used:.0%}"

    def validation(self, event: dict[str, Any]) -> str:
        """Return what a validation found."""
        words = []
        if "psnr" in event:
            words.append(f"validation PSNR {event['psnr']:.2f} dB, SSIM {event['ssim']:.3f},")
        if event.get("utilization") is not None:
            words.append(f"codes used {event['utilization']:.1%},")
        return " ".join(words)
