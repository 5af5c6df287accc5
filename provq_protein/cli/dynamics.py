"""How does ``provq-protein dynamics`` show how the tokens of a chain move in a trajectory?"""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count
from provq_protein.errors import ConfigError

if TYPE_CHECKING:
    from provq_protein.evaluation.token_series import TokenSeries

_DESCRIPTION = """\
Encode one protein chain in every frame of a trajectory, or in every model of a structure file,
and write its tokens as a time series. Printed are how often ids change, how far apart in codebook
space the codes of consecutive frames are, and how both go along with the fluctuation of the CA
atoms (RMSF, superposed on the first frame).

Noise of a few hundredths of an Angstrom changes ids, so that a count of changes overstates motion;
distances between codes do so less. See docs/dynamics.md."""
_WIDTH_OF_FILES = 120
_MOST_MOBILE = 5
_MEASURES = {
    "change_share": "share of changed ids",
    "perplexity": "perplexity",
    "mean_shift": "distance from frame to frame",
    "code_fluctuation": "fluctuation of codes",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``dynamics``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "dynamics",
        help="tokens of a chain over the frames of a trajectory",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "trajectory", metavar="TRAJECTORY", help="trajectory, or structure file with models"
    )
    parser.add_argument(
        "--topology", metavar="PATH", help="structure file of the same atoms as the trajectory"
    )
    parser.add_argument(
        "--chain", metavar="A", help="author chain id (default: the only protein chain)"
    )
    parser.add_argument(
        "--stride", type=_positive, default=1, metavar="N", help="encode every Nth frame"
    )
    add_model_option(parser)
    parser.add_argument(
        "-o", "--output", metavar="SERIES", required=True, help="npz file to write the series to"
    )
    parser.add_argument("--plot", metavar="FIGURE", help="figure to write (svg, png or pdf)")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON line per residue, and one of the chain"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``dynamics``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a frame could not be read or encoded.

    Raises
    ------
    ProvqError
        If nothing could be encoded or written.
    """
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.evaluation.dynamics import token_series
    from provq_protein.evaluation.series_file import save_series
    from provq_protein.tokenizer import StructureTokenizer

    _check_outputs(args)
    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    series = token_series(
        tokenizer,
        args.trajectory,
        topology=args.topology,
        chain=args.chain,
        stride=args.stride,
        on_problem=report.problem,
    )
    save_series(args.output, series)
    if args.plot:
        _draw(Path(args.plot), series, tokenizer.name)
    if args.json:
        _print_lines(series)
    else:
        _print_summary(series, model=tokenizer.name)
    if len(series) == 1:
        report.warn_once(f"{args.trajectory}: only one frame, so nothing can change")
    report.summary(f"{count(len(series), 'frame')} encoded to {args.output}")
    return report.exit_code


def _check_outputs(args: argparse.Namespace) -> None:
    """Find out before an hour of encoding that its result could not be written."""
    from provq_protein.runs.files import check_output

    check_output(Path(args.output), overwrite=args.overwrite)
    if args.plot:
        from provq_protein.evaluation.figure_files import check_figure

        check_figure(Path(args.plot))
        check_output(Path(args.plot), overwrite=args.overwrite)
        if Path(args.plot).absolute() == Path(args.output).absolute():
            msg = f"{args.plot}: is the name of the series too; name another figure"
            raise ConfigError(msg)


def _draw(path: Path, series: "TokenSeries", model: str) -> None:
    from provq_protein.evaluation.dynamics_figure import draw_dynamics

    title = f"{Path(series.source).name}, chain {series.chain_id}: codes of model {model}"
    try:
        draw_dynamics(path, series, title=title)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise ConfigError(msg) from error


def _print_lines(series: "TokenSeries") -> None:
    from provq_protein.evaluation.dynamics_report import residue_rows, summary

    for row in [*residue_rows(series), summary(series)]:
        print(json.dumps(row, ensure_ascii=False))


def _print_summary(series: "TokenSeries", *, model: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from provq_protein.evaluation.dynamics_report import residue_rows, summary

    whole = summary(series)
    span = ""
    if None not in (whole["first_time_ps"], whole["last_time_ps"]):
        span = f", {whole['first_time_ps']:g} to {whole['last_time_ps']:g} ps"
    lines = [
        f"{series.source}, chain {series.chain_id}, model {model}: "
        f"{count(len(series), 'frame')} of {count(whole['residues'], 'residue')}{span}",
        f"ids that change from frame to frame: {_percent(whole['changed'])} "
        f"(against the first frame: {_percent(whole['changed_from_first'])})",
        f"distance of codes from frame to frame: {_cell(whole['mean_shift'])} "
        f"(two codes of the chain at random: {_cell(whole['spread'])})",
        f"mean RMSF of CA: {_cell(whole['mean_rmsf'])} Å; rank correlation over residues with",
    ]
    correlations = whole["rank_correlation_with_rmsf"]
    lines += [f"  {label}: {_cell(correlations[name])}" for name, label in _MEASURES.items()]
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    for line in lines:
        print(line)
    rows = sorted(residue_rows(series), key=lambda row: row["mean_shift"] or 0.0, reverse=True)
    known = [row for row in rows if row["mean_shift"] is not None][:_MOST_MOBILE]
    if not known:
        return
    table = Table("residue", title="most mobile residues", title_justify="left")
    for name in ("changes", "different codes", "perplexity", "distance", "RMSF (Å)"):
        table.add_column(name, justify="right")
    for row in known:
        numbers = [str(row["changes"]), str(row["distinct"])]
        numbers += [_cell(row[name]) for name in ("perplexity", "mean_shift", "rmsf")]
        table.add_row(escape(f"{row['name']} {row['residue']}"), *numbers)
    console.print(table)


def _percent(share: float | None) -> str:
    return "n/a" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"expected a whole number from 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
