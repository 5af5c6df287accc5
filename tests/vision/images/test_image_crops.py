"""Crops: exactly those of ADM, for images of any size, and numbers that come back."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images import crops
from provq_vision.images.crops import center_crop, flip, random_crop, ten_crops, to_bytes, to_floats

SIZES = [(64, 64), (288, 352), (500, 333), (129, 128), (127, 200), (31, 40), (400, 64), (3, 7)]


class Fixed:
    """Draw what is given, and keep the ranges asked for."""

    def __init__(self, *draws):
        self.draws = list(draws)
        self.stops = []

    def integers(self, low, high=None):
        self.stops.append((0, low) if high is None else (low, high))
        return self.draws.pop(0)


def described(image, short):
    """Bring the short side to a length as the description of ADM's crops says."""
    width, height = image.shape[1], image.shape[0]
    picture = Image.fromarray(image)
    while width >= 2 * short and height >= 2 * short:
        width, height = math.floor(width / 2), math.floor(height / 2)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    factor = short / (width if width < height else height)
    return np.array(
        picture.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    )


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [16, 64])
def test_the_center_crop_is_that_of_the_description(picture, height, width, size):
    image = picture(1, height, width)
    whole = described(image, size)
    top = math.floor((whole.shape[0] - size) / 2)
    left = math.floor((whole.shape[1] - size) / 2)
    expected = whole[top:, left:][:size, :size]
    found = center_crop(image, size)
    assert found.shape == (size, size, 3)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("short", [64, 71, 80])
def test_the_random_crop_is_that_of_the_description(picture, height, width, short):
    image = picture(2, height, width)
    whole = described(image, short)
    rows, columns = whole.shape[0] - 64 + 1, whole.shape[1] - 64 + 1
    generator = Fixed(short, rows - 1, columns // 2)
    found = random_crop(image, 64, generator)
    assert generator.stops == [(64, 81), (0, rows), (0, columns)]
    assert np.array_equal(found, whole[rows - 1 :, columns // 2 :][:64, :64])


def test_an_image_of_256_is_cropped_from_a_short_side_of_256_to_320():
    generator = Fixed(320, 0, 0)
    random_crop(np.zeros((256, 256, 3), dtype=np.uint8), 256, generator)
    assert generator.stops == [(256, 321), (0, 65), (0, 65)]


def test_a_generator_decides_and_the_image_is_left_as_it_was(picture):
    image = picture(0, 90, 80)
    before = image.copy()
    one, two, other = (random_crop(image, 32, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert np.array_equal(image, before)


def test_a_crop_of_the_size_of_the_image_is_the_image(picture):
    image = picture(0, 64, 64)
    assert np.array_equal(center_crop(image, 64), image)


def test_one_pixel_is_enlarged_to_a_crop_of_its_color():
    image = np.full((1, 1, 3), (10, 20, 30), dtype=np.uint8)
    assert (center_crop(image, 16) == image).all()
    assert (random_crop(image, 16, np.random.default_rng(0)) == image).all()


def test_an_image_too_long_to_be_enlarged_is_refused(monkeypatch):
    monkeypatch.setattr(crops, "MOST_PIXELS", 16 * 320)
    center_crop(np.zeros((1, 20, 3), dtype=np.uint8), 16)
    with pytest.raises(ImageError, match="21 x 1 pixels with a short side of 16 are 336 x 16"):
        center_crop(np.zeros((1, 21, 3), dtype=np.uint8), 16)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_an_array_that_is_no_image_is_refused(array):
    with pytest.raises(ImageError, match=r"expected a uint8 array \(height, width, 3\), got"):
        center_crop(array, 4)


@pytest.mark.parametrize("shares", [(0.0, 1.0), (0.9, 0.8), (0.8, 1.1)])
def test_impossible_shares_are_refused(shares):
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(ConfigError, match="expected 0 < smallest <= largest <= 1"):
        random_crop(image, 8, np.random.default_rng(0), smallest=shares[0], largest=shares[1])


@pytest.mark.parametrize("size", [0, -4])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(ConfigError, match=f"at least 1 pixel, got {size}"):
        center_crop(np.zeros((8, 8, 3), dtype=np.uint8), size)


@pytest.mark.parametrize(("margin", "rest", "middle"), [(1.1, 6, 3), (1.05, 3, 2), (1.0, 0, 0)])
def test_ten_crops_are_five_places_of_a_larger_square_and_of_its_mirror_image(
    picture, margin, rest, middle
):
    image = picture(0, 100, 140)
    square = center_crop(image, 64 + rest)
    found = ten_crops(image, 64, margin=margin)
    assert found.shape == (10, 64, 64, 3)
    assert np.array_equal(found[0], square[:64, :64])
    assert np.array_equal(found[1], square[:64, rest:])
    assert np.array_equal(found[2], square[rest:, :64])
    assert np.array_equal(found[3], square[rest:, rest:])
    assert np.array_equal(found[4], square[middle:, middle:][:64, :64])
    # The top left of the mirror image is the top right, mirrored.
    assert np.array_equal(found[5], flip(found[1]))
    assert np.array_equal(found[8], flip(found[2]))


def test_ten_crops_of_less_than_the_crop_are_refused(picture):
    with pytest.raises(ConfigError, match=r"expected at least 1, got 0\.9"):
        ten_crops(picture(), 16, margin=0.9)


def test_all_bytes_come_back_from_floats():
    every = torch.arange(256).to(torch.uint8)
    floats = to_floats(every)
    assert floats.dtype == torch.float32
    assert floats.min() == -1
    assert floats.max() == 1
    assert torch.equal(to_bytes(floats), every)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_numbers_outside_are_clamped_and_others_rounded(dtype):
    values = torch.tensor([-5.0, -1.0, 0.5, 1.0, 7.0, float("inf")], dtype=dtype)
    assert to_bytes(values).tolist() == [0, 0, 191, 255, 255, 255]


def test_what_is_no_number_is_refused():
    with pytest.raises(ImageError, match="not numbers"):
        to_bytes(torch.tensor([0.0, float("nan")]))
