"""Train tokenizers and record their latents and codes at the stages of the curriculum.

    python benchmarks/tokenizer_comparison/stages.py --store chains.h5 --output runs/stages

Each recipe is trained from scratch in a folder of its own below the output. The same command goes
on with what was cut off, and a finished run folder is one for ``measure.py``. Stages are those of
ProVQ; a recipe without its whole curriculum is looked at after the same numbers of steps.
"""

import argparse
import platform
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results, save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402
from provq_protein.runs.config import to_mapping  # noqa: E402
from provq_protein.training.config import TrainingConfig, load_recipe  # noqa: E402
from provq_protein.training.store import load_store  # noqa: E402
from provq_protein.training.trainer import Trainer  # noqa: E402
from tokenizer_comparison import stage_results  # noqa: E402
from tokenizer_comparison.results import path_of  # noqa: E402
from tokenizer_comparison.stage_measures import (  # noqa: E402
    Sample,
    draw_sample,
    measure_stage,
    stage_steps,
    whole_curriculum,
)
from tokenizer_comparison.variants import variant_of  # noqa: E402

RECIPES = ("small_vanilla_vq", "small_vanilla_vq_provq")
# In a run folder: what was recorded so far, a file per stage.
RECORDS = "stages"
_RECORD = "provq-tokenizer-stage"
_RESIDUES = 600

OnEvent = Callable[[dict[str, Any]], None]


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="chain store (.h5) of `prepare`")
    parser.add_argument(
        "--output", type=Path, required=True, help="of the run folders; resumed if they exist"
    )
    parser.add_argument(
        "--recipe", dest="recipes", action="append", metavar="RECIPE",
        help=f"a shipped recipe, or a .toml file (repeatable; default: {', '.join(RECIPES)})",
    )  # fmt: skip
    parser.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE",
        help="change a value of every --recipe, e.g. seed=1 (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--stages-of", default=RECIPES[-1], metavar="RECIPE",
        help="whose stages a recipe without warm-up or transition has (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--residues", type=int, default=_RESIDUES, help="shown (default: %(default)s)"
    )
    parser.add_argument(
        "--sample-seed", type=int, default=0, help="decides which residues (default: 0)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results" / stage_results.FOLDER,
        help="folder of the results files",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Train, record and write.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if a run diverged; 2 if a recipe, the store or a run folder does not fit.
    """
    from rich.console import Console
    from rich.progress import Progress

    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        jobs = plan(args)
        store = load_store(args.store)
        sample = draw_sample(store, residues=args.residues, seed=args.sample_seed)
        with Progress(console=Console(stderr=True)) as bars:
            for path, (config, stages, command) in jobs.items():
                task = bars.add_task(path.stem, total=config.steps)
                trainer = Trainer(config, store, args.output / path.stem, command=command)

                def show(event: dict[str, Any], task: Any = task) -> None:  # noqa: ANN401
                    bars.update(task, completed=event["step"] + 1)

                save_results(path, measure(trainer, sample, stages, on_event=show))
                print(f"wrote {path}")
    except FloatingPointError as error:
        print(f"stages.py: error: {error}", file=sys.stderr)
        return 1
    except (ProvqError, OSError, ValueError) as error:
        print(f"stages.py: error: {error}", file=sys.stderr)
        return 2
    return 0


def plan(args: argparse.Namespace) -> dict[Path, tuple[TrainingConfig, dict[str, int], str]]:
    """
    Decide what is trained, before the first step.

    Parameters
    ----------
    args : Namespace
        Parsed options.

    Returns
    -------
    dict of Path to tuple
        Results file to recipe, steps of its stages, and the command that makes it.

    Raises
    ------
    ConfigError
        If a recipe is unknown or no variant of the comparison, two have the same variant and
        seed, or stages do not fit.
    """
    jobs: dict[Path, tuple[TrainingConfig, dict[str, int], str]] = {}
    for name in args.recipes or RECIPES:
        config = load_recipe(name, args.assignments)
        path = path_of(args.results, variant_of(to_mapping(config), where=name), config.seed)
        if path in jobs:
            msg = f"{name}: is {path.stem}, as a recipe before it; name one of them"
            raise ConfigError(msg)
        curriculum = config if whole_curriculum(config) else load_recipe(args.stages_of)
        jobs[path] = (config, stage_steps(config, curriculum), _command(args, name))
    return jobs


def measure(
    trainer: Trainer,
    sample: Sample,
    stages: Mapping[str, int],
    *,
    on_event: OnEvent | None = None,
) -> dict[str, Any]:
    """
    Train to the end, and record at each stage what was not recorded before.

    Parameters
    ----------
    trainer : Trainer
        New, or gone on from a checkpoint.
    sample : Sample
        Residues to show.
    stages : mapping of str to int
        From `stage_measures.stage_steps`.
    on_event : callable, optional
        As of `Trainer.run`.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If the run is past a stage that was not recorded.
    """
    recipe = to_mapping(trainer.config)
    of_run = {"recipe": recipe, "data_hash": trainer.data_hash, "sample": sample.describe()}
    found = []
    for name, step in stages.items():
        path = trainer.output / RECORDS / f"{name}.json"
        record = _recorded(path, {**of_run, "step": step})
        if record is None:
            _go_to(trainer, name, step, on_event)
            record = measure_stage(trainer.model, sample)
            head = {"format": _RECORD, "format_version": stage_results.FORMAT_VERSION}
            save_results(path, {**head, **of_run, "step": step, "record": record})
        found.append({"name": name, "step": step, **record})
    return {
        "format": stage_results.FORMAT,
        "format_version": stage_results.FORMAT_VERSION,
        "variant": variant_of(recipe, where=str(trainer.output)),
        "seed": trainer.config.seed,
        "training": trainer.record(),
        "versions": {
            "provq": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "sample": sample.describe(),
        "stages": found,
    }


def _recorded(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was recorded of a stage, if it was, and of this run."""
    try:
        kept = load_results(
            path, kind=_RECORD, version=stage_results.FORMAT_VERSION, advice="record it again"
        )
    except ConfigError:
        return None
    return kept["record"] if all(kept[key] == value for key, value in wanted.items()) else None


def _go_to(trainer: Trainer, name: str, step: int, on_event: OnEvent | None) -> None:
    if trainer.step > step:
        msg = (
            f"{trainer.output}: is at step {trainer.step}, and stage {name} at step {step} was not "
            "recorded with these stages and residues; choose another --output"
        )
        raise ConfigError(msg)
    # It ends with a checkpoint, so that a run that is cut off before the record comes back here.
    trainer.run(stop_at=step, on_event=on_event)


def _command(args: argparse.Namespace, recipe: str) -> str:
    """Return the command without folders of the machine."""
    words = ["stages.py", "--recipe", Path(recipe).name, "--store", args.store.name]
    words += ["--output", args.output.name, "--stages-of", Path(args.stages_of).name]
    words += ["--residues", str(args.residues), "--sample-seed", str(args.sample_seed)]
    for assignment in args.assignments:
        words += ["--set", assignment]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
