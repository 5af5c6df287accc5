"""How often, where and for which pieces of chain is each code used?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.quantize.usage import code_counts, perplexity, utilization
from provq_protein.reports.chain_records import CodedChain
from provq_protein.structure.secondary import COIL, HELIX, STRAND, bonded_stretches

FLANK = 2
"""Residues before and after the one that has a code, in its fragments."""

MOST_FRAGMENTS = 400
"""Pieces of each code that are averaged, the first ones: helices have thousands alike."""

STRUCTURES = (HELIX, STRAND, COIL)
"""Secondary structures, in the order of rows and columns."""

_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class CodeUse:
    """
    How the residues of a set use the codes, pooled over chains.

    Parameters
    ----------
    counts : ndarray, shape=(code,), dtype=int64
        Residues with each code.
    by_structure : ndarray, shape=(code, 3), dtype=int64
        The same by secondary structure, in the order of `STRUCTURES`.
    perplexity : float
        Exponential of the entropy of the codes (natural logarithm).
    utilization : float
        Share of the codes that occur.
    """

    counts: npt.NDArray[np.int64]
    by_structure: npt.NDArray[np.int64]
    perplexity: float
    utilization: float

    @property
    def residues(self) -> int:
        """Number of residues with a code."""
        return int(self.counts.sum())

    @property
    def used(self) -> int:
        """Number of codes that occur."""
        return int((self.counts > 0).sum())

    def most_frequent(self, number: int) -> list[int]:
        """
        Return the most frequent codes.

        Parameters
        ----------
        number : int
            How many at most.

        Returns
        -------
        list of int
            Codes that occur, the most frequent first; of equal ones the lower.
        """
        order = np.argsort(-self.counts, kind="stable")[:number]
        return [int(code) for code in order if self.counts[code]]


def code_use(
    ids: Sequence[npt.NDArray[np.int32]],
    structures: Sequence[npt.NDArray[np.str_]],
    codebook_size: int,
) -> CodeUse:
    """
    Count codes.

    Parameters
    ----------
    ids : sequence of ndarray, shape=(residue,), dtype=int32
        Ids of resolved residues, one array per chain.
    structures : sequence of ndarray, shape=(residue,), dtype=str
        Secondary structure of the same residues.
    codebook_size : int
        Number of codes.

    Returns
    -------
    CodeUse
        Pooled over chains.
    """
    pooled = np.concatenate([np.zeros(0, np.int64), *(one.astype(np.int64) for one in ids)])
    letters = np.concatenate([np.zeros(0, "<U1"), *structures])
    counts = code_counts(torch.from_numpy(pooled), codebook_size)
    columns = [np.bincount(pooled[letters == one], minlength=codebook_size) for one in STRUCTURES]
    return use_of_counts(counts.numpy().astype(np.int64), np.stack(columns, axis=1))


def use_of_counts(counts: npt.NDArray[np.int64], by_structure: npt.NDArray[np.int64]) -> CodeUse:
    """
    Sum up counts that are known already.

    Parameters
    ----------
    counts : ndarray, shape=(code,), dtype=int64
        Residues with each code.
    by_structure : ndarray, shape=(code, 3), dtype=int64
        The same by secondary structure, in the order of `STRUCTURES`.

    Returns
    -------
    CodeUse
        With perplexity and utilization of these counts.
    """
    counted = torch.from_numpy(counts)
    return CodeUse(
        counts=counts,
        by_structure=by_structure.astype(np.int64),
        perplexity=perplexity(counted),
        utilization=utilization(counted),
    )


@dataclass(frozen=True, eq=False)
class Fragment:
    """
    The mean of the pieces of chain around the residues that have a code.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float64
        N, CA and C in Angstrom; `FLANK` residues, the one with the code, `FLANK` residues.
    spread : float
        Root mean square deviation of the pieces from it, in Angstrom.
    used : int
        Number of pieces.
    nearest : tuple of int
        The pieces that are most like it, the best first, as rows of what was averaged.
    """

    coords: npt.NDArray[np.float64]
    spread: float
    used: int
    nearest: tuple[int, ...]


def mean_fragment(pieces: npt.NDArray[np.float64], *, exemplars: int = 3) -> Fragment:
    """
    Superpose pieces of chain without reflection, and average them.

    Parameters
    ----------
    pieces : ndarray, shape=(piece, residue, 3, 3), dtype=float64
        N, CA and C in Angstrom; at least one piece.
    exemplars : int
        How many of the nearest pieces to name.

    Returns
    -------
    Fragment
        Their mean after superposing all on the mean of the round before, three times.

    Notes
    -----
    Turning or shifting a piece changes the pose of the mean, and nothing else.
    """
    points = pieces.reshape(len(pieces), -1, 3)
    mean = points[0]
    moved = points
    for _ in range(_ROUNDS):
        moved = apply_motion(points, *superpose(points, np.broadcast_to(mean, points.shape)))
        mean = moved.mean(axis=0)
    deviation = np.sqrt(((moved - mean) ** 2).sum(-1).mean(-1))
    return Fragment(
        coords=mean.reshape(pieces.shape[1:]),
        spread=float(np.sqrt((deviation**2).mean())),
        used=len(pieces),
        nearest=tuple(np.argsort(deviation, kind="stable")[:exemplars].tolist()),
    )


@dataclass(frozen=True, eq=False)
class CodeFragment:
    """
    The piece of chain that a code stands for, and where to find it.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float64
        As in `Fragment`.
    spread : float
        As in `Fragment`.
    used : int
        As in `Fragment`.
    exemplars : tuple of tuple of (str, str)
        Chain and residue in the middle of the pieces that are most like it, the best first.
    """

    coords: npt.NDArray[np.float64]
    spread: float
    used: int
    exemplars: tuple[tuple[str, str], ...]


def fragments_by_code(chains: Sequence[CodedChain]) -> dict[int, CodeFragment]:
    """
    Average the bonded pieces of chain around the residues of each code.

    Parameters
    ----------
    chains : sequence of CodedChain
        Chains.

    Returns
    -------
    dict of int to CodeFragment
        By code. Codes that no residue with `FLANK` bonded residues on both sides has are
        absent.
    """
    found: dict[int, list[tuple[npt.NDArray[np.float64], str, str]]] = {}
    for chain in chains:
        names = chain.shown.residue_ids
        coords = chain.shown.coords.astype(np.float64)
        for stretch in bonded_stretches(chain.shown):
            for middle in stretch[FLANK : len(stretch) - FLANK].tolist():
                pieces = found.setdefault(int(chain.tokens.ids[middle]), [])
                if len(pieces) < MOST_FRAGMENTS:
                    window = coords[middle - FLANK : middle + FLANK + 1]
                    pieces.append((window, chain.name, names[middle]))
    result = {}
    for code, pieces in found.items():
        mean = mean_fragment(np.stack([window for window, _, _ in pieces]))
        exemplars = tuple(pieces[row][1:] for row in mean.nearest)
        result[code] = CodeFragment(mean.coords, mean.spread, mean.used, exemplars)
    return result


def nearest_codes(
    codebook: npt.NDArray[np.float32], *, number: int = 4
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """
    Return the nearest other codes of each code.

    Parameters
    ----------
    codebook : ndarray, shape=(code, dim), dtype=float32
        Code vectors.
    number : int
        How many; fewer where there are not so many others.

    Returns
    -------
    codes : ndarray, shape=(code, number), dtype=int64
        The nearest first.
    distances : ndarray, shape=(code, number), dtype=float64
        Euclidean, between code vectors.
    """
    points = codebook.astype(np.float64)
    number = min(number, len(points) - 1)
    codes = np.zeros((len(points), number), dtype=np.int64)
    distances = np.zeros((len(points), number))
    for row, point in enumerate(points):
        distance = np.linalg.norm(points - point, axis=1)
        distance[row] = np.inf
        codes[row] = np.argsort(distance, kind="stable")[:number]
        distances[row] = distance[codes[row]]
    return codes, distances


def code_places(codebook: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """
    Order codes so that similar ones are near each other.

    Parameters
    ----------
    codebook : ndarray, shape=(code, dim), dtype=float32
        Code vectors.

    Returns
    -------
    ndarray, shape=(code,), dtype=float64
        From 0 to 1: the rank along the direction in which the code vectors differ most (first
        principal component).
    """
    points = codebook.astype(np.float64) - codebook.mean(axis=0, dtype=np.float64)
    direction = np.linalg.svd(points, full_matrices=False)[2][0]
    # The sign of a component is arbitrary; a colour should not be.
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    ranks = np.argsort(np.argsort(points @ direction, kind="stable"), kind="stable")
    return ranks / max(len(points) - 1, 1)
