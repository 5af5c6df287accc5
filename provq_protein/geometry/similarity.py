"""How similar are two backbones of the same residues?"""

import numpy as np
import numpy.typing as npt

from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.geometry.tm_search import best_tm_score

FloatArray = npt.NDArray[np.float64]

LDDT_CUTOFF = 15.0
LDDT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)


def rmsd(
    mobile: npt.ArrayLike, target: npt.ArrayLike, *, resolved: npt.ArrayLike | None = None
) -> float:
    """
    Return the root-mean-square deviation after the best superposition without reflection.

    Parameters
    ----------
    mobile, target : array_like, shape=(residue, atom, 3)
        Positions, in Angstrom; N, CA and C for the backbone RMSD.
    resolved : array_like, shape=(residue,), dtype=bool, optional
        Residues to compare. By default those that are finite in `target`.

    Returns
    -------
    float
        Deviation in Angstrom; *NaN* if there is no residue to compare.

    Raises
    ------
    ValueError
        If the shapes disagree, or a residue to compare has no finite position.

    See Also
    --------
    mirror_rmsd : The same of the mirror image, which tells a fold from its reflection.

    Notes
    -----
    Implementations that leave out the determinant correction let the superposition
    reflect a structure, so that a mirror image scores 0.

    Examples
    --------
    >>> helix = np.array([[np.cos(t), np.sin(t), 0.3 * t] for t in range(12)])[:, None]
    >>> rmsd(helix + 7, helix) < 1e-6
    True
    >>> rmsd(helix * [1, 1, -1], helix) > 0.3
    True
    """
    moved, fixed = _pairs(mobile, target, resolved)
    return _superposed_rmsd(moved.reshape(-1, 3), fixed.reshape(-1, 3))


def mirror_rmsd(
    mobile: npt.ArrayLike, target: npt.ArrayLike, *, resolved: npt.ArrayLike | None = None
) -> float:
    """
    Return the root-mean-square deviation of the mirror image, superposed in the best way.

    A prediction whose mirror RMSD is below its RMSD has the wrong hand.

    Parameters
    ----------
    mobile, target : array_like, shape=(residue, atom, 3)
        Positions, in Angstrom. `mobile` is reflected.
    resolved : array_like, shape=(residue,), dtype=bool, optional
        Residues to compare. By default those that are finite in `target`.

    Returns
    -------
    float
        Deviation in Angstrom; *NaN* if there is no residue to compare.

    Raises
    ------
    ValueError
        If the shapes disagree, or a residue to compare has no finite position.
    """
    moved, fixed = _pairs(mobile, target, resolved)
    return _superposed_rmsd(-moved.reshape(-1, 3), fixed.reshape(-1, 3))


def lddt_ca(
    predicted: npt.ArrayLike, reference: npt.ArrayLike, *, resolved: npt.ArrayLike | None = None
) -> float:
    """
    Return the local distance difference test over CA atoms, without superposition.

    Of the CA pairs closer than 15 Angstrom in the reference, the share whose distance is
    kept within 0.5, 1, 2 and 4 Angstrom, averaged over these four thresholds; first per
    residue, then over residues.

    Parameters
    ----------
    predicted, reference : array_like, shape=(residue, 3)
        CA positions, in Angstrom.
    resolved : array_like, shape=(residue,), dtype=bool, optional
        Residues to compare. By default those that are finite in `reference`.

    Returns
    -------
    float
        Score in [0, 1]. Residues without any neighbor in reach do not count; *NaN* if
        there is no other.

    Raises
    ------
    ValueError
        If the shapes disagree, or a residue to compare has no finite position.

    Notes
    -----
    Distances do not tell a structure from its mirror image, so neither does this score.

    References
    ----------
    Mariani, V. et al. (2013). lDDT: a local superposition-free score for comparing
    protein structures and models using distance difference tests. Bioinformatics 29,
    2722-2728.

    Examples
    --------
    >>> line = np.array([[0.0, 0, 0], [4, 0, 0], [8, 0, 0]])
    >>> lddt_ca(line, line)
    1.0
    >>> moved = line + [[0, 0, 0], [0, 0, 0], [1.5, 0, 0]]
    >>> lddt_ca(moved, line)  # two of three pairs are off by 1.5
    0.6666666666666666
    """
    moved, fixed = _pairs(predicted, reference, resolved)
    reference_distances = _distances(fixed)
    scored = reference_distances < LDDT_CUTOFF
    np.fill_diagonal(scored, False)
    neighbors = scored.sum(1)
    if not neighbors.any():
        return float("nan")
    errors = np.abs(_distances(moved) - reference_distances)
    kept = np.mean([(errors < threshold) & scored for threshold in LDDT_THRESHOLDS], axis=0)
    near = neighbors > 0
    return float(np.mean(kept[near].sum(1) / neighbors[near]))


