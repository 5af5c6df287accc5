"""How does ``provq-vision train-ar`` train a model that draws images token by token?"""

import argparse
import shlex
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

NAME = "train-ar"
HELP = "train an autoregressive model on the tokens of images, resumably"
_DESCRIPTION = """\
Train a class-conditional autoregressive model (LlamaGen's) on codes that `extract-codes` wrote.
The model knows whose codes it draws: `sample` refuses another tokenizer."""
_EPILOG = "Several processes: torchrun --nproc-per-node N -m provq_vision train-ar ..."


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``train-ar``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        NAME, help=HELP, description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--recipe", required=True, help="a shipped recipe, or a .toml file")
    parser.add_argument(
        "--codes", required=True, type=Path, metavar="FOLDER",
        help="codes of the training images, as `extract-codes` writes them",
    )  # fmt: skip
    parser.add_argument(
        "--validation", type=Path, metavar="FOLDER",
        help="codes of other images, which are predicted now and then (default: none)",
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
        0; 1 if the run diverged, or another process of it failed. Mistakes in recipe or codes
        raise.
    """
    return in_processes(args, _train)


def _train(args: argparse.Namespace, device: "torch.device") -> int:
    from provq_vision.codes.code_set import CodeSet
    from provq_vision.gpt_training.config import load_recipe
    from provq_vision.gpt_training.trainer import GptTrainer, TrainingCodes

    validation = None if args.validation is None else CodeSet.open(args.validation)
    trainer = GptTrainer(
        load_recipe(args.recipe, args.assignments),
        TrainingCodes(CodeSet.open(args.codes), validation),
        args.output,
        command=_command(args),
        amend=args.amend,
        device=device,
        compiled=args.compiled,
    )
    go_through(args, trainer, _Words(), speaking_console())
    return 0


def _command(args: argparse.Namespace) -> str:
    """Return the command without machine-specific folders, for the model's record."""
    words = ["provq-vision", NAME, "--recipe", args.recipe, "--codes", args.codes.name]
    words += ["--validation", args.validation.name] if args.validation else []
    words += ["--output", args.output.name]
    for assignment in args.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


class _Words:
    """How the events of this training are put into words."""

    def status(self, event: dict[str, Any]) -> str:
        """Return what stands beside the progress bar."""
        return f"loss {event['loss']:.4f} nats"

    def validation(self, event: dict[str, Any]) -> str:
        """Return what a validation found."""
        return f"validation loss {event['loss']:.4f} nats per token," if "loss" in event else ""
