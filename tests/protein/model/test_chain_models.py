"""The encoder and decoder that follow the chain: what an untrained latent is, and what it reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames, relative_frames
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.chain_decoder import ChainDecoderConfig
from provq_protein.model.chain_encoder import ChainEncoderConfig
from provq_protein.model.config import CodebookConfig, ModelConfig
from provq_protein.training.config import load_recipe

_ENCODER = ChainEncoderConfig(
    latent_dim=16,
    width=32,
    heads=2,
    neighbors=8,
    max_offset=8,
    neighbor_ffn_ratio=1,
    query_ffn_ratio=1,
    chain_reach=2,
    course_width=24,
    drift_weight=0.1,
    break_codes=0,
)
_DECODER = ChainDecoderConfig(
    latent_dim=16,
    width=32,
    heads=2,
    trunk_blocks=1,
    refine_blocks=1,
    ffn_ratio=1,
    pair_width=8,
    distance_bins=8,
)
_MODEL = ModelConfig(
    encoder=_ENCODER,
    codebook=CodebookConfig(kind="free", size=16, commitment_weight=0.25),
    decoder=_DECODER,
)


@pytest.fixture
def model():
    """Return an untrained model."""
    return StructureAutoencoder.build(_MODEL, seed=0)


@pytest.fixture
def trained(model):
    """Return a model whose latents depend on everything they can see."""
    with torch.no_grad():
        model.encoder.to_latent.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    return model


def _embed(model, batch):
    with torch.no_grad():
        return model.embed(*batch)


def test_untrained_latents_are_as_far_apart_as_the_steps(model, batch_of, make_coords):
    coords, *rest = batch_of([make_coords(60, 0)])
    latents = _embed(model, (coords, *rest))[0, :-1]
    rotations, shifts = relative_frames(*backbone_frames(coords))
    steps = torch.cat([3.0 * rotations[0].flatten(1), shifts[0]], dim=1)
    between_latents, between_steps = torch.pdist(latents), torch.pdist(steps)
    ratio = between_latents / between_steps
    assert ratio.std() < 0.02 * ratio.mean()


def test_untrained_latents_read_the_next_residue_only(model, batch_of, make_coords):
    coords, *rest = batch_of([make_coords(30, 1)])
    before = _embed(model, (coords, *rest))[0]
    coords[0, 11, 0] += 0.2
    changed = (_embed(model, (coords, *rest))[0] - before).abs().amax(1) > 1e-4
    assert changed.nonzero().flatten().tolist() == [10, 11]


def test_trained_latents_read_the_bonded_residues_within_reach(trained, batch_of, make_coords):
    coords, *rest = batch_of([make_coords(40, 2)])
    turns, origins = backbone_frames(coords)
    features = []
    trained.encoder.along_chain.register_forward_pre_hook(
        lambda _, given: features.append(given[0])
    )
    _embed(trained, (coords, *rest))
    twentieth = features[0][20].view(4, 19)
    for row, seen in enumerate((21, 19, 22, 18)):
        atoms = (coords[0, seen] - origins[0, 20]) @ turns[0, 20]
        assert torch.allclose(twentieth[row, :9], atoms.flatten() / 10.0, atol=1e-5)
        turned = turns[0, 20].T @ turns[0, seen]
        assert torch.allclose(twentieth[row, 9:18], turned.flatten(), atol=1e-5)
        assert twentieth[row, 18] == 1.0
    # The first residue has nothing before it, the last one nothing after it.
    assert (features[0][0].view(4, 19)[[1, 3]] == 0).all()
    assert (features[0][-1].view(4, 19)[[0, 2]] == 0).all()


def test_nothing_is_read_across_a_chain_break(model, batch_of, make_coords):
    coords = make_coords(30, 3)
    coords[15:] += 30.0
    latents = _embed(model, batch_of([coords]))[0]
    assert (latents[14] == 0).all()
    assert (latents[29] == 0).all()
    assert (latents[:14].abs().amax(1) > 0.1).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_chains_have_latents_and_coordinates(trained, batch_of, make_coords, length):
    coords, resolved, numbers, present = batch_of([make_coords(length, 4)])
    latents = _embed(trained, (coords, resolved, numbers, present))
    with torch.no_grad():
        decoded = trained.decode_latents(latents, resolved, numbers, present)
    assert latents.shape == (1, length, 16)
    assert torch.isfinite(latents).all()
    assert torch.isfinite(decoded).all()


def test_motions_and_padding_change_no_latent(trained, batch_of, make_coords):
    short, long = make_coords(20, 5), make_coords(50, 6)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    alone = _embed(trained, batch_of([short]))[0]
    together = _embed(trained, batch_of([short, long]))[0, :20]
    moved = _embed(trained, batch_of([(short @ turn.T + 30.0).astype(np.float32)]))[0]
    assert torch.allclose(alone, together, atol=1e-5)
    assert (alone - moved).abs().max() < 1e-3


def test_an_unresolved_residue_is_invisible_and_its_latent_is_zero(trained, batch_of, make_coords):
    coords = make_coords(30, 7)
    coords[12, 1] = np.nan
    batch = batch_of([coords])
    latents = _embed(trained, batch)
    assert (latents[0, 12] == 0).all()
    junk = torch.nan_to_num(batch[0], nan=123.0)
    assert torch.equal(latents, _embed(trained, (junk, *batch[1:])))


def test_a_chain_grows_by_the_steps_that_its_latents_mean(model):
    latents = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(0))
    numbers, there = torch.arange(12)[None], torch.ones(1, 12, dtype=torch.bool)
    with torch.no_grad():
        coords = model.decode_latents(latents, there, numbers, there)
        found = relative_frames(*backbone_frames(coords))
        wanted = model.course(latents[:, :-1])
    # Refinement moves nothing before training.
    assert torch.allclose(found[0], wanted[0], atol=1e-3)
    assert torch.allclose(found[1], wanted[1], atol=1e-2)


def test_in_the_settling_phase_only_the_decoder_learns(model, batch_of, make_coords):
    batch = batch_of([make_coords(12, 10)])
    coords = torch.nan_to_num(batch[0])
    output = model.train()(coords, *batch[1:], freeze_encoder=True)
    output.decoded.refined[-1].translations.square().sum().backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"decoder"}
    ids = model.eval().encode(coords, *batch[1:])
    assert torch.equal(output.quantized.indices, ids)
    assert torch.equal(output.quantized.latents, model.quantizer.decode(ids))


def test_bonds_are_decided_by_distance(make_coords):
    coords = torch.from_numpy(make_coords(6, 8))[None]
    resolved = torch.ones(1, 6, dtype=torch.bool)
    assert peptide_bonds(coords, resolved).all()
    resolved[0, 2] = False
    assert peptide_bonds(coords, resolved)[0].tolist() == [True, False, False, True, True]
    coords[0, 5] += 3.0
    assert not peptide_bonds(coords, resolved)[0, 4]


def test_impossible_sizes_are_refused():
    with pytest.raises(ConfigError, match="latent_dim must be more than 12"):
        replace(_ENCODER, latent_dim=12)
    with pytest.raises(ConfigError, match="chain_reach"):
        replace(_ENCODER, chain_reach=0)
    with pytest.raises(ConfigError, match="heads"):
        replace(_ENCODER, heads=3)
    with pytest.raises(ConfigError, match="course_width"):
        replace(_ENCODER, course_width=0)
    with pytest.raises(ConfigError, match="drift_weight"):
        replace(_ENCODER, drift_weight=-0.1)
    with pytest.raises(ConfigError, match="need each other"):
        replace(_MODEL, decoder=load_recipe("smoke").model.decoder)
    with pytest.raises(ConfigError, match="rotary"):
        replace(_DECODER, heads=5)


def test_a_saved_model_is_the_same_model(trained, tmp_path, batch_of, make_coords):
    trained.save(tmp_path / "model", training={})
    again = StructureAutoencoder.load(tmp_path / "model")
    batch = batch_of([make_coords(20, 9)])
    assert torch.equal(_embed(trained, batch), _embed(again, batch))
    assert again.config == trained.config
