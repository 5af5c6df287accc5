"""Which residues does a peptide bond join?"""

import numpy as np
import numpy.typing as npt

MAX_PEPTIDE_BOND = 2.0
"""Longest distance from C to the next N, in Angstrom, that counts as a peptide bond."""


def peptide_bonds(
    coords: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """
    Return which residues of a chain are bonded to the next one.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C positions, in Angstrom; *NaN* where absent.

    Returns
    -------
    bonded : ndarray, shape=(residue - 1,), dtype=bool
        Whether C is near the next N.
    known : ndarray, shape=(residue - 1,), dtype=bool
        Whether both are there.
    """
    distance = np.linalg.norm(coords[:-1, 2] - coords[1:, 0], axis=1)
    return distance < MAX_PEPTIDE_BOND, np.isfinite(distance)


def bonded_runs(
    positions: npt.NDArray[np.float32],
    candidate: npt.NDArray[np.bool_],
    chain: npt.NDArray[np.str_],
) -> npt.NDArray[np.bool_]:
    """
    Return which candidates have a peptide bond to the candidate before or after them.

    Parameters
    ----------
    positions : ndarray, shape=(run, 3, 3), dtype=float32
        N, CA and C of each, in Angstrom; *NaN* where absent.
    candidate : ndarray, shape=(run,), dtype=bool
        Which may be residues.
    chain : ndarray, shape=(run,), dtype=str
        Chain of each.

    Returns
    -------
    ndarray, shape=(run,), dtype=bool
        True for those that are bonded.
    """
    order = np.flatnonzero(candidate)
    before, after = order[:-1], order[1:]
    bonded = peptide_bonds(positions[order])[0] & (chain[before] == chain[after])
    mask = np.zeros(len(chain), dtype=bool)
    mask[before[bonded]] = True
    mask[after[bonded]] = True
    return mask
