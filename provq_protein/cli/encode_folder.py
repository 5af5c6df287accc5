"""How does ``provq-protein encode -o FOLDER/`` start, show and sum up a run?"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli.reporting import count
from provq_protein.cli.residue_options import policy_from
from provq_protein.errors import TokenFormatError
from provq_protein.precision import fast_text

if TYPE_CHECKING:
    from provq_protein.batch.messages import Counts
    from provq_protein.batch.run import Summary

# Each is None, or False, unless it is given: that says that a folder is meant.
_FOLDER_OPTIONS = {
    "jobs": "-j",
    "resume": "--resume",
    "shard": "--shard",
    "shard_size": "--shard-size",
    "time_limit": "--time-limit",
    "device": "--device",
    "engine": "--engine",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options for folders.

    Parameters
    ----------
    parser : ArgumentParser
        Of ``encode``.
    """
    folder = parser.add_argument_group("options for a folder of shards")
    folder.add_argument(
        "-j", "--jobs", type=_positive, metavar="N", help="worker processes (default: 1)"
    )
    folder.add_argument(
        "--resume", action="store_true", help="go on with what OUT holds; begin if it is empty"
    )
    folder.add_argument(
        "--shard",
        type=part_of,
        metavar="I/N",
        help="this is job I of N, from 1, which share OUT: each makes every N-th shard",
    )
    folder.add_argument(
        "--shard-size", type=_positive, metavar="N", help="inputs per shard (default: 1000)"
    )
    folder.add_argument(
        "--time-limit",
        type=_seconds,
        metavar="SECONDS",
        help="for reading one input, or encoding one chain of it (default: 300)",
    )
    folder.add_argument("--device", help="where to encode, for instance cuda (default: cpu)")
    folder.add_argument(
        "--engine",
        choices=("local", "ray"),
        help="processes of this machine, or a Ray cluster (default: local)",
    )


def part_of(text: str) -> tuple[int, int]:
    """
    Parse the value of ``--shard``.

    Parameters
    ----------
    text : str
        Which job, from 1, and of how many.

    Returns
    -------
    tuple of int
        Both numbers.

    Raises
    ------
    argparse.ArgumentTypeError
        If that is not what it says.

    Examples
    --------
    >>> part_of("2/16")
    (2, 16)
    """
    job, slash, jobs = text.partition("/")
    if not (slash and job.isdecimal() and jobs.isdecimal() and 1 <= int(job) <= int(jobs)):
        msg = f"expected I/N with 1 <= I <= N, for instance 1/8; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(job), int(jobs)


def is_meant(args: argparse.Namespace) -> bool:
    """
    Tell whether the output is a folder of shards.

    Parameters
    ----------
    args : Namespace
        The parsed options of ``encode``.

    Returns
    -------
    bool
        True if OUT ends in a slash or is a folder, or an option for folders is given.

    Raises
    ------
    TokenFormatError
        If such an option is given and OUT is not, or is the name of a file.
    """
    given = [option for name, option in _FOLDER_OPTIONS.items() if getattr(args, name)]
    out: str | None = args.output
    if out is None:
        if given:
            msg = f"{given[0]} is for a folder of shards; name one with -o OUT/"
            raise TokenFormatError(msg)
        return False
    named = out.endswith("/") or Path(out).is_dir()
    if given and not named and Path(out).suffix:
        msg = (
            f"{given[0]} is for a folder of shards, and {out} looks like a file; write -o {out}/ "
            "if it is to be a folder"
        )
        raise TokenFormatError(msg)
    return named or bool(given)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``encode`` into a folder.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if an input could not be encoded or there is none.

    Raises
    ------
    ProvqError
        If the folder is not for this run, or the model cannot be loaded.
    OSError
        If a shard cannot be written.
    """
    if args.overwrite:
        msg = f"{args.output}: --overwrite replaces no folder; remove it first, or use --resume"
        raise TokenFormatError(msg)
    from provq_protein.batch.run import SHARD_SIZE, TIME_LIMIT, RunOptions, encode_to_folder

    policy = policy_from(args)
    shard_size, part = args.shard_size or SHARD_SIZE, args.shard or (1, 1)
    with _progress(_total(args, shard_size, part)) as show:
        summary = encode_to_folder(
            args.files,
            args.output,
            model=args.model,
            jobs=args.jobs or 1,
            shard_size=shard_size,
            resume=args.resume,
            part=part,
            format=args.format or "parquet",
            options=RunOptions(
                policy=policy,
                time_limit=args.time_limit or TIME_LIMIT,
                device=args.device or "cpu",
                engine=args.engine or "local",
                precision=args.precision,
                topology=args.topology,
                on_progress=show,
                on_warning=_warn,
            ),
        )
    print(_text(summary, args.output), file=sys.stderr)
    return 1 if summary.problems or not summary.members else 0


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _text(summary: "Summary", out: str) -> str:
    total = summary.made + summary.found
    shards = count(summary.shards_made + summary.shards_found, "shard")
    before = f", {summary.shards_found} of them made before" if summary.shards_found else ""
    text = f"{count(total.ok, 'chain')} of {count(total.members, 'input')} in {shards}{before}"
    text += fast_text(total.fast, total.rechecked, total.audited)
    if not summary.members:
        return f"{text}: no structure file among what was given"
    if summary.problems:
        text += (
            f"; {count(summary.problems, 'problem')}, listed in {Path(out) / 'manifest-*.jsonl'}"
        )
    return text


def _total(args: argparse.Namespace, shard_size: int, part: tuple[int, int]) -> int | None:
    """Return the number of inputs of this job, if somebody watches and it is cheap to know."""
    if not sys.stderr.isatty():
        return None
    from provq_protein.sources import members
    from provq_protein.sources.kinds import kind_of

    if any(file == "-" or kind_of(file) not in ("structure", "other") for file in args.files):
        return None
    listed = enumerate(members(args.files, wanted=lambda index: False))
    return sum(index // shard_size % part[1] == part[0] - 1 for index, _ in listed)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[["Counts"], None] | None]:
    """Show inputs, residues per second and the time left on stderr, if somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("encoding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[chains]} chains, {task.fields[speed]:.0f} residues/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total, chains=0, speed=0.0)
        chains = residues = 0

        def show(counts: "Counts") -> None:
            nonlocal chains, residues
            chains, residues = chains + counts.ok, residues + counts.residues
            elapsed = bar.tasks[0].elapsed or 0.0
            speed = residues / elapsed if elapsed else 0.0
            bar.update(task, advance=counts.members, chains=chains, speed=speed)

        yield show


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"expected a whole number from 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        msg = f"expected seconds above 0, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value
