"""Drawn images: decided by class and seed alone, and drawn from the model's probabilities."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from provq_vision.generation import Gpt, sample, sampling

LABELS = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
SEEDS = list(range(100, 110))


@pytest.mark.parametrize("guidance", [1.0, 2.5, 0.0])
def test_images_are_the_same_in_one_and_two_shards_and_any_order(model, guidance):
    def draw(rows):
        labels, seeds = ([values[row] for row in rows] for values in (LABELS, SEEDS))
        return sample(model, labels, seeds=seeds, guidance=guidance, width=4)

    whole = draw(range(10))
    assert whole.shape == (10, 4, 4)
    assert whole.dtype == torch.int64
    assert len({tuple(image.flatten().tolist()) for image in whole}) == 10
    assert torch.equal(torch.cat([draw(range(7)), draw(range(7, 10))]), whole)
    for shards in ([range(0, 10, 2), range(1, 10, 2)], [reversed(range(10))], [[3], [9, 0, 5]]):
        for rows in map(list, shards):
            assert torch.equal(draw(rows), whole[rows])


def test_every_bit_of_a_seed_counts(model):
    # Seeds of a set lie within 2 ** 32 of each other, those of two sets do not.
    seeds = [5, 5 + 2**32, 5 + 2**62, 2**63 - 1]
    images = sample(model, [0] * len(seeds), seeds=seeds)
    assert len({tuple(image.flatten().tolist()) for image in images}) == len(seeds)


def test_an_image_is_computed_in_one_row_of_batches_of_one_size(model, monkeypatch):
    # On several threads the place in a batch decides how sums are rounded: ids that are equal by
    # good luck would hide that it had changed.
    found, current = {}, {}
    real = sampling.choose

    def spy(chances, uniforms):
        assert chances.shape[0] == 4
        for row, uniform in enumerate(uniforms.tolist()):
            current.setdefault(uniform, []).append((row, chances[row].clone()))
        return real(chances, uniforms)

    monkeypatch.setattr(sampling, "choose", spy)
    for rows in (range(10), [7, 3, 2]):
        current = {}
        sample(model, [LABELS[row] for row in rows], seeds=[SEEDS[row] for row in rows], width=4)
        found[len(found)] = current
    for row in (7, 3, 2):
        for uniform in sampling._uniforms(SEEDS[row], 16).tolist():
            ((place, chances),), ((again, others),) = found[0][uniform], found[1][uniform]
            assert place == again == SEEDS[row] % 4
            assert torch.equal(chances, others)


def test_many_images_of_one_row_are_all_drawn(model):
    # Every fourth seed, and one seed twice.
    seeds = [0, 4, 8, 12, 4]
    done = []
    found = sample(model, [1] * 5, seeds=seeds, width=4, on_done=done.append)
    assert done == [1] * 5
    alone = [sample(model, [1], seeds=[seed], width=4)[0] for seed in seeds]
    assert torch.equal(found, torch.stack(alone))
    assert torch.equal(found[1], found[4])


def test_progress_counts_images_and_not_filled_up_rows(model):
    done = []
    sample(model, LABELS, seeds=SEEDS, width=4, on_done=done.append)
    assert done == [4, 4, 2]


@torch.no_grad()
def test_greedy_images_are_the_likeliest_tokens_of_the_model(model):
    drawn = sample(model, [2, 4], seeds=[0, 1], top_k=1)
    logits = model(torch.tensor([2, 4]), drawn)
    assert torch.equal(logits.argmax(-1), drawn.flatten(1))
    guided = sample(model, [2, 4], seeds=[0, 1], top_k=1, guidance=3.0)
    c, u = (model(torch.tensor(labels), guided) for labels in ([2, 4], [5, 5]))
    assert torch.equal((u + 3.0 * (c - u)).argmax(-1), guided.flatten(1))
    assert not torch.equal(guided, drawn)


@torch.no_grad()
def test_first_tokens_are_drawn_as_often_as_the_model_says(model):
    count = 1500
    drawn = sample(model, [3] * count, seeds=range(count), width=500)
    logits = model(torch.tensor([3]), drawn[:1])
    expected = logits[0, 0].softmax(-1).double()
    observed = torch.bincount(drawn[:, 0, 0], minlength=12) / count
    # Four standard deviations of each fraction.
    bound = 4.0 * (expected * (1.0 - expected) / count).sqrt() + 1e-3
    assert bool(((observed - expected).abs() < bound).all())


def test_guidance_zero_draws_without_the_class(model):
    first, other = (sample(model, [label], seeds=[5], guidance=0.0) for label in (0, 4))
    assert torch.equal(first, other)
    # The same as two passes whose difference hardly counts.
    nearly = sample(model, [4], seeds=[5], guidance=1e-12)
    assert torch.equal(nearly, other)
    assert not torch.equal(sample(model, [4], seeds=[5]), other)


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 4), (0.0, 4), (1.5, 8)])
def test_only_guidance_takes_a_second_pass(model, monkeypatch, guidance, rows):
    seen = []
    real = Gpt.next_logits
    monkeypatch.setattr(
        Gpt,
        "next_logits",
        lambda self, ids, *rest: (seen.append(len(ids)), real(self, ids, *rest))[1],
    )
    sample(model, [0], seeds=[0], guidance=guidance, width=4)
    assert seen == [rows] * 16


def test_drawing_is_without_dropout_and_leaves_no_trace(config, model):
    wild = Gpt(dataclasses.replace(config, dropout=0.9))
    wild.load_state_dict(model.state_dict())
    state = torch.get_rng_state()
    drawn = sample(wild.train(), [1], seeds=[0])
    assert wild.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(drawn, sample(model, [1], seeds=[0]))
    assert not model.training
    # What was drawn can be trained on.
    wild.loss(torch.tensor([1]), drawn).backward()


def test_numbers_may_be_tensors_and_arrays(model):
    expected = sample(model, [1, 2], seeds=[3, 4])
    found = sample(model, torch.tensor([1, 2]), seeds=np.array([3, 4]))
    assert torch.equal(found, expected)
    assert sample(model, [], seeds=[]).shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("labels", "seeds", "settings", "message"),
    [
        ([0, 5], [0, 1], {}, r"labels: number 1 is 5, expected 0 to 4 \(classes of the model\)"),
        ([-1], [0], {}, "labels: number 0 is -1"),
        ([0.0], [0], {}, "labels: number 0 is 0.0"),
        ([True], [0], {}, "labels: number 0 is True"),
        (torch.tensor([[0]]), [0], {}, r"labels: number 0 is \[0\]"),
        ([0], [-1], {}, "seeds: number 0 is -1"),
        ([0], [2**63], {}, "seeds: number 0 is 9223372036854775808"),
        ([0, 1], [0], {}, r"seeds: expected one per image \(2\), got 1"),
        ([0], [0], {"width": 0}, "width: must be an integer of 1 or more, got 0"),
        ([0], [0], {"guidance": math.nan}, "guidance: .* got nan"),
        ([0], [0], {"top_p": 0.0}, "top_p: .* got 0.0"),
        ([0], [0], {"temperature": 0}, "temperature: .* got 0"),
    ],
)
def test_wrong_numbers_are_refused(model, labels, seeds, settings, message):
    with pytest.raises(ConfigError, match=message):
        sample(model, labels, seeds=seeds, **settings)


def test_guidance_of_a_model_that_never_saw_no_class_is_refused(config):
    model = Gpt.build(dataclasses.replace(config, class_dropout=0.0))
    assert sample(model, [0], seeds=[0]).shape == (1, 4, 4)
    for guidance in (0.0, 2.0):
        with pytest.raises(ConfigError, match="trained with class dropout, and this one has 0"):
            sample(model, [0], seeds=[0], guidance=guidance)
