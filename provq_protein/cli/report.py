"""How does ``provq-protein report`` make a page of structures and tokens?"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli.export import positive
from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.cli.residue_options import chain_list

if TYPE_CHECKING:
    from provq_protein.reports.chain_records import ChainRecord
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.inputs import InputProblem

_DESCRIPTION = """\
Write one page that needs no network: use of the codes, perplexity, codes by secondary structure
and by phi and psi, errors along each chain, and a 3D view coloured by code and by error.

Structure files are encoded and decoded. Token files (npz, h5, jsonl or parquet, told by their
content) are decoded; without the original there is no error. What cannot be used gets a row with
the reason, and the exit code is 1. If nothing can be used, no page is written."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``report``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "report",
        help="a page about the tokens of structures, with a 3D view",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="FILE", help="structure file or token file")
    add("-o", "--output", metavar="PAGE", required=True, help="page to write, for instance r.html")
    add(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="author chain ids to use (default: all protein chains)",
    )
    add_model_option(parser)
    add(
        "--structures",
        type=positive,
        default=20,
        metavar="N",
        help="chains in the 3D view at most; the page names the others (default: 20)",
    )
    add("--no-viewer", action="store_true", help="leave out the 3D view (5 MB)")
    add("--overwrite", action="store_true", help="replace a page that exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``report``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a file or chain could not be used.

    Raises
    ------
    ProvqError
        If the page cannot be written, or model or viewer cannot be loaded; nothing is encoded
        then.
    """
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.reports.molstar_viewer import viewer_files
    from provq_protein.reports.report_page import ReportInputs, report_page
    from provq_protein.runs.files import check_output
    from provq_protein.tokenizer import StructureTokenizer

    check_output(Path(args.output), overwrite=args.overwrite)
    viewer = None if args.no_viewer else viewer_files()
    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    records, problems = gather(args.inputs, tokenizer, args.chains, report)
    if not records:
        report.summary("no chain could be used, so no page was written")
        return 1
    inputs = ReportInputs(records, problems, command_line("report", args), args.structures)
    write_page(Path(args.output), report_page(inputs, tokenizer, viewer))
    report.summary(f"{count(len(records), 'chain')} on {args.output}")
    return report.exit_code


def gather(
    inputs: list[str],
    tokenizer: "StructureTokenizer",
    chains: list[str] | None,
    report: Report,
) -> "tuple[list[ChainRecord], list[InputProblem]]":
    """
    Describe the chains of files, and report what cannot be used.

    Parameters
    ----------
    inputs : list of str
        Structure and token files.
    tokenizer : StructureTokenizer
        Encodes and decodes.
    chains : list of str or None
        Author chain ids to use; None for all.
    report : Report
        Gets the problems.

    Returns
    -------
    records : list of ChainRecord
        In order.
    problems : list of InputProblem
        In order.
    """
    from provq_protein.reports.chain_records import collect_records

    records: list[ChainRecord] = []
    problems: list[InputProblem] = []

    def problem(found: "InputProblem") -> None:
        report.problem(found)
        problems.append(found)

    with progress(inputs, label="reading") as files:
        for file in files:
            collect_records(
                [file], tokenizer, chains=chains, on_problem=problem, on_record=records.append
            )
    return records, problems


def write_page(path: Path, text: str) -> None:
    """
    Write a page, complete or not at all.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    text : str
        Its content.
    """
    from provq_protein.runs.files import replacing

    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def command_line(name: str, args: argparse.Namespace) -> str:
    """
    Return a command line that makes the page again.

    Parameters
    ----------
    name : str
        The command.
    args : Namespace
        Its options; what is left at its default is not named.

    Returns
    -------
    str
        One line.
    """
    words = ["provq-protein", name, *args.inputs, "-o", args.output]
    if args.chains:
        words += ["--chains", ",".join(args.chains)]
    if args.model:
        words += ["--model", args.model]
    if getattr(args, "structures", 20) != 20:
        words += ["--structures", str(args.structures)]
    if getattr(args, "no_viewer", False):
        words.append("--no-viewer")
    return shlex.join(words)
