"""How does ``provq-protein codebook`` make a dictionary of the codes of a model?"""

import argparse
from pathlib import Path

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.report import command_line, gather, write_page
from provq_protein.cli.reporting import Report, count
from provq_protein.cli.residue_options import chain_list

_DESCRIPTION = """\
Write one page with a card for each code of a model: what the decoder draws for it, the nearest
codes, how often the code occurs, in which secondary structure, the mean of the pieces of chain
that have it, and the residues most like that mean. Codes are counted in structure or token files.
Without files, those of the shipped model are counted in the chains it was trained on, and other
models get a page without counts. What cannot be used gets a row with the reason, and the exit code
is 1. If files are given and none can be used, no page is written."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``codebook``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "codebook",
        help="a page with a card for each code of a model",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="FILE", help="structure or token file to count codes in")
    add("-o", "--output", metavar="PAGE", required=True, help="page to write, for instance d.html")
    add(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="author chain ids to use (default: all protein chains)",
    )
    add_model_option(parser)
    add("--overwrite", action="store_true", help="replace a page that exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``codebook``.

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
        If the page cannot be written, the model not be loaded, or the statistics of the shipped
        model not be read.
    """
    # Not at the top: they import torch, for which `--help` should not wait.
    from provq_protein.reports.code_statistics import code_statistics
    from provq_protein.reports.dictionary_page import dictionary_page
    from provq_protein.reports.statistics_file import shipped_statistics
    from provq_protein.runs.files import check_output
    from provq_protein.tokenizer import StructureTokenizer

    check_output(Path(args.output), overwrite=args.overwrite)
    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    records, problems = gather(args.inputs, tokenizer, args.chains, report)
    if args.inputs and not records:
        report.summary("no chain could be used, so no page was written")
        return 1
    statistics = code_statistics(records, tokenizer) if records else shipped_statistics(tokenizer)
    text = dictionary_page(
        tokenizer, statistics, problems=problems, command=command_line("codebook", args)
    )
    write_page(Path(args.output), text)
    counted = f", counted in {count(statistics.chains, 'chain')}" if statistics else ""
    report.summary(f"{count(tokenizer.codebook_size, 'code')} on {args.output}{counted}")
    return report.exit_code
