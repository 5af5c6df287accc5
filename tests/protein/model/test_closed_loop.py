"""Codes chosen along the chain: what they make up for, and what they leave alone."""

import pytest
import torch

from provq_protein.geometry.frames import backbone_frames, compose_chain, relative_frames
from provq_protein.model.closed_loop import follow_chain
from provq_protein.model.refinement import Frames


def _case(make_coords, *, lengths=(80,), num_codes=64, seed=0):
    """Return true frames and a codebook of steps picked at random; a latent is its step."""
    longest = max(lengths)
    coords = torch.zeros(len(lengths), longest, 3, 3)
    bonded = torch.zeros(len(lengths), longest - 1, dtype=torch.bool)
    resolved = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for row, length in enumerate(lengths):
        coords[row, :length] = torch.from_numpy(make_coords(length, seed + row))
        bonded[row, : length - 1] = True
        resolved[row, :length] = True
    true = Frames(*backbone_frames(coords))
    turns, shifts = relative_frames(true.rotations, true.translations)
    features = torch.cat([3.0 * turns.flatten(2), shifts], dim=-1)
    latents = torch.nn.functional.pad(features, (0, 0, 0, 1))
    other = torch.from_numpy(make_coords(400, 99))[None]
    other_turns, other_shifts = relative_frames(*backbone_frames(other))
    pick = torch.randperm(399, generator=torch.Generator().manual_seed(seed))[:num_codes]
    steps = other_turns[0, pick], other_shifts[0, pick]
    codes = torch.cat([3.0 * steps[0].flatten(1), steps[1]], dim=1)
    nearest = torch.cdist(latents, codes[None].expand(len(lengths), -1, -1)).argmin(-1)
    return {
        "nearest": nearest,
        "latents": latents,
        "codes": codes,
        "steps": steps,
        "true": true,
        "bonded": bonded,
        "resolved": resolved,
    }


def _grown(indices, case, start=0):
    turns, shifts = case["steps"]
    first = case["true"].rotations[:, start], case["true"].translations[:, start]
    rotations = torch.cat([first[0][:, None], turns[indices[:, start:-1]]], dim=1)
    places = torch.cat([first[1][:, None], shifts[indices[:, start:-1]]], dim=1)
    return compose_chain(rotations, places)[1]


def _off(indices, case):
    return (_grown(indices, case) - case["true"].translations).norm(dim=-1)


def test_without_weight_codes_are_the_nearest(make_coords):
    case = _case(make_coords)
    assert torch.equal(follow_chain(**case, drift_weight=0.0), case["nearest"])


@pytest.mark.parametrize("seed", range(4))
def test_errors_do_not_add_up_along_the_chain(make_coords, seed):
    case = _case(make_coords, lengths=(200,), num_codes=256, seed=seed)
    alone = _off(case["nearest"], case)[0]
    followed = _off(follow_chain(**case, drift_weight=1.0), case)[0]
    assert followed.max() < 0.25 * alone.max()
    assert followed.mean() < 0.25 * alone.mean()


def test_more_weight_follows_the_chain_more_closely(make_coords):
    case = _case(make_coords)
    off = [_off(follow_chain(**case, drift_weight=w), case).mean() for w in (0.0, 0.05, 1.0)]
    assert off[0] > off[1] > off[2]


def test_steps_that_codes_hold_exactly_are_kept(make_coords):
    case = _case(make_coords, lengths=(40,))
    turns, shifts = relative_frames(case["true"].rotations, case["true"].translations)
    case["steps"] = turns[0], shifts[0]
    case["codes"] = torch.cat([3.0 * turns[0].flatten(1), shifts[0]], dim=1)
    case["nearest"] = torch.cat([torch.arange(39), torch.tensor([5])])[None]
    assert torch.equal(follow_chain(**case, drift_weight=0.5), case["nearest"])


def test_growth_starts_anew_after_a_break(make_coords):
    case = _case(make_coords)
    case["bonded"][0, 39] = False
    found = follow_chain(**case, drift_weight=0.5)
    assert found[0, 39] == case["nearest"][0, 39]
    second = {
        "nearest": case["nearest"][:, 40:],
        "latents": case["latents"][:, 40:],
        "codes": case["codes"],
        "steps": case["steps"],
        "true": Frames(case["true"].rotations[:, 40:], case["true"].translations[:, 40:]),
        "bonded": case["bonded"][:, 40:],
        "resolved": case["resolved"][:, 40:],
    }
    assert torch.equal(found[:, 40:], follow_chain(**second, drift_weight=0.5))


