"""Do codes follow from their image alone, whatever parts and interruptions there were?"""

import os
import tarfile

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, ImageError
from provq_vision.codes.code_set import CodeSet
from provq_vision.extraction import CodeExtractor
from provq_vision.images.crops import center_crop, ten_crops, to_floats
from provq_vision.images.decoding import decode_image
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.tokenizer import ImageTokenizer


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pixels_of(pictures, name):
    return decode_image((pictures / name).read_bytes(), name=name)


@pytest.fixture
def extractor(tokenizer, images):
    """Return the extraction of nine images, four to a file."""
    return CodeExtractor(tokenizer, images, shard_size=4)


@pytest.fixture
def single(extractor, tmp_path):
    """Return what one undisturbed run writes."""
    extractor.fill(tmp_path / "single")
    return bytes_of(tmp_path / "single")


def test_the_views_are_the_ten_crops_of_each_margin(extractor, tokenizer, pictures, tmp_path):
    told, done = [], []
    found = extractor.fill(tmp_path / "out", on_problem=told.append, on_done=done.append)
    codes = CodeSet.open(tmp_path / "out")
    assert (codes.views, codes.grid, codes.image_size, codes.vocabulary) == (20, 8, 16, 16)
    assert codes.fingerprint == tokenizer.fingerprint
    assert codes.classes == ("cat", "dog")
    assert codes.labels.tolist() == [0] * 4 + [1] * 4
    for index, name in enumerate(codes.names):
        pixels = pixels_of(pictures, name)
        taken = codes.take([index] * 20, range(20))
        for number, margin in enumerate((1.1, 1.05)):
            crops = torch.from_numpy(ten_crops(pixels, 16, margin=margin)).permute(0, 3, 1, 2)
            with torch.inference_mode():
                expected = tokenizer.model.encode(to_floats(crops).contiguous())
            assert np.array_equal(taken[10 * number : 10 * number + 10], expected)
    everything = codes.take(np.repeat(range(8), 20), np.tile(range(20), 8))
    assert found == (8, 1, 3, 0, len(np.unique(everything)))
    assert [problem.name for problem in told] == ["cat/2.png"]
    assert codes.problems == tuple(told)
    assert sum(done) == 9


def test_the_central_crop_is_what_encode_gives(tokenizer, images, pictures, tmp_path):
    CodeExtractor(tokenizer, images, margins=(), size=12).fill(tmp_path / "out")
    codes = CodeSet.open(tmp_path / "out")
    assert (codes.views, codes.settings.crops) == (1, "center")
    for index, name in enumerate(codes.names):
        expected = tokenizer.encode_pixels(center_crop(pixels_of(pictures, name), 12))
        assert np.array_equal(codes.take([index], [0])[0], expected)


def test_codes_follow_from_their_image_alone(tokenizer, extractor, images, tmp_path):
    extractor.fill(tmp_path / "all")
    one = images.select([7])
    CodeExtractor(tokenizer, one, margins=(1.05,)).fill(tmp_path / "one")
    together, alone = CodeSet.open(tmp_path / "all"), CodeSet.open(tmp_path / "one")
    index = together.names.index(alone.names[0])
    assert np.array_equal(
        together.take([index] * 10, range(10, 20)), alone.take([0] * 10, range(10))
    )


@pytest.mark.parametrize("of", [2, 3, 5])
def test_any_number_of_parts_writes_the_same_folder(of, extractor, single, tmp_path):
    found = [extractor.fill(tmp_path / "out", number=k, of=of) for k in reversed(range(of))]
    assert bytes_of(tmp_path / "out") == single
    assert sum(part.images for part in found) == 8
    assert sum(part.written for part in found) == 3


