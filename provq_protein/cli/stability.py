"""How does ``provq-protein stability`` show what share of ids survives small changes?"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.cli.residue_options import chain_list

if TYPE_CHECKING:
    from provq_protein.evaluation.stability_report import StabilityMeter, StabilityRow
    from provq_protein.structure.backbone import Backbone

_DESCRIPTION = """\
Encode every protein chain of structure files again after small changes, and print the share of
resolved residues whose id stays: rotation, shift, another arithmetic, noise of 0.01 to 0.5 Å on
all atoms, FoldComp's loss (where the package foldcomp is installed), and absent residues.

Rotation of coordinates that are not rounded must leave 99.9 % of all ids unchanged: the exit code
is 1 if it does not, and if a file or chain could not be encoded."""
_WIDTH_OF_FILES = 120


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``stability``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "stability",
        help="share of ids that survive rotation, noise and loss",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="structure file")
    parser.add_argument(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="author chain ids to use (default: all protein chains)",
    )
    add_model_option(parser)
    parser.add_argument(
        "--trials", type=_positive, default=3, metavar="N", help="of what is random (default: 3)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="default: 0")
    parser.add_argument("--json", action="store_true", help="print one JSON line per change")
    parser.add_argument("-o", "--plot", metavar="FIGURE", help="figure to write (svg, png or pdf)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``stability``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if rotation changes too many ids or a file or chain could not be encoded.

    Raises
    ------
    ProvqError
        If the model cannot be loaded, or the figure cannot be drawn; nothing is encoded then.
    """
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.evaluation.disturbances import disturbances
    from provq_protein.evaluation.figure_files import check_figure
    from provq_protein.evaluation.stability_figure import draw_stability
    from provq_protein.evaluation.stability_report import StabilityMeter, falls_short
    from provq_protein.sources.foldcomp_codec import FoldcompDecoder, foldcomp_installed
    from provq_protein.tokenizer import StructureTokenizer

    if args.plot:
        check_figure(Path(args.plot))
    tokenizer = StructureTokenizer.from_pretrained(args.model)
    decoder = FoldcompDecoder() if foldcomp_installed() else None
    meter = StabilityMeter(tokenizer, disturbances(decoder), trials=args.trials, seed=args.seed)
    report = Report()
    try:
        chains = _measure(args, meter, report)
    finally:
        if decoder is not None:
            decoder.close()
    rows = meter.rows()
    _print(args, rows, meter, title=f"{tokenizer.name}: {count(chains, 'chain')}")
    if args.plot and chains:
        title = f"Ids of {tokenizer.name} that stay, {count(chains, 'chain')}"
        draw_stability(Path(args.plot), rows, title=title)
    if decoder is None:
        report.warn_once("FoldComp's loss is left out; pip install 'provq[foldcomp]' brings it")
    if falls_short(rows):
        report.problem("rotation in float64 changes more than 0.1 % of the ids")
    report.summary(f"{count(chains, 'chain')} of {count(len(args.files), 'file')} measured")
    return report.exit_code


def _measure(args: argparse.Namespace, meter: "StabilityMeter", report: Report) -> int:
    from provq_protein.tokens.inputs import per_chain

    def measure(chain: "Backbone") -> None:
        meter.add(chain)

    with progress(args.files, label="measuring", writes_stdout=args.json) as files:
        return sum(
            1 for _ in per_chain(measure, files, chains=args.chains, on_problem=report.problem)
        )


def _print(
    args: argparse.Namespace,
    rows: "Sequence[StabilityRow]",
    meter: "StabilityMeter",
    *,
    title: str,
) -> None:
    if args.json:
        for row in rows:
            fields = {key: _rounded(value) for key, value in asdict(row).items()}
            print(json.dumps({**fields, "note": meter.notes.get(row.name)}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    table = Table("change", title=title, title_justify="left")
    for name in ("ids unchanged (%)", "median of chains", "lowest chain", "intact chains"):
        table.add_column(name, justify="right")
    table.add_column("note")
    for row in rows:
        shares = [_percent(value) for value in (row.share, row.median, row.lowest)]
        table.add_row(
            row.name, *shares, f"{row.intact} of {row.chains}", meter.notes.get(row.name, "")
        )
    console.print(table)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"expected a whole number from 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        msg = f"expected a whole number from 0, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
