"""Codes for what follows a chain break: how they are placed, and how chains are rebuilt by them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import backbone_frames, relative_frames
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.break_codes import BreakCodes
from provq_protein.training.breaks import fit_breaks, sample_breaks
from provq_protein.training.config import load_recipe

SIZE, BREAKS = 24, 8
SMALL = [
    f"model.codebook.size={SIZE}",
    f"model.encoder.break_codes={BREAKS}",
    "model.encoder.width=32",
    "model.encoder.course_width=24",
    "model.decoder.width=32",
    "model.decoder.heads=2",
    "model.decoder.trunk_blocks=1",
    "model.decoder.refine_blocks=1",
    "model.decoder.pair_width=8",
]


@pytest.fixture
def model():
    """Return an untrained model whose decoder grows chains and moves nothing afterwards."""
    return StructureAutoencoder.build(load_recipe("default", SMALL).model, seed=0)


def _in_two_parts(make_coords):
    coords = make_coords(40, 3)
    coords[20:] += np.float32([14.0, 3.0, -8.0])
    return coords


def _steps_across(coords, before, after):
    turns, places = backbone_frames(torch.from_numpy(coords))
    back = turns[before].T
    return (back @ turns[after])[None], (back @ (places[after] - places[before]))[None]


def _fit(model, step, *, scatter=0.0):
    noise = scatter * torch.randn(BREAKS, 3, generator=torch.Generator().manual_seed(0))
    model.breaks.fit((step[0].repeat(BREAKS, 1, 1), step[1] + noise), seed=0, iterations=5)


def test_the_last_codes_are_those_for_breaks(model, batch_of, make_coords):
    coords = _in_two_parts(make_coords)
    batch = batch_of([coords])
    unplaced = model.encode(*batch)
    assert (unplaced < SIZE - BREAKS).all()
    _fit(model, _steps_across(coords, 19, 20), scatter=2.0)
    ids = model.encode(*batch)
    assert (ids[0] >= SIZE - BREAKS).nonzero().flatten().tolist() == [19]
    assert torch.equal(ids[:, :19], unplaced[:, :19])
    assert model.codebook().shape == (SIZE, 16)
    assert model.quantizer.codebook.size == SIZE - BREAKS


def test_the_parts_of_a_chain_lie_as_the_code_says(model, batch_of, make_coords):
    coords = _in_two_parts(make_coords)
    batch = batch_of([coords])
    wanted = _steps_across(coords, 19, 20)
    _fit(model, wanted)
    with torch.no_grad():
        decoded = model.decode(model.encode(*batch), *batch[1:])
    found = relative_frames(*backbone_frames(decoded[0]))
    assert torch.allclose(found[0][19], wanted[0][0], atol=1e-3)
    assert torch.allclose(found[1][19], wanted[1][0], atol=1e-2)


def test_a_settling_decoder_meets_the_parts_where_the_code_says(model, batch_of, make_coords):
    coords = _in_two_parts(make_coords)
    batch = batch_of([coords])
    wanted = _steps_across(coords, 19, 20)
    _fit(model, wanted)
    decoded = model.train()(*batch, freeze_encoder=True).decoded
    assert torch.allclose(decoded.step_translations[0, 19], wanted[1][0], atol=2e-2)


def test_unresolved_residues_in_a_break_are_stepped_over(model, batch_of, make_coords):
    coords = make_coords(40, 5)
    wanted = _steps_across(coords, 11, 15)
    coords[12:15] = np.nan
    batch = batch_of([coords])
    _fit(model, wanted)
    ids = model.encode(*batch)
    assert ids[0, 11] >= SIZE - BREAKS
    with torch.no_grad():
        turns, places = backbone_frames(model.decode(ids, *batch[1:])[0])
    back = turns[11].T
    assert torch.allclose(back @ (places[15] - places[11]), wanted[1][0], atol=1e-2)
    assert torch.allclose(back @ turns[15], wanted[0][0], atol=1e-3)


def test_which_break_code_does_not_depend_on_the_pose(model, batch_of, make_coords):
    coords = _in_two_parts(make_coords)
    _fit(model, _steps_across(coords, 19, 20), scatter=3.0)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    moved = (coords @ turn.T + 20.0).astype(np.float32)
    assert torch.equal(model.encode(*batch_of([coords])), model.encode(*batch_of([moved])))


def test_codes_are_placed_where_the_steps_are():
    codes = BreakCodes(2, 16)
    turns = torch.eye(3).repeat(40, 1, 1)
    shifts = torch.tensor([[10.0, 0.0, 0.0], [0.0, 30.0, 0.0]]).repeat(20, 1)
    shifts = shifts + 0.1 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    codes.fit((turns, shifts), seed=0, iterations=20)
    assert sorted(codes.translations.norm(dim=1).round().tolist()) == [10.0, 30.0]
    assert torch.allclose(codes.rotations, torch.eye(3).expand(2, 3, 3), atol=1e-5)
    with pytest.raises(ConfigError, match="break_codes is 2, but the training chains give only 1"):
        BreakCodes(2, 16).fit((turns[:1], shifts[:1]), seed=0, iterations=1)


def test_breaks_of_the_training_chains_are_found(tiny_store, model):
    turns, shifts = sample_breaks(tiny_store, seed=0)
    assert len(turns) == len(shifts) >= BREAKS
    assert torch.allclose(turns @ turns.mT, torch.eye(3).expand_as(turns), atol=1e-4)
    again = sample_breaks(tiny_store, seed=0)
    assert torch.equal(again[1], shifts)
    assert not torch.equal(sample_breaks(tiny_store, seed=1)[1], shifts)
    fit_breaks(model, tiny_store, seed=0)
    lengths = model.breaks.vectors.norm(dim=1)
    assert torch.allclose(lengths, torch.full_like(lengths, 4.0), atol=1e-2)


def test_what_cannot_be_is_refused():
    config = load_recipe("default", SMALL).model
    with pytest.raises(ConfigError, match="break_codes must be between 0 and 65,536, got -1"):
        replace(config.encoder, break_codes=-1)
    with pytest.raises(ConfigError, match=r"break_codes \(23\) must leave at least 2"):
        replace(config, encoder=replace(config.encoder, break_codes=23))
    with pytest.raises(ConfigError, match="settle_steps: must be 1 or more"):
        load_recipe("default", [*SMALL, "settle_steps=0"])
