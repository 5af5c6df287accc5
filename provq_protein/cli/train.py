"""`provq-protein train`: run a recipe on a chain store."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

NAME = "train"
HELP = "train a tokenizer from a recipe, resumably"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Register the command.

    Parameters
    ----------
    subparsers : argparse action
        Of the top-level parser.
    """
    parser = subparsers.add_parser(NAME, help=HELP, description=__doc__)
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
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
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
        0; mistakes in recipe or data raise and become exit code 1 or 2.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from provq_protein.training.config import load_recipe
    from provq_protein.training.store import load_store
    from provq_protein.training.trainer import MODEL, Trainer

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    console = Console(stderr=True)
    config = load_recipe(args.recipe, args.assignments)
    store = load_store(args.data)
    trainer = Trainer(config, store, args.output, command=_command(args), amend=args.amend)
    if trainer.step:
        console.print(f"resuming {args.output} at step {trainer.step}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("train", total=config.steps, completed=trainer.step, status="")
        trainer.run(on_event=lambda event: _show(progress, task, event))
    console.print(f"trained {trainer.step} steps; the model is in {args.output / MODEL}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """Return the command without machine-specific folders, for the model's record."""
    words = ["provq-protein", NAME, "--recipe", args.recipe, "--data", args.data.name]
    words += ["--output", args.output.name]
    for assignment in args.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


def _show(progress: "Progress", task: "TaskID", event: dict[str, Any]) -> None:
    if event["kind"] == "validation":
        if "rmsd" in event:
            progress.console.print(
                f"step {event['step'] + 1}: validation RMSD {event['rmsd']:.2f} A, "
                f"lDDT-CA {event['lddt_ca']:.3f}, codes used {event['utilization']:.1%}"
            )
        return
    speed = event["residues"] / event["seconds"]
    status = (
        f"{event['stage']} loss {event['loss']:.3f} alpha {event['alpha']:.2f} "
        f"lr {event['learning_rate']:.1e} {speed:,.0f} residues/s"
    )
    progress.update(task, completed=event["step"] + 1, status=status)
