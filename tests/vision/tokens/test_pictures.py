"""Are pixels kept exactly in pictures, and images placed where a grid says?"""

import numpy as np
import pytest

from provq_protein.errors import ImageError
from provq_vision.images import pictures
from provq_vision.images.pictures import grid, save_png

PIL = pytest.importorskip("PIL.Image", reason="needs the extra provq[vision]")


def read(path) -> np.ndarray:
    with PIL.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.array(image)


def test_a_picture_holds_the_pixels_exactly(make_pixels, tmp_path):
    pixels = make_pixels(0, 5, 7)
    save_png(tmp_path / "a.png", pixels)
    assert np.array_equal(read(tmp_path / "a.png"), pixels)
    # Views, as crops and mirror images are.
    save_png(tmp_path / "a.png", pixels[:, ::-1][1:])
    assert np.array_equal(read(tmp_path / "a.png"), pixels[:, ::-1][1:])
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(make_pixels, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_png(path, make_pixels(0))
    before = path.read_bytes()

    class Full:
        @staticmethod
        def fromarray(pixels):
            return Full

        @staticmethod
        def save(file, format):
            file.write(b"half")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "_pillow", lambda: Full)
    with pytest.raises(OSError, match="No space"):
        save_png(path, make_pixels(1))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (np.zeros((4, 4, 3)), r"float64 of shape \(4, 4, 3\)"),
        (np.zeros((3, 4, 4), np.uint8), r"uint8 of shape \(3, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ([[[1, 2, 3]]], "got list"),
    ],
)
def test_what_are_no_pixels_is_refused(pixels, found, tmp_path):
    with pytest.raises(ImageError, match=found):
        save_png(tmp_path / "a.png", pixels)
    with pytest.raises(ImageError, match=f"row 0, column 0: .*{found}"):
        grid([[pixels]])
    assert list(tmp_path.iterdir()) == []


def test_a_grid_aligns_columns_and_is_white_elsewhere(make_pixels):
    small, wide, high = make_pixels(0, 2, 3), make_pixels(1, 2, 5), make_pixels(2, 4, 3)
    found = grid([[small, wide], [], [high]], gap=1)
    assert found.shape == (2 + 1 + 0 + 1 + 4, 3 + 1 + 5, 3)
    expected = np.full_like(found, 255)
    expected[0:2, 0:3] = small
    expected[0:2, 4:9] = wide
    expected[4:8, 0:3] = high
    assert np.array_equal(found, expected)


def test_a_grid_of_one_image_is_that_image(make_pixels):
    pixels = make_pixels(0)
    assert np.array_equal(grid([[pixels]], gap=9), pixels)


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_a_grid_of_nothing_is_refused(rows):
    with pytest.raises(ImageError, match="at least one image"):
        grid(rows)


def test_a_negative_gap_is_refused(make_pixels):
    with pytest.raises(ValueError, match="got -1"):
        grid([[make_pixels(0)]], gap=-1)
