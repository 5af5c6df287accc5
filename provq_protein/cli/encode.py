"""How does ``provq-protein encode`` turn structure files into tokens?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from provq_protein.cli import encode_complex, encode_folder
from provq_protein.cli.model_option import add_model_option
from provq_protein.cli.reporting import Report, count, progress
from provq_protein.cli.residue_options import add_policy_options, policy_from
from provq_protein.errors import ConfigError, StructureError, TokenFormatError
from provq_protein.precision import PRECISIONS, fast_text, not_used, wrong_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
    from provq_protein.structure.backbone import Backbone
    from provq_protein.structure.policies import ResiduePolicy
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
of every chain. It can be interrupted at any moment and resumed; see docs/scaling.md.

Chains do not see each other, unless --complex is given; see docs/complexes.md."""


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
    add_model_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is a file")
    parser.add_argument(
        "--topology", metavar="PATH", help="topology file of the trajectories among the inputs"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="exact",
        help="fast: bfloat16, and again in float32 where an id could change (default: exact)",
    )
    parser.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="onnx: start without torch, in a fraction of the time, for the same ids; needs the "
        "extra 'onnx', and writes no folders (default: torch)",
    )
    encode_complex.add_option(parser)
    add_policy_options(parser)
    encode_folder.add_options(parser)
    parser.set_defaults(run=run)


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
    to_folder = encode_folder.is_meant(args)
    encode_complex.check(args, to_folder=to_folder)
    _check_runtime(args, to_folder=to_folder)
    if to_folder:
        return encode_folder.run(args)
    policy = policy_from(args)
    _check_output(args)
    report = Report()
    tokenizer = _tokenizer(args, report)
    to_stdout = args.output is None
    with progress(args.files, label="encoding", writes_stdout=to_stdout) as files:
        given = (files, args.topology, policy, report)
        if args.together:
            chains = _encoded_together(cast("StructureTokenizer", tokenizer), *given)
        else:
            chains = _encoded(tokenizer, *given)
        number = _print_lines(chains) if to_stdout else _save(chains, args)
    where = "" if to_stdout else f" to {args.output}" if number else ", so nothing was written"
    done = f"{count(number, 'chain')} of {count(len(args.files), 'file')} encoded{where}"
    report.summary(done + _fast_text(tokenizer, report))
    return report.exit_code


def _check_runtime(args: argparse.Namespace, *, to_folder: bool) -> None:
    if args.runtime == "torch":
        return
    if to_folder:
        msg = "--runtime onnx: prints, or writes one file; folders are written with torch"
        raise ConfigError(msg)
    if args.precision != "exact":
        msg = f"--runtime onnx: computes exactly; --precision {args.precision} is torch's"
        raise ConfigError(msg)


def _tokenizer(
    args: argparse.Namespace, report: Report
) -> "StructureTokenizer | OnnxStructureTokenizer":
    # Not at the top: one of them imports torch, for which neither `--help` nor the other one
    # should wait.
    if args.runtime == "onnx":
        from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer

        return OnnxStructureTokenizer.from_pretrained(args.model)
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained(args.model, precision=args.precision)
    if tokenizer.exact_because is not None:
        report.warn_once(not_used(tokenizer.exact_because))
    return tokenizer


def _fast_text(tokenizer: "StructureTokenizer | OnnxStructureTokenizer", report: Report) -> str:
    """Say what fast precision did, and warn if its audit has found wrong ids."""
    fast = getattr(tokenizer, "fast_report", None)
    if fast is None:
        return ""
    if fast.mismatches:
        report.warn_once(wrong_ids(fast.mismatches, fast.audited, fast.residues))
    return fast_text(fast.residues, fast.rechecked, fast.audited)


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
    tokenizer: "StructureTokenizer | OnnxStructureTokenizer",
    files: "Iterable[str]",
    topology: str | None,
    policy: "ResiduePolicy",
    report: Report,
) -> "Iterator[TokenSequence]":
    for file in files:
        if _is_one_structure(file):
            yield from tokenizer.iter_encode([file], on_problem=report.problem, policy=policy)
        else:
            chains = _chains_within(file, topology, policy, report)
            yield from tokenizer.iter_encode(chains, on_problem=report.problem)


def _encoded_together(
    tokenizer: "StructureTokenizer",
    files: "Iterable[str]",
    topology: str | None,
    policy: "ResiduePolicy",
    report: Report,
) -> "Iterator[TokenSequence]":
    for file in files:
        found = (
            [file]
            if _is_one_structure(file)
            else encode_complex.complexes_within(file, topology, policy, report)
        )
        for group in tokenizer.iter_encode_complex(found, on_problem=report.problem, policy=policy):
            yield from group


def _is_one_structure(file: str) -> bool:
    from provq_protein.sources.kinds import kind_of

    if file == "-" or Path(file).is_dir() or kind_of(file) not in ("structure", "other"):
        return False
    # A name may contain the signs of a pattern.
    return Path(file).exists() or not any(sign in file for sign in "*?[")


def _chains_within(
    file: str, topology: str | None, policy: "ResiduePolicy", report: Report
) -> "Iterator[Backbone]":
    """Yield the wanted chains of an archive, a pattern, a list or a trajectory."""
    from provq_protein.batch.encoding import read_member
    from provq_protein.sources import FOLDCOMP_WARNING, members
    from provq_protein.structure.taking import unusable
    from provq_protein.tokens.inputs import InputProblem, absent_chains

    for member in members([file], topology=topology):
        if member.source == "foldcomp":
            report.warn_once(FOLDCOMP_WARNING)
        found = []
        problem = member.problem
        if problem is None:
            try:
                found = read_member(member, policy)
            except StructureError as error:
                problem = str(error).removeprefix(f"{member.name}: ")
        if problem is not None:
            report.problem(InputProblem(member.name, None, problem))
            continue
        for absent in absent_chains(member.name, found, policy):
            report.problem(absent)
        for chain in found:
            if not policy.selects(chain.chain_id):
                continue
            reason = unusable(chain, policy)
            if reason is None:
                yield chain
            else:
                report.problem(InputProblem(member.name, chain.chain_id, reason))


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
