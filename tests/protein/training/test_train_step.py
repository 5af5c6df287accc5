"""One step: neither the number of parts nor padding changes what a batch says."""

import dataclasses

import numpy as np
import pytest
import torch

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.training.batches import BatchPlan
from provq_protein.training.config import load_recipe
from provq_protein.training.objective import loss_terms, loss_weights, term_shares
from provq_protein.training.step import compute_gradients
from provq_protein.training.store import build_store

# The paper's encoder, decoder and losses at a size for tests.
TINY_PAPER = [
    "model.encoder.latent_dim=8", "model.encoder.width=32", "model.encoder.vector_heads=4",
    "model.decoder.latent_dim=8", "model.decoder.width=32", "model.decoder.heads=2",
    "model.decoder.blocks=1", "model.codebook.size=16",
    "data.residues_per_step=192", "data.crop=48", "data.settle_crop=48",
    "steps=16", "schedule.warmup_steps=5", "schedule.transition_steps=6",
    "optimizer.warmup_steps=2", "seeding.latents=200", "seeding.iterations=3",
    "monitor.checkpoint_every=4", "monitor.validate_every=8", "monitor.validation_chains=2",
]  # fmt: skip
RECIPES = {"smoke": [], "aminoaseed_provq": TINY_PAPER}
HARD_STEP = 12


@pytest.fixture(params=sorted(RECIPES))
def config(request):
    """Return a tiny run of each kind of decoder."""
    return load_recipe(request.param, RECIPES[request.param])


@pytest.fixture
def batch(tiny_store):
    """Return four chains of different lengths, some residues unresolved."""
    chains = tiny_store.select("train")[[0, 3, 4, 6]]
    plan = BatchPlan(tiny_store, chains, seed=0, residues=500, crop=48, noise=0.0)
    found = plan.batch(0)
    assert len(found.present) == 4
    return found


def _gradients(config, batch, accumulate, step):
    config = dataclasses.replace(config, accumulate=accumulate)
    torch.manual_seed(0)
    model = StructureAutoencoder(config.model, config.schedule).train()
    with torch.no_grad():
        # Many codes in use: decoded from one alone, all residues would lie in one place, where
        # rounding decides the direction of the gradient.
        sample = model.embed(*batch.inputs)[batch.resolved]
        model.quantizer.seed(sample, torch.Generator().manual_seed(0))
    unclipped = dataclasses.replace(config.optimizer, clip=1e9)
    config = dataclasses.replace(config, optimizer=unclipped)
    found = compute_gradients(model, batch, config, step=step, settling=False)
    return found, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("accumulate", [2, 3, 6])  # six parts: two of them have no chain
@pytest.mark.parametrize("step", [0, HARD_STEP])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(config, batch, accumulate, step):
    whole, expected = _gradients(config, batch, 1, step)
    parts, found = _gradients(config, batch, accumulate, step)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parts.terms == pytest.approx(whole.terms, rel=1e-5, abs=1e-7)
    assert parts.codebook_loss == pytest.approx(whole.codebook_loss, rel=1e-5)
    assert torch.equal(parts.quantized.indices, whole.quantized.indices)
    for name, gradient in expected.items():
        assert (gradient is None) == (found[name] is None), name
        if gradient is not None:
            largest = gradient.abs().max().item()
            torch.testing.assert_close(
                found[name], gradient, rtol=1e-3, atol=1e-5 * max(1.0, largest), msg=name
            )


def test_shares_of_parts_add_up_to_one_and_their_means_to_that_of_the_batch(config, batch):
    torch.manual_seed(0)
    model = StructureAutoencoder(config.model, config.schedule).train()
    parts = [batch.part(number, 3) for number in range(3)]
    shares = [term_shares(batch, part, config.loss) for part in parts]
    with torch.no_grad():
        terms, whole = (
            [loss_terms(model(*each.inputs).decoded, each, config.loss) for each in some]
            for some in (parts, [batch])
        )
    for name in loss_weights(config.loss):
        assert sum(share[name] for share in shares) == pytest.approx(1.0)
        mean = sum(share[name] * term[name] for share, term in zip(shares, terms, strict=True))
        torch.testing.assert_close(mean, whole[0][name], rtol=1e-5, atol=1e-6, msg=name)


def test_parts_hold_every_chain_once_in_order_and_no_needless_padding(batch):
    parts = [batch.part(number, 2) for number in range(2)]
    for part in parts:
        assert part.present.sum(1).max() == part.present.shape[1]
    kept = [
        row[mask] for part in parts for row, mask in zip(part.coords, part.present, strict=True)
    ]
    for row, (coords, present) in enumerate(zip(batch.coords, batch.present, strict=True)):
        assert torch.equal(kept[row], coords[present])


def test_a_part_without_a_chain_counts_for_nothing(batch):
    empty = batch.part(5, 6)
    assert empty.num_residues == 0
    assert (empty.residue_classes == -1).all()


def test_low_precision_leaves_weights_gradients_and_losses_in_single(config, batch):
    low, gradients = _gradients(dataclasses.replace(config, precision="bf16"), batch, 1, 0)
    full, _ = _gradients(config, batch, 1, 0)
    assert low.loss == pytest.approx(full.loss, rel=0.05)
    assert low.loss != full.loss
    assert {g.dtype for g in gradients.values() if g is not None} == {torch.float32}


def test_geometry_is_exact_in_low_precision(config, batch):
    torch.manual_seed(0)
    model = StructureAutoencoder(config.model).eval()
    moved = dataclasses.replace(
        batch, coords=batch.coords + 1000.0 * batch.resolved[..., None, None]
    )
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        decoded = model(*moved.inputs).decoded.coords
    inside = decoded[..., 1, :] - decoded[..., 2, :]
    lengths = torch.linalg.vector_norm(inside[batch.present], dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 1.5251), rtol=1e-4, atol=0.0)


def test_residue_classes_are_those_of_the_esm_vocabulary():
    coords = np.zeros((5, 3, 3), dtype=np.float32)
    chain = Backbone.from_arrays(coords, sequence="LCXO-", chain_id="A", source="letters")
    store = build_store([chain], ["train"])
    plan = BatchPlan(store, np.array([0]), seed=0, residues=9, crop=9, noise=0.0)
    assert plan.batch(0).residue_classes[0].tolist() == [4, 23, 24, 28, 24]
