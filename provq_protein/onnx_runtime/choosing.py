"""Which code does each residue get, when the chain grown so far is known?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provq_protein.onnx_runtime.surroundings import Frames

# A turn counts as what it moves at this distance (Angstrom), as in `model.break_codes`.
_LEVER = 3.0
# Residues whose distances to all codes are held at once.
_RESIDUES_PER_PASS = 32
_ROTATION_NUMBERS = 9
_STEP_NUMBERS = 12

_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """
    Rigid steps from one residue to the next.

    Parameters
    ----------
    rotations : ndarray, shape=(step, 3, 3), dtype=float64
        How the next frame is turned in this one.
    shifts : ndarray, shape=(step, 3), dtype=float64
        Where it is, in Angstrom.
    """

    rotations: _Doubles
    shifts: _Doubles

    def points(self) -> _Doubles:
        """
        Return the steps as points whose distances compare turns and shifts in Angstrom.

        Returns
        -------
        ndarray, shape=(step, 12), dtype=float64
            A turn counts as what it moves three Angstrom away.
        """
        turns = self.rotations.reshape(-1, _ROTATION_NUMBERS) * _LEVER
        return np.concatenate([turns, self.shifts], axis=1)


def nearest_codes(latents: _Floats, codes: _Floats) -> NDArray[np.int64]:
    """
    Return the index of the nearest code of each latent, by Euclidean distance.

    Parameters
    ----------
    latents : ndarray, shape=(latent, dim), dtype=float32
        Latents.
    codes : ndarray, shape=(code, dim), dtype=float32
        Codes.

    Returns
    -------
    ndarray, shape=(latent,), dtype=int64
        Indices, the lowest one among equal distances. Distances are summed in float64 and in the
        order in which `provq_protein.quantize.nearest_codes` does it: equal latents have equal
        indices there and here.

    Examples
    --------
    >>> codes = np.array([[0, 0], [1, 1], [1, 1]], dtype=np.float32)
    >>> nearest_codes(np.array([[0.9, 0.8], [0.1, 0]], dtype=np.float32), codes).tolist()
    [1, 0]
    """
    found = np.empty(len(latents), dtype=np.int64)
    wide = codes.astype(np.float64)
    for start in range(0, len(latents), _RESIDUES_PER_PASS):
        rows = latents[start : start + _RESIDUES_PER_PASS].astype(np.float64)
        terms = np.square(rows[:, None] - wide)
        while terms.shape[-1] > 1:
            half = terms.shape[-1] // 2
            folded = terms[..., :half] + terms[..., half : 2 * half]
            terms = np.concatenate([folded, terms[..., 2 * half :]], axis=-1)
        found[start : start + len(rows)] = terms[..., 0].argmin(axis=1)
    return found


class CodesAlongChain:
    """
    The codes of a model that follows the chain, ready to be chosen from.

    Parameters
    ----------
    codes : ndarray, shape=(code, dim), dtype=float32
        The learned codes.
    steps : Steps
        What each of them stands for.
    across : Steps or None
        The steps of the codes for chain breaks, which are counted on from the others.
    drift_weight : float
        Weight of squared Angstrom between the reached and the true next residue against the
        squared distance of latents.

    Notes
    -----
    The same choice as ``provq_protein.model.closed_loop.follow_chain``, in float64 throughout.
    """

    def __init__(
        self, codes: _Floats, steps: Steps, across: Steps | None, *, drift_weight: float
    ) -> None:
        self._codes, self._drift_weight = codes, drift_weight
        scale = math.sqrt(drift_weight)
        keys = np.concatenate([codes.astype(np.float64), steps.points() * scale], axis=1)
        self._biases = _half_squares(keys)
        # One number of all codes after the other: that is how a product reads them fastest.
        columns = np.ascontiguousarray(keys.T)
        self._latent_keys, self._step_keys = columns[: codes.shape[1]], columns[codes.shape[1] :]
        self._weights = np.repeat([_LEVER, 1.0], [_ROTATION_NUMBERS, 3])
        self._scaled_weights = self._weights * scale
        self._knows_breaks = across is not None
        rotations, shifts = steps.rotations, steps.shifts
        if across is not None:
            points = across.points()
            self._across_biases = _half_squares(points)
            self._across_keys = np.ascontiguousarray(points.T)
            rotations = np.concatenate([rotations, across.rotations])
            shifts = np.concatenate([shifts, across.shifts])
        self._rotations, self._shifts = rotations, shifts

    def choose(self, latents: _Floats, frames: Frames) -> NDArray[np.int64]:
        """
        Choose the codes of a chain, each knowing where the chain grown so far has arrived.

        Parameters
        ----------
        latents : ndarray, shape=(residue, dim), dtype=float32
            One per residue.
        frames : Frames
            The chain.

        Returns
        -------
        ndarray, shape=(residue,), dtype=int64
            Indices; 0 where a residue is unresolved.
        """
        ids = np.zeros(len(latents), dtype=np.int64)
        following = _next_resolved(frames.resolved)
        goes_on = frames.resolved & (following > np.arange(len(latents)))
        bonded = np.append(frames.bonded, False)
        coded = goes_on if self._knows_breaks else bonded
        if self._drift_weight == 0.0 and not self._knows_breaks:
            coded = np.zeros_like(coded)
        alone = np.flatnonzero(frames.resolved & ~coded)
        ids[alone] = nearest_codes(latents[alone], self._codes)
        if coded.any():
            self._follow(ids, latents.astype(np.float64), frames, (goes_on, bonded, following))
        return ids

    def _follow(
        self,
        ids: NDArray[np.int64],
        latents: _Doubles,
        frames: Frames,
        course: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]],
    ) -> None:
        goes_on, bonded, following = course
        turns, places = frames.exact_rotations(), frames.places.astype(np.float64)
        first = int(frames.resolved.argmax())
        turn, place = turns[first], places[first]
        wanted = np.empty(_STEP_NUMBERS)
        moving = np.flatnonzero(goes_on)
        for start in range(0, len(moving), _RESIDUES_PER_PASS):
            some = moving[start : start + _RESIDUES_PER_PASS]
            # What latents have to say is one product for many residues.
            by_latent = self._biases - latents[some] @ self._latent_keys
            for row, residue in enumerate(some.tolist()):
                after = following[residue]
                if not (bonded[residue] or self._knows_breaks):
                    turn, place = turns[after], places[after]
                    continue
                back = turn.T
                wanted[:_ROTATION_NUMBERS] = (back @ turns[after]).reshape(_ROTATION_NUMBERS)
                wanted[_ROTATION_NUMBERS:] = back @ (places[after] - place)
                if bonded[residue]:
                    code = self._along(by_latent[row], wanted)
                else:
                    code = self._across(wanted)
                ids[residue] = code
                place = place + turn @ self._shifts[code]
                turn = turn @ self._rotations[code]

    def _along(self, by_latent: _Doubles, wanted: _Doubles) -> int:
        """Return the code nearest to a latent and a wanted step together."""
        by_step = (wanted * self._scaled_weights) @ self._step_keys
        return int((by_latent - by_step).argmin())

    def _across(self, wanted: _Doubles) -> int:
        """Return the break code nearest to a wanted step."""
        scores = self._across_biases - (wanted * self._weights) @ self._across_keys
        return len(self._codes) + int(scores.argmin())


def _half_squares(points: _Doubles) -> _Doubles:
    return 0.5 * np.square(points).sum(axis=1)


def _next_resolved(resolved: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each residue the next resolved one; itself where there is none."""
    length = len(resolved)
    position = np.arange(length)
    there = np.append(np.where(resolved, position, length), length)
    after = np.minimum.accumulate(there[::-1])[::-1][1:]
    return np.where(after < length, after, position)
