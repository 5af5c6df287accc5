"""The chain-growth decoder: masks, rows in chunks, geometry of what it places."""

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.model import refinement
from provq_protein.model.growth_decoder import GrowthDecoderConfig


def _decode(model, latents, length=None):
    rows = latents.shape[1]
    present = torch.arange(rows)[None] < (length or rows)
    numbers = torch.arange(1, rows + 1)[None]
    with torch.no_grad():
        return model.decode_latents(latents, present, numbers, present)


@pytest.fixture
def moved_model(tiny_model):
    """Return the tiny model with frame updates that are not zero, as after training."""
    with torch.no_grad():
        for block in tiny_model.decoder.refine:
            block.update.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    yield tiny_model
    with torch.no_grad():
        for block in tiny_model.decoder.refine:
            block.update.weight.zero_()


def test_residues_have_ideal_internal_geometry(moved_model):
    coords = _decode(moved_model, torch.randn(1, 20, 8))[0]
    bonds = (coords[:, 1] - coords[:, 0]).norm(dim=-1), (coords[:, 2] - coords[:, 1]).norm(dim=-1)
    assert torch.allclose(bonds[0], torch.tensor(1.459), atol=5e-3)
    assert torch.allclose(bonds[1], torch.tensor(1.525), atol=5e-3)


def test_residues_are_left_handed_amino_acids_never_mirrored(moved_model):
    from provq_protein.geometry.frames import backbone_frames, place_backbone

    coords = _decode(moved_model, torch.randn(1, 20, 8))
    assert torch.allclose(place_backbone(*backbone_frames(coords)), coords, atol=1e-3)


def test_padding_changes_no_coordinate(moved_model):
    latents = torch.randn(1, 24, 8)
    padded = torch.cat([latents, torch.randn(1, 9, 8)], dim=1)
    assert torch.allclose(
        _decode(moved_model, padded, 24)[:, :24], _decode(moved_model, latents), atol=1e-3
    )


def test_rows_in_chunks_give_the_same_backbone(moved_model, monkeypatch):
    latents = torch.randn(1, 30, 8)
    whole = _decode(moved_model, latents)
    monkeypatch.setattr(refinement, "_ROW_CHUNK", 7)
    assert torch.allclose(_decode(moved_model, latents), whole, atol=1e-3)


def test_latents_of_unresolved_residues_are_ignored(moved_model):
    latents = torch.randn(1, 20, 8)
    resolved = torch.ones(1, 20, dtype=torch.bool)
    resolved[0, 4] = False
    numbers = torch.arange(20)[None]
    other = latents.clone()
    other[0, 4] = 77.0
    with torch.no_grad():
        first, second = (
            moved_model.decode_latents(given, resolved, numbers, torch.ones_like(resolved))
            for given in (latents, other)
        )
    assert torch.equal(first, second)


def test_every_latent_matters(moved_model):
    latents = torch.randn(1, 20, 8)
    other = latents.clone()
    other[0, 10] += 1.0
    assert not torch.allclose(_decode(moved_model, latents), _decode(moved_model, other), atol=1e-2)


def test_a_numbering_gap_is_seen_and_its_place_in_the_numbering_is_not(moved_model):
    latents = torch.randn(1, 20, 8)
    yes = torch.ones(1, 20, dtype=torch.bool)
    numbers = torch.arange(20)[None]
    gapped = numbers + 5 * (numbers >= 10)
    with torch.no_grad():
        plain, shifted, broken = (
            moved_model.decode_latents(latents, yes, given, yes)
            for given in (numbers, numbers + 400, gapped)
        )
    assert torch.equal(plain, shifted)
    assert not torch.allclose(plain, broken, atol=1e-3)


def test_a_chain_of_one_residue_decodes(tiny_model):
    assert torch.isfinite(_decode(tiny_model, torch.randn(1, 1, 8))).all()


def test_quaternion_update_is_a_rotation():
    vector = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    rotation = refinement.rotation_from_vector_part(vector)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.allclose(torch.det(rotation), torch.ones(50), atol=1e-5)
    small = refinement.rotation_from_vector_part(torch.tensor([0.0, 0.0, 0.01]))
    angle = np.arctan2(small[1, 0].item(), small[0, 0].item())
    assert angle == pytest.approx(0.02, rel=1e-3)


def test_impossible_sizes_are_refused():
    sizes = {
        "latent_dim": 8, "width": 30, "heads": 4, "trunk_blocks": 1, "refine_blocks": 1,
        "ffn_ratio": 1, "pair_width": 4, "distance_bins": 8,
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"width \(30\).*twice the heads"):
        GrowthDecoderConfig(**sizes)
