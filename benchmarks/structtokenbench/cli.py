"""What does the user want measured or shown, and which exit code follows?"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.errors import ConfigError, ProvqError

if TYPE_CHECKING:
    from structtokenbench.chain_sets import ChainSet
    from structtokenbench.conformations import PairSet
    from structtokenbench.datasets import DataFolder
    from structtokenbench.probe import ProbeSettings
    from structtokenbench.runner import Watch

_OK, _PROBLEMS, _USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line program.

    Parameters
    ----------
    argv : Sequence[str], optional
        Command line arguments; those of the process by default.

    Returns
    -------
    int
        0 if everything was measured, 1 if some measurement failed (each has its reason), 2 if the
        command cannot be served.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except ProvqError as error:
        sys.stderr.write(f"structtokenbench: {error}\n")
        return _USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PROBLEMS


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of all subcommands.

    Returns
    -------
    ArgumentParser
        Its result has ``run``, the function that carries out the subcommand.
    """
    parser = argparse.ArgumentParser(
        prog="structtokenbench",
        description="Judge structure tokenizers: 12 probe tasks, use of codes, sensitivity.",
        epilog="structtokenbench run --tokenizer default --tokenizer 3di --data FOLDER --out bench",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="measure tokenizers", description=_RUN))
    report = commands.add_parser(
        "report", help="write tables and figures", description="Write a report of results."
    )
    report.add_argument("results", nargs="+", type=Path, help="results.jsonl, or its folder")
    report.add_argument(
        "-o", "--out", type=Path, default=Path("report"), help="path without suffix (report)"
    )
    report.add_argument("--title", default="StructTokenBench", help="first line of the page")
    report.set_defaults(run=_report)
    tasks = commands.add_parser("tasks", help="list the tasks", description="List the tasks.")
    tasks.set_defaults(run=_list_tasks)
    return parser


_RUN = (
    "Measure tokenizers on labelled chains. Results are added to OUT/results.jsonl; what is there "
    "already is not measured again, so that a stopped run goes on with the same command."
)


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--tokenizer", action="append", required=True, metavar="NAME",
        help="default, a model folder, 3di, protein_blocks, esm3:FILE, ... (may be repeated); a "
        "wrong name lists them all",
    )  # fmt: skip
    run.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER",
        help="backbones.npz and labels.npz, or the benchmark's own label files",
    )  # fmt: skip
    run.add_argument(
        "--structures", type=Path, metavar="FOLDER", help="structure files for such label files"
    )
    run.add_argument("--out", type=Path, default=Path("structtokenbench"), metavar="FOLDER")
    run.add_argument(
        "--tasks", nargs="*", metavar="TASK", help="only these (all that the data may have)"
    )
    run.add_argument(
        "--chains", action="append", default=[], metavar="NAME=FOLDER",
        help="structure files on which use of codes is measured, for instance casp14=FOLDER",
    )  # fmt: skip
    run.add_argument("--preset", choices=["fast", "published"], default="fast")
    run.add_argument("--seeds", type=int, metavar="N", help="seeds of the probe (3; published: 1)")
    run.add_argument(
        "--table-dims", type=int, metavar="N",
        help="project wider code tables on N dimensions, for speed (all dimensions)",
    )  # fmt: skip
    run.add_argument(
        "--positions", type=int, metavar="N",
        help="rows of the probe's table of positions (700); 1 hides from it where a residue is",
    )  # fmt: skip
    run.add_argument(
        "--labels", choices=["union", "exact"], default="union",
        help="with or without labels moved from nearly identical chains",
    )  # fmt: skip
    run.add_argument(
        "--keep-leaks", action="store_true", help="train on relatives of test chains as well"
    )
    run.add_argument(
        "--merge-duplicates", action="store_true", help="one item per chain for binary labels"
    )
    run.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    run.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    # Imported late, so that --help answers at once.
    import torch

    from structtokenbench.datasets import DataFolder, DataOptions
    from structtokenbench.results import FILE_NAME, ResultsFile
    from structtokenbench.runner import Bench, run_all
    from structtokenbench.token_cache import TokenCache
    from structtokenbench.tokenizers import build

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = _settings(arguments)
    folder = DataFolder(arguments.data, arguments.structures)
    tokenizers = [build(name) for name in dict.fromkeys(arguments.tokenizer)]
    options = DataOptions(
        labels=arguments.labels,
        keep_leaks=arguments.keep_leaks,
        merge_duplicates=arguments.merge_duplicates,
    )
    everything = arguments.tasks is None
    names = folder.task_names if everything else arguments.tasks
    sets = [*_listed_sets(arguments.chains), *(_archive_sets(folder) if everything else ())]
    pairs = _pair_sets(folder) if everything else ()
    with _watched() as watch:
        bench = Bench(
            cache=TokenCache(arguments.out / "tokens"),
            results=ResultsFile(arguments.out / FILE_NAME),
            settings=settings,
            watch=watch,
        )
        found = run_all(
            bench,
            tokenizers,
            datasets=folder.datasets(names, options),
            chain_sets=sets,
            pair_sets=pairs,
        )
    return _summary(found, arguments.out / FILE_NAME)


