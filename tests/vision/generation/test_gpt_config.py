"""Sizes of the autoregressive model: those that were published, and none that make no model."""

import dataclasses
import math

import pytest

from provq_protein.errors import ConfigError
from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.generation import GPTS, Gpt, GptConfig, gpt_config


@pytest.mark.parametrize(
    ("name", "count"),
    [("B", 110_888_448), ("L", 342_910_976), ("mini", 997_120), ("small", 4_039_616)],
)
def test_a_known_model_has_its_number_of_parameters(name, count):
    assert sum(shape.numel() for shape in Gpt.shapes(GPTS[name]).values()) == count


def test_the_shapes_are_those_of_the_tensors(config):
    own = Gpt.build(config).state_dict()
    assert Gpt.shapes(config) == {name: value.shape for name, value in own.items()}


@pytest.mark.parametrize(
    ("name", "layers", "heads", "dim", "hidden", "tokens"),
    [("B", 12, 12, 768, 2048, 256), ("L", 24, 16, 1024, 2816, 256)],
)
def test_sizes_are_those_of_llamagen(name, layers, heads, dim, hidden, tokens):
    found = GPTS[name]
    assert (found.layers, found.heads, found.dim) == (layers, heads, dim)
    assert (found.hidden, found.tokens, found.head_dim) == (hidden, tokens, 64)
    assert (found.vocabulary, found.num_classes, found.null_class) == (16_384, 1000, 1000)


def test_a_configuration_survives_its_document():
    for found in GPTS.values():
        assert from_mapping(GptConfig, to_mapping(found), where="test") == found


def test_a_known_model_is_fitted_to_a_tokenizer():
    found = gpt_config("small", vocabulary=64, num_classes=3, grid=6)
    assert found == dataclasses.replace(GPTS["small"], vocabulary=64, num_classes=3, grid=6)
    assert gpt_config("small") == GPTS["small"]
    with pytest.raises(ConfigError, match=r"model: must be one of 'B', 'L', .*; got 'XXL'"):
        gpt_config("XXL")
    with pytest.raises(ConfigError, match="grid: must be an integer of 1 or more, got 0"):
        gpt_config("B", grid=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 0}, "layers: must be an integer of 1 or more, got 0"),
        ({"heads": 2.0}, "heads: must be an integer"),
        ({"grid": True}, "grid: must be an integer"),
        ({"vocabulary": 1}, "vocabulary: must be an integer of 2 or more"),
        (
            {"dim": 130},
            r"dim: must be a multiple of 4 features for each of 4 .*\(16\), got 130",
        ),
        ({"class_dropout": 1.0}, "class_dropout: must be a probability from 0 to below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout: must be a probability"),
        ({"dropout": math.nan}, "dropout: must be a finite number, got nan"),
        ({"norm_epsilon": 0.0}, "norm_epsilon: must be above 0"),
        ({"rope_base": 1.0}, "rope_base: must be above 1"),
        ({"rope_base": "10000"}, "rope_base: must be a finite number, got '10000'"),
    ],
)
def test_sizes_that_make_no_model_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(GPTS["mini"], **change)
