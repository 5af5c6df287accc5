"""Are files of samples read as they are, a batch at a time, and damaged ones refused?"""

import io
import zipfile

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.listing import open_images
from provq_vision.metrics.generation import samples as module
from provq_vision.metrics.generation.samples import SampleFiles, open_samples, sample_batches


def _read(samples, size=8, batch_size=4):
    batches = list(sample_batches(samples, size=size, batch_size=batch_size))
    return torch.cat([batch.images for batch in batches]), batches


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_of_several_files_come_in_order(npz, pixels, save):
    first = npz("a.npz", pixels(6), save=save, labels=np.arange(6))
    second = npz("b.npz", pixels(5, seed=1), save=save)
    samples = open_samples([first, second])
    assert (len(samples), samples.size) == (11, 8)
    images, batches = _read(samples)
    expected = np.concatenate([pixels(6), pixels(5, seed=1)]).transpose(0, 3, 1, 2)
    assert torch.equal(images, torch.from_numpy(expected))
    assert images.is_contiguous()
    assert torch.cat([batch.positions for batch in batches]).tolist() == list(range(11))


def test_a_limit_takes_images_from_all_files(npz, pixels):
    files = [npz("a.npz", pixels(6)), npz("b.npz", pixels(6, seed=1))]
    all_of_them = np.concatenate([pixels(6), pixels(6, seed=1)])
    some = SampleFiles.open(files).limited(5)
    assert len(some) == 5
    expected = all_of_them[[0, 2, 4, 7, 9]].transpose(0, 3, 1, 2)
    assert torch.equal(_read(some, batch_size=2)[0], torch.from_numpy(expected))
    assert len(SampleFiles.open(files).limited(50)) == 12
    assert len(some.limited(2)) == 2


def test_a_hash_is_of_the_images_alone(npz, pixels):
    whole = SampleFiles.open([npz("all.npz", pixels(6), labels=np.arange(6))])
    halves = [npz("a.npz", pixels(6)[:2], save=np.savez_compressed), npz("b.npz", pixels(6)[2:])]
    assert whole.content_hash() == SampleFiles.open(halves).content_hash()
    assert whole.content_hash() != SampleFiles.open(halves[::-1]).content_hash()
    assert whole.content_hash() != whole.limited(5).content_hash()


def test_a_large_file_is_never_in_memory(npz, pixels, monkeypatch):
    samples = open_samples([npz("a.npz", pixels(50))])
    longest = []
    read = module._read
    monkeypatch.setattr(
        module, "_read", lambda file, length: longest.append(length) or read(file, length)
    )
    monkeypatch.setattr(np.lib.format, "read_array", None)
    _read(samples)
    assert max(longest) == 8 * 8 * 3


def test_images_of_folders_are_cropped(write_images, tmp_path):
    folder = write_images(tmp_path / "images", 5, side=16)
    (folder / "bad.png").write_bytes(b"no image")
    samples = open_samples([folder])
    images, batches = _read(samples, size=10)
    assert images.shape == (5, 3, 10, 10)
    assert [name for batch in batches for name, _ in batch.problems] == ["bad.png"]
    assert samples.content_hash() == open_images(folder).content_hash()


def test_both_kinds_at_once_are_refused(npz, pixels, write_images, tmp_path):
    folder = write_images(tmp_path / "images", 2)
    with pytest.raises(ConfigError, match="either"):
        open_samples([npz("a.npz", pixels(2)), folder])
    with pytest.raises(ConfigError, match="no path"):
        open_samples([])


def test_other_sizes_are_refused(npz, pixels):
    small, large = npz("a.npz", pixels(2)), npz("b.npz", pixels(2, size=16))
    with pytest.raises(ImageError, match=r"one size, got 8 pixels in .*a\.npz, 16 pixels"):
        open_samples([small, large])
    with pytest.raises(ImageError, match="8 x 8 pixels, expected 16 x 16"):
        list(sample_batches(open_samples([small]), size=16, batch_size=4))
    with pytest.raises(ConfigError, match="batch_size"):
        list(sample_batches(open_samples([small]), size=8, batch_size=0))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 8, 8, 3)), "uint8 .* got float64"),
        (np.zeros((2, 8, 6, 3), np.uint8), r"\(2, 8, 6, 3\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"\(2, 3, 8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no image"),
        (np.asfortranarray(np.zeros((2, 8, 8, 3), np.uint8)), "columns first"),
    ],
)
def test_arrays_that_are_no_images_are_refused(npz, array, words):
    with pytest.raises(ImageError, match=words):
        open_samples([npz("a.npz", array)])


def test_nothing_is_unpickled(npz):
    path = npz("a.npz", np.array([[[["x"]]]], dtype=object), save=np.savez)
    with pytest.raises(ImageError, match="object"):
        open_samples([path])


def test_files_of_other_kinds_are_refused(tmp_path, npz):
    np.savez(tmp_path / "other.npz", ids=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name, words in (("other", "arr_0"), ("text", "damaged"), ("absent", "cannot be read")):
        with pytest.raises(ImageError, match=rf"{name}\.npz: .*{words}"):
            open_samples([tmp_path / f"{name}.npz"])


def _archive(path, header, data):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": header}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", file.getvalue() + data)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_header_must_agree_with_the_file(tmp_path, more):
    _archive(tmp_path / "a.npz", (2, 8, 8, 3), bytes(2 * 8 * 8 * 3 + more))
    with pytest.raises(ImageError, match="its header says"):
        open_samples([tmp_path / "a.npz"])


@pytest.mark.parametrize("shape", [(10**9, 256, 256, 3), (1, 10**5, 10**5, 3)])
def test_impossible_sizes_are_refused_before_anything_is_read(tmp_path, shape):
    _archive(tmp_path / "a.npz", shape, b"")
    with pytest.raises(ImageError, match="limits"):
        open_samples([tmp_path / "a.npz"])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_data_are_met_while_reading(npz, pixels, save):
    generator = np.random.default_rng(0)
    path = npz("a.npz", generator.integers(0, 256, (9, 8, 8, 3), dtype=np.uint8), save=save)
    samples = open_samples([path])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        _read(samples)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(npz, pixels, share):
    path = npz("a.npz", pixels(9))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ImageError, match="damaged"):
        open_samples([path])


def test_a_file_that_was_replaced_is_refused(npz, pixels):
    samples = open_samples([npz("a.npz", pixels(9))])
    npz("a.npz", pixels(7))
    with pytest.raises(ImageError, match="replaced"):
        _read(samples)
