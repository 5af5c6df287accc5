"""Batches: the same for the same step, every image once an epoch, and no bad one unseen."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images import batches
from provq_vision.images.batches import ImagePlan, center_batches
from provq_vision.images.crops import center_crop, flip
from provq_vision.images.listing import open_images


@pytest.fixture(scope="module")
def images(tmp_path_factory, file_bytes, write_folder):
    """Return eleven images in two classes."""
    files = {f"{'ab'[i % 2]}/{i:02d}.png": file_bytes(i) for i in range(11)}
    return open_images(write_folder(tmp_path_factory.mktemp("images"), files))


@pytest.fixture
def with_bad_ones(tmp_path, file_bytes, write_folder):
    """Return a maker of sets in which some images are no images."""

    def make(bad, count=10):
        files = {f"{i:02d}.png": b"x" if i in bad else file_bytes(i) for i in range(count)}
        return open_images(write_folder(tmp_path, files))

    return make


def same(one, two):
    return (
        torch.equal(one.images, two.images)
        and torch.equal(one.labels, two.labels)
        and torch.equal(one.indices, two.indices)
        and one.problems == two.problems
    )


def plan_of(images, **changes):
    settings = {"seed": 5, "batch_size": 4, "size": 16} | changes
    return ImagePlan(images, **settings)


def test_a_batch_has_the_documented_shapes_and_labels(images):
    batch = plan_of(images).batch(0)
    assert (batch.images.shape, batch.images.dtype) == ((4, 3, 16, 16), torch.uint8)
    assert (batch.labels.dtype, batch.indices.dtype) == (torch.int64, torch.int64)
    assert batch.labels.tolist() == images.labels[batch.indices].tolist()
    assert len(batch) == 4
    assert batch.problems == ()


@pytest.mark.parametrize("changes", [{}, {"cache_bytes": 0}, {"cache_bytes": 3000}, {"threads": 3}])
def test_a_step_is_the_same_whatever_was_asked_before_and_however_it_is_computed(images, changes):
    first = plan_of(images)
    steps = [first.batch(step) for step in range(8)]
    other = plan_of(images, **changes)
    assert all(same(other.batch(step), steps[step]) for step in (7, 0, 3, 3, 6))


def test_threads_may_share_a_plan(images):
    plan, alone = plan_of(images), plan_of(images)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(plan.batch, range(24)))
    assert all(same(batch, alone.batch(step)) for step, batch in enumerate(found))


def test_every_epoch_has_every_image_once_in_another_order(images):
    plan = plan_of(images)
    stream = np.concatenate([plan.batch(step).indices for step in range(11)])
    epochs = stream.reshape(4, 11)
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert np.array_equal(plan.chosen(2), stream[8:12])


@pytest.mark.parametrize(("batch_size", "steps"), [(4, 3), (11, 1), (12, 1), (1, 11)])
def test_an_epoch_has_the_steps_after_which_all_were_seen(images, batch_size, steps):
    assert plan_of(images, batch_size=batch_size).steps_per_epoch == steps


def test_a_batch_larger_than_the_set_goes_on_with_the_next_epochs(images):
    indices = plan_of(images, batch_size=33).batch(0).indices.tolist()
    assert [indices.count(i) for i in range(11)] == [3] * 11


def test_the_seed_decides_order_and_crops(images):
    one, two = (plan_of(images, seed=seed).batch(0) for seed in (1, 2))
    assert not torch.equal(one.indices, two.indices)
    assert not same(plan_of(images, seed=1).batch(0), two)


def test_an_image_is_cropped_and_mirrored_anew_every_time(images):
    one_image = images.select([0])
    found = plan_of(one_image, batch_size=64).batch(0).images
    assert len({image.numpy().tobytes() for image in found}) > 32


@pytest.mark.parametrize("mirrored", [False, True])
def test_center_crops_are_those_of_the_image_or_its_mirror_image(images, picture, mirrored):
    batch = plan_of(images, crop="center", flip=mirrored, batch_size=200).batch(0)
    straight = 0
    for index, found in zip(batch.indices.tolist(), batch.images, strict=True):
        pixels = found.permute(1, 2, 0).numpy()
        crop = center_crop(picture(int(images.names[index][2:4])), 16)
        straight += np.array_equal(pixels, crop)
        assert np.array_equal(pixels, crop) or np.array_equal(pixels, flip(crop))
    # 200 fair draws are outside of 60 to 140 less than once in 10,000,000.
    assert 60 < straight < 140 if mirrored else straight == 200


@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_parts_are_the_batch_in_order_however_they_are_made(images, of):
    plan = plan_of(images)
    whole = plan.batch(1)
    parts = [whole.part(number, of) for number in range(of)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    assert all(same(plan.batch(1, number=n, of=of), part) for n, part in enumerate(parts))


@pytest.mark.parametrize(("number", "of"), [(0, 5), (2, 2), (-1, 2), (0, 0)])
def test_a_part_without_images_is_refused(images, number, of):
    with pytest.raises(ConfigError, match=f"4 images has no part {number} of {of}"):
        plan_of(images).batch(0).part(number, of)


def test_an_unreadable_image_is_replaced_and_listed(with_bad_ones):
    images = with_bad_ones({3})
    plan = plan_of(images, batch_size=5)
    epoch = np.concatenate([plan.chosen(step) for step in range(2)])
    found = [plan.batch(step) for step in range(2)]
    place = list(epoch).index(3)
    wanted = epoch.copy()
    wanted[place] = epoch[(place + 1) % 10]
    assert np.concatenate([batch.indices for batch in found]).tolist() == wanted.tolist()
    problems = [batch.problems for batch in found]
    assert problems[1 - place // 5] == ()
    [(name, reason)] = problems[place // 5]
    assert name == "03.png"
    assert reason.startswith("no image that can be read")


def test_a_bad_image_changes_nothing_about_the_others(with_bad_ones, file_bytes):
    bad = with_bad_ones({3})
    before = plan_of(bad, batch_size=10).batch(0)
    # The same set with the image in order.
    good = with_bad_ones(set())
    after = plan_of(good, batch_size=10).batch(0)
    others = after.indices != 3
    assert torch.equal(before.images[others], after.images[others])


def test_a_batch_that_is_mostly_unreadable_is_refused(with_bad_ones):
    images = with_bad_ones(set(range(7)))
    with pytest.raises(ImageError, match=r"step 0: most images cannot be read, .* tried: 0\d\.png"):
        plan_of(images, batch_size=10).batch(0)


def test_half_a_batch_may_be_unreadable(with_bad_ones):
    images = with_bad_ones(set(range(5)))
    batch = plan_of(images, batch_size=10).batch(0)
    assert min(batch.indices) >= 5
    assert {problem.name for problem in batch.problems} == {f"0{i}.png" for i in range(5)}


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_set_without_a_readable_image_is_refused(with_bad_ones, batch_size):
    with pytest.raises(ImageError, match="step 0: most images cannot be read, 3 were tried"):
        plan_of(with_bad_ones({0, 1, 2}, 3), batch_size=batch_size).batch(0)


def test_a_lone_bad_image_does_not_stop_a_batch_of_one(with_bad_ones):
    plan = plan_of(with_bad_ones({0}), batch_size=1)
    assert {int(plan.batch(step).indices) for step in range(10)} == set(range(1, 10))


def test_images_are_decoded_once_while_there_is_room_and_each_time_without(images, monkeypatch):
    names = []
    decode = batches.decode_image

    def counted(data, *, name):
        names.append(name)
        return decode(data, name=name)

    monkeypatch.setattr(batches, "decode_image", counted)
    room = 20 * 24 * 3
    for cache_bytes, expected in ((11 * room, 11), (4 * room, 11 + 7), (0, 22)):
        names.clear()
        plan = plan_of(images, batch_size=11, cache_bytes=cache_bytes)
        plan.batch(0), plan.batch(1)
        assert len(names) == expected


def test_evaluation_has_all_images_in_order(images, picture):
    found = list(center_batches(images, size=16, batch_size=4))
    assert [len(batch) for batch in found] == [4, 4, 3]
    assert torch.cat([batch.indices for batch in found]).tolist() == list(range(11))
    expected = center_crop(picture(int(images.names[5][2:4])), 16)
    assert np.array_equal(found[1].images[1].permute(1, 2, 0), expected)
    assert found[1].labels.tolist() == images.labels[4:8].tolist()


@pytest.mark.parametrize("bad", [{0}, {3, 4}, {8, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8}])
def test_evaluation_leaves_unreadable_images_out_and_lists_each_once(with_bad_ones, bad):
    found = list(center_batches(with_bad_ones(bad), size=16, batch_size=4))
    left = [i for i in range(10) if i not in bad]
    assert torch.cat([batch.indices for batch in found]).tolist() == left
    assert [len(batch) for batch in found[:-1]] == [4] * (len(found) - 1)
    listed = [problem.name for batch in found for problem in batch.problems]
    assert listed == [f"{i:02d}.png" for i in sorted(bad)]


def test_an_evaluation_of_nothing_readable_is_refused(with_bad_ones):
    with pytest.raises(ImageError, match="evaluation: most images cannot be read, 4 were tried"):
        list(center_batches(with_bad_ones({0, 1, 2, 3}, 4), size=16, batch_size=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected 1 or more, got 0"),
        ({"size": 0}, "size: expected 1 or more, got 0"),
        ({"threads": 0}, "threads: expected 1 or more, got 0"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"crop": "random"}, "crop: expected one of adm_random, center, got 'random'"),
    ],
)
def test_impossible_settings_are_refused(images, changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(images, **changes)


def test_an_empty_set_is_refused(images):
    with pytest.raises(ConfigError, match="the set of images is empty"):
        plan_of(images.select([]))


def test_a_batch_on_a_device_keeps_everything(images):
    batch = plan_of(images).batch(0)
    assert same(batch.to(torch.device("cpu")), batch)
