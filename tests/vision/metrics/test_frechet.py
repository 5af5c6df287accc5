"""Is the Frechet distance right, for large and small sets, however they are batched and kept?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_vision.metrics.frechet import FeatureSums, frechet_distance


def _rows(count, dim, *, seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) @ mixing + shift


def _sums(rows, *, batch=50, **names):
    sums = FeatureSums(rows.shape[1], **names)
    for part in rows.split(batch):
        sums.add(part)
    return sums


def _textbook(first, second):
    """The formula of the paper, by the eigenvalues of C1 C2."""
    a, b = first.numpy(), second.numpy()
    product = np.cov(a.T) @ np.cov(b.T)
    roots = np.sqrt(np.linalg.eigvals(product).astype(complex)).real.sum()
    shift = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return shift + np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * roots


@pytest.mark.parametrize(("count", "other", "dim"), [(400, 300, 8), (60, 500, 40), (5, 7, 3)])
def test_distance_is_that_of_the_formula(count, other, dim):
    first, second = _rows(count, dim), _rows(other, dim, seed=1, shift=0.3)
    found = frechet_distance(_sums(first), _sums(second))
    assert found == pytest.approx(_textbook(first, second), rel=1e-9)


def test_distance_of_two_known_normals():
    # Variances (1, 4) and (9, 16), means (0, 0) and (1, 2), by hand: 5 + (1 - 3)^2 + (2 - 4)^2.
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    unit = corners.double() * (3 / 4) ** 0.5
    first = unit * torch.tensor([1.0, 2.0])
    second = unit * torch.tensor([3.0, 4.0]) + torch.tensor([1.0, 2.0])
    assert frechet_distance(_sums(first), _sums(second)) == pytest.approx(13.0)


@pytest.mark.parametrize("count", [3, 20, 200])
def test_a_set_is_at_distance_zero_from_itself(count):
    # Also with fewer images than features, where square roots of rounded zeros would show.
    sums = _sums(_rows(count, 64, shift=5.0))
    assert frechet_distance(sums, sums) == pytest.approx(0.0, abs=1e-10)


def test_distance_of_small_sets_is_symmetric():
    first, second = _sums(_rows(10, 32)), _sums(_rows(12, 32, seed=1))
    forth, back = frechet_distance(first, second), frechet_distance(second, first)
    assert forth == pytest.approx(back, rel=1e-12)


def test_sums_do_not_depend_on_batches_or_merging():
    rows = _rows(130, 6, shift=1e6)
    whole = _sums(rows, batch=130)
    merged = _sums(rows[:30], batch=7).merged(_sums(rows[30:], batch=64))
    for sums in (whole, merged, _sums(rows, batch=1)):
        assert sums.count == 130
        np.testing.assert_allclose(sums.mean, rows.mean(dim=0), rtol=1e-14)
        np.testing.assert_allclose(sums.covariance(), np.cov(rows.numpy().T), rtol=1e-6)


def test_merging_leaves_both_as_they_were():
    first, second = _sums(_rows(10, 4)), _sums(_rows(20, 4, seed=1))
    before = first.covariance()
    first.merged(second).add(_rows(3, 4))
    assert (first.count, second.count) == (10, 20)
    assert torch.equal(first.covariance(), before)


def test_sums_survive_a_file(tmp_path):
    sums = _sums(_rows(9, 4), extractor="ext", weights_sha256="ab" * 32, images_id="set/center-8")
    sums.save(tmp_path / "new" / "sums.npz")
    found = FeatureSums.load(tmp_path / "new" / "sums.npz")
    names = ("extractor", "weights_sha256", "images_id", "count", "dim")
    assert [getattr(found, name) for name in names] == [getattr(sums, name) for name in names]
    assert torch.equal(found.covariance(), sums.covariance())
    assert torch.equal(found.mean, sums.mean)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sums.npz"]
    found.add(_rows(2, 4))
    assert found.count == 11


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_damaged_file_is_refused(tmp_path, share):
    path = tmp_path / "sums.npz"
    _sums(_rows(9, 4)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"sums\.npz"):
        FeatureSums.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"count": np.array(-1)},
        {"count": np.array(1.5)},
        {"mean": np.zeros(3)},
        {"mean": np.full(4, np.nan)},
        {"scatter": np.zeros((4, 4), dtype=np.float32)},
        {"texts": np.array(["other-format", "", "", ""])},
        {"texts": np.array([object()] * 4)},
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, change):
    path = tmp_path / "sums.npz"
    _sums(_rows(9, 4)).save(path)
    with np.load(path) as file:
        arrays = {**file, **change}
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="feature sums"):
        FeatureSums.load(path)


def test_a_missing_file_and_one_array_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        FeatureSums.load(tmp_path / "absent.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match="feature sums"):
        FeatureSums.load(tmp_path / "one.npy")


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_distance(count):
    with pytest.raises(ImageError, match=f"needs 2 images or more, got {count}"):
        frechet_distance(_sums(_rows(count, 4)), _sums(_rows(9, 4)))


@pytest.mark.parametrize("other", [{"extractor": "b"}, {"weights_sha256": "b"}, {"dim": 5}])
def test_features_of_different_extractors_are_not_compared(other):
    names = {"extractor": "a", "weights_sha256": "a", "dim": 4}
    first, second = (
        _sums(_rows(9, each.pop("dim")), **each) for each in (dict(names), {**names, **other})
    )
    with pytest.raises(ConfigError, match="different extractors"):
        frechet_distance(first, second)
    with pytest.raises(ConfigError, match="different extractors"):
        first.merged(second)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(torch.zeros(3, 5), r"\(batch, 4\)"), (torch.full((3, 4), torch.nan), "finite")],
)
def test_rows_that_do_not_fit_are_not_counted(rows, words):
    sums = _sums(_rows(9, 4))
    with pytest.raises(ValueError, match=words):
        sums.add(rows)
    assert sums.count == 9
