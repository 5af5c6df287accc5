"""Does following a single chain choose the codes that following a batch of chains chooses?"""

import pytest
import torch

from provq_protein.geometry.frames import backbone_frames, relative_frames
from provq_protein.model import closed_loop
from provq_protein.model.chain_decoder import StepReader
from provq_protein.model.closed_loop import codes_along_chains, follow_chain
from provq_protein.model.refinement import Frames


def chains(make_coords, *, lengths=(70, 41, 12), codes=64):
    """Return arguments of `follow_chain` with bonds, breaks, gaps and padding."""
    longest, generator = max(lengths), torch.Generator().manual_seed(0)
    coords = torch.zeros(len(lengths), longest, 3, 3)
    resolved = torch.zeros(len(lengths), longest, dtype=torch.bool)
    bonded = torch.zeros(len(lengths), longest - 1, dtype=torch.bool)
    for row, length in enumerate(lengths):
        coords[row, :length] = torch.from_numpy(make_coords(length, row))
        resolved[row, :length] = True
        bonded[row, : length - 1] = True
    bonded[:, [6, 7]] = False  # two residues of their own
    resolved[0, 20:24] = False
    resolved[1, 0] = False
    bonded &= resolved[:, 1:] & resolved[:, :-1]
    other = torch.from_numpy(make_coords(300, 9))[None]
    turns, shifts = relative_frames(*backbone_frames(other))
    some = torch.randperm(299, generator=generator)
    return {
        "nearest": torch.randint(codes, resolved.shape, generator=generator),
        "latents": torch.randn(*resolved.shape, 5, generator=generator),
        "codes": torch.randn(codes, 5, generator=generator),
        "steps": (turns[0, some[:codes]], shifts[0, some[:codes]]),
        "true": Frames(*backbone_frames(coords)),
        "bonded": bonded,
        "resolved": resolved,
        "across": (turns[0, some[-8:]], 3.0 * shifts[0, some[-8:]]),
    }


@pytest.mark.parametrize("with_breaks", [True, False])
@pytest.mark.parametrize("drift_weight", [0.0, 0.3])
@pytest.mark.parametrize("passes", [5, 256])
@torch.no_grad()
def test_one_by_one_and_together_choose_the_same(
    make_coords, monkeypatch, with_breaks, drift_weight, passes
):
    monkeypatch.setattr("provq_protein.model.chain_following._RESIDUES_PER_PASS", passes)
    case = chains(make_coords)
    if not with_breaks:
        del case["across"]
    monkeypatch.setattr(closed_loop, "_CHAINS_TOGETHER", 1)
    together = follow_chain(**case, drift_weight=drift_weight)
    monkeypatch.setattr(closed_loop, "_CHAINS_TOGETHER", 99)
    each = follow_chain(**case, drift_weight=drift_weight)
    assert torch.equal(each, together)
    assert not torch.equal(each, case["nearest"])
    assert bool((each >= len(case["codes"])).any()) is with_breaks


@torch.no_grad()
def test_changed_weights_give_other_steps(make_coords):
    case, course = chains(make_coords), StepReader(5, 16)
    coords = torch.from_numpy(make_coords(60, 1))[None]
    given = (
        case["nearest"][:1, :60],
        case["latents"][:1, :60],
        case["codes"],
        course,
        coords,
        torch.ones(1, 60, dtype=torch.bool),
    )
    before = codes_along_chains(*given, drift_weight=0.3)
    assert torch.equal(codes_along_chains(*given, drift_weight=0.3), before)
    course.layers[-1].weight.data.normal_()  # also without torch noticing
    fresh = StepReader(5, 16)
    fresh.load_state_dict(course.state_dict())
    after = codes_along_chains(*given, drift_weight=0.3)
    assert torch.equal(after, codes_along_chains(*given[:3], fresh, *given[4:], drift_weight=0.3))
    assert not torch.equal(after, before)
