"""Losses of the growth decoder: zero for the truth, blind to pose, awake to mirror images."""

import numpy as np
import pytest
import torch

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames, relative_frames
from provq_protein.model.growth_decoder import GrowthDecoderOutput
from provq_protein.model.growth_losses import (
    GrowthLossConfig,
    frame_aligned_error,
    growth_loss,
    smooth_lddt_error,
    span_error,
)
from provq_protein.model.refinement import Frames

_WEIGHTS = GrowthLossConfig(
    step=1.0, span=0.0, refined_step=1.0, frame_aligned=1.0, lddt=1.0, distance=0.0
)


def _output(coords):
    frames = Frames(*backbone_frames(coords))
    steps = relative_frames(frames.rotations, frames.translations)
    logits = torch.zeros(*coords.shape[:2], coords.shape[1], 8)
    return GrowthDecoderOutput(coords, *steps, (frames,), logits)


def _batch(make_coords, *lengths):
    longest = max(lengths)
    coords = torch.zeros(len(lengths), longest, 3, 3)
    resolved = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for row, length in enumerate(lengths):
        coords[row, :length] = torch.from_numpy(make_coords(length, row))
        resolved[row, :length] = True
    return coords, resolved


def test_the_truth_in_another_pose_costs_nothing(make_coords):
    coords, resolved = _batch(make_coords, 30)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))
    turn = turn * torch.det(turn)
    loss = growth_loss(_output(coords @ turn.T + 9.0), coords, resolved, _WEIGHTS)
    assert loss.step < 1e-6
    assert loss.refined_step < 1e-6
    assert loss.frame_aligned < 3e-3  # the square root's epsilon: 0.01 Angstrom
    best = smooth_lddt_error(coords[:, :, 1], coords[:, :, 1], resolved)
    assert loss.lddt == pytest.approx(best.item(), abs=1e-5)


def test_a_mirror_image_costs_much(make_coords):
    coords, resolved = _batch(make_coords, 30)
    mirrored = growth_loss(
        _output(coords * torch.tensor([1.0, 1.0, -1.0])), coords, resolved, _WEIGHTS
    )
    assert mirrored.frame_aligned > 0.1
    assert mirrored.step > 0.1


def test_padding_and_unresolved_residues_cost_nothing(make_coords):
    coords, resolved = _batch(make_coords, 30, 20)
    resolved[0, 5] = False
    right = growth_loss(_output(coords), coords, resolved, _WEIGHTS)
    junk = torch.where(resolved[..., None, None], coords, torch.randn_like(coords) * 50)
    wrong = growth_loss(_output(junk), coords, resolved, _WEIGHTS)
    assert torch.allclose(right.total, wrong.total, atol=1e-5)
    hidden = torch.where(resolved[..., None, None], coords, torch.nan)
    assert torch.allclose(
        growth_loss(_output(coords), hidden, resolved, _WEIGHTS).total, right.total
    )


def test_the_step_over_a_chain_break_is_not_learned(make_coords):
    coords, resolved = _batch(make_coords, 30)
    broken = coords.clone()
    broken[:, 15:] += 20.0
    loss = growth_loss(_output(coords), broken, resolved, _WEIGHTS)
    assert loss.step < 1e-6
    assert loss.frame_aligned > 0.1


def _span_error(coords, resolved, *, turned=()):
    """Error of the true steps after turning some of them about the local z axis."""
    true = Frames(*backbone_frames(coords))
    rotations, shifts = relative_frames(true.rotations, true.translations)
    for row, angle in turned:
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]).float()
        rotations[0, row] = turn @ rotations[0, row]
    return span_error(rotations, shifts, true, peptide_bonds(coords, resolved)).item()


def test_true_steps_lead_where_the_chain_goes(make_coords):
    coords, resolved = _batch(make_coords, 50, 7)
    assert _span_error(coords, resolved) < 1e-5


def test_span_error_equals_brute_force(make_coords):
    coords, resolved = _batch(make_coords, 11)
    true = Frames(*backbone_frames(coords))
    rotations, shifts = relative_frames(true.rotations, true.translations)
    shifts = shifts + 0.3
    expected = []
    for span in (2, 4, 8):
        errors = []
        for first in range(11 - span):
            place, turn = torch.zeros(3), torch.eye(3)
            for step in range(first, first + span):
                place = place + turn @ shifts[0, step]
                turn = turn @ rotations[0, step]
            apart = true.translations[0, first + span] - true.translations[0, first]
            wanted = true.rotations[0, first].T @ apart
            off = (1.0 + (place - wanted).square().sum()).sqrt() - 1.0
            errors.append(min(off.item(), 5.0))
        expected.append(np.mean(errors))
    found = span_error(rotations, shifts, true, peptide_bonds(coords, resolved)).item()
    assert found == pytest.approx(np.mean(expected), rel=1e-4)


def test_steps_are_judged_by_where_they_lead(make_coords):
    coords, resolved = _batch(make_coords, 40)
    middle = _span_error(coords, resolved, turned=[(20, 0.2)])
    last = _span_error(coords, resolved, turned=[(38, 0.2)])
    assert middle > 3 * last


def test_spans_over_a_chain_break_are_left_out(make_coords):
    coords, resolved = _batch(make_coords, 40)
    coords[:, 20:] += 25.0
    assert _span_error(coords, resolved, turned=[(19, 1.0)]) < 1e-5
    # One residue alone has no spans.
    assert _span_error(coords[:, :2], resolved[:, :2]) == 0.0


def test_frame_aligned_error_equals_brute_force(make_coords):
    true_coords, resolved = _batch(make_coords, 9)
    coords = true_coords + torch.randn_like(true_coords)
    frames, true = Frames(*backbone_frames(coords)), Frames(*backbone_frames(true_coords))
    from provq_protein.geometry.frames import place_backbone

    atoms = place_backbone(frames.rotations, frames.translations)[0].reshape(-1, 3)
    true_atoms = true_coords[0].reshape(-1, 3)
    total = 0.0
    for i in range(9):
        for a in range(27):
            local = frames.rotations[0, i].T @ (atoms[a] - frames.translations[0, i])
            true_local = true.rotations[0, i].T @ (true_atoms[a] - true.translations[0, i])
            error = float(((local - true_local) ** 2).sum() + 1e-4) ** 0.5
            total += (min(error, 10.0) + 0.1 * min(error, 40.0)) / 10.0
    expected = total / (9 * 27)
    found = frame_aligned_error(frames, true, true_coords, resolved)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_smooth_lddt_counts_only_pairs_within_reach():
    true = torch.tensor([[[0.0, 0, 0], [3.8, 0, 0], [100.0, 0, 0]]])
    moved = true.clone()
    moved[0, 2, 0] = 60.0
    resolved = torch.ones(1, 3, dtype=torch.bool)
    same = smooth_lddt_error(true, true, resolved)
    assert smooth_lddt_error(moved, true, resolved) == pytest.approx(same.item())
    moved[0, 1, 0] = 9.0
    assert smooth_lddt_error(moved, true, resolved) > same + 0.3


def test_a_chain_without_resolved_residues_gives_a_finite_loss(make_coords):
    coords, resolved = _batch(make_coords, 12, 12)
    resolved[1] = False
    loss = growth_loss(_output(coords), coords, resolved, _WEIGHTS)
    assert torch.isfinite(loss.total)
