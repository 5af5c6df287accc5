"""How does ``provq-protein roundtrip`` show what encoding and decoding leave of each chain?"""

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.cli.residue_options import chain_list
from provq_protein.cli.superposed_files import SuperposedFiles
from provq_protein.errors import CheckpointError

if TYPE_CHECKING:
    from provq_protein.evaluation.chain_scores import ChainScores
    from provq_protein.structure.backbone import Backbone
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.inputs import InputProblem

_DESCRIPTION = """\
Encode and decode every protein chain of structure files, and print how close each comes back:
backbone RMSD (superposed without reflection), TM-score and lDDT-CA, then the medians. Only
resolved residues are compared. Files and chains that cannot be encoded get a row with the reason,
and the exit code is 1. `evaluate` adds controls, code usage and intervals.

Below the medians stand those that the model's folder records for chains that it was not trained
on, if it does. With -o, each chain becomes an mmCIF file: model 1 is the original backbone, model
2 the reconstruction, superposed on it, and the B-factors are the distance of each residue in Å."""

# Fields of a `ChainScores` and how they are called in the table.
SCORES = {"rmsd": "RMSD (Å)", "tm_score": "TM-score", "lddt_ca": "lDDT-CA"}
_DIGITS = 4
# Wide enough for the table where there is no terminal to ask.
_WIDTH_OF_FILES = 120


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``roundtrip``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "roundtrip",
        help="RMSD, TM-score and lDDT-CA of each chain after encoding and decoding",
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
        "--json", action="store_true", help="print one JSON line per chain, and one of medians"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="folder for originals and superposed reconstructions, made if absent",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``roundtrip``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a file or chain could not be encoded.

    Raises
    ------
    ProvqError
        If the model cannot be loaded, or there is no folder to write to.
    """
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.evaluation.chain_scores import score_chain
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.inputs import per_chain

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    expected = _expected(tokenizer, report)
    files_out = None
    if args.output is not None:
        files_out = SuperposedFiles(Path(args.output), overwrite=args.overwrite)
    rows: list[dict[str, Any]] = []

    def add(row: dict[str, Any]) -> None:
        rows.append(row)
        if args.json:
            print(json.dumps(row, ensure_ascii=False), flush=True)

    def measure(chain: "Backbone") -> dict[str, Any]:
        decoded = tokenizer.decode(tokenizer.encode([chain]))[0]
        row = _row(score_chain(chain, decoded))
        return (
            row if files_out is None else {**row, "written": str(files_out.write(chain, decoded))}
        )

    def problem(found: "InputProblem") -> None:
        report.problem(found)
        add({"file": found.file, "chain": found.chain_id, "problem": found.reason})

    with progress(args.files, label="measuring", writes_stdout=args.json) as files:
        for row in per_chain(measure, files, chains=args.chains, on_problem=problem):
            add(row)
    done = [row for row in rows if "problem" not in row]
    if args.json:
        print(json.dumps({"median_over": len(done), **medians(done), "expected": expected}))
    else:
        _print_table(rows, done, model=tokenizer.name)
        if done:
            _print_expected(expected)
    where = "" if args.output is None else f" to {args.output}"
    files_in = count(len(args.files), "file")
    report.summary(f"{count(len(done), 'chain')} of {files_in} encoded and decoded{where}")
    return report.exit_code


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """
    Return the median of each score over chains.

    Parameters
    ----------
    rows : sequence of dict
        Scores by name; None where a chain is too short to have one.

    Returns
    -------
    dict of str to float or None
        By name; None where no chain has the score.

    Examples
    --------
    >>> medians([{"rmsd": 1.0, "tm_score": 0.5, "lddt_ca": None}])
    {'rmsd': 1.0, 'tm_score': 0.5, 'lddt_ca': None}
    """
    found = {name: [row[name] for row in rows if row[name] is not None] for name in SCORES}
    return {
        name: round(statistics.median(values), _DIGITS) if values else None
        for name, values in found.items()
    }


def _expected(tokenizer: "StructureTokenizer", report: Report) -> dict[str, Any] | None:
    """Return what the model's folder says of chains that come back, as JSON values."""
    from provq_protein.evaluation.expected_scores import expected_scores

    if tokenizer.origin is None:
        return None
    try:
        found = expected_scores(tokenizer.origin.folder)
    except CheckpointError as error:
        report.warn_once(str(error))
        return None
    if found is None:
        return None
    scores = {name: getattr(found, name) for name in SCORES}
    return {"median_over": found.chains, "chains_of": found.chains_of, **scores}


def _print_expected(expected: dict[str, Any] | None) -> None:
    if expected is None:
        print("expected medians: not recorded in the model's folder")
        return
    numbers = ", ".join(f"{label} {_cell(expected[name])}" for name, label in SCORES.items())
    chains = count(expected["median_over"], "chain")
    print(f"expected medians, of {chains} ({expected['chains_of']}): {numbers}")


def _row(scores: "ChainScores") -> dict[str, Any]:
    values = {name: getattr(scores, name) for name in SCORES}
    # JSON has no NaN.
    known = {k: None if math.isnan(v) else round(v, _DIGITS) for k, v in values.items()}
    return {"chain": scores.name, "residues": scores.residues, **known}


def _print_table(
    rows: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]], *, model: str
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_FILES)
    table = Table(
        title=f"reconstruction from tokens, model {escape(model)}", show_footer=bool(done)
    )
    middle = medians(done)
    table.add_column("chain", f"median over {count(len(done), 'chain')}", overflow="fold")
    table.add_column("residues", justify="right")
    for name, label in SCORES.items():
        table.add_column(label, _cell(middle[name]), justify="right")
    if len(done) < len(rows):
        table.add_column("problem", overflow="fold")
    for row in rows:
        if "problem" in row:
            file = PurePath(row["file"]).name
            name = file if row["chain"] is None else f"{file}:{row['chain']}"
            table.add_row(escape(name), *[""] * (len(SCORES) + 1), escape(row["problem"]))
        else:
            values = (_cell(row[name]) for name in SCORES)
            table.add_row(escape(row["chain"]), str(row["residues"]), *values)
    console.print(table)


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
