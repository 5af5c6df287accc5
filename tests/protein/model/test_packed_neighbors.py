"""Does the k-d tree give the neighbors that all distances give, in their order?"""

import pytest
import torch

from provq_protein.geometry import neighbors
from provq_protein.geometry.neighbors import nearest_residues


def by_all_distances(alpha, resolved, present, count):
    """Rank whole rows, written out."""
    distance = torch.cdist(alpha, alpha, compute_mode="donot_use_mm_for_euclid_dist")
    position = torch.arange(alpha.shape[1])
    steps = (position[:, None] - position).abs()
    both = resolved[:, :, None] & resolved[:, None, :]
    distance = torch.where(both, distance, 1e6 + 100.0 * steps)
    distance = torch.where((steps == 0) & both, -1.0, distance)
    there = present[:, :, None] & present[:, None, :]
    found = distance.masked_fill(~there, torch.inf).topk(count, dim=-1, largest=False, sorted=True)
    return found.indices, torch.isfinite(found.values)


def walk(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2.2 * torch.randn(*shape, 3, generator=generator)).cumsum(-2)


def degenerate():
    """Yield (name, alpha, resolved, present)."""
    alpha, yes = walk(2, 130), torch.ones(2, 130, dtype=torch.bool)
    some = torch.rand(2, 130, generator=torch.Generator().manual_seed(1)) > 0.2
    padded = torch.arange(130) < torch.tensor([[130], [90]])
    yield "random walk", alpha, yes, yes
    yield "unresolved", alpha, some, yes
    yield "padded", alpha, some & padded, padded
    yield "resolved in the padding", alpha, some, padded
    yield "on a grid", alpha.round(), some, yes
    yield "one point", torch.zeros_like(alpha), yes, yes
    copies = alpha.clone()
    copies[:, 40:60] = copies[:, 40:41]
    yield "twenty copies", copies, yes, yes
    yield "far away", alpha + 5000.0, yes, yes
    yield "few resolved", alpha, torch.arange(130).expand(2, -1) % 13 == 0, yes
    yield "none resolved", alpha, ~yes, yes
    yield "on a line", torch.arange(130.0)[None, :, None].expand(2, -1, 3).contiguous(), yes, yes


@pytest.mark.parametrize("case", list(degenerate()), ids=lambda case: case[0])
@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("with_tree", [True, False])
def test_neighbors_and_their_order_are_those_of_all_distances(case, count, with_tree, monkeypatch):
    _, alpha, resolved, present = case
    monkeypatch.setattr(neighbors, "_TREE_FROM", 0 if with_tree else 10**9)
    monkeypatch.setattr(neighbors, "_DISTANCES_PER_PASS", 7 * 260)
    index, valid = nearest_residues(alpha, resolved, present, count)
    expected, expected_valid = by_all_distances(alpha, resolved, present, count)
    assert torch.equal(index, expected)
    assert torch.equal(valid, expected_valid)


def test_the_tree_decides_rows_without_ties(monkeypatch):
    alpha, yes = walk(1, 200), torch.ones(1, 200, dtype=torch.bool)
    monkeypatch.setattr(neighbors, "_TREE_FROM", 0)

    def refuse(*_args):
        pytest.fail("all distances were asked for")

    monkeypatch.setattr(neighbors, "_ranked", refuse)
    index, _ = nearest_residues(alpha, yes, yes, 16)
    assert torch.equal(index, by_all_distances(alpha, yes, yes, 16)[0])


@pytest.mark.parametrize("length", [1, 5, 17])
def test_chains_shorter_than_the_neighborhood(length, monkeypatch):
    alpha, yes = walk(1, length), torch.ones(1, length, dtype=torch.bool)
    monkeypatch.setattr(neighbors, "_TREE_FROM", 0)
    index, valid = nearest_residues(alpha, yes, yes, 16)
    expected, expected_valid = by_all_distances(alpha, yes, yes, min(16, length))
    assert torch.equal(index, expected)
    assert torch.equal(valid, expected_valid)
