"""The lean encoder: what its latents depend on, and what they must not depend on."""

import numpy as np
import torch

from provq_protein.geometry.neighbors import nearest_residues


def _latents(model, batch):
    with torch.no_grad():
        return model.embed(*batch)


def test_rigid_motions_change_no_latent_and_mirroring_does(tiny_model, batch_of, make_coords):
    coords = make_coords(50, 0)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    here = _latents(tiny_model, batch_of([coords]))
    moved = _latents(tiny_model, batch_of([(coords @ turn.T + 30.0).astype(np.float32)]))
    mirrored = _latents(tiny_model, batch_of([coords * np.float32([1, 1, -1])]))
    assert (here - moved).abs().max() < 1e-3
    assert (here - mirrored).abs().mean() > 0.05


def test_padding_changes_no_latent(tiny_model, batch_of, make_coords):
    short, long = make_coords(20, 1), make_coords(60, 2)
    together = _latents(tiny_model, batch_of([short, long]))
    assert torch.allclose(together[0, :20], _latents(tiny_model, batch_of([short]))[0], atol=1e-5)
    assert torch.allclose(together[1], _latents(tiny_model, batch_of([long]))[0], atol=1e-5)


def test_only_the_neighborhood_counts(tiny_model, batch_of, make_coords):
    batch = batch_of([make_coords(80, 3)])
    coords, resolved, _, present = batch
    index, _ = nearest_residues(coords[:, :, 1], resolved, present, 16)
    outside = next(j for j in range(80) if j not in index[0, 10])
    before = _latents(tiny_model, batch)[0, 10]
    coords[0, outside, 0] += 0.3
    after = _latents(tiny_model, batch)
    assert torch.equal(before, after[0, 10])
    assert not torch.equal(
        after[0, outside], _latents(tiny_model, batch_of([make_coords(80, 3)]))[0, outside]
    )


def test_an_unresolved_residue_is_invisible_and_its_latent_is_zero(
    tiny_model, batch_of, make_coords
):
    coords = make_coords(30, 4)
    coords[12, 1] = np.nan
    batch = batch_of([coords])
    latents = _latents(tiny_model, batch)
    assert torch.isfinite(latents).all()
    assert (latents[0, 12] == 0).all()
    junk = torch.nan_to_num(batch[0], nan=123.0)
    assert torch.equal(latents, _latents(tiny_model, (junk, *batch[1:])))


def test_gradients_are_finite_with_missing_residues(tiny_model, batch_of, make_coords):
    coords = make_coords(30, 5)
    coords[3:6] = np.nan
    tiny_model.embed(*batch_of([coords, make_coords(12, 6)])).square().sum().backward()
    gradients = [p.grad for p in tiny_model.encoder.parameters() if p.grad is not None]
    tiny_model.zero_grad()
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_single_residue_has_a_latent(tiny_model, batch_of, make_coords):
    assert torch.isfinite(_latents(tiny_model, batch_of([make_coords(1, 7)]))).all()
