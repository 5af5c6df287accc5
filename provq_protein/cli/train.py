"""`provq-protein train`: run a recipe on a chain store."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from provq_protein.training.trainer import Trainer

NAME = "train"
HELP = "train a tokenizer from a recipe, resumably"
_EPILOG = "several processes: torchrun --nproc-per-node N -m provq_protein train ..."


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
    parser.add_argument("--data", required=True, type=Path, help="chain store (.h5) of `prepare`")
    parser.add_argument(
        "--output", required=True, type=Path, help="run folder; resumed if it exists"
    )
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE",
        help="change a recipe value, e.g. data.crop=128 (repeatable)",
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
        0; 1 if the run diverged or another process of it failed. Mistakes in recipe or data
        raise and become exit code 1 or 2.
    """
    from provq_protein.runs.processes import training_processes

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    try:
        with training_processes(args.device) as device:
            _train(args, device)
    except FloatingPointError as error:
        _complain(error)
        return 1
    except RuntimeError as error:
        # One process of several: the others have seen why, or their connection broke.
        if "RANK" not in os.environ:
            raise
        _complain(f"process {os.environ['RANK']}: {type(error).__name__}: {error}")
        return 1
    return 0


def _complain(what: object) -> None:
    print(f"provq-protein {NAME}: error: {what}", file=sys.stderr)


def _train(args: argparse.Namespace, device: "torch.device") -> None:
    from rich.console import Console

    from provq_protein.quantize.distributed import is_first
    from provq_protein.runs.loop import MODEL
    from provq_protein.training.config import load_recipe
    from provq_protein.training.store import load_store
    from provq_protein.training.trainer import Trainer

    # The first process speaks for all.
    console = Console(stderr=True, quiet=not is_first(), soft_wrap=True)
    trainer = Trainer(
        load_recipe(args.recipe, args.assignments),
        load_store(args.data),
        args.output,
        command=_command(args),
        amend=args.amend,
        device=device,
        compiled=args.compiled,
        prefetch=args.prefetch,
    )
    if trainer.step:
        console.print(f"resuming {args.output} at step {trainer.step}")
    with _tensorboard(console, trainer) as log, _display(console, trainer) as show:

        def listen(event: dict[str, Any]) -> None:
            log(event)
            show(event)

        trainer.run(on_event=listen, seconds=60.0 * args.minutes if args.minutes else None)
    if trainer.step < trainer.config.steps:
        console.print(
            f"stopped at step {trainer.step} of {trainer.config.steps} after {args.minutes:g} "
            "minutes; the same command goes on"
        )
    else:
        console.print(f"trained {trainer.step} steps; the model is in {args.output / MODEL}")


def _command(args: argparse.Namespace) -> str:
    """Return the command without machine-specific folders, for the model's record."""
    words = ["provq-protein", NAME, "--recipe", args.recipe, "--data", args.data.name]
    words += ["--output", args.output.name]
    for assignment in args.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


@contextmanager
def _tensorboard(
    console: "Console", trainer: "Trainer"
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what writes events for TensorBoard, or nothing where it is not installed."""
    from provq_protein.quantize.distributed import is_first
    from provq_protein.runs.tensorboard import FOLDER, TensorBoardLog

    if not is_first():
        yield lambda event: None
        return
    try:
        log = TensorBoardLog(trainer.output / FOLDER, resume_step=trainer.step)
    except ImportError:
        console.print("TensorBoard logs are off: the package tensorboard is not installed")
        yield lambda event: None
        return
    try:
        yield log.write
    finally:
        log.close()


@contextmanager
def _display(console: "Console", trainer: "Trainer") -> Iterator[Callable[[dict[str, Any]], None]]:
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
            pace.add(event)
            if event["kind"] == "validation":
                console.print(pace.validation(event))
            else:
                progress.update(task, completed=event["step"] + 1, status=pace.status(event))

        yield show


class _Pace:
    """What the events so far say about speed and quality."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._seen = 0
        self._seconds = 0.0
        self._residues = 0.0
        self._error: float | None = None

    def add(self, event: dict[str, Any]) -> None:
        """Take an event into account."""
        self._step = event["step"] + 1
        if event["kind"] == "validation":
            self._error = event.get("rmsd")
            return
        self._seen += 1
        # Of all steps of this process at first, of the last twenty or so later.
        new = max(0.05, 1.0 / self._seen)
        self._seconds += new * (event["seconds"] - self._seconds)
        self._residues += new * (event["residues"] - self._residues)

    def status(self, event: dict[str, Any]) -> str:
        """Return one step's line for the progress bar."""
        used = event["batch_utilization"]
        words = [
            f"{event['stage']} loss {event['loss']:.3f} alpha {event['alpha']:.2f}",
            f"lr {event['learning_rate']:.1e}",
            "" if used is None else f"codes used {used:.0%}",
            "" if self._error is None else f"RMSD {self._error:.2f}",
            self._speed(),
        ]
        return " ".join(word for word in words if word)

    def validation(self, event: dict[str, Any]) -> str:
        """Return a line about a validation."""
        text = f"step {self._step}/{self._steps}:"
        if "rmsd" in event:
            text += (
                f" validation RMSD {event['rmsd']:.2f} A, lDDT-CA {event['lddt_ca']:.3f}, "
                f"codes used {event['utilization']:.1%},"
            )
        return f"{text} {self._speed()}, {self._left()} left"

    def _speed(self) -> str:
        return f"{self._residues / max(self._seconds, 1e-9):,.0f} residues/s"

    def _left(self) -> str:
        minutes = (self._steps - self._step) * self._seconds / 60
        return f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
