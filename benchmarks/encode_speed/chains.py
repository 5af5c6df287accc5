"""Which chains are encoded?"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones

Batch = tuple[Tensor, Tensor, Tensor, Tensor]

_ABSENT = -32768
_UNIT = 0.01  # Angstrom
_LONGEST = 1000


def load_chains(source: Path, residues: int, *, seed: int) -> list[Backbone]:
    """
    Draw chains until they have enough residues.

    Parameters
    ----------
    source : Path
        An archive of backbones (``.npz``), or a folder of structure files.
    residues : int
        At least this many resolved ones, or all there are.
    seed : int
        Decides the order of drawing.

    Returns
    -------
    list of Backbone
        At most 1,000 residues each.
    """
    generator = np.random.default_rng(seed)
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if not path.name.startswith("."))
        every = [chain for path in paths for chain in read_backbones(path)]
        chains = [every[number] for number in generator.permutation(len(every))]
        return _until(iter(chains), residues)
    with np.load(source, allow_pickle=False) as arrays:
        offsets, raw, numbers = (arrays[name] for name in ("offsets", "coords", "resnum"))
    order = generator.permutation(len(offsets) - 1)
    drawn = (_of_record(offsets, raw, numbers, int(record)) for record in order)
    return _until(drawn, residues)


def _of_record(offsets: np.ndarray, raw: np.ndarray, numbers: np.ndarray, record: int) -> Backbone:
    rows = slice(offsets[record], offsets[record + 1])
    atoms = raw[rows, :3]
    coords = np.where((atoms == _ABSENT).any(-1, keepdims=True), np.nan, atoms * _UNIT)
    return Backbone.from_arrays(
        coords.astype(np.float32), author_numbers=numbers[rows], source=f"record {record}"
    )


def _until(chains: Iterable[Backbone], residues: int) -> list[Backbone]:
    taken, count = [], 0
    for chain in chains:
        if count >= residues:
            break
        if int(chain.resolved.sum()) >= 1 and len(chain) <= _LONGEST:
            taken.append(chain)
            count += int(chain.resolved.sum())
    return taken


def resolved_residues(chains: list[Backbone]) -> int:
    """
    Count residues that have coordinates.

    Parameters
    ----------
    chains : list of Backbone
        Chains.

    Returns
    -------
    int
        Over all chains.
    """
    return sum(int(chain.resolved.sum()) for chain in chains)


def as_batch(chain: Backbone) -> Batch:
    """
    Return the tensors that encoders take.

    Parameters
    ----------
    chain : Backbone
        One chain.

    Returns
    -------
    tuple of Tensor
        Coordinates (NaN where unresolved), resolved, residue numbers and present; batch of one.
    """
    coords = np.where(chain.resolved[:, None, None], chain.coords, np.nan).astype(np.float32)
    resolved = torch.from_numpy(np.array(chain.resolved))[None]
    numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))[None]
    return torch.from_numpy(coords)[None], resolved, numbers, torch.ones_like(resolved)
