"""Does a book on the unit sphere compare directions, whatever book is inside?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import Codebook, LinearCodebook, StaticCodebook
from provq_protein.quantize.ema_codebook import EmaCodebook
from provq_protein.quantize.finite_scalar import FiniteScalarCodebook
from provq_protein.quantize.residual_codebook import ResidualCodebook
from provq_protein.quantize.spherical_codebook import SphericalCodebook
from provq_protein.quantize.transformed_codebook import TransformedCodebook

INNER = [Codebook, LinearCodebook, EmaCodebook, TransformedCodebook]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def directions(rows):
    return (rows.double() / rows.double().norm(dim=-1, keepdim=True)).float()


@pytest.mark.parametrize("inner", INNER)
def test_the_nearest_code_is_that_of_largest_cosine(inner):
    book = SphericalCodebook(inner(30, 4))
    latents = normal(400, 4, seed=1) * torch.logspace(-3, 3, 400)[:, None]
    cosines = directions(latents).double() @ directions(book.inner.codes().detach()).double().T
    found = book.nearest(book.project(latents))
    best = cosines.max(dim=1).values
    torch.testing.assert_close(cosines.gather(1, found[:, None])[:, 0], best, rtol=0, atol=1e-6)
    assert book.learning == book.inner.learning


@pytest.mark.parametrize("inner", INNER)
def test_seeding_puts_the_codes_in_the_directions_of_the_centroids(inner):
    book = SphericalCodebook(inner(6, 8))
    centroids = 20 * normal(6, 8)
    book.seed(centroids)
    torch.testing.assert_close(book.codes().detach(), directions(centroids), rtol=0, atol=1e-5)
    assert book.initialized
    assert book.inner.initialized


def test_seeding_from_a_sample_clusters_directions():
    axis = torch.eye(3).repeat_interleave(50, dim=0) + 0.01 * normal(150, 3)
    sample = axis * torch.logspace(-2, 2, 150)[:, None]
    book = SphericalCodebook(EmaCodebook(3, 3))
    book.seed_from(sample, generator=torch.Generator().manual_seed(0))
    nearest = book.codes() @ torch.eye(3)
    torch.testing.assert_close(nearest.max(dim=0).values, torch.ones(3), rtol=0, atol=1e-3)


def test_centroids_without_direction_are_refused_and_change_nothing():
    book = SphericalCodebook(Codebook(3, 2))
    before = book.codes().detach().clone()
    centroids = normal(3, 2)
    centroids[1] = 0.0
    with pytest.raises(ValueError, match="1 of 3 centroids have no direction"):
        book.seed(centroids)
    assert torch.equal(book.codes(), before)
    assert not book.initialized
    assert not book.inner.initialized


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_broken_sample_is_refused_and_changes_nothing(broken):
    book = SphericalCodebook(Codebook(3, 2))
    before = book.codes().detach().clone()
    sample = normal(20, 2)
    sample[7, 1] = broken
    with pytest.raises(ValueError, match="NaN or infinity"):
        book.seed_from(sample, generator=torch.Generator())
    assert torch.equal(book.codes(), before)
    assert not book.initialized


def test_projection_has_the_gradient_of_the_normalization():
    latents = normal(5, 4).double().requires_grad_()
    book = SphericalCodebook(Codebook(2, 4))
    assert torch.autograd.gradcheck(book.project, (latents,))


def test_zero_latents_stay_zero_without_a_gradient():
    book = SphericalCodebook(Codebook(4, 3))
    latents = torch.tensor([[0.0, 0.0, 0.0], [1e-30, 0.0, 0.0], [3.0, 0.0, 4.0]])
    latents.requires_grad_()
    projected = book.project(latents)
    torch.testing.assert_close(
        projected.detach(), torch.tensor([[0.0] * 3, [0.0] * 3, [0.6, 0.0, 0.8]])
    )
    projected.square().sum(dim=-1).add(projected[:, 1]).sum().backward()
    assert torch.equal(latents.grad[:2], torch.zeros(2, 3))
    assert torch.isfinite(latents.grad).all()
    assert latents.grad[2, 1] != 0


@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1e25, 1e37])
def test_the_length_of_a_latent_does_not_matter(scale):
    book = SphericalCodebook(Codebook(4, 3))
    latents = normal(50, 3)
    projected = book.project(latents * scale)
    torch.testing.assert_close(projected, book.project(latents), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner", [Codebook, LinearCodebook])
def test_gradients_reach_the_parameters_of_the_inner_book(inner):
    book = SphericalCodebook(inner(6, 8))
    book.lookup(torch.tensor([2, 4]))[:, 0].sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in book.parameters())


def test_averages_are_those_of_unit_latents():
    book = SphericalCodebook(EmaCodebook(1, 2, decay=0.5))
    book.seed(torch.tensor([[1.0, 0.0]]))
    latents = book.project(torch.tensor([[0.0, 100.0]]))
    book.update(latents, book.nearest(latents))
    torch.testing.assert_close(book.codes(), torch.full((1, 2), 0.5**0.5), rtol=1e-4, atol=0)


@pytest.mark.parametrize("inner", INNER)
def test_folding_keeps_every_bit(inner):
    book = SphericalCodebook(inner(30, 4))
    latents = book.project(normal(400, 4, seed=1))
    folded = book.folded()
    assert not list(folded.parameters())
    assert torch.equal(folded.codes(), book.codes())
    assert torch.equal(folded.nearest(latents), book.nearest(latents))
    assert torch.equal(folded.project(latents), book.project(latents))
    assert folded.initialized


def test_save_and_load_keep_codes_and_flags(tmp_path):
    saved = SphericalCodebook(EmaCodebook(6, 3))
    saved.seed(normal(6, 3))
    torch.save(saved.state_dict(), tmp_path / "book.pt")
    loaded = SphericalCodebook(EmaCodebook(6, 3))
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    assert torch.equal(loaded.codes(), saved.codes())
    assert loaded.initialized
    assert loaded.inner.initialized


def test_raw_codes_are_the_table():
    inner = StaticCodebook(3 * normal(5, 4))
    assert torch.equal(SphericalCodebook(inner).raw_codes(), inner.table)
    mapped = LinearCodebook(5, 4)
    assert torch.equal(SphericalCodebook(mapped).raw_codes(), mapped.basis)


@pytest.mark.parametrize(
    "inner",
    [
        FiniteScalarCodebook([5, 5]),
        ResidualCodebook([Codebook(4, 2)]),
        SphericalCodebook(Codebook(4, 2)),
    ],
)
def test_books_that_do_not_stay_on_a_sphere_are_refused(inner):
    with pytest.raises(ConfigError, match=type(inner).__name__):
        SphericalCodebook(inner)