def tm_score(
    predicted: npt.ArrayLike, reference: npt.ArrayLike, *, resolved: npt.ArrayLike | None = None
) -> float:
    """
    Return the TM-score of corresponding CA atoms, normalized by the reference length.

    Parameters
    ----------
    predicted, reference : array_like, shape=(residue, 3)
        CA positions, in Angstrom. Row i of one corresponds to row i of the other.
    resolved : array_like, shape=(residue,), dtype=bool, optional
        Residues to compare; their number is the reference length. By default those that
        are finite in `reference`.

    Returns
    -------
    float
        Score in (0, 1]; *NaN* if there is no residue to compare.

    Raises
    ------
    ValueError
        If the shapes disagree, or a residue to compare has no finite position.

    See Also
    --------
    provq_protein.geometry.tm_search.tm_scale : The distance that scores one half.

    Notes
    -----
    The score is a maximum over superpositions. As in the TM-score program, it is searched
    from the superpositions of fragments of L, L/2, L/4, ... and 4 residues, each refined
    by superposing the residues that came close. Not every fragment is tried, and only the
    most promising are refined to the end; what is found is a lower bound of the maximum.

    References
    ----------
    Zhang, Y. and Skolnick, J. (2004). Scoring function for automated assessment of
    protein structure template quality. Proteins 57, 702-710.

    Examples
    --------
    >>> chain = np.cumsum(np.random.default_rng(0).normal(0, 2.2, (60, 3)), axis=0)
    >>> tm_score(chain @ np.eye(3)[[1, 2, 0]], chain) > 0.999999
    True
    """
    moved, fixed = _pairs(predicted, reference, resolved)
    if len(fixed) == 0:
        return float("nan")
    return best_tm_score(moved, fixed)


def _pairs(
    moved: npt.ArrayLike, fixed: npt.ArrayLike, resolved: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Return the residues to compare, checked, as float64."""
    first, second = np.asarray(moved, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    if first.shape != second.shape or first.ndim < 2 or first.shape[-1] != 3:
        msg = (
            "both structures must have the same residues and atoms, with x, y and z last; "
            f"got shapes {first.shape} and {second.shape}"
        )
        raise ValueError(msg)
    finite = np.isfinite(second).all(axis=tuple(range(1, second.ndim)))
    chosen = finite if resolved is None else np.asarray(resolved, dtype=np.bool_)
    if chosen.shape != finite.shape:
        msg = f"resolved must have shape ({len(second)},), got {chosen.shape}"
        raise ValueError(msg)
    first, second = first[chosen], second[chosen]
    for which, values in (("first", first), ("second", second)):
        if not np.isfinite(values).all():
            msg = f"the {which} structure lacks positions of residues that are to be compared"
            raise ValueError(msg)
    return first, second


def _superposed_rmsd(moved: FloatArray, fixed: FloatArray) -> float:
    if len(fixed) == 0:
        return float("nan")
    motion = superpose(moved, fixed)
    return float(np.sqrt(np.mean(np.sum((apply_motion(moved, *motion) - fixed) ** 2, axis=-1))))


def _distances(points: FloatArray) -> FloatArray:
    # Explicit differences: the expanded square loses digits far from the origin.
    return np.sqrt(np.sum((points[:, None] - points[None]) ** 2, axis=-1))
