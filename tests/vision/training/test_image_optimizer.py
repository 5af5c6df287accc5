"""Which parameters of an image tokenizer move, how fast, and what shrinks?"""

import dataclasses

import pytest

from provq_vision.model import ImageAutoencoder
from provq_vision.model.discriminator import PatchDiscriminator
from provq_vision.training.config import load_recipe
from provq_vision.training.optimizer import (
    make_discriminator_optimizer,
    make_optimizer,
    set_learning_rate,
)


def _config(**changes):
    return dataclasses.replace(load_recipe("smoke").optimizer, **changes)


@pytest.fixture(scope="module")
def model():
    return ImageAutoencoder.build(load_recipe("smoke", preset="simvq").model)


def _rates(optimizer, module):
    found = {id(each): group for group in optimizer.param_groups for each in group["params"]}
    return {name: found[id(each)] for name, each in module.named_parameters()}


def test_codes_have_a_rate_of_their_own_and_never_decay(model):
    config = _config(learning_rate=1e-3, codebook_factor=10.0, weight_decay=0.1, warmup_steps=0)
    optimizer = make_optimizer(model, config)
    assert set_learning_rate(optimizer, config, step=0) == 1e-3
    groups = _rates(optimizer, model)
    for name, group in groups.items():
        codes = name.startswith("quantizer.codebook.")
        assert group["lr"] == pytest.approx(1e-2 if codes else 1e-3), name
        matrix = name.endswith("weight") and ".norm" not in name and "norm_out" not in name
        assert group["weight_decay"] == (0.1 if matrix and not codes else 0.0), name
    assert any(name.startswith("quantizer.codebook.") for name in groups)


def test_the_discriminator_has_a_rate_of_its_own():
    config = _config(learning_rate=1e-3, discriminator_factor=0.5, warmup_steps=0)
    judge = PatchDiscriminator.build(load_recipe("smoke").discriminator)
    optimizer = make_discriminator_optimizer(judge, config)
    set_learning_rate(optimizer, config, step=0)
    groups = _rates(optimizer, judge)
    assert {group["lr"] for group in groups.values()} == {5e-4}
    assert len(groups) == len(list(judge.parameters()))


def test_the_rate_rises_and_then_stays(model):
    config = _config(learning_rate=1e-3, warmup_steps=4)
    optimizer = make_optimizer(model, config)
    rates = [set_learning_rate(optimizer, config, step=step) for step in (0, 1, 3, 4, 1000)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 1e-3, 1e-3, 1e-3])
