"""How does ``provq-protein encode`` turn structure files into tokens?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli import encode_folder
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.errors import StructureError, TokenFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provq_protein.structure.backbone import Backbone
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.sequence import TokenSequence

_DESCRIPTION = """\
Encode every protein chain of structure files (mmCIF, BinaryCIF, PDB; also gzipped), of the
files in tar and zip archives, of patterns such as 'set/*.cif', or of a list on stdin (-).

Without -o, one JSON line per chain is printed as soon as it is known. With -o FILE, one token
file is written at the end. Files and chains that cannot be encoded are reported on stderr, the
others are encoded, and the exit code is 1.

With -o FOLDER/ (a name that ends in /, an existing folder, or one of the options for folders)
a folder of token shards is written by worker processes, with a manifest that says what became
of every chain. It can be interrupted at any moment and resumed; see docs/scaling.md."""


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
    parser.add_argument("files", nargs="+", metavar="FILE", help="structure file or archive")
    parser.add_argument("-o", "--output", metavar="OUT", help="token file or folder to write")
    parser.add_argument(
        "--format",
        choices=("npz", "h5", "jsonl", "parquet"),
        help="format of OUT (default: by its suffix, npz if it has none; parquet in a folder)",
    )
    parser.add_argument(
        "--chains",
        type=chain_list,
        metavar="A,B",
        help="author chain ids to encode (default: all protein chains)",
    )
    parser.add_argument("--model", metavar="PATH", help="model folder (default: the shipped model)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is a file")
    parser.add_argument(
        "--topology", metavar="PATH", help="topology file of the trajectories among the inputs"
    )
    encode_folder.add_options(parser)
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
    if encode_folder.is_meant(args):
        return encode_folder.run(args)
    _check_output(args)
    # Not at the top: it imports torch, for which `--help` should not wait.
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    report = Report()
    to_stdout = args.output is None
    with progress(args.files, label="encoding", writes_stdout=to_stdout) as files:
        chains = _encoded(tokenizer, files, args, report)
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


def _encoded(
    tokenizer: "StructureTokenizer",
    files: "Iterable[str]",
    args: argparse.Namespace,
    report: Report,
) -> "Iterator[TokenSequence]":
    for file in files:
        if _is_one_structure(file):
            yield from tokenizer.iter_encode([file], chains=args.chains, on_problem=report.problem)
        else:
            chains = _chains_within(file, args, report)
            yield from tokenizer.iter_encode(chains, on_problem=report.problem)


def _is_one_structure(file: str) -> bool:
    from provq_protein.sources.kinds import kind_of

    if file == "-" or Path(file).is_dir() or kind_of(file) not in ("structure", "other"):
        return False
    # A name may contain the signs of a pattern.
    return Path(file).exists() or not any(sign in file for sign in "*?[")


def _chains_within(file: str, args: argparse.Namespace, report: Report) -> "Iterator[Backbone]":
    """Yield the wanted chains of an archive, a pattern, a list or a trajectory."""
    from provq_protein.batch.encoding import read_member
    from provq_protein.sources import FOLDCOMP_WARNING, members
    from provq_protein.tokens.inputs import InputProblem

    for member in members([file], topology=args.topology):
        if member.source == "foldcomp":
            report.warn_once(FOLDCOMP_WARNING)
        found = []
        problem = member.problem
        if problem is None:
            try:
                found = read_member(member)
            except StructureError as error:
                problem = str(error).removeprefix(f"{member.name}: ")
        if problem is not None:
            report.problem(InputProblem(member.name, None, problem))
            continue
        present = [chain.chain_id for chain in found]
        for name in args.chains or ():
            if name not in present:
                reason = f"no such protein chain; there is {', '.join(present)}"
                report.problem(InputProblem(member.name, name, reason))
        yield from (c for c in found if args.chains is None or c.chain_id in args.chains)


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
