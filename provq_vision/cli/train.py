"""`provq-vision train`: run a recipe on images."""

import argparse
import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from provq_vision.model.autoencoder import ImageAutoencoder
    from provq_vision.training.config import ImageTrainingConfig
    from provq_vision.training.trainer import ImageTrainer

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
        "--output", required=True, type=Path, help="run folder; resumed if it exists"
    )
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE",
        help="change a recipe value, e.g. data.batch_size=32 (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--init", type=Path, metavar="FILE",
        help="start from a checkpoint of LlamaGen's tokenizer (.pt), read without running code",
    )  # fmt: skip
    parser.add_argument(
        "--vgg", type=Path, metavar="FILE",
        help="weights of torchvision's VGG16, for the perceptual loss lpips",
    )  # fmt: skip
    parser.add_argument(
        "--amend", action="store_true",
        help="resume a run although its recipe was another one; the change is recorded",
    )  # fmt: skip
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="where to train (default: a GPU if there is one)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=_minutes, metavar="M",
        help="stop after a checkpoint when so much time has passed; the same command goes on",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument(
        "--compile", dest="compiled", action="store_true",
        help="compile the model first (torch.compile); results differ by rounding",
    )  # fmt: skip
    parser.add_argument(
        "--no-prefetch", dest="prefetch", action="store_false",
        help="build batches between steps instead of in the background; results are the same",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _minutes(text: str) -> float:
    value = float(text)
    # Written so that NaN is refused as well.
    if not value > 0.0:
        msg = f"must be above 0, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


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
    from provq_protein.runs.processes import training_processes

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    try:
        with training_processes(args.device) as device:
            return _train(args, device)
    except FloatingPointError as error:
        _complain(error)
        return 1
    except RuntimeError as error:
        # One process of several: the others have seen why, or their connection broke.
        if "RANK" not in os.environ:
            raise
        _complain(f"process {os.environ['RANK']}: {type(error).__name__}: {error}")
        return 1


def _complain(what: object) -> None:
    print(f"provq-vision {NAME}: error: {what}", file=sys.stderr)


def _train(args: argparse.Namespace, device: "torch.device") -> int:
    from rich.console import Console

    from provq_protein.quantize.distributed import is_first
    from provq_vision.model.perceptual import build_perceptual
    from provq_vision.training.config import load_recipe
    from provq_vision.training.data import training_images
    from provq_vision.training.trainer import MODEL, ImageTrainer

    # The first process speaks for all.
    console = Console(stderr=True, quiet=not is_first(), soft_wrap=True)
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
    trainer.prefetch = args.prefetch
    if trainer.step:
        console.print(f"resuming {args.output} at step {trainer.step}")
    with _display(console, trainer) as show:
        trainer.run(on_event=show, seconds=60.0 * args.minutes if args.minutes else None)
    if trainer.step < trainer.config.steps:
        console.print(
            f"stopped at step {trainer.step} of {trainer.config.steps} after {args.minutes:g} "
            "minutes; the same command goes on"
        )
    else:
        console.print(f"trained {trainer.step} steps; the model is in {args.output / MODEL}")
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


@contextmanager
def _display(
    console: "Console", trainer: "ImageTrainer"
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what shows events: a progress bar for a watcher, a line per validation for a file."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
    )
    steps = trainer.config.steps
    watched = sys.stderr.isatty() and not console.quiet
    with Progress(*columns, console=console, disable=not watched) as progress:
        task = progress.add_task("train", total=steps, completed=trainer.step, status="")
        pace = _Pace(steps)

        def show(event: dict[str, Any]) -> None:
            if event["kind"] == "validation":
                console.print(pace.validation(event))
                return
            pace.add(event)
            progress.update(task, completed=event["step"] + 1, status=pace.status(event))

        yield show


class _Pace:
    """What the events so far say about speed."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._seen = 0
        self._seconds = 0.0
        self._images = 0

    def add(self, event: dict[str, Any]) -> None:
        """Take a step into account."""
        self._seen += 1
        # Of all steps of this process at first, of the last twenty or so later.
        self._seconds += max(0.05, 1.0 / self._seen) * (event["seconds"] - self._seconds)
        self._images = event["images"]

    def status(self, event: dict[str, Any]) -> str:
        """Return one step's line for the progress bar."""
        used = event["batch_utilization"]
        words = [
            f"{event['stage']} loss {event['loss']:.4f} alpha {event['alpha']:.2f}",
            "" if used is None else f"codes used {used:.0%}",
            self._speed(),
        ]
        return " ".join(word for word in words if word)

    def validation(self, event: dict[str, Any]) -> str:
        """Return a line about a validation."""
        step = event["step"] + 1
        text = f"step {step}/{self._steps}:"
        if "psnr" in event:
            text += f" validation PSNR {event['psnr']:.2f} dB, SSIM {event['ssim']:.3f},"
        if event.get("utilization") is not None:
            text += f" codes used {event['utilization']:.1%},"
        minutes = (self._steps - step) * self._seconds / 60
        return f"{text} {self._speed()}, {minutes // 60:.0f} h {minutes % 60:.0f} min left"

    def _speed(self) -> str:
        return f"{self._images / max(self._seconds, 1e-9):,.1f} images/s"
