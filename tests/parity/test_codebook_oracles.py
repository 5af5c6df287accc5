"""Do our codebooks do what those of vector-quantize-pytorch do, where both have the method?"""

import pytest
import torch

from provq_protein.quantize import Codebook, LinearCodebook
from provq_protein.quantize.ema_codebook import EmaCodebook
from provq_protein.quantize.finite_scalar import FiniteScalarCodebook
from provq_protein.quantize.residual_codebook import ResidualCodebook
from provq_protein.quantize.spherical_codebook import SphericalCodebook

oracle = pytest.importorskip("vector_quantize_pytorch")

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def _the_same_codes_every_time():
    """Draw codes from a fixed seed: of any codes, some latent may lie half-way between two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reference(size, dim, codes, **options):
    """Make their quantizer with our codes."""
    theirs = oracle.VectorQuantize(dim=dim, codebook_size=size, rotation_trick=False, **options)
    with torch.no_grad():
        theirs._codebook.embed.copy_(codes[None])
        theirs._codebook.embed_avg.copy_(codes[None])
    return theirs


@pytest.mark.parametrize("decay", [0.8, 0.99])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_moving_averages_over_many_batches(decay, epsilon):
    size, dim = 24, 4
    ours = EmaCodebook(size, dim, decay=decay, epsilon=epsilon)
    ours.seed(normal(size, dim))
    theirs = reference(size, dim, normal(size, dim), decay=decay, eps=epsilon).train()
    for seed in range(12):
        latents = 0.7 * normal(150, dim, seed=100 + seed) + 0.1 * seed
        _, chosen, _ = theirs(latents[None])
        found = ours.nearest(latents)
        assert torch.equal(found, chosen[0])
        before = ours.codes().clone()
        ours.update(latents, found)
        torch.testing.assert_close(ours.counts, theirs._codebook.cluster_size[0])
        torch.testing.assert_close(ours.sums, theirs._codebook.embed_avg[0], rtol=1e-5, atol=1e-5)
        taken = torch.bincount(found, minlength=size) > 0
        expected = theirs._codebook.embed[0]
        torch.testing.assert_close(ours.codes()[taken], expected[taken], rtol=1e-5, atol=1e-5)
        # They let codes drift that nothing has chosen; ours stay. The next batch starts equal.
        assert torch.equal(ours.codes()[~taken], before[~taken])
        expected[~taken] = ours.codes()[~taken]


def test_averages_on_the_sphere():
    size, dim = 16, 5
    ours = SphericalCodebook(EmaCodebook(size, dim, decay=0.8))
    ours.seed(normal(size, dim))
    codes = ours.codes().clone()
    theirs = reference(size, dim, codes, decay=0.8, use_cosine_sim=True).train()
    for seed in range(8):
        latents = normal(200, dim, seed=100 + seed)
        projected = ours.project(latents)
        quantized, chosen, _ = theirs(latents[None])
        found = ours.nearest(projected)
        assert torch.equal(found, chosen[0])
        torch.testing.assert_close(ours.lookup(found), quantized[0], rtol=1e-5, atol=1e-5)
        ours.update(projected, found)
        expected = theirs._codebook.embed[0]
        torch.testing.assert_close(ours.codes(), expected, rtol=1e-4, atol=1e-4)


def test_cosine_codes_are_found_and_looked_up():
    size, dim = 32, 6
    ours = SphericalCodebook(Codebook(size, dim))
    with torch.no_grad():
        codes = ours.codes()
    theirs = reference(size, dim, codes, use_cosine_sim=True).eval()
    latents = 5 * normal(3, 40, dim)
    quantized, chosen, _ = theirs(latents)
    found = ours.nearest(ours.project(latents))
    assert torch.equal(found, chosen)
    torch.testing.assert_close(ours.lookup(found).detach(), quantized, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("levels", [[8, 5, 5, 5], [7, 5, 3], [8, 6, 4], [3], [16, 9]])
def test_finite_scalars(levels):
    ours = FiniteScalarCodebook(levels)
    theirs = oracle.FSQ(levels=levels)
    latents = 2 * normal(3, 400, len(levels))
    quantized, chosen = theirs(latents)
    found = ours.nearest(ours.project(latents))
    assert torch.equal(found, chosen.long())
    assert torch.equal(ours.lookup(found), quantized)
    assert torch.equal(ours.codes(), theirs.implicit_codebook)


def test_finite_scalars_have_the_same_gradient():
    levels = [8, 5, 6]
    ours, theirs = FiniteScalarCodebook(levels), oracle.FSQ(levels=levels)
    latents, weights = normal(2, 50, 3), normal(2, 50, 3, seed=1)
    gradients = []
    for quantize in (ours.project, lambda values: theirs(values)[0]):
        leaf = latents.clone().requires_grad_()
        (quantize(leaf) * weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


def test_a_linear_map_of_a_frozen_table():
    size, dim = 40, 6
    ours = LinearCodebook(size, dim, bias=False)
    theirs = oracle.SimVQ(dim=dim, codebook_size=size, rotation_trick=False)
    with torch.no_grad():
        ours.basis.copy_(theirs.frozen_codebook)
        ours.linear.weight.copy_(theirs.code_transform.weight)
    latents = 0.3 * normal(3, 50, dim)
    quantized, chosen, loss = theirs(latents)
    found = ours.nearest(latents)
    assert torch.equal(found, chosen)
    codes = ours.lookup(found)
    torch.testing.assert_close(codes, quantized, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(1.25 * (codes - latents).square().mean(), loss)
    loss.backward()
    (codes - latents).square().mean().backward()
    expected = theirs.code_transform.weight.grad
    torch.testing.assert_close(ours.linear.weight.grad, expected, rtol=1e-4, atol=1e-6)


def test_residual_levels():
    size, dim, levels = 16, 5, 4
    ours = ResidualCodebook([Codebook(size, dim) for _ in range(levels)])
    theirs = oracle.ResidualVQ(
        dim=dim, num_quantizers=levels, codebook_size=size, rotation_trick=False
    ).eval()
    with torch.no_grad():
        for book, layer in zip(ours.books, theirs.layers, strict=True):
            layer._codebook.embed.copy_(book.codes()[None])
    latents = 2 * normal(3, 60, dim)
    quantized, chosen, _ = theirs(latents)
    found = ours.nearest(latents)
    assert torch.equal(found, chosen)
    torch.testing.assert_close(ours.lookup(found).detach(), quantized, rtol=1e-5, atol=1e-5)


def test_residual_averages():
    size, dim, levels = 16, 5, 3
    ours = ResidualCodebook([EmaCodebook(size, dim, decay=0.8) for _ in range(levels)])
    theirs = oracle.ResidualVQ(
        dim=dim, num_quantizers=levels, codebook_size=size, rotation_trick=False, decay=0.8
    ).train()
    for book, layer in zip(ours.books, theirs.layers, strict=True):
        layer._codebook.embed.copy_(book.codes()[None])
        layer._codebook.embed_avg.copy_(book.codes()[None])
    for seed in range(4):
        latents = normal(200, dim, seed=50 + seed)
        _, chosen, _ = theirs(latents[None])
        found = ours.nearest(latents)
        assert torch.equal(found, chosen[0])
        ours.update(latents, found)
        expected = torch.stack([layer._codebook.embed[0] for layer in theirs.layers])
        torch.testing.assert_close(ours.codes(), expected, rtol=1e-4, atol=1e-4)
