"""Drawn images: the decoded tokens of the model, the same ones in however many parts."""

import dataclasses

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, TokenFormatError
from provq_vision.drawing import class_ids, draw
from provq_vision.generation import TrainedGpt, sample
from provq_vision.generation.choosing import Sampling
from provq_vision.samples import DrawPlan, SampleSet


def plan(**changes):
    """Return a plan of 10 images."""
    return DrawPlan(**{"classes": range(5), "count": 10, "seed": 6, **changes})


def assert_equal(first, other):
    """Compare two sets bit for bit."""
    for name in ("images", "labels", "seeds", "ids"):
        ours, theirs = getattr(first, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs), name
    assert first.settings == other.settings


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("shards", [2, 3])
def test_parts_joined_are_the_images_of_one_run(gpt, tokenizer, shards, guidance):
    options = {"sampling": Sampling(guidance=guidance), "width": 4}
    whole = draw(gpt, tokenizer, plan(), **options)
    parts = [
        draw(gpt, tokenizer, plan(shard=shard, shards=shards), **options) for shard in range(shards)
    ]
    assert_equal(SampleSet.join(parts[::-1]), whole)
    # Images that are all alike would hide an exchange.
    assert len(np.unique(whole.images.reshape(10, -1), axis=0)) == 10


def test_images_are_the_decoded_tokens_of_their_classes_and_seeds(gpt, tokenizer):
    options = {"guidance": 1.5, "temperature": 0.9, "top_k": 7, "top_p": 0.8}
    found = draw(
        gpt, tokenizer, plan(per_class=2, count=None), sampling=Sampling(**options), width=4
    )
    labels, seeds = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [6 * 2**32 + i for i in range(10)]
    assert (found.labels.tolist(), found.seeds.tolist()) == (labels, seeds)
    ids = sample(gpt.model, labels, seeds=seeds, width=4, **options)
    assert np.array_equal(found.ids, ids.numpy())
    for number in range(10):
        assert np.array_equal(found.images[number], tokenizer.decode_ids(found.ids[number]))
    assert found.images.shape == (10, 8, 8, 3)
    settings = found.settings
    assert {name: getattr(settings, name) for name in options} == options
    assert (settings.width, settings.device, settings.torch) == (4, "cpu", torch.__version__)
    assert (settings.gpt, settings.tokenizer) == (gpt.fingerprint(), tokenizer.fingerprint)


def test_progress_counts_images(gpt, tokenizer):
    done = []
    draw(gpt, tokenizer, plan(shard=1, shards=2), width=3, on_done=done.append)
    assert done == [3, 2]


def test_the_tokenizer_of_another_training_is_refused(gpt, tokenizer):
    other = dataclasses.replace(gpt, tokenizer="f" * 16)
    with pytest.raises(TokenFormatError, match=f"fingerprint {'f' * 16}, but this one has"):
        draw(other, tokenizer, plan())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"classes": [0, 5]}, {}, "class 5: the model knows no such class; it has 5"),
        ({}, {"width": 0}, "width: must be an integer from 1 .* got 0"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_drawn(
    gpt, tokenizer, monkeypatch, changes, options, message
):
    monkeypatch.setattr("provq_vision.drawing.sample", None)
    with pytest.raises(ConfigError, match=message):
        draw(gpt, tokenizer, plan(**changes), **options)


def test_classes_are_found_by_name_and_by_id(gpt):
    assert class_ids(gpt) == (0, 1, 2, 3, 4)
    assert class_ids(gpt, ["dog", "0", 2]) == (3, 0, 2)
    unnamed = TrainedGpt(gpt.model, gpt.tokenizer)
    assert class_ids(unnamed, ["4"]) == (4,)
    # A class that is called as the id of another.
    numbered = TrainedGpt(gpt.model, gpt.tokenizer, {"classes": ["0", "1", "10", "2", "3"]})
    assert class_ids(numbered, ["2", "10", 2, "4"]) == (3, 2, 2, 4)
    for wrong in ("Dog", "5", "-1", 5, -1, True, ""):
        with pytest.raises(ConfigError, match="names as 'ant', or ids from 0 to 4"):
            class_ids(gpt, [wrong])
    with pytest.raises(ConfigError, match=r"class 'dog': .* no names, but ids from 0 to 4"):
        class_ids(unnamed, ["dog"])
