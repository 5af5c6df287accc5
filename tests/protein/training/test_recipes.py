"""The paper's four tokenizers: their sizes, that they train, and that they are compared fairly."""

import dataclasses
from importlib import resources
from pathlib import Path

import pytest
import torch

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs.config import read_toml, to_mapping
from provq_protein.structure.reading import read_backbones
from provq_protein.training.config import load_recipe, recipe_names, training_config
from provq_protein.training.store import build_store
from provq_protein.training.trainer import Trainer

BOOKS = ("vanilla_vq", "aminoaseed")
FOUR = [f"{book}{provq}" for book in BOOKS for provq in ("", "_provq")]
# What the published code has, its frozen table of codes included.
PUBLISHED = {"vanilla_vq": 138_859_114, "aminoaseed": 139_908_714}
# What a curriculum is made of.
CURRICULUM = {"schedule", "seeding", "optimizer"}


def _numbers(model):
    """Return how many numbers a model learns, and how many it keeps fixed in its codebook."""
    learned = sum(parameter.numel() for parameter in model.parameters())
    buffers = model.quantizer.codebook.buffers()
    return learned, sum(buffer.numel() for buffer in buffers if buffer.is_floating_point())


@pytest.mark.parametrize("name", FOUR)
def test_full_size_recipes_have_the_published_number_of_parameters(name):
    with torch.device("meta"):
        model = StructureAutoencoder(load_recipe(name).model)
    learned, frozen = _numbers(model)
    assert learned + frozen == PUBLISHED[name.removesuffix("_provq")]
    assert frozen == (512 * 1024 if name.startswith("aminoaseed") else 0)


@pytest.mark.parametrize("size", ["", "small_"])
def test_the_four_differ_in_codebook_and_curriculum_alone(size):
    runs = {name: load_recipe(f"{size}{name}") for name in FOUR}
    first = runs["vanilla_vq"]
    for name, run in runs.items():
        codebook = run.model.codebook
        assert codebook.kind == ("linear" if name.startswith("aminoaseed") else "free")
        same_model = dataclasses.replace(
            run.model, codebook=dataclasses.replace(codebook, kind="free")
        )
        assert same_model == first.model
        for field in dataclasses.fields(run):
            if field.name not in CURRICULUM | {"model"}:
                assert getattr(run, field.name) == getattr(first, field.name), field.name
        assert dataclasses.replace(run.optimizer, restart_after_warmup=False) == first.optimizer
        assert (run.schedule.warmup_steps > 0) == name.endswith("_provq")
        assert (run.seeding.method == "kmeans") == name.endswith("_provq")


def test_full_size_recipes_state_the_settings_of_the_paper():
    run = load_recipe("vanilla_vq_provq")
    assert (run.schedule.warmup_steps, run.schedule.transition_steps) == (20_000, 10_000)
    assert (run.schedule.shape, run.schedule.initial_coupling) == ("cosine", 1.0)
    assert (run.model.codebook.size, run.model.encoder.latent_dim) == (512, 1024)
    assert run.model.codebook.commitment_weight == 0.25
    assert (run.optimizer.learning_rate, run.optimizer.warmup_steps) == (1e-4, 5_426)
    assert run.steps == 20_000 + 108_530
    assert run.data.chains_per_step == 32
    # Enough room for that many chains of the longest crop.
    assert run.data.residues_per_step == 32 * run.data.crop


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_states_every_setting(name):
    stated = read_toml(Path(str(resources.files("provq_protein"))) / "recipes" / f"{name}.toml")
    assert stated == to_mapping(load_recipe(name))


def test_a_recipe_from_before_a_setting_existed_means_what_it_meant(tmp_path):
    stated = read_toml(Path(str(resources.files("provq_protein"))) / "recipes" / "smoke.toml")
    older = {name: dict(stated[name]) for name in ("data", "optimizer", "loss")}
    del older["data"]["chains_per_step"], older["optimizer"]["restart_after_warmup"]
    del older["optimizer"]["encoder_factor"]
    del older["loss"]["kind"], older["loss"]["span"]
    new = ("precision", "accumulate", "ema_decay")
    older = {**{key: value for key, value in stated.items() if key not in new}, **older}
    assert training_config(older, where="older") == load_recipe("smoke")


@pytest.fixture(scope="module")
def real_store(sample_structures):
    """Return a store of a few real chains."""
    chains = [chain for path in sample_structures for chain in read_backbones(path)]
    chains = [chain for chain in chains if chain.resolved.sum() >= 16][:3]
    return build_store(chains, ["train"] * len(chains))


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUR)
def test_a_step_at_full_size_on_real_chains_moves_every_part(name, real_store, tmp_path):
    pytest.importorskip("h5py", reason="training needs the extra 'train'")
    tiny_batch = [
        "data.crop=20", "data.residues_per_step=40", "data.chains_per_step=2",
        # In the transition from the start, so that codes learn too.
        "schedule.warmup_steps=0", "seeding.method=none",
    ]  # fmt: skip
    trainer = Trainer(load_recipe(name, tiny_batch), real_store, tmp_path, prefetch=False)
    watched = {
        "encoder": trainer.model.encoder.offsets.weight,
        "decoder": trainer.model.decoder.input.weight,
        "codebook": next(trainer.model.quantizer.codebook.parameters()),
    }
    before = {part: weight.detach().clone() for part, weight in watched.items()}
    frozen = trainer.model.quantizer.codebook.raw_codes().detach().clone()
    event = trainer._train_step(trainer._batch(0))
    assert 0.0 < event["loss"] < 1e3
    assert event["residues"] > 16
    for part, weight in watched.items():
        assert not torch.equal(weight, before[part]), part
    if name.startswith("aminoaseed"):
        assert torch.equal(trainer.model.quantizer.codebook.raw_codes(), frozen)


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"small_{name}" for name in FOUR])
def test_small_recipes_train(name, tiny_store, tmp_path):
    pytest.importorskip("h5py", reason="training needs the extra 'train'")
    short = ["steps=4", "data.residues_per_step=96", "seeding.latents=600", "seeding.iterations=1"]
    if name.endswith("_provq"):
        short += ["schedule.warmup_steps=1", "schedule.transition_steps=2"]
    Trainer(load_recipe(name, short), tiny_store, tmp_path).run()
    assert (tmp_path / "best").exists()
