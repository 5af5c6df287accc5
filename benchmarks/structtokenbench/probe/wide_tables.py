"""How is a wide code table probed at the price of a narrow one?"""

import numpy as np
import numpy.typing as npt


def narrowed(
    table: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], dims: int
) -> npt.NDArray[np.float32]:
    """
    Project codes on the directions that carry most of what a set of tokens says.

    Parameters
    ----------
    table : ndarray, shape=(code, dim), dtype=float32
        Vector of each code.
    ids : ndarray, shape=(token,), dtype=int64
        Tokens of the training split: a code counts as often as it occurs there, so that codes
        which nothing uses do not decide.
    dims : int
        Directions to keep, at least 1. A table that has no more is returned as it is.

    Returns
    -------
    ndarray, shape=(code, dims), dtype=float32
        Coordinates along the leading principal directions, about the mean token. They are
        scaled by the square root of `dims` over `dim`: the probe adds positions of unit scale in
        every dimension, and codes keep their weight beside them.

    Notes
    -----
    As many codes as `dims` in use, or fewer, lose nothing. The cost of the probe's first layer
    goes with the number of dimensions.

    Examples
    --------
    >>> table = np.eye(3, 8, dtype=np.float32)
    >>> near = narrowed(table, np.array([0, 1, 1]), 2)
    >>> bool(np.isclose(np.linalg.norm(near[0] - near[1]), np.sqrt(2) * np.sqrt(2 / 8)))
    True
    """
    if table.shape[1] <= dims:
        return table
    share = np.bincount(ids, minlength=len(table)) / max(len(ids), 1)
    codes = table.astype(np.float64)
    centered = codes - share @ codes
    _, axes = np.linalg.eigh(centered.T @ (share[:, None] * centered))
    leading = axes[:, ::-1][:, :dims]
    # The sign of a direction is arbitrary; fixed, so that equal tables give equal probes.
    leading = leading * np.sign(leading[np.abs(leading).argmax(0), np.arange(dims)])
    return (centered @ leading * np.sqrt(dims / table.shape[1])).astype(np.float32)
