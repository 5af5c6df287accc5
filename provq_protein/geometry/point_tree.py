"""Which points are nearest to each of many points in space?"""

import numpy as np
import torch
from torch import Tensor


def nearest_points(points: Tensor, count: int) -> Tensor:
    """
    Find the nearest points of each point with a k-d tree.

    Parameters
    ----------
    points : Tensor, shape=(point, 3), dtype=float
        Finite, on the CPU.
    count : int
        How many to find, itself among them (among equal points perhaps another); at most the
        number of points.

    Returns
    -------
    Tensor, shape=(point, count), dtype=int64
        Positions in `points`, nearest first by distance in double precision.

    Examples
    --------
    >>> nearest_points(torch.tensor([[0.0, 0, 0], [5.0, 0, 0], [1.0, 0, 0]]), 2).tolist()
    [[0, 2], [1, 2], [2, 0]]
    """
    # Imported here: short chains need no tree, and the import takes a while.
    from scipy.spatial import KDTree

    values = points.numpy().astype(np.float64)
    _, found = KDTree(values).query(values, k=count)
    return torch.from_numpy(found.reshape(len(values), count).astype(np.int64))