def _settings(arguments: argparse.Namespace) -> "ProbeSettings":
    from dataclasses import replace

    from structtokenbench.probe import ProbeSettings

    settings = ProbeSettings.preset(arguments.preset)
    settings = replace(settings, table_dims=arguments.table_dims)
    if arguments.positions is not None:
        settings = replace(settings, positions=arguments.positions)
    if arguments.seeds is None:
        return settings
    if arguments.seeds < 1:
        msg = f"--seeds: must be 1 or more, got {arguments.seeds}"
        raise ConfigError(msg)
    return replace(settings, seeds=tuple(range(arguments.seeds)))


def _listed_sets(listed: Sequence[str]) -> Iterator["ChainSet"]:
    from structtokenbench.chain_sets import chains_from_folder

    for one in listed:
        name, separator, folder = one.partition("=")
        if not (name and separator and folder):
            msg = f"--chains {one}: must be NAME=FOLDER, for instance casp14=structures/casp14"
            raise ConfigError(msg)
        yield chains_from_folder(name, Path(folder))


def _archive_sets(folder: "DataFolder") -> Iterator["ChainSet"]:
    from structtokenbench.chain_sets import CODEBOOK_SETS, chains_from_arrays

    if folder.archive is not None and (folder.path / "sets.json").is_file():
        for name in CODEBOOK_SETS:
            yield chains_from_arrays(folder.path, name, folder.archive)


def _pair_sets(folder: "DataFolder") -> Iterator["PairSet"]:
    from structtokenbench.conformations import PAIR_SETS, pairs_from_arrays

    if folder.archive is not None and (folder.path / "sets.json").is_file():
        for name in PAIR_SETS:
            yield pairs_from_arrays(folder.path, name, archive=folder.archive)


def _summary(found: Sequence[dict], path: Path) -> int:
    failed = [one for one in found if "failed" in one]
    for one in failed:
        name = one["tokenizer"]["name"]
        sys.stderr.write(f"{name}, {one['task']}: not measured: {one['failed']}\n")
    sys.stdout.write(f"{len(found) - len(failed)} results in {path}, {len(failed)} failed\n")
    return _PROBLEMS if failed else _OK


def _report(arguments: argparse.Namespace) -> int:
    from structtokenbench.report import write_report
    from structtokenbench.results import FILE_NAME, read_results

    results = []
    for path in arguments.results:
        results += read_results(path / FILE_NAME if path.is_dir() else path)
    for path in write_report(results, arguments.out, title=arguments.title):
        sys.stdout.write(f"{path}\n")
    return _OK


def _list_tasks(arguments: argparse.Namespace) -> int:
    del arguments
    from structtokenbench.tasks import TASKS

    for task in TASKS.values():
        tests = ", ".join(test.split for test in task.tests)
        sys.stdout.write(f"{task.name}\t{task.group}\t{task.metric}\t{tests}\n")
    return _OK


@contextmanager
def _watched() -> Iterator["Watch"]:
    """Show on stderr what is being done, if somebody is watching."""
    if not sys.stderr.isatty():
        yield lambda label: lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        rows: dict[str, TaskID] = {}

        def watch(label: str) -> Callable[[int, int], None]:
            if label not in rows:
                rows[label] = bar.add_task(label)
            row = rows[label]
            bar.reset(row)
            return lambda done, total: bar.update(row, completed=done, total=total)

        yield watch
