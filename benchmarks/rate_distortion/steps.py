"""How well do codes for the steps of the chain itself do, without any training of a network?"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import (
    backbone_frames,
    compose_chain,
    relative_frames,
    rotation_from_axes,
)
from provq_protein.model.closed_loop import follow_chain
from provq_protein.model.refinement import Frames
from provq_protein.quantize import nearest_codes
from provq_protein.structure.backbone import Backbone

# Angstrom that an error of 1 in an entry of the rotation counts as.
ROTATION_WEIGHT = 3.0
_ENTRIES = 9


@dataclass(frozen=True)
class ChainSteps:
    """
    The rigid steps from each resolved residue of a chain to the next one.

    Parameters
    ----------
    features : Tensor, shape=(resolved - 1, 12), dtype=float64
        Rotation matrix times `ROTATION_WEIGHT`, row by row, and translation in Angstrom.
    bonded : Tensor, shape=(resolved - 1,), dtype=bool
        True where a peptide bond joins the two residues.
    """

    features: Tensor
    bonded: Tensor


def chain_steps(chain: Backbone) -> ChainSteps:
    """
    Return the steps of a chain.

    Parameters
    ----------
    chain : Backbone
        A chain with at least one resolved residue; the others are left out.

    Returns
    -------
    ChainSteps
        One step less than there are resolved residues.
    """
    rows = np.flatnonzero(chain.resolved)
    coords = torch.from_numpy(chain.coords[rows]).double()
    rotations, translations = relative_frames(*backbone_frames(coords))
    bonded = peptide_bonds(coords[None], torch.ones(1, len(rows), dtype=torch.bool))[0]
    features = torch.cat([ROTATION_WEIGHT * rotations.flatten(1), translations], dim=1)
    return ChainSteps(features, bonded & torch.from_numpy(np.diff(rows) == 1))


def bonded_steps(chains: Iterable[Backbone]) -> Tensor:
    """
    Return the steps over all peptide bonds of some chains.

    Parameters
    ----------
    chains : iterable of Backbone
        Chains.

    Returns
    -------
    Tensor, shape=(bond, 12), dtype=float32
        Features as in `ChainSteps`.
    """
    steps = [chain_steps(chain) for chain in chains]
    empty = torch.empty(0, _ENTRIES + 3)
    return torch.cat([empty, *(one.features[one.bonded].float() for one in steps)])


def regrown(features: Tensor) -> npt.NDArray[np.float64]:
    """
    Return the CA positions that steps lead to.

    Parameters
    ----------
    features : Tensor, shape=(step, 12), dtype=float64
        As in `ChainSteps`. Rotations need not be exact: their first two columns decide.

    Returns
    -------
    ndarray, shape=(step + 1, 3), dtype=float64
        In the frame of the first residue, in Angstrom.
    """
    matrices = features[:, :_ENTRIES].reshape(len(features), 3, 3)
    rotations = rotation_from_axes(matrices[..., 0], matrices[..., 1])
    start = torch.eye(3, dtype=features.dtype)[None]
    origin = features.new_zeros(1, 3)
    _, positions = compose_chain(
        torch.cat([start, rotations]), torch.cat([origin, features[:, _ENTRIES:]])
    )
    return positions.numpy()


def coded_chain(
    chain: Backbone, codes: Tensor, *, follow: bool = False
) -> tuple[npt.NDArray[np.float64], Tensor]:
    """
    Replace each step over a bond by a code, and grow the chain again.

    Parameters
    ----------
    chain : Backbone
        A chain with at least one resolved residue.
    codes : Tensor, shape=(code, 12), dtype=float32
        Features as in `ChainSteps`.
    follow : bool
        Take the code nearest to the step from where the grown chain has arrived, instead of the one
        nearest to the true step.

    Returns
    -------
    alpha : ndarray, shape=(resolved, 3), dtype=float64
        CA positions, in Angstrom. Across a break of the chain the true step is taken, for free.
    indices : Tensor, shape=(bond,), dtype=int64
        The codes.
    """
    steps = chain_steps(chain)
    indices = nearest_codes(steps.features[steps.bonded].float(), codes)
    if follow:
        indices = _followed(chain, steps, codes)
    features = steps.features.clone()
    features[steps.bonded] = codes[indices].double()
    return regrown(features), indices


def _followed(chain: Backbone, steps: ChainSteps, codes: Tensor) -> Tensor:
    coords = torch.from_numpy(chain.coords[chain.resolved]).double()[None]
    count = coords.shape[1]
    matrices = codes[:, :_ENTRIES].reshape(len(codes), 3, 3)
    indices = follow_chain(
        torch.zeros(1, count, dtype=torch.int64),
        coords.new_zeros(1, count, 0),
        codes[:, :0],
        (rotation_from_axes(matrices[..., 0], matrices[..., 1]), codes[:, _ENTRIES:]),
        Frames(*backbone_frames(coords)),
        steps.bonded[None],
        torch.ones(1, count, dtype=torch.bool),
        drift_weight=1.0,
    )
    return indices[0, :-1][steps.bonded]
