"""How does ``provq-protein evaluate`` measure what encoding and decoding leave of structures?"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provq_protein import __version__
from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.errors import ProvqError

if TYPE_CHECKING:
    from rich.table import Table

    from provq_protein.evaluation.chain_scores import Estimate
    from provq_protein.evaluation.roundtrip import RoundTripReport
    from provq_protein.structure.backbone import Backbone
    from provq_protein.tokenizer import StructureTokenizer

_DESCRIPTION = """\
Encode and decode every protein chain of structure files, and compare the result with the original:
backbone RMSD (superposed without reflection), RMSD of the mirror image, TM-score and lDDT-CA,
beside controls that show what the tokens and the trained decoder contribute; code usage; and the
share of ids that survive motion, mirroring and noise. Only resolved residues are compared."""

FORMAT_VERSION = 1
# Wide enough for the tables where there is no terminal to ask.
_WIDTH_OF_FILES = 120


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``evaluate``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "evaluate",
        help="round-trip quality on structure files, with controls",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="structure file")
    add_model_option(parser)
    parser.add_argument("--json", metavar="OUT", type=Path, help="write all numbers to this file")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of controls, perturbations and bootstrap intervals (default: 0)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``evaluate``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a file or chain could not be evaluated.

    Raises
    ------
    ProvqError
        If the output exists already, or the model cannot be loaded.
    """
    if args.json is not None and args.json.exists() and not args.overwrite:
        msg = f"{args.json}: exists already; choose another file or give --overwrite"
        raise ProvqError(msg)
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.evaluation.roundtrip import evaluate_roundtrip
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    chains = _usable_chains(tokenizer, args.files, report)
    if chains:
        with progress(chains, label="evaluating") as watched:
            result = evaluate_roundtrip(
                tokenizer, chains, seed=args.seed, progress=lambda _: watched
            )
        _print_tables(result, tokenizer.name)
        if args.json is not None:
            _write_json(args.json, result, tokenizer)
    done = f"{count(len(chains), 'chain')} of {count(len(args.files), 'file')} evaluated"
    report.summary(done)
    return report.exit_code


def _usable_chains(
    tokenizer: "StructureTokenizer", files: list[str], report: Report
) -> "list[Backbone]":
    """Read all chains, and report those that cannot be encoded just as ``encode`` does."""
    from provq_protein.structure.reading import read_backbones

    usable: list[Backbone] = []
    with progress(files, label="reading") as names:
        for name in names:
            try:
                found = read_backbones(name)
            except Exception:  # noqa: BLE001 - encoding meets it again, and words the report
                tokenizer.encode([name], on_problem=report.problem)
                continue
            usable += [one for one in found if tokenizer.encode([one], on_problem=report.problem)]
    return usable


def _print_tables(result: "RoundTripReport", model: str) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_FILES)
    console.print(_chain_table(result))
    console.print(_summary_table(result, model))
    usage = result.usage
    console.print(
        f"codes used: {usage.utilization:.1%} of {usage.codebook_size} by {usage.tokens} tokens; "
        f"perplexity {usage.perplexity:.1f} ({usage.normalized_perplexity:.3f} of the codebook)",
        highlight=False,
    )
    shares = ", ".join(f"{name} {share:.2%}" for name, share in result.stability.items())
    console.print(f"ids unchanged: {shares}", highlight=False)


def _chain_table(result: "RoundTripReport") -> "Table":
    from rich.table import Table

    from provq_protein.evaluation.chain_scores import METRICS

    table = Table("chain", title="reconstruction from tokens")
    for label in ("residues", *(metric.label for metric in METRICS)):
        table.add_column(label, justify="right")
    for one in result.chains:
        values = [f"{getattr(one, metric.name):.3f}" for metric in METRICS]
        table.add_row(one.name, str(one.residues), *values)
    return table


def _summary_table(result: "RoundTripReport", model: str) -> "Table":
    from rich.table import Table

    from provq_protein.evaluation.chain_scores import METRICS
    from provq_protein.evaluation.roundtrip import VARIANTS

    table = Table(
        "decoded from",
        title=f"median over {count(len(result.chains), 'chain')} [95 % interval], model {model}",
    )
    for metric in METRICS:
        table.add_column(metric.label, justify="right")
    for variant in result.variants:
        summary = result.summary(variant)
        table.add_row(VARIANTS[variant], *(_cell(summary[metric.name]) for metric in METRICS))
    return table


def _cell(estimate: "Estimate") -> str:
    low, high = estimate.median_interval
    # The bracket is escaped: rich would read it as markup.
    return f"{estimate.median:.3f} \\[{low:.2f}, {high:.2f}]"


def _write_json(path: Path, result: "RoundTripReport", tokenizer: "StructureTokenizer") -> None:
    document: dict[str, Any] = {
        "format": "provq-evaluation",
        "format_version": FORMAT_VERSION,
        "provq": __version__,
        "model": {"name": tokenizer.name, "fingerprint": tokenizer.fingerprint},
        **result.to_json(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
