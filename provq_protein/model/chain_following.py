"""How are codes chosen along a single chain, where a step is too little work for tensors?"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Residues whose scores without drift are held at once: bounds memory.
_RESIDUES_PER_PASS = 256

_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTables:
    """
    What following a single chain needs to know about the codes.

    Parameters
    ----------
    biases : Tensor, shape=(code,), dtype=float64
        Half the squared length of each key.
    codes : Tensor, shape=(code, latent_dim), dtype=float64
        The part of the keys that latents are compared with.
    points : Tensor, shape=(code, 12), dtype=float64
        The part that wanted steps are compared with, which are multiplied by `scales`.
    across_biases, across_points : Tensor, shapes=(break code,) and (break code, 12), optional
        The same for codes of steps across breaks, which are compared with `across_scales`.
    scales, across_scales : ndarray, shape=(12,), dtype=float64
        Weights of a step's nine rotation entries and three shifts.
    rotations : ndarray, shape=(code and break code, 3, 3), dtype=float64
        Where a code turns.
    shifts : ndarray, shape=(code and break code, 3), dtype=float64
        Where a code leads, in Angstrom.
    """

    biases: Tensor
    codes: Tensor
    points: Tensor
    across_biases: Tensor | None
    across_points: Tensor | None
    scales: _Matrix
    across_scales: _Matrix
    rotations: _Matrix
    shifts: _Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCourse:
    """
    The true course of one chain.

    Parameters
    ----------
    turns : ndarray, shape=(residue, 3, 3), dtype=float64
        Orientations.
    places : ndarray, shape=(residue, 3), dtype=float64
        Origins, in Angstrom.
    following : ndarray, shape=(residue,), dtype=int64
        The next resolved residue.
    bonded, leaps : ndarray, shape=(residue - 1,), dtype=bool
        Where the chain goes on over a bond, and where over a break.
    first : int
        The first resolved residue.
    """

    turns: _Matrix
    places: _Matrix
    following: NDArray[np.int64]
    bonded: NDArray[np.bool_]
    leaps: NDArray[np.bool_]
    first: int


def follow_one(nearest: Tensor, latents: Tensor, tables: CodeTables, course: ChainCourse) -> Tensor:
    """
    Choose the codes of one chain, each knowing where the chain grown so far has arrived.

    Parameters
    ----------
    nearest : Tensor, shape=(residue,), dtype=int64
        Kept where nothing follows.
    latents : Tensor, shape=(residue, latent_dim), dtype=float64
        One per residue.
    tables : CodeTables
        The codes.
    course : ChainCourse
        The chain.

    Returns
    -------
    Tensor, shape=(residue,), dtype=int64
        Indices, as `follow_chain` gives them.

    Notes
    -----
    A residue is two dozen operations on 3 x 3 matrices and one product of a small vector with
    all codes. As tensors the former cost far more than the latter; as arrays they do not. What
    latents contribute to the scores is not part of the loop: it is one product for many
    residues.
    """
    indices = nearest.clone()
    search = _Search(tables)
    turn, place = course.turns[course.first], course.places[course.first]
    coded = course.bonded if tables.across_points is None else course.bonded | course.leaps
    moving = np.flatnonzero(course.bonded | course.leaps)
    chosen = indices.numpy()
    for some in np.split(moving, range(_RESIDUES_PER_PASS, len(moving), _RESIDUES_PER_PASS)):
        search.prepare(latents[torch.from_numpy(some)])
        for row, residue in enumerate(some.tolist()):
            after = course.following[residue]
            if not coded[residue]:
                turn, place = course.turns[after], course.places[after]
                continue
            back = turn.T
            search.want(back @ course.turns[after], back @ (course.places[after] - place))
            code = search.along(row) if course.bonded[residue] else search.across()
            chosen[residue] = code
            place = place + turn @ tables.shifts[code]
            turn = turn @ tables.rotations[code]
    return indices


class _Search:
    """Scores of codes, in memory that is used again for every residue."""

    def __init__(self, tables: CodeTables) -> None:
        self._tables = tables
        self._wanted = np.empty(12)
        self._query = torch.empty(12, dtype=torch.float64)
        self._query_values = self._query.numpy()
        self._scores = torch.empty_like(tables.biases)
        self._score_values = self._scores.numpy()
        self._without_steps = tables.biases[None]
        self._points = tables.points
        if tables.across_biases is not None:
            self._across = torch.empty_like(tables.across_biases)
            self._across_values = self._across.numpy()

    def prepare(self, latents: Tensor) -> None:
        """Score the codes for some residues by their latents alone."""
        tables = self._tables
        self._without_steps = torch.addmm(tables.biases, latents, tables.codes.T, alpha=-1.0)

    def want(self, rotation: _Matrix, shift: _Matrix) -> None:
        """Say which step the next code should stand for."""
        self._wanted[:9] = rotation.reshape(9)
        self._wanted[9:] = shift

    def along(self, row: int) -> int:
        """Return the code nearest to the latent in a row and the wanted step together."""
        np.multiply(self._wanted, self._tables.scales, out=self._query_values)
        torch.addmv(
            self._without_steps[row], self._points, self._query, alpha=-1.0, out=self._scores
        )
        return int(self._score_values.argmin())

    def across(self) -> int:
        """Return the break code nearest to the wanted step."""
        tables = self._tables
        if tables.across_biases is None or tables.across_points is None:
            msg = "there are no codes for steps across breaks"
            raise ValueError(msg)
        np.multiply(self._wanted, tables.across_scales, out=self._query_values)
        torch.addmv(
            tables.across_biases, tables.across_points, self._query, alpha=-1.0, out=self._across
        )
        return len(tables.biases) + int(self._across_values.argmin())
