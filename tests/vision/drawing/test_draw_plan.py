"""Classes and seeds of drawn images: decided by their numbers, whatever the parts are."""

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from provq_vision.samples import DrawPlan


@pytest.mark.parametrize("images", [{"count": 50}, {"per_class": 10}])
@pytest.mark.parametrize("shards", [2, 3, 7, 50])
def test_parts_are_the_whole_in_order(images, shards):
    whole = DrawPlan(classes=range(5), seed=3, **images)
    parts = [
        DrawPlan(classes=range(5), seed=3, shard=shard, shards=shards, **images)
        for shard in range(shards)
    ]
    assert np.array_equal(np.concatenate([part.labels() for part in parts]), whole.labels())
    assert np.array_equal(np.concatenate([part.seeds() for part in parts]), whole.seeds())
    expected = [len(part) for part in np.array_split(np.arange(50), shards)]
    assert [len(part.numbers) for part in parts] == expected


def test_seeds_of_runs_do_not_meet():
    first, last = DrawPlan(classes=[0], count=4, seed=1), DrawPlan(classes=[0], count=1, seed=2)
    assert first.seeds().tolist() == [2**32, 2**32 + 1, 2**32 + 2, 2**32 + 3]
    assert last.seeds().tolist() == [2**33]
    assert int(DrawPlan(classes=[0], count=1, seed=2**31 - 1).seeds()[0]) < 2**63


def test_counted_images_are_of_classes_drawn_uniformly():
    plan = DrawPlan(classes=[4, 1, 7], count=3000)
    labels, numbers = np.unique(plan.labels(), return_counts=True)
    assert labels.tolist() == [1, 4, 7]
    # Four standard deviations; and not the same number of each.
    assert np.abs(numbers - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)
    assert len(set(numbers.tolist())) > 1
    # More images leave those before them as they are; another seed does not.
    more = DrawPlan(classes=[4, 1, 7], count=5000)
    assert np.array_equal(more.labels()[:3000], plan.labels())
    other = DrawPlan(classes=[4, 1, 7], count=3000, seed=1)
    assert 0.2 < np.mean(other.labels() == plan.labels()) < 0.5


def test_images_per_class_come_in_the_order_of_the_classes():
    plan = DrawPlan(classes=[4, 1], per_class=3)
    assert plan.labels().tolist() == [4, 4, 4, 1, 1, 1]
    assert plan.total == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count: must be an integer from 1 to 4294967296, got 0"),
        ({"count": 2.0}, r"count: must be .* got 2\.0"),
        ({"count": None, "per_class": 0}, "per_class: must be an integer from 1 .* got 0"),
        ({"count": None, "per_class": True}, "per_class: must be .* got True"),
        ({"count": None}, "exactly one of the two .* got None and None"),
        ({"per_class": 1}, "exactly one of the two .* got 4 and 1"),
        ({"classes": []}, r"classes: expected one or more, each once, got \[\]"),
        ({"classes": [1, 1]}, r"each once, got \[1, 1\]"),
        ({"classes": [-1]}, "classes: must be .* got -1"),
        ({"classes": "12"}, "classes: must be .* got '1'"),
        ({"seed": -1}, "seed: must be an integer from 0 to 2147483647, got -1"),
        ({"seed": 2**31}, "seed: must be .* got 2147483648"),
        ({"shards": 0}, "shards: must be an integer from 1 to 4 .* got 0"),
        ({"shards": 5}, r"from 1 to 4 \(an image or more in each\), got 5"),
        ({"shard": 2, "shards": 2}, "shard: must be an integer from 0 to 1, got 2"),
        ({"shard": -1}, "shard: must be an integer from 0 to 0, got -1"),
    ],
)
def test_impossible_plans_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        DrawPlan(**{"classes": [0, 1], "count": 4, **changes})
