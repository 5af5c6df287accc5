"""What does each residue of a chain see around it, and before and after it?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provq_protein.onnx_runtime.model_folder import BONDED_FEATURES

# As in `provq_protein.model.neighborhood_encoder` and `provq_protein.geometry`.
_LENGTH_SCALE = np.float32(10.0)
_DISTANCE_MAX = 24.0
_DISTANCE_BASES = 16
_NORM_EPSILON = 1e-12
_BOND_LIMIT = np.float32(2.5)
# Distances held at once.
_DISTANCES_PER_PASS = 1 << 20

_Array = NDArray[np.float32]
# Of float32 or float64; what is computed from it has the same type.
_Reals = NDArray[Any]
_NITROGEN, _ALPHA, _CARBON = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Frames:
    """
    A chain as rigid frames.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; zero where unresolved.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where the residue has its three atoms.
    rotations : ndarray, shape=(residue, 3, 3), dtype=float32
        Orientations, columns are axes.
    bonded : ndarray, shape=(residue - 1,), dtype=bool
        True where residue i is bonded to residue i + 1.
    """

    coords: _Array
    resolved: NDArray[np.bool_]
    rotations: _Array
    bonded: NDArray[np.bool_]

    @property
    def places(self) -> _Array:
        """The CA positions, (residue, 3), in Angstrom."""
        return self.coords[:, _ALPHA]

    def exact_rotations(self) -> NDArray[np.float64]:
        """
        Return the orientations without the rounding of float32.

        Returns
        -------
        ndarray, shape=(residue, 3, 3), dtype=float64
            From the same coordinates.
        """
        return _rotations(self.coords.astype(np.float64))


def frames_of(coords: _Array, resolved: NDArray[np.bool_]) -> Frames:
    """
    Build the frames of a chain.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; finite.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where the residue has its three atoms.

    Returns
    -------
    Frames
        In float32, operation by operation as torch builds them.
    """
    gap = np.sqrt(_squared_length(coords[1:, _NITROGEN] - coords[:-1, _CARBON]))[:, 0]
    bonded = (gap < _BOND_LIMIT) & resolved[1:] & resolved[:-1]
    return Frames(coords, resolved, _rotations(coords), bonded)


def rotations_from(first: _Reals, second: _Reals) -> _Reals:
    """
    Build right-handed rotations from two directions each, by Gram-Schmidt.

    Parameters
    ----------
    first, second : ndarray, shape=(row, 3), dtype=float32 or float64
        The direction of the first axis, and one in the plane of the first two.

    Returns
    -------
    ndarray, shape=(row, 3, 3), dtype=float32 or float64
        Matrices whose columns are the axes.

    Examples
    --------
    >>> axes = np.eye(3, dtype=np.float32)
    >>> bool(np.all(rotations_from(2 * axes[:1], axes[1:2])[0].round() == axes))
    True
    """
    first = _unit(first)
    second = _unit(second - _dot(second, first) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def surroundings(frames: Frames, neighbors: int) -> tuple[_Array, NDArray[np.int64]]:
    """
    Describe the nearest residues of each resolved residue in its own frame.

    Parameters
    ----------
    frames : Frames
        The chain.
    neighbors : int
        How many to describe, the residue itself included; all resolved ones if there are fewer.

    Returns
    -------
    features : ndarray, shape=(resolved, neighbor, feature), dtype=float32
        Local N, CA and C, relative rotation, distance; the residue itself first.
    index : ndarray, shape=(resolved, neighbor), dtype=int64
        Which residues of the chain they are.
    """
    known = np.flatnonzero(frames.resolved)
    index = known[_nearest(frames.places[known], min(neighbors, len(known)))]
    turns = frames.rotations[known]
    atoms = frames.coords[index] - frames.places[known][:, None, None]
    local = atoms @ turns[:, None]
    turned = turns.transpose(0, 2, 1)[:, None] @ frames.rotations[index]
    distance = np.sqrt(_squared_length(atoms[:, :, _ALPHA]))
    centers = np.linspace(0.0, _DISTANCE_MAX, _DISTANCE_BASES, dtype=np.float32)
    width = np.float32(_DISTANCE_MAX / _DISTANCE_BASES)
    basis = np.exp(np.float32(-0.5) * ((distance - centers) / width) ** 2)
    shape = (*index.shape, 9)
    parts = [local.reshape(shape) / _LENGTH_SCALE, turned.reshape(shape), basis]
    return np.concatenate(parts, axis=-1), index


def along_chain(frames: Frames, reach: int) -> _Array:
    """
    Describe the bonded residues before and after each resolved residue in its own frame.

    Parameters
    ----------
    frames : Frames
        The chain.
    reach : int
        How many bonds to go, either way.

    Returns
    -------
    ndarray, shape=(resolved, feature), dtype=float32
        The next residue, the one before, the next but one, and so on: N, CA and C, relative
        rotation, and 1; zeros where no unbroken row of bonds leads there.
    """
    parts = []
    joined = frames.bonded
    for offset in range(1, reach + 1):
        if offset > 1:
            joined = joined[:-1] & frames.bonded[offset - 1 :]
        after, before = np.flatnonzero(joined), np.flatnonzero(joined) + offset
        for viewer, seen in ((after, before), (before, after)):
            part = np.zeros((len(frames.resolved), BONDED_FEATURES), dtype=np.float32)
            turns = frames.rotations[viewer]
            atoms = (frames.coords[seen] - frames.places[viewer][:, None]) @ turns
            turned = turns.transpose(0, 2, 1) @ frames.rotations[seen]
            part[viewer, :9] = atoms.reshape(-1, 9) / _LENGTH_SCALE
            part[viewer, 9:18] = turned.reshape(-1, 9)
            part[viewer, 18] = 1.0
            parts.append(part[frames.resolved])
    return np.concatenate(parts, axis=-1)


def _nearest(points: _Array, count: int) -> NDArray[np.int64]:
    """Return the nearest points of each point, itself first: (point, count)."""
    size = max(1, _DISTANCES_PER_PASS // len(points))
    found = []
    for start in range(0, len(points), size):
        rows = np.arange(start, min(start + size, len(points)))
        distance = np.zeros((len(rows), len(points)), dtype=np.float32)
        for axis in range(3):
            distance += np.square(points[rows, axis, None] - points[:, axis])
        np.sqrt(distance, out=distance)
        # A residue is its own nearest neighbor even when another sits on the same point.
        distance[np.arange(len(rows)), rows] = -1.0
        near = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(distance, near, axis=1).argsort(axis=1, kind="stable")
        found.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(found)


def _rotations(coords: _Reals) -> _Reals:
    nitrogen, alpha, carbon = coords[:, _NITROGEN], coords[:, _ALPHA], coords[:, _CARBON]
    return rotations_from(alpha - carbon, nitrogen - alpha)


def _unit(vectors: _Reals) -> _Reals:
    return vectors * (1.0 / np.sqrt(_squared_length(vectors) + _NORM_EPSILON))


def _squared_length(vectors: _Reals) -> _Reals:
    return _dot(vectors, vectors)


def _dot(one: _Reals, other: _Reals) -> _Reals:
    """Products of vectors in a fixed order of additions: (..., 1)."""
    product = one * other
    return (product[..., 0] + product[..., 1] + product[..., 2])[..., None]
