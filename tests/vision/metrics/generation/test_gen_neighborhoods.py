"""Are precision and recall those of a brute force, however large the sets and their numbers?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import ImageError
from provq_vision.metrics.generation import neighborhoods
from provq_vision.metrics.generation.neighborhoods import precision_recall


def _rows(count, dim=16, *, seed=0, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator) * scale + shift


def _brute_force(samples, reference, neighbors):
    """The definition, with exact differences."""
    a, b = samples.double().numpy(), reference.double().numpy()

    def squared(rows, columns):
        return ((rows[:, None] - columns) ** 2).sum(axis=2)

    def covered(rows, centers):
        radii = np.sort(squared(centers, centers), axis=1)[:, neighbors]
        return (squared(rows, centers) <= radii).any(axis=1).mean()

    return covered(a, b), covered(b, a)


@pytest.mark.parametrize("neighbors", [1, 3, 5])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 0.6), (0.2, 1.5)])
def test_values_are_those_of_a_brute_force(neighbors, shift, scale):
    samples, reference = _rows(150, shift=shift, scale=scale), _rows(110, seed=1)
    found = precision_recall(samples, reference, neighbors=neighbors)
    assert found == pytest.approx(_brute_force(samples, reference, neighbors), abs=1e-12)
    assert 0.0 < found.precision <= 1.0


def test_tiles_change_nothing(monkeypatch):
    samples, reference = _rows(50, 4, shift=0.3), _rows(40, 4, seed=1)
    whole = precision_recall(samples, reference)
    assert whole == pytest.approx(_brute_force(samples, reference, 3), abs=1e-12)
    # A tile of fewer columns than neighbors, too.
    for tile in (2, 7, 40):
        monkeypatch.setattr(neighborhoods, "_TILE", tile)
        assert precision_recall(samples, reference) == whole


def test_no_more_than_a_tile_of_distances_is_held(monkeypatch):
    monkeypatch.setattr(neighborhoods, "_TILE", 32)
    shapes = []
    compute = neighborhoods._distances

    def watched(rows, columns):
        shapes.append((len(rows), len(columns)))
        return compute(rows, columns)

    monkeypatch.setattr(neighborhoods, "_distances", watched)
    precision_recall(_rows(100), _rows(70, seed=1))
    assert max(max(shape) for shape in shapes) == 32


def test_the_two_are_not_exchanged():
    # All samples are in one of two clusters: real, but half of what there is.
    one, other = _rows(60, seed=1), _rows(60, seed=2, shift=100.0)
    found = precision_recall(_rows(60), torch.cat([one, other]))
    assert found.precision > 0.6
    assert 0.3 < found.recall < 0.5


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_a_set_covers_itself(shift):
    # Also where all lengths are far larger than all distances.
    rows = _rows(300, shift=shift)
    assert precision_recall(rows, rows.clone()) == (1.0, 1.0)


def test_lengths_far_larger_than_distances_cost_no_digits():
    samples, reference = _rows(60, shift=3000.5), _rows(50, seed=1, shift=3000.0)
    found = precision_recall(samples, reference)
    assert found == pytest.approx(_brute_force(samples, reference, 3), abs=1e-12)


def test_copies_of_one_image_are_equal_to_it():
    # Of more copies than neighbors the neighborhoods have no extent.
    real = torch.cat([_rows(1, 400).repeat(9, 1), _rows(5, 400, seed=1, shift=50.0)])
    copies = _rows(1, 400).repeat(4, 1)
    assert precision_recall(copies, real).precision == 1.0
    # Also of a copy that the network rounded in another batch.
    assert precision_recall(copies.double() * (1 + 1e-7), real[:9].double()).precision == 1.0
    assert precision_recall(copies * 1.01, real[:9]).precision == 0.0


@pytest.mark.parametrize(
    ("samples", "reference", "words"),
    [
        (torch.zeros(3, 4), torch.zeros(9, 4), "samples: .* 4 images or more"),
        (torch.zeros(9, 4), torch.zeros(3, 4), "reference: .* 4 images or more"),
        (torch.zeros(0, 4), torch.zeros(9, 4), "samples"),
        (torch.zeros(9, 4), torch.zeros(9, 5), "4 features, the reference has 5"),
        (torch.full((9, 4), torch.nan), torch.zeros(9, 4), "samples: .* finite"),
        (torch.zeros(9, 4), torch.full((9, 4), torch.inf), "reference: .* finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(samples, reference, words):
    with pytest.raises(ImageError, match=words):
        precision_recall(samples, reference)


def test_no_neighbors_are_refused():
    with pytest.raises(ImageError, match="neighbors"):
        precision_recall(_rows(9), _rows(9), neighbors=0)
