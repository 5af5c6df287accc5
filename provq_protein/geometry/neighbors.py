"""Which residues surround each residue?"""

import torch
from torch import Tensor

from provq_protein.geometry.point_tree import nearest_points

# Distance given to pairs with an unresolved residue: beyond any chain in Angstrom, and
# ranked among themselves by separation along the chain (ESM3's `knn_graph`).
_UNRESOLVED_DISTANCE = 1e6
_UNRESOLVED_STEP = 100.0
# Distances held at once; bounds memory at 16 bytes each.
_DISTANCES_PER_PASS = 1 << 20
# A tree costs less than all distances from 300 residues on. The package that has it takes tenths
# of a second to import, though, which only long chains earn back.
_TREE_FROM = 1000
# Candidates from the tree beyond the neighbors that are wanted. The one after the last shows
# that nothing nearer was left out.
_SPARE = 2


def nearest_residues(
    alpha: Tensor, resolved: Tensor, present: Tensor, neighbors: int
) -> tuple[Tensor, Tensor]:
    """
    Find the nearest residues of each residue by CA-CA distance, itself first.

    Parameters
    ----------
    alpha : Tensor, shape=(batch, residue, 3), dtype=float
        CA positions, in Angstrom; any finite value where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue has coordinates.
    present : Tensor, shape=(batch, residue), dtype=bool
        False where the batch is padded.
    neighbors : int
        How many to return, at most; chains shorter than that give their length.

    Returns
    -------
    index : Tensor, shape=(batch, residue, neighbor), dtype=int64
        Positions along the chain, nearest first.
    valid : Tensor, shape=(batch, residue, neighbor), dtype=bool
        False where the slot holds padding.

    Notes
    -----
    Pairs with an unresolved residue rank after all others, by separation along the
    chain, so an unresolved residue gathers the residues around it in the sequence.
    Distances are explicit differences, not the expanded square: the latter loses about
    0.03 Angstrom on long chains.

    Memory grows with the length of the chains and not with its square. Long chains on a CPU
    are searched with a k-d tree, which finds the same residues in the same order: only rows
    whose float32 distances are all different are taken from it, because the order of equal
    distances is that of a search of the whole row.
    """
    length = alpha.shape[1]
    count = min(neighbors, length)
    with torch.no_grad():
        alpha = alpha.float()
        if alpha.device.type != "cpu" or length < _TREE_FROM:
            return _ranked(_Chains(alpha, resolved, present), count)
        parts = [
            _with_tree(
                _Chains(*(part[row : row + 1] for part in (alpha, resolved, present))), count
            )
            for row in range(len(alpha))
        ]
    return torch.cat([index for index, _ in parts]), torch.cat([valid for _, valid in parts])


class _Chains:
    """A padded batch, and the distances from some of its residues to all."""

    def __init__(self, alpha: Tensor, resolved: Tensor, present: Tensor) -> None:
        self.alpha, self.resolved, self.present = alpha, resolved, present
        self.position = torch.arange(alpha.shape[1], device=alpha.device)

    def distances(self, rows: Tensor) -> Tensor:
        """Rank all residues for some: (batch, row, residue), infinite for padding."""
        distance = torch.cdist(
            self.alpha[:, rows], self.alpha, compute_mode="donot_use_mm_for_euclid_dist"
        )
        separation = (self.position[rows, None] - self.position).abs()
        by_sequence = _UNRESOLVED_DISTANCE + _UNRESOLVED_STEP * separation
        both_resolved = self.resolved[:, rows, None] & self.resolved[:, None, :]
        distance = torch.where(both_resolved, distance, by_sequence)
        # A residue is its own nearest neighbor even when another sits on the same point.
        distance = torch.where(
            separation == 0, torch.where(both_resolved, -1.0, distance), distance
        )
        both_present = self.present[:, rows, None] & self.present[:, None, :]
        return distance.masked_fill(~both_present, torch.inf)


def _ranked(chains: _Chains, count: int, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sort out the nearest residues of some by all distances, part by part."""
    rows = chains.position if rows is None else rows
    batch, length = chains.resolved.shape
    size = max(1, _DISTANCES_PER_PASS // max(1, batch * length))
    index, valid = [], []
    for some in rows.split(size):
        nearest = chains.distances(some).topk(count, dim=-1, largest=False, sorted=True)
        index.append(nearest.indices)
        valid.append(torch.isfinite(nearest.values))
    return torch.cat(index, dim=1), torch.cat(valid, dim=1)


def _with_tree(chain: _Chains, count: int) -> tuple[Tensor, Tensor]:
    """Search one chain with a tree, and by all distances where that leaves a doubt."""
    there = chain.resolved[0] & chain.present[0]
    known = there.nonzero()[:, 0]
    index = torch.zeros(1, len(there), count, dtype=torch.int64)
    valid = torch.ones_like(index, dtype=torch.bool)
    doubtful = torch.ones_like(there)
    if len(known) >= count + _SPARE:
        points = chain.alpha[0, known]
        found = nearest_points(points, count + _SPARE)
        distances = torch.cdist(
            points[:, None], points[found], compute_mode="donot_use_mm_for_euclid_dist"
        )[:, 0]
        distances[found == torch.arange(len(known))[:, None]] = -1.0
        ranked, order = distances.sort(dim=1)
        index[0, known] = known[found.gather(1, order)][:, :count]
        doubtful[known] = _undecided(ranked, count)
    rows = doubtful.nonzero()[:, 0]
    if len(rows):
        index[:, rows], valid[:, rows] = _ranked(chain, count, rows)
    return index, valid


def _undecided(ranked: Tensor, count: int) -> Tensor:
    """Tell which rows of sorted candidates do not settle the first ones, nor their order."""
    # The tree ranks by float64 distances: the last candidate may be as near as one left out.
    last = ranked[:, -1]
    clear = last - ranked[:, count - 1] > 1e-5 * last
    own = ranked[:, 0] == -1.0
    different = (ranked[:, 1 : count + 1] > ranked[:, :count]).all(dim=1)
    return ~(clear & own & different)
