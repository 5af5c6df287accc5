"""Which rigid motion, without reflection, brings one set of points closest to another?"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def superpose(
    mobile: npt.ArrayLike, target: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """
    Return the proper rotation and the translation of the least-squares superposition.

    The motion minimizes the (weighted) sum of squared distances between corresponding
    points. The rotation always has determinant +1: a structure is never turned into its
    mirror image to fit better.

    Parameters
    ----------
    mobile : array_like, shape=(..., point, 3)
        Points to move. Leading axes are independent problems.
    target : array_like, shape=(..., point, 3)
        Where they should go; same number of points.
    weights : array_like, shape=(..., point), optional
        Non-negative weight of each point, not all zero. By default all equal.

    Returns
    -------
    rotation : ndarray, shape=(..., 3, 3), dtype=float64
        Matrix with determinant +1.
    translation : ndarray, shape=(..., 3), dtype=float64
        Applied after the rotation, so a moved point is ``rotation @ point + translation``.

    Raises
    ------
    ValueError
        If the shapes disagree, there is no point, or a coordinate is not finite.

    See Also
    --------
    apply_motion : Move points.

    References
    ----------
    Kabsch, W. (1976). A solution for the best rotation to relate two sets of vectors.
    Acta Crystallographica A32, 922-923; with the determinant correction of Kabsch (1978).

    Examples
    --------
    >>> corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    >>> quarter_turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    >>> rotation, translation = superpose(corner, corner @ quarter_turn.T + 5)
    >>> np.allclose(rotation, quarter_turn), translation.round(6).tolist()
    (True, [5.0, 5.0, 5.0])
    """
    mobile, target = _points("mobile", mobile), _points("target", target)
    if mobile.shape[-2:] != target.shape[-2:]:
        msg = (
            "mobile and target must have the same points, "
            f"got shapes {mobile.shape} and {target.shape}"
        )
        raise ValueError(msg)
    share = _shares(weights, mobile.shape[-2])
    mobile_center = _weighted_mean(share, mobile)
    target_center = _weighted_mean(share, target)
    rotation = best_rotation(
        mobile - mobile_center[..., None, :], target - target_center[..., None, :], share
    )
    return rotation, target_center - np.squeeze(rotation @ mobile_center[..., None], -1)


def best_rotation(mobile: FloatArray, target: FloatArray, weights: FloatArray) -> FloatArray:
    """
    Return the proper rotation that fits centred points best.

    Parameters
    ----------
    mobile, target : ndarray, shape=(..., point, 3), dtype=float64
        Points whose weighted mean is the origin.
    weights : ndarray, shape=(..., point), dtype=float64
        Weight of each point.

    Returns
    -------
    ndarray, shape=(..., 3, 3), dtype=float64
        Matrix with determinant +1.
    """
    covariance = np.swapaxes(target * weights[..., None], -1, -2) @ mobile
    return rotation_from_covariance(covariance)


def rotation_from_covariance(covariance: FloatArray) -> FloatArray:
    """
    Return the proper rotation that maximizes the trace of its product with a covariance.

    Parameters
    ----------
    covariance : ndarray, shape=(..., 3, 3), dtype=float64
        Sum over points of the outer product of target and mobile positions.

    Returns
    -------
    ndarray, shape=(..., 3, 3), dtype=float64
        Matrix with determinant +1.
    """
    left, _, right = np.linalg.svd(covariance)
    # The optimum among all orthogonal matrices is left @ right; where that is a reflection,
    # the best rotation flips the direction that costs least, the last singular vector.
    handedness = np.sign(np.linalg.det(left) * np.linalg.det(right))
    left[..., :, 2] *= handedness[..., None]
    return left @ right


def apply_motion(
    points: npt.ArrayLike, rotation: FloatArray, translation: FloatArray
) -> FloatArray:
    """
    Move points rigidly.

    Parameters
    ----------
    points : array_like, shape=(..., point, 3)
        Positions.
    rotation : ndarray, shape=(..., 3, 3), dtype=float64
        Applied first.
    translation : ndarray, shape=(..., 3), dtype=float64
        Added after the rotation.

    Returns
    -------
    ndarray, shape=(..., point, 3), dtype=float64
        ``rotation @ point + translation`` for each point.
    """
    moved = np.asarray(points, dtype=np.float64) @ np.swapaxes(rotation, -1, -2)
    return moved + translation[..., None, :]


def _weighted_mean(share: FloatArray, points: FloatArray) -> FloatArray:
    return np.squeeze(share[..., None, :] @ points, -2)


def _points(name: str, values: npt.ArrayLike) -> FloatArray:
    points = np.asarray(values, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != 3 or points.shape[-2] == 0:
        msg = f"{name} must have shape (..., point, 3) with at least one point, got {points.shape}"
        raise ValueError(msg)
    if not np.isfinite(points).all():
        msg = f"{name} has coordinates that are not finite; leave out absent atoms first"
        raise ValueError(msg)
    return points


def _shares(weights: npt.ArrayLike | None, count: int) -> FloatArray:
    if weights is None:
        return np.full(count, 1 / count)
    values = np.asarray(weights, dtype=np.float64)
    total = values.sum(-1, keepdims=True)
    usable = values.shape[-1:] == (count,) and np.isfinite(values).all() and (values >= 0).all()
    if not usable or not (total > 0).all():
        msg = f"weights must be {count} non-negative numbers that are not all zero"
        raise ValueError(msg)
    return values / total
