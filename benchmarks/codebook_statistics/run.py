"""Count the codes of the shipped model in the chains it was trained on, and ship the counts.

python benchmarks/codebook_statistics/run.py backbones.npz  # some ten minutes on one core

Makes the chain store of the model card again with `provq-protein prepare`, checks that it is the
one that the model was trained on, and encodes its training split. The result is what
`provq-protein codebook` shows without files.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation.
    sys.path[:0] = [str(REPOSITORY)]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from provq_protein import __version__  # noqa: E402
from provq_protein.cli import main as provq_protein  # noqa: E402
from provq_protein.errors import CheckpointError, ProvqError, StructureError  # noqa: E402
from provq_protein.reports.chain_records import CodedChain, coded_chain  # noqa: E402
from provq_protein.reports.code_statistics import (  # noqa: E402
    CodeStatistics,
    CountedSet,
    code_statistics,
)
from provq_protein.reports.statistics_file import (  # noqa: E402
    default_statistics_file,
    write_statistics,
)
from provq_protein.runs.files import sha256_of  # noqa: E402
from provq_protein.structure.backbone import Backbone  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402
from provq_protein.training.store import load_store  # noqa: E402

SET = "train_strict_c95"
SEED = 0
_EVERY = 100


def trained_hash(tokenizer: StructureTokenizer) -> str:
    """
    Return which chain store a model was trained on.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model, loaded from a folder.

    Returns
    -------
    str
        Content hash of the store.

    Raises
    ------
    CheckpointError
        If its folder does not say.
    """
    known = tokenizer.origin.training if tokenizer.origin else {}
    if not isinstance(known.get("data_hash"), str):
        msg = f"{tokenizer.name}: does not say what it was trained on (training.data_hash)"
        raise CheckpointError(msg)
    return known["data_hash"]


def training_chains(arrays: Path, sets: Path, *, data_hash: str) -> list[Backbone]:
    """
    Return the chains that the shipped model was trained on.

    Parameters
    ----------
    arrays : Path
        An ``.npz`` file in the array layout (docs/formats.md).
    sets : Path
        A JSON object of lists of record numbers, with the list `SET`.
    data_hash : str
        Content hash of the chain store that the model was trained on.

    Returns
    -------
    list of Backbone
        The training split, in the order of the store.

    Raises
    ------
    StructureError
        If the files cannot be read, or make another store.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.h5"
        words = ["prepare", str(arrays), "--sets", str(sets), "--set", SET, "--output", str(path)]
        if provq_protein(words):
            msg = f"{arrays}: no chain store could be made of the list {SET} of {sets}"
            raise StructureError(msg)
        store = load_store(path)
    if store.content_hash() != data_hash:
        msg = f"{arrays}: makes the store {store.content_hash()}, the model's is {data_hash}"
        raise StructureError(msg)
    return [store.backbone(int(chain)) for chain in store.select("train")]


def mixed(chains: Sequence[Backbone], seed: int) -> list[Backbone]:
    """
    Put chains into another order.

    Parameters
    ----------
    chains : sequence of Backbone
        Sorted by where they were collected, so that the first ones are no sample of all.
    seed : int
        Decides the order.

    Returns
    -------
    list of Backbone
        All of them: of frequent codes only the first pieces are averaged.
    """
    return [chains[row] for row in np.random.default_rng(seed).permutation(len(chains))]


def encoded(chains: Sequence[Backbone], tokenizer: StructureTokenizer) -> Iterator[CodedChain]:
    """
    Encode chains, and say how far it is.

    Parameters
    ----------
    chains : sequence of Backbone
        The chains.
    tokenizer : StructureTokenizer
        Encodes.

    Yields
    ------
    CodedChain
        One per chain, in order.
    """
    for number, chain in enumerate(chains, start=1):
        yield coded_chain(chain, tokenizer)
        if number % _EVERY == 0 or number == len(chains):
            print(f"{number} of {len(chains)} chains", file=sys.stderr, flush=True)


def without_unnamed(statistics: CodeStatistics) -> CodeStatistics:
    """
    Drop exemplars that nobody could look up.

    Parameters
    ----------
    statistics : CodeStatistics
        Some records of the array file name no entry; their chains are called ``:A``.

    Returns
    -------
    CodeStatistics
        The same, with exemplars of named chains only.
    """
    fragments = {
        code: replace(
            one, exemplars=tuple(place for place in one.exemplars if not place[0].startswith(":"))
        )
        for code, one in statistics.fragments.items()
    }
    return replace(statistics, fragments=fragments)


def main() -> int:
    """Write the statistics; return 2 if a file cannot be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arrays", type=Path, help="backbones.npz")
    parser.add_argument("--sets", type=Path, help="lists (default: sets.json beside the arrays)")
    parser.add_argument("--output", type=Path, default=default_statistics_file())
    args = parser.parse_args()
    # One thread: what this writes should not depend on the machine's number of cores.
    torch.set_num_threads(1)
    try:
        tokenizer = StructureTokenizer.from_pretrained()
        data_hash = trained_hash(tokenizer)
        sets = args.sets or args.arrays.parent / "sets.json"
        chains = mixed(training_chains(args.arrays, sets, data_hash=data_hash), SEED)
        origin = CountedSet(SET, data_hash, sha256_of(args.arrays), SEED, __version__)
        coded = list(encoded(chains, tokenizer))
        statistics = code_statistics(coded, tokenizer, origin=origin)
        write_statistics(args.output, without_unnamed(statistics))
    except ProvqError as error:
        print(f"codebook statistics: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {args.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
