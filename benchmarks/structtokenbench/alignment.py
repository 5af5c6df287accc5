"""How well do two sequences of tokens align, at best?"""

import numpy as np
import numpy.typing as npt

GAP_PENALTY = -10
"""Score of each residue that is left without a partner, in the published protocol."""


def best_alignment_score(
    similarities: npt.NDArray[np.int64], *, gap_penalty: int = GAP_PENALTY
) -> int:
    """
    Return the score of the best global alignment.

    Parameters
    ----------
    similarities : ndarray, shape=(m, n), dtype=int64
        Score of each position of the first sequence with each of the second.
    gap_penalty : int
        Score of each position without partner, at the ends as well; not positive.

    Returns
    -------
    int
        The Needleman-Wunsch score.

    Raises
    ------
    ValueError
        If the scores are no table of whole numbers, or the penalty is positive.

    Notes
    -----
    One row of the table at a time. Within a row, the best score that ends in a run of gaps is a
    running maximum, once each column has been relieved of the gaps up to it; whole numbers make
    that exact.

    References
    ----------
    Needleman S.B., Wunsch C.D. A general method applicable to the search for similarities in the
    amino acid sequence of two proteins. Journal of Molecular Biology 48, 443-453 (1970).

    Examples
    --------
    >>> best_alignment_score(np.array([[100, 0, 0], [0, 0, 100]]))
    190
    """
    if similarities.ndim != 2 or not np.issubdtype(similarities.dtype, np.integer):
        msg = (
            f"similarities: expected whole numbers of shape (m, n), got {similarities.dtype} of "
            f"shape {similarities.shape}"
        )
        raise ValueError(msg)
    if gap_penalty > 0:
        msg = f"gap_penalty: must not be positive, got {gap_penalty}"
        raise ValueError(msg)
    gaps = gap_penalty * np.arange(similarities.shape[1] + 1, dtype=np.int64)
    row = gaps
    for scores in similarities.astype(np.int64):
        best = row + gap_penalty
        np.maximum(best[1:], row[:-1] + scores, out=best[1:])
        row = np.maximum.accumulate(best - gaps) + gaps
    return int(row[-1])
