"""Do ids follow from an image alone, and do they decode to what the model reconstructs?"""

import io
import json

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, ImageError, TokenFormatError
from provq_vision.images.crops import center_crop, to_bytes, to_floats
from provq_vision.images.listing import open_images
from provq_vision.images.pictures import save_png
from provq_vision.tokenizer import ImageTokenizer

PIL = pytest.importorskip("PIL.Image", reason="needs the extra provq[vision]")


def batch_of(*images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture
def folder(tmp_path, make_pixels):
    """Return a folder of two classes with two images each, 20 x 24 pixels."""
    for number in range(4):
        path = tmp_path / "set" / ("cat", "dog")[number // 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, make_pixels(number, 20, 24))
    return tmp_path / "set"


@pytest.mark.parametrize("method", ["vanilla", "vanilla_l2", "simvq", "fsq", "rvq"])
@torch.no_grad()
def test_decoded_tokens_are_the_forward_pass_bit_for_bit(method, make_model, make_pixels):
    model = make_model(method)
    tokenizer = ImageTokenizer(model, image_size=16)
    images = [make_pixels(seed) for seed in range(3)]
    tokens = tokenizer.encode(images)
    decoded = tokenizer.decode(tokens)
    for pixels, ids, result in zip(images, tokens.ids, decoded, strict=True):
        output = model(to_floats(batch_of(pixels)))
        assert np.array_equal(ids, output.indices[0].numpy())
        assert np.array_equal(result, to_bytes(output.images)[0].permute(1, 2, 0).numpy())
        # Not only after rounding.
        exact = model.decode(torch.from_numpy(ids.astype(np.int64))[None])
        assert torch.equal(exact, output.images)
    assert tokens.levels == (2 if method == "rvq" else 1)
    assert len(np.unique(tokens.ids)) > 1


def test_ids_do_not_depend_on_what_else_is_encoded(make_model, make_pixels, monkeypatch):
    model = make_model()
    tokenizer = ImageTokenizer(model, image_size=32)
    images = [make_pixels(seed, 32, 32) for seed in range(7)]
    seen = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch: seen.append(batch.shape) or encode(batch))
    together = tokenizer.encode(images).ids
    alone = [tokenizer.encode([pixels]).ids[0] for pixels in reversed(images)][::-1]
    as_batch = tokenizer.encode(batch_of(*images)).ids
    assert np.array_equal(together, np.stack(alone))
    assert np.array_equal(together, as_batch)
    # What makes it so: convolutions of batches of other sizes round differently.
    assert set(seen) == {(1, 3, 32, 32)}


def test_every_kind_of_input_gives_the_same_ids(tokenizer, make_pixels, tmp_path):
    pixels = make_pixels(5)
    save_png(tmp_path / "one.png", pixels)
    expected = tokenizer.encode_pixels(pixels)
    for given in (
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        [tmp_path / "one.png"],
        pixels,
        [pixels],
        pixels[None],
        batch_of(pixels),
        PIL.fromarray(pixels),
        PIL.open(io.BytesIO((tmp_path / "one.png").read_bytes())),
        open_images([tmp_path]),
        [tmp_path],
    ):
        tokens = tokenizer.encode(given)
        assert tokens.ids.dtype == np.int32
        assert np.array_equal(tokens.ids, expected[None]), type(given)


def test_order_names_and_classes_are_those_of_the_inputs(tokenizer, folder, make_pixels):
    single = folder / "dog" / "2.png"
    tokens = tokenizer.encode([single, folder, make_pixels(9), folder / "cat" / "1.png"])
    assert tokens.names == (
        str(single),
        "cat/0.png",
        "cat/1.png",
        "dog/2.png",
        "dog/3.png",
        "image 2",
        str(folder / "cat" / "1.png"),
    )
    assert tokens.labels.tolist() == [-1, 0, 0, 1, 1, -1, -1]
    assert tokens.classes == ("cat", "dog")
    assert np.array_equal(tokens.ids[0], tokens.ids[3])
    assert np.array_equal(tokens.ids[6], tokens.ids[2])


def test_classes_of_several_sets_are_told_apart_by_name(tokenizer, tmp_path, make_pixels):
    for part, name in (("a", "dog"), ("a", "zebra"), ("b", "cat"), ("b", "dog")):
        (tmp_path / part / name).mkdir(parents=True)
        save_png(tmp_path / part / name / "1.png", make_pixels(len(name)))
    tokens = tokenizer.encode([tmp_path / "a", tmp_path / "b"])
    assert tokens.classes == ("cat", "dog", "zebra")
    assert [tokens.classes[label] for label in tokens.labels] == ["dog", "zebra", "cat", "dog"]
    # `dog/1.png` is in both.
    assert tokens.names[0] == f"{tmp_path / 'a'}/dog/1.png"
    assert len(set(tokens.names)) == 4


def test_images_are_cropped_to_the_size_of_training_or_the_one_asked_for(tokenizer, make_pixels):
    pixels = make_pixels(1, 20, 24)
    assert tokenizer.encode([pixels]).grid == (8, 8)
    tokens = tokenizer.encode([pixels], size=12)
    assert tokens.grid == (6, 6)
    assert np.array_equal(tokens.ids[0], tokenizer.encode_pixels(center_crop(pixels, 12)))
    assert tokenizer.encode_pixels(pixels).shape == (10, 12)
    assert tokenizer.decode_ids(tokenizer.encode_pixels(pixels)).shape == (20, 24, 3)


def test_a_reconstruction_is_set_beside_the_crop_that_was_encoded(tokenizer, make_pixels):
    pixels = make_pixels(1, 20, 24)
    (found,) = tokenizer.reconstruct([pixels])
    assert found.name == "image 0"
    assert np.array_equal(found.original, center_crop(pixels, 16))
    assert np.array_equal(found.pixels, tokenizer.decode(tokenizer.encode([pixels]))[0])


def test_a_bad_image_is_a_row_and_the_others_are_encoded(tokenizer, folder, tmp_path, make_pixels):
    content = (folder / "cat" / "1.png").read_bytes()
    (folder / "cat" / "1.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("This is no image.\n")
    given = [
        tmp_path / "absent.png",
        folder,
        tmp_path / "text.jpg",
        np.zeros((4, 4), np.uint8),
        make_pixels(3).astype(np.float32),
        PIL.new("I", (16, 16)),
        3,
        make_pixels(3),
    ]
    problems, done = [], []
    tokens = tokenizer.encode(given, on_problem=problems.append, on_done=done.append)
    assert tokens.names == ("cat/0.png", "dog/2.png", "dog/3.png", "image 7")
    assert [problem.name for problem in problems] == [
        str(tmp_path / "absent.png"),
        "image 3",
        "image 4",
        "image 6",
        "cat/1.png",
        str(tmp_path / "text.jpg"),
        "image 5",
    ]
    assert "float32 of shape (16, 16, 3)" in problems[2].reason
    assert not any(problem.reason.startswith(problem.name) for problem in problems)
    assert sum(done) == 7
    for wrong in given[:-1]:
        with pytest.raises((ImageError, ConfigError)):
            tokenizer.encode([wrong])


def test_a_file_that_vanishes_is_a_row(tokenizer, folder):
    images = open_images([folder])
    (folder / "cat" / "0.png").unlink()
    problems = []
    tokens = tokenizer.encode(images, on_problem=problems.append)
    assert len(tokens) == 3
    assert [problem.name for problem in problems] == ["cat/0.png"]
    assert "No such file" in problems[0].reason


def test_nothing_encoded_is_no_tokens_and_no_error(tokenizer):
    tokens = tokenizer.encode([])
    assert len(tokens) == 0
    assert tokens.ids.shape == (0, 8, 8)
    assert tokenizer.decode(tokens) == []


@pytest.mark.parametrize("size", [15, 0, -16, True, 16.0])
def test_a_size_that_is_no_multiple_of_the_downsampling_is_refused(tokenizer, make_pixels, size):
    with pytest.raises(ConfigError, match="expected a multiple of 2 pixels"):
        tokenizer.encode([make_pixels(0)], size=size)


def test_an_image_that_fits_no_grid_is_refused_uncropped(tokenizer, make_pixels):
    with pytest.raises(ImageError, match="multiples of 2, got 15 x 16"):
        tokenizer.encode_pixels(make_pixels(0, 15, 16))


def test_a_float_batch_is_refused_with_advice(tokenizer):
    with pytest.raises(ImageError, match="to_bytes"):
        tokenizer.encode(torch.zeros(1, 3, 16, 16))


def test_tokens_of_another_encoder_are_refused(tokenizer, make_model, make_pixels):
    other = ImageTokenizer(make_model(seed=4), name="other", image_size=16)
    with pytest.raises(TokenFormatError, match="decode with the model that encoded"):
        other.decode(tokenizer.encode([make_pixels(0)]))


def test_tokens_outlive_a_better_decoder(tokenizer, make_model, make_pixels):
    model = make_model()
    with torch.no_grad():
        model.decoder.conv_out.bias += 0.5
    tokens = tokenizer.encode([make_pixels(0)])
    assert not np.array_equal(ImageTokenizer(model).decode(tokens)[0], tokenizer.decode(tokens)[0])


def test_a_model_folder_says_to_which_size_to_crop(make_model, make_pixels, tmp_path):
    make_model().save(tmp_path / "with", training={"image_size": 16, "steps": 0})
    make_model().save(tmp_path / "without", training={})
    tokenizer = ImageTokenizer.from_pretrained(tmp_path / "with")
    assert tokenizer.image_size == 16
    assert (tokenizer.codebook_size, tokenizer.downsampling) == (16, 2)
    assert tokenizer.encode([make_pixels(0, 40, 40)]).grid == (8, 8)
    without = ImageTokenizer.from_pretrained(str(tmp_path / "without"))
    with pytest.raises(ConfigError, match=r"without: does not record .* \(--size\)"):
        without.encode([make_pixels(0)])
    assert without.encode([make_pixels(0)], size=16).grid == (8, 8)
    assert without.fingerprint == tokenizer.fingerprint


def test_a_model_folder_with_an_impossible_size_is_refused(make_model, tmp_path):
    make_model().save(tmp_path / "model", training={"image_size": "big"})
    with pytest.raises(CheckpointError, match=r"config.json: training: image_size: .*'big'"):
        ImageTokenizer.from_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "training": None}))
    assert ImageTokenizer.from_pretrained(tmp_path / "model").image_size is None


def test_a_device_that_is_none_is_refused(make_model, tmp_path):
    make_model().save(tmp_path / "model", training={})
    with pytest.raises(ConfigError, match="device 'nonsense': cannot be used"):
        ImageTokenizer.from_pretrained(tmp_path / "model", device="nonsense")


def test_a_model_that_gives_no_numbers_is_a_row_per_image(make_model, make_pixels):
    model = make_model()
    with torch.no_grad():
        model.quant_conv.bias[0] = float("nan")
    problems = []
    tokens = ImageTokenizer(model, image_size=16).encode(
        [make_pixels(0), make_pixels(1)], on_problem=problems.append
    )
    assert (len(tokens), len(problems)) == (0, 2)
