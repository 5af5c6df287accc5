"""How does ``provq-protein decode`` turn tokens into structure files?"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.errors import ProvqError, StructureError, TokenFormatError

if TYPE_CHECKING:
    from provq_protein.tokenizer import StructureTokenizer
    from provq_protein.tokens.sequence import TokenSequence

_DESCRIPTION = """\
Decode every chain of a token file into one mmCIF file of N, CA and C atoms, named after the
input file and chain, with the original numbering. Tokens of another model are refused."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Declare the options of ``decode``.

    Parameters
    ----------
    subparsers : argparse action
        Where to add them.
    """
    parser = subparsers.add_parser(
        "decode",
        help="tokens to structure files",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("tokens", metavar="TOKENS", help="token file (npz, h5 or jsonl)")
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder to write to, made if absent"
    )
    add_model_option(parser, which="that encoded")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Carry out ``decode``.

    Parameters
    ----------
    args : Namespace
        The parsed options.

    Returns
    -------
    int
        0, or 1 if the token file or one of its chains could not be decoded.

    Raises
    ------
    ProvqError
        If the output could not be written, or the model not be loaded; nothing is decoded.
    """
    from provq_protein.cli.naming import output_names
    from provq_protein.tokens.formats import load_tokens

    report = Report()
    try:
        tokens = load_tokens(args.tokens)
    except TokenFormatError as error:
        report.problem(error)
        return report.exit_code
    folder = Path(args.output)
    jobs = [
        (chain, folder / name) for chain, name in zip(tokens, output_names(tokens), strict=True)
    ]
    _check_folder(folder, [path for _, path in jobs], overwrite=args.overwrite)
    # Not at the top: it imports torch, for which `--help` should not wait.
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(args.model)
    jobs = _with_our_fingerprint(jobs, tokenizer, args.tokens, report)
    written = _decode_all(jobs, tokenizer, folder, report)
    report.summary(f"{count(written, 'chain')} decoded to {folder}")
    return report.exit_code


def _check_folder(folder: Path, paths: Sequence[Path], *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is not a folder; name one for the structure files with -o"
        raise StructureError(msg)
    existing = [] if overwrite else [path for path in paths if path.exists()]
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        msg = f"{existing[0]}: exists{more}; name another folder, or allow --overwrite"
        raise StructureError(msg)


def _with_our_fingerprint(
    jobs: "list[tuple[TokenSequence, Path]]",
    tokenizer: "StructureTokenizer",
    file: str,
    report: Report,
) -> "list[tuple[TokenSequence, Path]]":
    """Report the chains of other models, once per model, and return the rest."""
    ours = tokenizer.fingerprint
    foreign = Counter(chain.fingerprint for chain, _ in jobs if chain.fingerprint != ours)
    for fingerprint, number in foreign.items():
        report.problem(
            f"{file}: {count(number, 'chain')} encoded by the model with fingerprint "
            f"{fingerprint}, but {tokenizer.name!r} has {ours}; name the model that encoded "
            "with --model, or encode the structures again"
        )
    return [(chain, path) for chain, path in jobs if chain.fingerprint == ours]


def _decode_all(
    jobs: "list[tuple[TokenSequence, Path]]",
    tokenizer: "StructureTokenizer",
    folder: Path,
    report: Report,
) -> int:
    from provq_protein.cli.naming import plain_name
    from provq_protein.structure.writing import write_backbone

    if jobs:
        folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with progress(jobs, label="decoding") as watched:
        for chain, path in watched:
            origin = f"{chain.source or 'tokens'}: chain {chain.chain_id}"
            try:
                write_backbone(path, tokenizer.decode([chain])[0])
            except Exception as error:  # noqa: BLE001 - whatever one chain does, the others go on
                expected = isinstance(error, ProvqError)
                reason = str(error).removeprefix(f"{origin}: ")
                kind = "" if expected else f"unexpected {type(error).__name__}: "
                report.problem(f"{origin}: {kind}{' '.join(reason.split())}")
                continue
            written += 1
            if path.stem != plain_name(chain):
                print(f"{path}: {origin}", file=sys.stderr)
    return written
