"""Neighbors: nearest first, itself in front, unresolved and padded residues last or out."""

import torch

from provq_protein.geometry.neighbors import nearest_residues


def test_neighbors_are_the_nearest_by_brute_force():
    alpha = torch.randn(1, 40, 3, generator=torch.Generator().manual_seed(0)) * 10
    yes = torch.ones(1, 40, dtype=torch.bool)
    index, valid = nearest_residues(alpha, yes, yes, 16)
    for i in range(40):
        distances = (alpha[0] - alpha[0, i]).double().norm(dim=-1)
        assert index[0, i].tolist() == distances.argsort()[:16].tolist()
    assert valid.all()


def test_a_residue_is_its_own_first_neighbor_even_on_top_of_another():
    alpha = torch.zeros(1, 5, 3)
    yes = torch.ones(1, 5, dtype=torch.bool)
    index, _ = nearest_residues(alpha, yes, yes, 3)
    assert index[0, :, 0].tolist() == [0, 1, 2, 3, 4]


def test_unresolved_residues_come_last_and_see_their_sequence_neighbors():
    alpha = torch.arange(10.0)[None, :, None].expand(1, 10, 3)
    yes = torch.ones(1, 10, dtype=torch.bool)
    resolved = yes.clone()
    resolved[0, 5] = False
    index, _ = nearest_residues(alpha, resolved, yes, 10)
    assert index[0, 4, -1] == 5
    assert index[0, 5, 0] == 5
    assert set(index[0, 5, 1:3].tolist()) == {4, 6}


def test_padding_is_never_a_valid_neighbor():
    alpha = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    present = torch.ones(2, 8, dtype=torch.bool)
    present[1, 5:] = False
    index, valid = nearest_residues(alpha, present, present, 8)
    assert valid[1, :5].sum(-1).tolist() == [5] * 5
    assert (index[1, :5][valid[1, :5]] < 5).all()
    assert valid[0].all()


def test_a_chain_shorter_than_the_neighborhood_gives_its_length():
    yes = torch.ones(1, 3, dtype=torch.bool)
    index, _ = nearest_residues(torch.randn(1, 3, 3), yes, yes, 16)
    assert index.shape == (1, 3, 3)
