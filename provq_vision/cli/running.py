"""What do the commands that train share: options, progress, and what is said at the end?"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from provq_protein.runs.loop import TrainingLoop


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options that every training has.

    Parameters
    ----------
    parser : ArgumentParser
        Where to add them.
    """
    parser.add_argument(
        "--output", required=True, type=Path, help="run folder; resumed if it exists"
    )
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE",
        help="change a recipe value, e.g. seed=1 (repeatable)",
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


def _minutes(text: str) -> float:
    value = float(text)
    # Written so that NaN is refused as well.
    if not value > 0.0:
        msg = f"must be above 0, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


def in_processes(
    args: argparse.Namespace, train: "Callable[[argparse.Namespace, torch.device], int]"
) -> int:
    """
    Train as one of the processes that ``torchrun`` started, or alone.

    Parameters
    ----------
    args : Namespace
        The parsed options.
    train : callable
        Called with them and the device; returns the exit code.

    Returns
    -------
    int
        What `train` returned; 1 if the run diverged or another process of it failed.
    """
    from provq_protein.runs.processes import training_processes

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    try:
        with training_processes(args.device) as device:
            return train(args, device)
    except FloatingPointError as error:
        _complain(args.command, error)
        return 1
    except RuntimeError as error:
        # One process of several: the others have seen why, or their connection broke.
        if "RANK" not in os.environ:
            raise
        _complain(args.command, f"process {os.environ['RANK']}: {type(error).__name__}: {error}")
        return 1


def _complain(command: str, what: object) -> None:
    print(f"provq-vision {command}: error: {what}", file=sys.stderr)


def speaking_console() -> "Console":
    """
    Return a console on stderr through which the first process speaks for all.

    Returns
    -------
    Console
        Silent in the other processes.
    """
    from rich.console import Console

    from provq_protein.quantize.distributed import is_first

    return Console(stderr=True, quiet=not is_first(), soft_wrap=True)


class Wording(Protocol):
    """How the events of a training are put into words."""

    def status(self, event: dict[str, Any]) -> str:
        """
        Return what stands beside the progress bar.

        Parameters
        ----------
        event : dict
            Of a step.

        Returns
        -------
        str
            Short.
        """
        ...

    def validation(self, event: dict[str, Any]) -> str:
        """
        Return what a validation found.

        Parameters
        ----------
        event : dict
            Of a validation.

        Returns
        -------
        str
            Empty, or it ends with a comma.
        """
        ...


def go_through(
    args: argparse.Namespace, trainer: "TrainingLoop", wording: Wording, console: "Console"
) -> None:
    """
    Train with progress for a watcher and a line per validation, and say how it ended.

    Parameters
    ----------
    args : Namespace
        The parsed options.
    trainer : TrainingLoop
        The training.
    wording : Wording
        Of its events.
    console : Console
        Where to say it.
    """
    from provq_protein.runs.loop import MODEL

    trainer.prefetch = args.prefetch
    if trainer.step:
        console.print(f"resuming {args.output} at step {trainer.step}")
    with _display(console, trainer, wording) as show:
        trainer.run(on_event=show, seconds=60.0 * args.minutes if args.minutes else None)
    if trainer.step < trainer.steps:
        console.print(
            f"stopped at step {trainer.step} of {trainer.steps} after {args.minutes:g} minutes; "
            "the same command goes on"
        )
    else:
        console.print(f"trained {trainer.step} steps; the model is in {args.output / MODEL}")


@contextmanager
def _display(
    console: "Console", trainer: "TrainingLoop", wording: Wording
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
    watched = sys.stderr.isatty() and not console.quiet
    with Progress(*columns, console=console, disable=not watched) as progress:
        task = progress.add_task("train", total=trainer.steps, completed=trainer.step, status="")
        pace = _Pace(trainer.steps)

        def show(event: dict[str, Any]) -> None:
            if event["kind"] == "validation":
                found = wording.validation(event)
                console.print(
                    f"step {event['step'] + 1}/{trainer.steps}: {found} {pace.left(event)}"
                )
                return
            pace.add(event)
            status = f"{wording.status(event)} {pace.speed()}"
            progress.update(task, completed=event["step"] + 1, status=status)

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

    def left(self, event: dict[str, Any]) -> str:
        """Return speed and time left."""
        minutes = (self._steps - event["step"] - 1) * self._seconds / 60
        return f"{self.speed()}, {minutes // 60:.0f} h {minutes % 60:.0f} min left"

    def speed(self) -> str:
        """Return the images per second."""
        return f"{self._images / max(self._seconds, 1e-9):,.1f} images/s"
