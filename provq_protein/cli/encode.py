"""How does ``provq-protein encode`` turn structure files into tokens?"""

import argparse
from typing import TYPE_CHECKING

from provq_protein.cli.reporting import Report, count, progress
from provq_protein.errors import TokenFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provq_protein.tokens.sequence import TokenSequence

_DESCRIPTION = """\
Encode every protein chain of structure files (mmCIF, BinaryCIF, PDB; also gzipped).
Without -o, one JSON line per chain is printed as soon as it is known. Files and chains that
cannot be encoded are reported on stderr, the others are encoded, and the exit code is 1."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``encode``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "encode",
        help="structure files to tokens",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="structure file")
    parser.add_argument("-o", "--output", metavar="OUT", help="token file to write")
    parser.add_argument(
        "--format",
        choices=("npz", "h5", "jsonl"),
        help="format of OUT (default: by its suffix, npz if it has none)",
    )
    parser.add_argument(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="author chain ids to encode (default: all protein chains)",
    )
    parser.add_argument("--model", metavar="PATH", help="model folder (default: the shipped model)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run)


def chain_list(text: str) -> list[str]:
    """
    Parse the value of ``--chains``.

    Parameters
    ----------
    text : str
        Chain ids, separated by commas.

    Returns
    -------
    list of str
        Each once, in the given order.

    Raises
    ------
    argparse.ArgumentTypeError
        If a chain id is empty.

    Examples
    --------
    >>> chain_list("A,BB,A")
    ['A', 'BB']
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        msg = f"expected chain ids separated by commas, for instance A,B; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return list(dict.fromkeys(names))


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``encode``.

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
        If the output could not be written, or the model not be loaded; nothing is encoded.
    """
    _check_output(args)
    # Not at the top: it imports torch, for which `--help` should not wait.
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    to_stdout = args.output is None
    with progress(args.files, label="encoding", writes_stdout=to_stdout) as files:
        chains = tokenizer.iter_encode(files, chains=args.chains, on_problem=report.problem)
        number = _print_lines(chains) if to_stdout else _save(chains, args)
    where = "" if to_stdout else f" to {args.output}" if number else ", so nothing was written"
    done = f"{count(number, 'chain')} of {count(len(args.files), 'file')} encoded{where}"
    report.summary(done)
    return report.exit_code


def _check_output(args: argparse.Namespace) -> None:
    """Find out before an hour of encoding that its result could not be written."""
    from provq_protein.tokens.formats import check_output, output_format

    if args.output is not None:
        output_format(args.output, format=args.format)
        check_output(args.output, overwrite=args.overwrite)
    elif args.format not in (None, "jsonl"):
        msg = f"--format {args.format}: only jsonl can be printed; name a file with -o"
        raise TokenFormatError(msg)


def _print_lines(chains: "Iterable[TokenSequence]") -> int:
    from provq_protein.tokens.jsonl import to_json_line

    number = 0
    for number, tokens in enumerate(chains, start=1):  # noqa: B007 - counts
        print(to_json_line(tokens), flush=True)
    return number


def _save(chains: "Iterable[TokenSequence]", args: argparse.Namespace) -> int:
    from provq_protein.tokens.formats import save_tokens

    tokens = list(chains)
    if tokens:
        save_tokens(args.output, tokens, format=args.format, overwrite=args.overwrite)
    return len(tokens)
