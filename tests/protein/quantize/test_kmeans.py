"""Are k-means centroids as good as scikit-learn's, and sound on difficult samples?"""

import importlib

import pytest
import torch

from provq_protein.quantize import kmeans

# The package names the function like the module.
module = importlib.import_module("provq_protein.quantize.kmeans")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed))


def inertia(sample, centroids):
    distances = torch.cdist(
        sample.double(), centroids.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    return float(distances.amin(dim=1).square().sum())


def clustered():
    centers = 5 * normal(40, 8, seed=1)
    return centers[torch.randint(40, (4000,), generator=rng(2))] + normal(4000, 8, seed=3)


def like_latents():
    """Make overlapping groups with a falling spectrum, off the origin, as encoders give."""
    centers = normal(300, 16, seed=1)
    chosen = centers[torch.randint(300, (6000,), generator=rng(2))]
    mixing = normal(16, 16, seed=3) * torch.logspace(0, -1.5, 16)
    return (chosen + 0.5 * normal(6000, 16, seed=4)) @ mixing + 20


@pytest.mark.parity
@pytest.mark.parametrize(
    ("make_sample", "k"),
    [(clustered, 40), (clustered, 100), (like_latents, 64), (like_latents, 512)],
)
def test_inertia_is_within_two_percent_of_scikit_learn(make_sample, k):
    cluster = pytest.importorskip("sklearn.cluster")
    sample = make_sample()
    reference = cluster.KMeans(k, n_init=3, random_state=0).fit(sample.double().numpy())
    found = inertia(sample, kmeans(sample, k, generator=rng(), restarts=3))
    assert found <= 1.02 * reference.inertia_


def test_separate_clusters_are_all_found():
    centers = 100 * normal(60, 5, seed=1)
    sample = centers.repeat(20, 1) + 0.1 * normal(1200, 5, seed=2)
    centroids = kmeans(sample, 60, generator=rng())
    assert inertia(sample, centroids) == pytest.approx(
        inertia(sample, _group_means(sample)), rel=1e-4
    )


def _group_means(sample):
    return sample.reshape(20, 60, 5).mean(dim=0)


def test_centroids_are_means_of_their_points():
    sample = like_latents()
    centroids = kmeans(sample, 4, generator=rng(), iterations=500)
    nearest = torch.cdist(sample, centroids).argmin(dim=1)
    for index, centroid in enumerate(centroids):
        assert float((sample[nearest == index].mean(dim=0) - centroid).abs().max()) < 0.2
    assert inertia(sample, centroids) < inertia(
        sample, kmeans(sample, 4, generator=rng(), iterations=0)
    )


def test_one_centroid_is_the_mean():
    sample = like_latents()
    torch.testing.assert_close(kmeans(sample, 1, generator=rng())[0], sample.mean(dim=0))


def test_the_generator_decides_the_result():
    sample = clustered()
    first = kmeans(sample, 50, generator=rng(5))
    torch.rand(3)
    assert torch.equal(kmeans(sample, 50, generator=rng(5)), first)
    assert not torch.equal(kmeans(sample, 50, generator=rng(6)), first)


def test_restarts_never_make_it_worse():
    sample = like_latents()
    once = inertia(sample, kmeans(sample, 30, generator=rng(), iterations=2))
    often = inertia(sample, kmeans(sample, 30, generator=rng(), iterations=2, restarts=8))
    assert often < once


def test_far_from_the_origin_clusters_stay_apart():
    sample = clustered()
    near = inertia(sample, kmeans(sample, 40, generator=rng()))
    shifted = sample + 30_000
    assert inertia(shifted, kmeans(shifted, 40, generator=rng())) < 1.05 * near


@pytest.mark.parametrize("k", [5, 9, 400])
def test_fewer_points_than_centroids(k):
    sample = 3 * normal(5, 4) + 10
    centroids = kmeans(sample, k, generator=rng())
    assert centroids.shape == (k, 4)
    assert inertia(sample, centroids) < 1e-8
    assert centroids.unique(dim=0).shape[0] == k
    # Surplus centroids stay at the points.
    gaps = torch.cdist(centroids, sample)
    assert float(gaps.amin(dim=1).max()) < 0.3
    # They are spread over the points.
    assert int(gaps.argmin(dim=1).bincount(minlength=5).max()) <= 1 + 2 * k // 5


def test_fewer_distinct_points_than_centroids():
    sample = normal(7, 4).repeat(100, 1)
    centroids = kmeans(sample, 20, generator=rng())
    assert inertia(sample, centroids) < 1e-8
    assert centroids.unique(dim=0).shape[0] == 20


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_all_points_equal(value):
    centroids = kmeans(torch.full((50, 4), value), 6, generator=rng())
    assert bool(torch.isfinite(centroids).all())
    assert centroids.unique(dim=0).shape[0] == 6
    assert float((centroids - value).abs().max()) < 0.1


def test_every_centroid_of_a_skewed_sample_gets_points():
    # Nine in ten points coincide; a naive start would waste its centroids on them.
    sample = torch.cat([torch.zeros(9000, 3), normal(1000, 3) + 4])
    centroids = kmeans(sample, 200, generator=rng())
    used = torch.cdist(sample, centroids).argmin(dim=1).unique()
    assert used.numel() == 200


def test_rare_points_that_the_start_missed_are_found():
    # The start sees a part of the points, which holds fewer different ones than centroids.
    rare = 5 * normal(100, 3)
    sample = torch.cat([torch.zeros(19_900, 3), rare])
    centroids = kmeans(sample, 101, generator=rng())
    assert inertia(sample, centroids) < 0.05 * float(rare.square().sum())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    sample = normal(50, 4)
    sample[3, 1] = sample[3, 2] = sample[8, 0] = value
    with pytest.raises(ValueError, match="2 of 50 points"):
        kmeans(sample, 5, generator=rng())


@pytest.mark.parametrize("sample", [torch.zeros(0, 3), torch.zeros(4, 0), torch.zeros(4)])
def test_empty_or_flat_samples_are_refused(sample):
    with pytest.raises(ValueError, match="sample"):
        kmeans(sample, 2, generator=rng())


@pytest.mark.parametrize("setting", [{"k": 0}, {"iterations": -1}, {"restarts": 0}])
def test_impossible_numbers_are_named(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        kmeans(normal(9, 2), **{"k": 2, "generator": rng(), **setting})


def test_sample_is_left_as_it_was():
    sample = clustered()
    before = sample.clone()
    kmeans(sample, 10, generator=rng())
    assert torch.equal(sample, before)


def skewed():
    return torch.cat([torch.zeros(3000, 3), normal(500, 3) + 4])


@pytest.mark.parametrize(
    ("make_sample", "k"),
    [(clustered, 60), (like_latents, 300), (skewed, 80), (lambda: normal(30, 4), 50)],
)
@pytest.mark.parametrize("tile", [1 << 18, 500])
def test_comparisons_that_are_left_out_change_nothing(monkeypatch, make_sample, k, tile):
    sample = make_sample()
    everything = kmeans(sample, k, generator=rng())
    monkeypatch.setattr(module, "_MANY_CENTROIDS", 1)
    monkeypatch.setattr(module, "_TILE_ELEMENTS", tile)
    torch.testing.assert_close(kmeans(sample, k, generator=rng()), everything)


def test_comparisons_are_left_out_of_many_centroids(monkeypatch):
    sample, compared = like_latents(), []
    count = module._nearest
    monkeypatch.setattr(module, "_MANY_CENTROIDS", 256)
    monkeypatch.setattr(
        module,
        "_nearest",
        lambda points, codes: compared.append(len(points) * len(codes)) or count(points, codes),
    )
    kmeans(sample, 256, generator=rng(), iterations=1)
    first, *second = compared
    assert first == 6000 * 256
    assert 6000 < sum(second) < first / 2


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_scale_does_not_matter(scale):
    sample = clustered()[:1000].double()
    plain = kmeans(sample, 30, generator=rng())
    # A power of two near the scale keeps all digits.
    power = 2.0 ** torch.tensor(scale).log2().round().double()
    scaled = kmeans((power * sample).float(), 30, generator=rng())
    torch.testing.assert_close((scaled.double() / power).float(), plain)


def test_far_away_in_double_precision():
    sample = clustered()[:500].double()
    centroids = kmeans(sample + 1e5, 30, generator=rng())
    near = inertia(sample, kmeans(sample, 30, generator=rng()))
    assert inertia(sample + 1e5, centroids) < 1.05 * near


def test_low_precision_points():
    sample = clustered().half()
    centroids = kmeans(sample, 40, generator=rng())
    assert centroids.dtype == torch.float32
    assert torch.equal(centroids, kmeans(sample.float(), 40, generator=rng()))


def test_as_many_points_as_centroids():
    sample = normal(40, 3)
    centroids = kmeans(sample, 40, generator=rng())
    assert inertia(sample, centroids) < 1e-8
    assert centroids.unique(dim=0).shape[0] == 40


def test_one_dimension():
    sample = torch.cat([normal(50, 1, seed=seed) + 100 * seed for seed in range(5)])
    centroids = kmeans(sample, 5, generator=rng()).sort(dim=0).values[:, 0]
    torch.testing.assert_close(centroids, sample.reshape(5, 50).mean(dim=1))
