"""Can an autoencoder be built around every quantizer, trained, saved and loaded?"""

import dataclasses
from typing import get_args, get_type_hints

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.config import CodebookConfig
from provq_protein.quantize import METHODS
from provq_protein.runs.loop import MODEL
from provq_protein.training.config import load_recipe
from provq_protein.training.trainer import Trainer

KINDS = get_args(get_type_hints(CodebookConfig)["kind"])


def smoke(kind):
    size = 64 if kind == "fsq" else 32
    weight = METHODS[kind].commitment_weight if kind in METHODS else 0.25
    return [
        f"model.codebook.kind={kind}",
        f"model.codebook.size={size}",
        f"model.codebook.commitment_weight={weight}",
    ]


def test_every_method_with_one_id_per_residue_is_a_kind_of_codebook():
    others = {"vanilla": "free", "aminoaseed": "linear"}
    single = [name for name, method in METHODS.items() if not method.build(8, 3).index_shape]
    assert sorted(KINDS) == sorted(others.get(name, name) for name in single)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_every_kind_trains_through_all_stages_and_loads(kind, tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke", smoke(kind)), tiny_store, tmp_path / "run")
    trainer.run(stop_at=6)
    book = trainer.model.quantizer.codebook
    assert bool(book.initialized)
    before = book.codes().detach().clone()
    trainer.run()
    assert bool((book.codes() != before).any()) == (book.learning != "nothing")
    model = StructureAutoencoder.load(tmp_path / "run" / MODEL)
    assert model.fingerprint() == trainer.model.fingerprint()
    codes = model.codebook()
    assert codes.shape == (model.codebook_size, model.config.encoder.latent_dim)
    indices = torch.arange(model.codebook_size)
    assert torch.equal(model.quantizer.decode(indices), codes)


def test_an_estimator_with_noise_resumes_bit_for_bit(tiny_store, tmp_path):
    config = load_recipe("smoke", smoke("diveq"))
    whole = Trainer(config, tiny_store, tmp_path / "whole")
    whole.run(stop_at=10)
    Trainer(config, tiny_store, tmp_path / "parts").run(stop_at=8)
    torch.rand(7)
    parts = Trainer(config, tiny_store, tmp_path / "parts")
    parts.run(stop_at=10)
    expected, found = whole.model.state_dict(), parts.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_size_that_the_kind_cannot_have_is_refused(tiny_model):
    wrong = dataclasses.replace(tiny_model.config.codebook, kind="fsq", size=31)
    with pytest.raises(ConfigError, match="31 codes cannot be arranged in a grid"):
        StructureAutoencoder(dataclasses.replace(tiny_model.config, codebook=wrong))


def test_latent_noise_reaches_the_decoder_only_while_latents_do(tiny_model, batch_of, make_coords):
    batch = batch_of([make_coords(20, 1)])
    schedule = load_recipe("smoke").schedule
    torch.manual_seed(0)
    model = StructureAutoencoder(tiny_model.config, schedule).train()
    noise = torch.randn(1, 20, tiny_model.config.encoder.latent_dim)
    for step, same in ((0, False), (6, False), (15, True)):
        plain = model(*batch, step=step)
        noisy = model(*batch, step=step, latent_noise=noise)
        assert torch.equal(plain.quantized.latents, noisy.quantized.latents)
        assert torch.equal(plain.decoded.coords, noisy.decoded.coords) == same
