"""`provq-protein prepare`: turn structure files or packed arrays into one chain store."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provq_protein.structure.backbone import Backbone

NAME = "prepare"
HELP = "turn structure files or packed arrays into a chain store for training"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """
    Register the command.

    Parameters
    ----------
    subparsers : argparse action
        Of the top-level parser.
    """
    parser = subparsers.add_parser(NAME, help=HELP, description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE",
                        help="structure files, or one .npz in the array layout")  # fmt: skip
    parser.add_argument(
        "-o", "--output", required=True, type=Path, help="chain store (.h5) to write"
    )
    parser.add_argument("--sets", type=Path, help="JSON file of named record lists (arrays only)")
    parser.add_argument("--set", dest="set_name", help="which list of --sets to take")
    parser.add_argument("--validation-fraction", type=float, default=0.03,
                        help="share of homology groups held out (default 0.03)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="decides which groups are held out")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing store")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """
    Read, filter, split and store chains.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed options.

    Returns
    -------
    int
        0, 1 if a file or chain was left out, 2 for options that contradict each other.
    """
    from provq_protein.training.prepare import select_chains, split_by_group
    from provq_protein.training.store import build_store, save_store

    mistake = _mistake(args)
    if mistake:
        print(f"provq-protein prepare: {mistake}", file=sys.stderr)
        return 2
    problems: list[str] = []
    backbones, groups = _read_arrays(args) if _is_array(args.files) else _read_files(args, problems)
    prepared = select_chains(backbones, groups)
    problems += [f"{name}: left out: {reason}" for name, reason in prepared.rejected]
    for problem in problems:
        print(problem, file=sys.stderr)
    splits = split_by_group(prepared.groups, fraction=args.validation_fraction, seed=args.seed)
    store = build_store(prepared.backbones, splits)
    names = ", ".join(path.name for path in args.files[:3])
    save_store(args.output, store, provenance=f"{names} {args.set_name or ''}".strip())
    print(
        f"{args.output}: {len(store)} chains, {int(store.offsets[-1])} residues, "
        f"{splits.count('validation')} chains for validation, {len(problems)} problems, "
        f"content {store.content_hash()}",
        file=sys.stderr,
    )
    return 1 if problems else 0


def _mistake(args: argparse.Namespace) -> str | None:
    if args.output.exists() and not args.overwrite:
        return f"{args.output}: exists; use --overwrite to replace it"
    if not 0.0 <= args.validation_fraction < 1.0:
        return f"--validation-fraction must be in [0, 1), got {args.validation_fraction}"
    if (args.sets is None) != (args.set_name is None):
        return "--sets and --set go together"
    if args.sets is not None and not _is_array(args.files):
        return "--sets chooses records of one .npz file; structure files have none"
    return None


def _is_array(files: list[Path]) -> bool:
    return len(files) == 1 and files[0].suffix == ".npz"


def _read_arrays(args: argparse.Namespace) -> tuple[list["Backbone"], list[int]]:
    from provq_protein.training.array_import import array_chains, load_arrays, read_set

    arrays = load_arrays(args.files[0])
    total = len(arrays["offsets"]) - 1
    records = range(total) if args.sets is None else read_set(args.sets, args.set_name)
    # The loosest clusters that the file has; without any, each chain is a group of its own.
    clusters = next((arrays[key] for key in ("c30", "c40", "c95") if key in arrays), range(total))
    return list(array_chains(arrays, records)), [int(clusters[record]) for record in records]


def _read_files(
    args: argparse.Namespace, problems: list[str]
) -> tuple[list["Backbone"], list[int]]:
    from provq_protein.errors import StructureError
    from provq_protein.structure.reading import read_backbones

    backbones, groups, known = [], [], {}
    for path in args.files:
        try:
            chains = read_backbones(path)
        except StructureError as error:
            problems.append(str(error))
            continue
        for chain in chains:
            backbones.append(chain)
            # Identical sequences are one group; homology is not known here.
            groups.append(known.setdefault(chain.sequence, len(known)))
    return backbones, groups
