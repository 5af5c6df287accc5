"""Which successive residues are joined by a peptide bond?"""

import torch
from torch import Tensor

# Successive residues whose C and N are farther apart than this are not bonded (Angstrom).
_BOND_LIMIT = 2.5


def peptide_bonds(coords: Tensor, resolved: Tensor) -> Tensor:
    """
    Return whether each residue is bonded to the next one.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; finite.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue has its three atoms.

    Returns
    -------
    Tensor, shape=(batch, residue - 1), dtype=bool
        True where both residues are resolved and C and N are at most 2.5 Angstrom apart. A bond
        is 1.33 Angstrom long; numbering is not asked, because it has gaps where chains have none.

    Examples
    --------
    >>> coords = torch.zeros(1, 3, 3, 3)
    >>> coords[0, 2] += 9.0
    >>> peptide_bonds(coords, torch.ones(1, 3, dtype=torch.bool)).tolist()
    [[True, False]]
    """
    gap = torch.linalg.vector_norm(coords[:, 1:, 0] - coords[:, :-1, 2], dim=-1)
    return (gap < _BOND_LIMIT) & resolved[:, 1:] & resolved[:, :-1]
