"""Which superposition gives the highest TM-score?"""

import numpy as np
import numpy.typing as npt

from provq_protein.geometry.superpose import rotation_from_covariance, superpose

FloatArray = npt.NDArray[np.float64]

_LENGTH_OFFSET = 15
_SCALE_MINIMUM = 0.5
# Search constants of the TM-score program: fragments have at least 4 residues, residues within
# the scale (kept in this range, in Angstrom) are superposed again, and so on for 20 rounds.
_SHORTEST_FRAGMENT = 4
_SEARCH_RADIUS_RANGE = (4.5, 8.0)
_ROUNDS = 20
_FEWEST_SUPERPOSED = 3
# Savings with respect to it: fragments start every quarter of their length, at most this many
# of one length, and after a few rounds with all of them only the best go on.
_STARTS_PER_LENGTH = 150
_SCREENING_ROUNDS = 2
_FINALISTS = 48
# Superpositions are tried together in batches of at most this many moved points.
_POINTS_PER_BATCH = 250_000


def tm_scale(length: int) -> float:
    """
    Return the length-dependent distance of the TM-score, usually called d0.

    Parameters
    ----------
    length : int
        Number of residues of the reference.

    Returns
    -------
    float
        Distance in Angstrom at which a residue scores one half; at least 0.5, as in
        TM-align.

    Examples
    --------
    >>> tm_scale(10), round(tm_scale(100), 3)
    (0.5, 3.652)
    """
    if length <= _LENGTH_OFFSET:
        return _SCALE_MINIMUM
    return max(_SCALE_MINIMUM, 1.24 * float(np.cbrt(length - _LENGTH_OFFSET)) - 1.8)


def best_tm_score(mobile: FloatArray, target: FloatArray) -> float:
    """
    Search the superposition with the highest TM-score and return that score.

    Parameters
    ----------
    mobile, target : ndarray, shape=(residue, 3), dtype=float64
        Corresponding CA positions, in Angstrom; finite, at least one.

    Returns
    -------
    float
        Score in (0, 1], normalized by the number of residues.
    """
    search = _Search(mobile, target)
    scores, rotations, translations = search.refine(*_fragment_motions(search), _SCREENING_ROUNDS)
    best = np.argsort(-scores, kind="stable")[:_FINALISTS]
    final, _, _ = search.refine(rotations[best], translations[best], _ROUNDS)
    # Summation may exceed an exact 1 in the last digit.
    return min(1.0, float(max(scores.max(), final.max())))


class _Search:
    """Two centred structures, and the refinement of many superpositions of them at once."""

    def __init__(self, mobile: FloatArray, target: FloatArray) -> None:
        self.mobile = mobile - mobile.mean(0)
        self.target = target - target.mean(0)
        self.count = len(target)
        self.scale = tm_scale(self.count)
        self.radius = float(np.clip(self.scale, *_SEARCH_RADIUS_RANGE))
        # Row i is the outer product that residue i adds to a covariance.
        self._outer = (self.target[:, :, None] * self.mobile[:, None, :]).reshape(-1, 9)

    def refine(
        self, rotations: FloatArray, translations: FloatArray, rounds: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the best score that each superposition passes, and where each one ends."""
        size = max(1, _POINTS_PER_BATCH // self.count)
        parts = [
            self._refine_batch(rotations[i : i + size], translations[i : i + size], rounds)
            for i in range(0, len(rotations), size)
        ]
        scores, turned, shifted = zip(*parts, strict=True)
        return np.concatenate(scores), np.concatenate(turned), np.concatenate(shifted)

    def _refine_batch(
        self, rotations: FloatArray, translations: FloatArray, rounds: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        best = np.zeros(len(rotations))
        # The first selection is tighter than the later ones.
        for radius in [self.radius - 1] + [self.radius + 1] * (rounds - 1):
            squared = self._squared_distances(rotations, translations)
            np.maximum(best, self._scores(squared), out=best)
            rotations, translations = self._superpose(_close(squared, radius))
        np.maximum(best, self._scores(self._squared_distances(rotations, translations)), out=best)
        return best, rotations, translations

    def _squared_distances(self, rotations: FloatArray, translations: FloatArray) -> FloatArray:
        moved = (rotations.reshape(-1, 3) @ self.mobile.T).reshape(-1, 3, self.count)
        moved += translations[:, :, None]
        moved -= self.target.T
        return np.einsum("sxr,sxr->sr", moved, moved)

    def _scores(self, squared: FloatArray) -> FloatArray:
        return np.mean(1 / (1 + squared / self.scale**2), axis=1)

    def _superpose(self, chosen: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        share = chosen / chosen.sum(1, keepdims=True)
        mobile_center, target_center = share @ self.mobile, share @ self.target
        covariance = (share @ self._outer).reshape(-1, 3, 3)
        covariance -= target_center[:, :, None] * mobile_center[:, None, :]
        rotations = rotation_from_covariance(covariance)
        return rotations, target_center - np.einsum("sij,sj->si", rotations, mobile_center)


def _close(squared: FloatArray, radius: float) -> npt.NDArray[np.bool_]:
    """Select the residues within a radius, and at least the three closest of each row."""
    chosen = squared < radius**2
    few = chosen.sum(1) < _FEWEST_SUPERPOSED
    if few.any():
        rank = min(_FEWEST_SUPERPOSED, squared.shape[1]) - 1
        reach = np.partition(squared[few], rank, axis=1)[:, rank]
        chosen[few] = squared[few] <= reach[:, None]
    return chosen


def _fragment_motions(search: _Search) -> tuple[FloatArray, FloatArray]:
    """Superpose fragments of L, L/2, L/4, ... residues; one row per fragment."""
    length, motions = search.count, []
    while True:
        last = search.count - length
        step = max(1, length // 4, last // _STARTS_PER_LENGTH)
        # The last fragment ends with the chain, whatever the step.
        first = np.unique(np.append(np.arange(0, last + 1, step), last))
        rows = first[:, None] + np.arange(length)
        motions.append(superpose(search.mobile[rows], search.target[rows]))
        if length <= _SHORTEST_FRAGMENT:
            break
        length = max(_SHORTEST_FRAGMENT, length // 2)
    rotations, translations = zip(*motions, strict=True)
    return np.concatenate(rotations), np.concatenate(translations)
