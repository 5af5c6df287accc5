"""Training a model that follows the chain: what learns when, and which ids the decoder meets."""

import pytest
import torch

from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, MODEL
from provq_protein.training.config import load_recipe
from provq_protein.training.optimizer import make_optimizer
from provq_protein.training.trainer import Trainer

pytest.importorskip("h5py", reason="training needs the extra 'train'")

# The default recipe, small enough for a test: 4 warm-up, 2 transition, 2 hard, 4 settling steps.
SMALL = [
    "steps=12", "settle_steps=4", "ema_decay=0.5", "data.residues_per_step=128",
    "data.crop=48", "data.settle_crop=64", "model.encoder.width=32",
    "model.encoder.course_width=24", "model.encoder.break_codes=2",
    "model.codebook.size=32", "model.decoder.width=32", "model.decoder.heads=2",
    "model.decoder.trunk_blocks=1", "model.decoder.refine_blocks=1", "model.decoder.pair_width=8",
    "schedule.warmup_steps=4", "schedule.transition_steps=2", "seeding.latents=128",
    "optimizer.warmup_steps=2", "monitor.checkpoint_every=4", "monitor.validate_every=12",
    "monitor.validation_chains=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def parts(tiny_store, tmp_path_factory):
    """Return the run folders of an unbroken run and of one in parts, and weights on the way."""
    folder = tmp_path_factory.mktemp("chain")
    Trainer(load_recipe("default", SMALL), tiny_store, folder / "whole").run()
    weights = {}
    for stop in (8, 10, None):
        trainer = Trainer(load_recipe("default", SMALL), tiny_store, folder / "parts")
        trainer.run(stop_at=stop)
        path = folder / "parts" / CHECKPOINT / checkpoint.WEIGHTS
        weights[trainer.step] = checkpoint.load_tensors(path)
    return folder, weights


def test_a_run_in_parts_equals_an_unbroken_one(parts):
    folder, _ = parts
    whole, again = (
        checkpoint.load_tensors(folder / name / MODEL / checkpoint.WEIGHTS)
        for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_while_settling_what_ids_mean_stays_and_the_decoder_learns(parts):
    _, weights = parts
    moved = {
        name.split(".")[0]
        for name in weights[10]
        if not torch.equal(weights[10][name], weights[12][name])
    }
    assert moved == {"decoder"}


def test_what_settles_is_the_average(parts):
    folder, weights = parts
    shipped = checkpoint.load_tensors(folder / "parts" / MODEL / checkpoint.WEIGHTS)
    for name in ("encoder.course.weight", "course.layers.0.weight"):
        assert torch.equal(weights[12][name], shipped[name])
        assert not torch.equal(weights[8][name], weights[10][name])


def test_codes_for_breaks_are_placed_when_settling_begins(parts):
    folder, weights = parts
    shipped = checkpoint.load_tensors(folder / "whole" / MODEL / checkpoint.WEIGHTS)
    assert [bool(weights[step]["breaks.fitted"]) for step in (8, 10, 12)] == [False, True, True]
    for name in ("breaks.rotations", "breaks.translations", "breaks.vectors"):
        assert not torch.equal(weights[8][name], weights[10][name])
        assert torch.equal(weights[10][name], shipped[name])


def test_the_encoder_has_a_rate_of_its_own(tiny_store, tmp_path):
    config = load_recipe("default", [*SMALL, "optimizer.encoder_factor=0.25"])
    model = Trainer(config, tiny_store, tmp_path / "run").model
    groups = make_optimizer(model, config.optimizer).param_groups
    factors = {id(p): group["factor"] for group in groups for p in group["params"]}
    found = {
        part: {factors[id(p)] for name, p in model.named_parameters() if name.startswith(part)}
        for part in ("encoder.", "course.", "decoder.", "quantizer.codebook.")
    }
    assert found == {
        "encoder.": {0.25},
        "course.": {1.0},
        "decoder.": {1.0},
        "quantizer.codebook.": {config.optimizer.codebook_factor},
    }
    assert len(factors) == sum(1 for _ in model.parameters())
