"""Pixels of image files: every kind becomes RGB bytes, and a bad one becomes a reason."""

import contextlib
import io
import sys

import numpy as np
import pytest
from PIL import Image

from provq_protein.errors import ImageError, MissingExtraError
from provq_vision.images import decoding
from provq_vision.images.decoding import ImageAccount, decode_image


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_kinds_give_the_pixels_that_were_written(picture, file_bytes, kind):
    pixels = decode_image(file_bytes(3, kind), name="a")
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, picture(3))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_kinds_give_about_the_pixels_that_were_written(picture, file_bytes, kind):
    pixels = decode_image(file_bytes(3, kind, 64, 64), name="a").astype(int)
    assert np.abs(pixels - picture(3, 64, 64)).mean() < 20


def test_the_content_decides_what_a_file_is_not_its_name(picture, file_bytes):
    assert np.array_equal(decode_image(file_bytes(1, "PNG"), name="a.JPEG"), picture(1))


def test_gray_becomes_three_equal_channels(picture):
    gray = picture(0)[:, :, 0]
    pixels = decode_image(saved(Image.fromarray(gray)), name="a")
    assert np.array_equal(pixels, np.stack([gray] * 3, axis=2))


def test_black_and_white_becomes_0_and_255():
    bits = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    pixels = decode_image(saved(Image.fromarray(bits).convert("1")), name="a")
    assert np.array_equal(pixels[:, :, 1], bits)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_gives_the_colors_of_its_entries(transparent):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    options = {"transparency": b"\x00\x80"} if transparent else {}
    pixels = decode_image(saved(image, **options), name="a")
    assert pixels.tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_is_dropped_without_a_background():
    image = Image.new("RGBA", (1, 1), (10, 20, 30, 0))
    assert decode_image(saved(image), name="a").tolist() == [[[10, 20, 30]]]


def test_gray_of_16_bits_is_scaled_not_clipped():
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    pixels = decode_image(saved(Image.fromarray(values)), name="a")
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert pixels.shape == (1, 6, 3)


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red, green, blue = decode_image(saved(image, "TIFF"), name="a")[4, 4]
    assert red > 250
    assert max(green, blue) < 5


def test_the_orientation_in_exif_data_is_not_applied(picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image = Image.fromarray(picture(0, 10, 30))
    assert decode_image(saved(image, "JPEG", exif=exif), name="a").shape == (10, 30, 3)


def test_of_several_frames_the_first_is_taken(picture):
    frames = [Image.fromarray(picture(seed)) for seed in range(2)]
    data = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode_image(data, name="a"), picture(0))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"not an image", "no image that can be read; expected one of JPEG, PNG"),
    ],
)
def test_what_is_no_image_is_refused_by_name(data, reason):
    with pytest.raises(ImageError, match=rf"^cat/1\.png: {reason}"):
        decode_image(data, name="cat/1.png")


@pytest.mark.parametrize("kind", ["GIF", "TGA", "PCX"])
def test_an_image_of_another_kind_is_refused(file_bytes, kind):
    with pytest.raises(ImageError, match="no image that can be read; expected one of JPEG"):
        decode_image(file_bytes(0, kind), name="a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_refused(file_bytes, kind, share):
    data = file_bytes(0, kind, 64, 64)
    with pytest.raises(ImageError, match=r"^a: (cannot be decoded|no image that can be read)"):
        decode_image(data[: int(len(data) * share)], name="a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF"])
def test_damaged_bytes_give_pixels_or_a_refusal_and_nothing_else(file_bytes, kind):
    data = file_bytes(0, kind)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in generator.integers(len(data), size=3):
            damaged[place] = int(generator.integers(256))
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(damaged), name="a").dtype == np.uint8


def test_too_many_pixels_are_refused_before_they_are_decoded(file_bytes, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 400)
    assert decode_image(file_bytes(0, "PNG", 20, 20), name="a").shape == (20, 20, 3)
    with pytest.raises(ImageError, match=r"a: .*21 x 20 pixels; at most 400 are decoded"):
        decode_image(file_bytes(0, "PNG", 20, 21), name="a")


def test_a_decompression_bomb_is_refused():
    # A header that promises 60,000 x 60,000 pixels.
    header = b"P6 60000 60000 255\n"
    with pytest.raises(ImageError, match=r"a: cannot be decoded: .*3600000000 pixels"):
        decode_image(header + bytes(100), name="a")


def test_floating_point_values_are_refused_with_what_to_do():
    image = Image.fromarray(np.ones((2, 2), dtype=np.float32))
    with pytest.raises(ImageError, match=r"floating point values .*save it with 8 bits"):
        decode_image(saved(image, "TIFF"), name="a")


@pytest.mark.parametrize("value", [-1, 65_536])
def test_integers_beyond_16_bits_are_refused(value):
    image = Image.fromarray(np.array([[0, value]], dtype=np.int32))
    with pytest.raises(ImageError, match=r"gray values from .*expected 0 to 65535"):
        decode_image(saved(image, "TIFF"), name="a")


def test_an_account_counts_modes_and_keeps_reasons(file_bytes):
    account = ImageAccount()
    decode_image(file_bytes(), name="a", account=account)
    decode_image(saved(Image.new("L", (2, 2))), name="b", account=account)
    with pytest.raises(ImageError):
        decode_image(b"", name="c", account=account)
    assert account.modes == {"RGB": 1, "L": 1}
    assert account.problems == {"c": "the file is empty"}


def test_without_pillow_the_extra_is_named(monkeypatch, file_bytes):
    data = file_bytes()
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'provq\[vision\]'"):
        decode_image(data, name="a")
