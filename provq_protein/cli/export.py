"""How does ``provq-protein export`` turn token files into what other tools read?"""

import argparse

from provq_protein.cli.reporting import Report, count

_TARGETS = ("memmap", "datasets", "foldseek", "fasta")
_DESCRIPTION = """\
Turn token files into another layout:

  memmap    arrays that a training run maps into memory (provq_protein.export.token_array)
  datasets  a folder for Hugging Face's load_dataset (needs the extra parquet)
  foldseek  a Foldseek or MMseqs2 database OUT/db, for models of at most 20 codes
  fasta     text: a header and the tokens of each chain

Token files that cannot be read are reported on stderr, the others are exported, and the exit
code is 1. The output appears when it is complete, or not at all."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``export``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "export",
        help="tokens to arrays, data sets, databases or text",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "tokens",
        nargs="+",
        metavar="TOKENS",
        help="token file of any format, or folder of Parquet token files",
    )
    add("-o", "--output", metavar="OUT", required=True, help="folder to write; fasta: file")
    add("--to", choices=_TARGETS, required=True, help="layout to write")
    add(
        "--ids",
        choices=("name", "path"),
        default="name",
        help="name chains STEM_CHAIN, or PATH_CHAIN with folders and suffix (default: name)",
    )
    add(
        "--style",
        choices=("ints", "fixed"),
        help="fasta: numbers, or a fixed number of characters per token (default: ints)",
    )
    add(
        "--chains-per-file",
        type=positive,
        metavar="N",
        help="datasets: chains of each Parquet file (default: 50000)",
    )
    add("--overwrite", action="store_true", help="replace an earlier export")
    parser.set_defaults(run=run)


def positive(text: str) -> int:
    """
    Parse a number of at least 1.

    Parameters
    ----------
    text : str
        What the user typed.

    Returns
    -------
    int
        Its value.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.

    Examples
    --------
    >>> positive("3")
    3
    """
    if not (text.isascii() and text.isdigit() and int(text)):
        msg = f"expected a number of at least 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``export``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if a token file could not be read.

    Raises
    ------
    ProvqError
        If the output could not be written, or the tokens do not fit it; nothing is written.
    """
    from provq_protein.errors import TokenFormatError
    from provq_protein.export.exporting import CHAINS_PER_FILE, export_tokens

    for option, value, target in (
        ("--style", args.style, "fasta"),
        ("--chains-per-file", args.chains_per_file, "datasets"),
    ):
        if value is not None and args.to != target:
            msg = f"{option} says something about {target} only, not about {args.to}"
            raise TokenFormatError(msg)
    report = Report()
    done = export_tokens(
        args.tokens,
        args.output,
        to=args.to,
        names=args.ids,
        style=args.style or "ints",
        chains_per_file=args.chains_per_file or CHAINS_PER_FILE,
        overwrite=args.overwrite,
        on_problem=report.problem,
    )
    where = f" to {args.output}" if done.chains else ", so nothing was written"
    what = f"{count(done.chains, 'chain')} ({count(done.residues, 'residue')}) exported"
    report.summary(f"{what}{where}")
    return report.exit_code