def test_chains_of_a_batch_do_not_touch_each_other(make_coords):
    together = follow_chain(**_case(make_coords, lengths=(50, 30)), drift_weight=0.3)
    alone = _case(make_coords, lengths=(50,))
    assert torch.equal(together[:1], follow_chain(**alone, drift_weight=0.3))


def test_a_chain_in_another_pose_has_the_same_codes(make_coords):
    case = _case(make_coords)
    found = follow_chain(**case, drift_weight=0.3)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))
    turn = turn * torch.det(turn)
    true = case["true"]
    case["true"] = Frames(turn @ true.rotations, true.translations @ turn.T + 40.0)
    assert torch.equal(follow_chain(**case, drift_weight=0.3), found)


def test_the_last_residue_and_a_lone_one_keep_the_nearest_code(make_coords):
    case = _case(make_coords)
    assert follow_chain(**case, drift_weight=1.0)[0, -1] == case["nearest"][0, -1]
    lone = {**case, "nearest": case["nearest"][:, :1], "latents": case["latents"][:, :1]}
    lone["true"] = Frames(case["true"].rotations[:, :1], case["true"].translations[:, :1])
    lone["bonded"], lone["resolved"] = case["bonded"][:, :0], case["resolved"][:, :1]
    assert torch.equal(follow_chain(**lone, drift_weight=1.0), case["nearest"][:, :1])


def _broken(make_coords, *, codes_for_breaks):
    """Return a case whose chain jumps at residue 39, and that many break codes around the jump."""
    case = _case(make_coords, num_codes=256)
    jump = torch.tensor([9.0, -4.0, 6.0])
    case["true"].translations[:, 40:] += jump
    case["bonded"][0, 39] = False
    turns, shifts = relative_frames(case["true"].rotations, case["true"].translations)
    off = torch.arange(3.0, 3.0 + codes_for_breaks)[:, None] * torch.tensor([0.6, 0.8, 0.0])
    across = turns[0, 39].expand(codes_for_breaks, 3, 3), shifts[0, 39] + off
    return case, across


def _grown_across(indices, case, across):
    case = {**case, "steps": tuple(map(torch.cat, zip(case["steps"], across, strict=True)))}
    return _off(indices, case)[0]


def test_a_code_for_breaks_leads_across_and_the_next_ones_make_up_for_its_error(make_coords):
    case, across = _broken(make_coords, codes_for_breaks=4)
    found = follow_chain(**case, drift_weight=20.0, across=across)
    assert (found[0] >= 256).nonzero().flatten().tolist() == [39]
    off = _grown_across(found, case, across)
    assert off[:40].max() < 1.0
    assert off[40] > 2.0
    assert off[65:].max() < 0.5 * off[40]
    without = follow_chain(**case, drift_weight=20.0)
    assert torch.equal(found[:, :39], without[:, :39])
    assert _grown_across(without, case, across)[40:].mean() > 5.0


def test_a_break_of_unresolved_residues_is_crossed_to_the_next_resolved_one(make_coords):
    case, across = _broken(make_coords, codes_for_breaks=4)
    gone = case["resolved"].clone()
    gone[0, [0, 37, 38, 39]] = False
    case["resolved"] = gone
    case["bonded"] &= gone[:, 1:] & gone[:, :-1]
    case["true"].translations[~gone] = 1e4
    found = follow_chain(**case, drift_weight=1.0, across=across)
    assert (found[0] >= 256).nonzero().flatten().tolist() == [36]
    assert torch.equal(found[~gone], case["nearest"][~gone])
    later = {name: case[name][:, 1:] for name in ("nearest", "latents", "bonded", "resolved")}
    true = Frames(case["true"].rotations[:, 1:], case["true"].translations[:, 1:])
    later = {**case, **later, "true": true}
    assert torch.equal(found[:, 1:], follow_chain(**later, drift_weight=1.0, across=across))
    junk = {**case, "latents": case["latents"].masked_fill(~gone[..., None], 7.0)}
    assert torch.equal(found, follow_chain(**junk, drift_weight=1.0, across=across))


def test_without_weight_breaks_still_have_codes_of_their_own(make_coords):
    case, across = _broken(make_coords, codes_for_breaks=2)
    found = follow_chain(**case, drift_weight=0.0, across=across)
    other = torch.arange(80) != 39
    assert torch.equal(found[0, other], case["nearest"][0, other])
    assert found[0, 39] >= 256
