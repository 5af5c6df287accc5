"""Does step n have the same codes in every run and process, and every image its turn?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from provq_vision.codes.code_set import CodeSet
from provq_vision.codes.plan import CodePlan


@pytest.fixture
def written(write):
    """Return ten images of twenty views, whose codes tell image and view apart."""
    return write(margins=(1.1, 1.05), vocabulary=10_000)


def pairs_of(written, batch):
    """Return image and view of every row of a batch."""
    flat = written.codes.reshape(*written.codes.shape[:2], -1)
    return [
        tuple(np.argwhere((flat == row.flatten().numpy()).all(-1))[0].tolist()) for row in batch.ids
    ]


def test_a_step_is_a_pure_function_of_seed_and_number(written):
    first = CodePlan(CodeSet.open(written.folder), seed=5, batch_size=4)
    again = CodePlan(CodeSet.open(written.folder), seed=5, batch_size=4)
    other = CodePlan(CodeSet.open(written.folder), seed=6, batch_size=4)
    forward = [first.batch(step) for step in range(6)]
    for step in (5, 0, 3):
        assert torch.equal(again.batch(step).ids, forward[step].ids)
        assert torch.equal(again.batch(step).labels, forward[step].labels)
        assert not torch.equal(other.batch(step).ids, forward[step].ids)
    assert len(forward[0]) == 4
    assert forward[0].ids.shape == (4, 3, 3)
    assert forward[0].ids.dtype == forward[0].labels.dtype == torch.int64


def test_an_epoch_shows_every_image_once_with_its_class(written):
    plan = CodePlan(CodeSet.open(written.folder), seed=0, batch_size=4)
    assert plan.steps_per_epoch == 3
    rows = []
    for step in range(5):
        batch = plan.batch(step)
        found = pairs_of(written, batch)
        assert [int(written.labels[image]) for image, _ in found] == batch.labels.tolist()
        rows += found
    first, second = [image for image, _ in rows[:10]], [image for image, _ in rows[10:]]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_batch_may_be_larger_than_the_set(written):
    plan = CodePlan(CodeSet.open(written.folder), seed=0, batch_size=25)
    small = CodePlan(CodeSet.open(written.folder), seed=0, batch_size=5)
    assert plan.steps_per_epoch == 1
    parts = torch.cat([small.batch(step).ids for step in range(5)])
    assert torch.equal(plan.batch(0).ids, parts)


def test_views_are_drawn_uniformly_and_anew(written):
    plan = CodePlan(CodeSet.open(written.folder), seed=0, batch_size=100)
    rows = [row for step in range(40) for row in pairs_of(written, plan.batch(step))]
    counts = np.bincount([view for _, view in rows], minlength=20)
    # 4,000 draws of 20 views: 200 each, with a standard deviation of 13.8.
    assert abs(counts - 200).max() < 60
    # 400 draws of each image leave out a view with a probability below 1e-8.
    assert all(len({v for image, v in rows if image == each}) == 20 for each in range(10))


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_parts_are_the_batch(of, written):
    plan = CodePlan(CodeSet.open(written.folder), seed=1, batch_size=7)
    whole = plan.batch(2)
    parts = [plan.batch(2, number=number, of=of) for number in range(of)]
    assert torch.equal(torch.cat([part.ids for part in parts]), whole.ids)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_other_shards_and_the_order_of_images_do_not_matter(write):
    small = write("small", shard_size=1)
    large = write("large", shard_size=1000)
    batches = [
        CodePlan(CodeSet.open(each.folder), seed=0, batch_size=8).batch(1)
        for each in (small, large)
    ]
    assert torch.equal(batches[0].ids, batches[1].ids)


def test_impossible_numbers_are_refused(written):
    codes = CodeSet.open(written.folder)
    for options in ({"seed": -1, "batch_size": 1}, {"seed": 0, "batch_size": 0}):
        with pytest.raises(ConfigError, match="expected seed >= 0 and batch_size >= 1"):
            CodePlan(codes, **options)
    plan = CodePlan(codes, seed=0, batch_size=2)
    for number, of in ((-1, 2), (2, 2), (0, 3), (0, 0)):
        with pytest.raises(ConfigError, match="has no part"):
            plan.batch(0, number=number, of=of)


def test_the_keys_are_those_of_the_record(written):
    # Runs that were begun with an earlier release go on with the same batches.
    plan = CodePlan(CodeSet.open(written.folder), seed=7, batch_size=4)
    # The third step: the last two images of the first epoch, the first two of the second.
    images = [
        *np.random.default_rng([7, 0, 0]).permutation(10)[8:],
        *np.random.default_rng([7, 0, 1]).permutation(10)[:2],
    ]
    views = [np.random.default_rng([7, 1, position]).integers(20) for position in range(8, 12)]
    assert pairs_of(written, plan.batch(2)) == list(zip(images, views, strict=True))