@pytest.mark.parametrize("after", [0, 3, 4, 6, 9])
def test_an_interrupted_run_goes_on_where_it_was(after, extractor, single, tmp_path):
    def stop(done):
        seen.append(done)
        if len(seen) > after:
            raise KeyboardInterrupt

    seen = []
    try:
        extractor.fill(tmp_path / "out", on_done=stop)
    except KeyboardInterrupt:
        assert after < 9
    kept = sorted(path.name for path in (tmp_path / "out").glob("codes-*"))
    assert kept == [f"codes-0000{k}.tar" for k in range(3 if after == 9 else after // 4)]
    times = [(tmp_path / "out" / name).stat().st_mtime_ns for name in kept]
    told = []
    found = extractor.fill(tmp_path / "out", on_problem=told.append)
    assert bytes_of(tmp_path / "out") == single
    # What was whole is not touched, and its problems are told again.
    assert (found.kept, found.written) == (len(kept), 3 - len(kept))
    assert times == [(tmp_path / "out" / name).stat().st_mtime_ns for name in kept]
    assert [problem.name for problem in told] == ["cat/2.png"]


def test_a_file_appears_only_when_it_is_whole(extractor, single, tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def failing(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:  # codes.json, the first shard, the second
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left"):
        extractor.fill(tmp_path / "out")
    assert sorted(bytes_of(tmp_path / "out")) == ["codes-00000.tar", "codes.json"]
    monkeypatch.undo()
    extractor.fill(tmp_path / "out")
    assert bytes_of(tmp_path / "out") == single


def test_what_a_killed_process_left_is_removed_by_its_own_part_alone(extractor, single, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in (".codes.json.aa.tmp", ".codes-00000.tar.bb.tmp", ".codes-00001.tar.cc.tmp"):
        (folder / name).write_bytes(b"half")
    extractor.fill(folder, number=0, of=2)
    # Another process may be writing these at this moment.
    assert (folder / ".codes-00001.tar.cc.tmp").exists()
    assert (folder / ".codes.json.aa.tmp").exists()
    assert not (folder / ".codes-00000.tar.bb.tmp").exists()
    extractor.fill(folder, number=1, of=2)
    assert bytes_of(folder) == single


@pytest.mark.parametrize("damage", ["cut", "code", "empty"])
def test_a_damaged_file_is_made_again(damage, extractor, single, tmp_path):
    extractor.fill(tmp_path / "out")
    path = tmp_path / "out" / "codes-00001.tar"
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        member = archive.getmember("codes.npy")
    if damage == "code":
        content[member.offset_data + member.size - 2] ^= 1
    path.write_bytes({"cut": content[:3000], "code": content, "empty": b""}[damage])
    found = extractor.fill(tmp_path / "out")
    assert (found.kept, found.written) == (2, 1)
    assert bytes_of(tmp_path / "out") == single


def other_extractor(what, tokenizer, images, make_model, pictures):
    if what == "fingerprint":
        other = ImageTokenizer(make_model(seed=4), name="other", image_size=16)
        return CodeExtractor(other, images, shard_size=4)
    if what == "images":
        (pictures / "cat" / "2.png").write_bytes(b"longer than before, by some bytes")
        return CodeExtractor(tokenizer, open_images(pictures), shard_size=4)
    options = {
        "image_size": {"size": 12},
        "margins": {"margins": (1.1,)},
        "shard_size": {"shard_size": 3},
    }[what]
    return CodeExtractor(tokenizer, images, **({"shard_size": 4} | options))


@pytest.mark.parametrize("what", ["fingerprint", "images", "image_size", "margins", "shard_size"])
def test_a_folder_of_other_codes_is_refused_and_left_alone(
    what, extractor, single, tokenizer, images, make_model, pictures, tmp_path
):
    other = other_extractor(what, tokenizer, images, make_model, pictures)
    with pytest.raises(ConfigError, match=rf"holds other codes \(.*{what} was .*, is ") as caught:
        other.fill(tmp_path / "single")
    assert bytes_of(tmp_path / "single") == single
    assert ("fingerprint was" in str(caught.value)) == (what == "fingerprint")


def test_a_file_of_other_codes_is_refused_and_left_alone(
    extractor, single, tokenizer, images, tmp_path
):
    (tmp_path / "single" / "codes.json").unlink()
    (tmp_path / "single" / "codes-00000.tar").unlink()
    with pytest.raises(ConfigError, match=r"codes-00001.tar: is shard 1 of the codes"):
        CodeExtractor(tokenizer, images, margins=(), shard_size=4).fill(tmp_path / "single")
    assert (tmp_path / "single" / "codes-00001.tar").read_bytes() == single["codes-00001.tar"]


def test_images_without_a_class_are_refused(tokenizer, pictures):
    (pictures / "cat" / "0.png").rename(pictures / "0.png")
    with pytest.raises(ConfigError, match=r"1 of 9 images have no class \('0.png'\)"):
        CodeExtractor(tokenizer, open_images(pictures))


def test_numbered_classes_are_named_by_their_numbers(tokenizer, images):
    def numbered(largest):
        labels = np.array([0, 2, largest])
        places = [images._places[index] for index in range(3)]
        return ImageSet(images.names[:3], labels, places, classes=())

    settings = CodeExtractor(tokenizer, numbered(4)).settings
    assert settings.classes == ("0", "1", "2", "3", "4")
    with pytest.raises(ConfigError, match="class number 1048576; expected less"):
        CodeExtractor(tokenizer, numbered(2**20))


def test_residual_codebooks_are_refused(make_model, images):
    residual = ImageTokenizer(make_model("rvq"), name="deep", image_size=16)
    with pytest.raises(ConfigError, match="deep: has a residual codebook"):
        CodeExtractor(residual, images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margins": (0.9,)}, "margins: expected numbers of at least 1"),
        ({"margins": (float("nan"),)}, "margins: expected numbers of at least 1"),
        ({"margins": (float("inf"),)}, "margins: expected numbers of at least 1"),
        ({"shard_size": 0}, "shard_size: expected an integer from 1"),
        ({"size": 13}, "expected a multiple of 2 pixels"),
    ],
)
def test_impossible_numbers_are_refused(options, message, tokenizer, images):
    with pytest.raises(ConfigError, match=message):
        CodeExtractor(tokenizer, images, **options)


def test_an_empty_set_is_refused(tokenizer, images):
    with pytest.raises(ConfigError, match="n_images: expected an integer from 1"):
        CodeExtractor(tokenizer, images.select([]))


@pytest.mark.parametrize(("number", "of"), [(-1, 2), (2, 2), (0, 0)])
def test_a_part_that_does_not_exist_is_refused(number, of, extractor, tmp_path):
    with pytest.raises(ConfigError, match="there is no part"):
        extractor.fill(tmp_path / "out", number=number, of=of)
    assert not (tmp_path / "out").exists()


def test_a_file_instead_of_the_folder_is_refused(extractor, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="is not a folder"):
        extractor.fill(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_failing_machine_is_no_property_of_an_image(
    extractor, single, tokenizer, tmp_path, monkeypatch
):
    encode, calls = tokenizer.model.encode, []

    def failing(images):
        calls.append(images)
        if len(calls) == 9:  # the fifth image that can be read, at the first margin
            msg = "out of memory"
            raise RuntimeError(msg)
        return encode(images)

    monkeypatch.setattr(tokenizer.model, "encode", failing)
    with pytest.raises(ImageError, match=r"^dog/5.png: cannot be encoded here: .*out of memory"):
        extractor.fill(tmp_path / "out")
    extractor.fill(tmp_path / "out")
    assert bytes_of(tmp_path / "out") == single


def test_latents_that_are_not_finite_are_a_problem_of_their_image(
    extractor, tokenizer, tmp_path, monkeypatch
):
    encode, calls = tokenizer.model.encode, []

    def failing(images):
        calls.append(images)
        return encode(images * float("nan") if len(calls) == 2 else images)

    monkeypatch.setattr(tokenizer.model, "encode", failing)
    extractor.fill(tmp_path / "out")
    codes = CodeSet.open(tmp_path / "out")
    assert [problem.name for problem in codes.problems] == ["cat/0.png", "cat/2.png"]
    assert len(codes) == 7
