"""Does a stored reference say the same as its images, and only to the network it is from?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_vision.images.listing import open_images
from provq_vision.metrics.frechet import FeatureSums
from provq_vision.metrics.generation import archives, reference
from provq_vision.metrics.generation.reference import Reference, measure_reference, open_reference
from provq_vision.metrics.generation.samples import SampleFiles
from provq_vision.metrics.generation.scores import evaluate_samples
from provq_vision.metrics.generation.statistics import StoredStatistics


@pytest.fixture
def samples(npz, pixels):
    return SampleFiles.open([npz("samples.npz", pixels(40, dark=60))])


@pytest.fixture
def real(npz, pixels):
    return npz("real.npz", pixels(30, seed=1))


@pytest.fixture
def stored(real, toy_samples, tmp_path):
    found = measure_reference(open_reference(real), extractor=toy_samples, size=8)
    found.save(tmp_path / "stored.npz")
    return tmp_path / "stored.npz"


@pytest.fixture
def inception(toy_samples):
    """An extractor that claims to be the network that published statistics are from."""
    toy_samples.id = "inception-v3-2015-12-05/toy"
    return toy_samples


@pytest.fixture
def statistics(tmp_path, pixels, toy_samples):
    """A file with the statistics of 500 images, and 30 of them."""

    def write(*, images=True, **changes):
        shown = torch.from_numpy(pixels(500, seed=1).transpose(0, 3, 1, 2).copy())
        seen = toy_samples.perceive(shown)
        arrays = {}
        for ending, rows in (("", seen.pooled), ("_s", seen.spatial)):
            arrays[f"mu{ending}"] = rows.numpy().mean(axis=0)
            arrays[f"sigma{ending}"] = np.cov(rows.numpy().T)
        arrays |= changes
        if images:
            arrays["arr_0"] = pixels(30, seed=1)
        np.savez(tmp_path / "statistics.npz", **arrays)
        return tmp_path / "statistics.npz"

    return write


def test_a_stored_reference_gives_the_same_numbers(samples, real, stored, toy_samples):
    direct = evaluate_samples(samples, open_reference(real), extractor=toy_samples)
    assert evaluate_samples(samples, open_reference(stored), extractor=toy_samples) == direct
    assert direct.setting.n_reference == 30
    assert direct.setting.reference.startswith(SampleFiles.open([real]).content_hash())


def test_neighborhoods_are_those_of_some_images_spread_over_all(real, toy_samples, monkeypatch):
    whole = measure_reference(open_reference(real), extractor=toy_samples, size=8)
    monkeypatch.setattr(reference, "ROWS", 7)
    some = measure_reference(open_reference(real), extractor=toy_samples, size=8)
    expected = whole.rows[[0, 4, 8, 12, 17, 21, 25]]
    assert torch.equal(some.rows, expected)
    assert (some.n_images, some.pooled.count) == (30, 30)


def test_published_neighborhoods_are_of_ten_thousand_images():
    assert reference.ROWS == 10_000


def test_unreadable_images_shift_no_row(write_images, tmp_path, toy_samples, monkeypatch):
    folder = write_images(tmp_path / "images", 8, side=8)
    whole = measure_reference(open_reference(folder), extractor=toy_samples, size=8)
    (folder / "0000.png").write_bytes(b"no image")
    monkeypatch.setattr(reference, "ROWS", 4)
    some = measure_reference(open_reference(folder), extractor=toy_samples, size=8)
    assert torch.equal(some.rows, whole.rows[[2, 4, 6]])
    assert [name for name, _ in some.problems] == ["0000.png"]


def test_what_is_named_is_told_apart(real, stored, statistics, write_images, tmp_path):
    folder = write_images(tmp_path / "images" / "val", 4).parent
    assert isinstance(open_reference(real), SampleFiles)
    assert isinstance(open_reference(stored), Reference)
    assert isinstance(open_reference(statistics()), StoredStatistics)
    assert len(open_reference(folder, split="val")) == 4
    with pytest.raises(ConfigError, match="has no splits"):
        open_reference(stored, split="val")
    with pytest.raises(ConfigError, match="absent"):
        open_reference(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"absent\.npz: cannot be read"):
        open_reference(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("name", "value"), [("id", "b"), ("spatial_id", "b"), ("weights_sha256", "1" * 64)]
)
def test_features_of_another_extractor_are_refused(samples, stored, toy_samples, name, value):
    setattr(toy_samples, name, value)
    with pytest.raises(ConfigError, match="different extractors"):
        evaluate_samples(samples, open_reference(stored), extractor=toy_samples)


def test_another_size_is_refused(stored, npz, pixels, toy_samples):
    large = SampleFiles.open([npz("large.npz", pixels(9, size=16))])
    with pytest.raises(ImageError, match="8 x 8 pixels, samples are at 16 x 16"):
        evaluate_samples(large, open_reference(stored), extractor=toy_samples)


def test_image_files_get_the_size_of_the_reference(stored, write_images, tmp_path, toy_samples):
    images = open_images(write_images(tmp_path / "images", 9, side=16))
    found = evaluate_samples(images, open_reference(stored), extractor=toy_samples)
    assert found.setting.size == 8


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_a_damaged_file_is_refused(stored, share):
    data = stored.read_bytes()
    stored.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match=r"stored\.npz"):
        open_reference(stored)


@pytest.mark.parametrize(
    "change",
    [
        {"format": np.array("provq-generation-reference-9")},
        {"format": np.array(["a", "b"])},
        {"size": np.array(8.0)},
        {"n_images": np.array([30])},
        {"rows": np.zeros((30, 5), np.float32)},
        {"rows": np.zeros((30, 6))},
        {"rows": np.full((30, 6), np.nan, np.float32)},
        {"pooled_mean": np.full(6, np.inf)},
        {"spatial_scatter": np.zeros((3, 3))},
        {"rows": np.array([{}], dtype=object)},
    ],
)
def test_a_file_of_another_kind_is_refused(stored, change):
    with np.load(stored) as archive:
        arrays = dict(archive)
    np.savez(stored, **(arrays | change))
    with pytest.raises(CheckpointError, match=r"stored\.npz"):
        open_reference(stored)


def test_a_file_that_expands_to_too_much_is_refused(stored, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(CheckpointError, match="at most 100 are read"):
        open_reference(stored)


def test_published_statistics_are_compared_with(samples, statistics, inception, npz, pixels):
    found = evaluate_samples(samples, open_reference(statistics()), extractor=inception)
    images = npz("all.npz", pixels(500, seed=1))
    expected = evaluate_samples(samples, open_reference(images), extractor=inception)
    assert (found.fid, found.sfid) == pytest.approx((expected.fid, expected.sfid), rel=1e-9)
    near = evaluate_samples(
        samples, open_reference(npz("some.npz", pixels(30, seed=1))), extractor=inception
    )
    assert (found.precision, found.recall) == (near.precision, near.recall)
    assert (found.setting.n_reference, found.setting.n_reference_rows) == (None, 30)


def test_statistics_without_images_have_no_neighborhoods(samples, statistics, inception, tmp_path):
    alone = open_reference(statistics(images=False))
    found = evaluate_samples(samples, alone, extractor=inception)
    assert (found.precision, found.recall, found.setting.n_reference_rows) == (None, None, 0)
    assert found.fid > 0
    kept = measure_reference(alone, extractor=inception, size=8)
    kept.save(tmp_path / "kept.npz")
    loaded = Reference.load(tmp_path / "kept.npz")
    assert evaluate_samples(samples, loaded, extractor=inception) == found


def test_statistics_are_of_inception_alone(samples, statistics, toy_samples):
    with pytest.raises(ConfigError, match="inception:PATH"):
        evaluate_samples(samples, open_reference(statistics()), extractor=toy_samples)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mu": np.zeros(5)}, r"shapes \(6,\) and"),
        ({"sigma_s": np.zeros((12, 11))}, r"\(12, 11\)"),
        ({"mu": np.zeros(6, dtype=int)}, "int"),
        ({"sigma": np.full((6, 6), np.nan)}, "feature sums"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(samples, statistics, inception, change, words):
    with pytest.raises(CheckpointError, match=words):
        evaluate_samples(samples, open_reference(statistics(**change)), extractor=inception)


def test_sums_are_those_of_the_reference(real, stored, toy_samples):
    kept = Reference.load(stored)
    seen = toy_samples.perceive(
        torch.from_numpy(np.load(real)["arr_0"].transpose(0, 3, 1, 2).copy())
    )
    for sums, rows in ((kept.pooled, seen.pooled), (kept.spatial, seen.spatial)):
        assert isinstance(sums, FeatureSums)
        torch.testing.assert_close(sums.mean, rows.mean(dim=0))
        torch.testing.assert_close(sums.covariance(), torch.cov(rows.T))
