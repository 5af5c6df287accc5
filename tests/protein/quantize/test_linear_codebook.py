"""Does a linear codebook start at the centroids, and leave its table alone?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import LinearCodebook


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def centroids(size, dim):
    """Make correlated centroids far from the origin, as encoders do."""
    return 20 * normal(size, dim, seed=1) @ normal(dim, dim, seed=2) / dim**0.5 + 50


def deviation(book, wanted):
    return float((book.codes().detach() - wanted).abs().max())


@pytest.mark.parametrize(
    ("seeding", "size", "dim"),
    [("solve", 64, 128), ("solve", 512, 1024), ("identity", 64, 128), ("identity", 300, 16)],
)
@pytest.mark.parametrize("bias", [True, False])
def test_seeded_codes_are_the_centroids(seeding, size, dim, bias):
    book = LinearCodebook(size, dim, seeding=seeding, bias=bias)
    book.seed(centroids(size, dim))
    assert deviation(book, centroids(size, dim)) < 1e-3
    assert book.initialized


def test_solve_keeps_the_random_table_and_identity_replaces_it():
    for seeding, kept in (("solve", True), ("identity", False)):
        book = LinearCodebook(8, 16, seeding=seeding)
        before = book.basis.clone()
        book.seed(centroids(8, 16))
        assert torch.equal(book.basis, before) == kept


def test_solve_finds_the_map_of_least_norm():
    book = LinearCodebook(8, 16, seeding="solve", bias=False)
    book.seed(centroids(8, 16))
    # A map of least norm is zero on everything orthogonal to the table.
    _, _, directions = torch.linalg.svd(book.basis, full_matrices=True)
    assert float((directions[8:] @ book.linear.weight.detach().T).abs().max()) < 1e-3


def test_auto_solves_where_that_is_possible():
    assert LinearCodebook(16, 16).seeding == "solve"
    assert LinearCodebook(17, 16).seeding == "identity"


def test_literal_replaces_the_table_under_the_random_map():
    book = LinearCodebook(8, 16, seeding="literal")
    weight = book.linear.weight.clone()
    book.seed(centroids(8, 16))
    assert torch.equal(book.basis, centroids(8, 16))
    assert torch.equal(book.linear.weight, weight)
    assert deviation(book, centroids(8, 16)) > 1


def test_solve_with_more_codes_than_dimensions_is_refused_before_training():
    with pytest.raises(ConfigError, match="identity"):
        LinearCodebook(17, 16, seeding="solve")


def test_unknown_seeding_is_refused():
    with pytest.raises(ConfigError, match="'solve'"):
        LinearCodebook(4, 4, seeding="solved")


def test_solve_refuses_a_singular_table():
    book = LinearCodebook(4, 8, seeding="solve")
    with torch.no_grad():
        book.basis[1] = book.basis[0]
    before = book.codes().detach().clone()
    with pytest.raises(ValueError, match="singular"):
        book.seed(centroids(4, 8))
    assert torch.equal(book.codes(), before)
    assert not book.initialized


def test_optimizer_steps_with_weight_decay_leave_the_table_bit_identical():
    book = LinearCodebook(8, 16)
    book.seed(centroids(8, 16))
    before, weight = book.basis.clone(), book.linear.weight.detach().clone()
    optimizer = torch.optim.AdamW(book.parameters(), lr=1e-2, weight_decay=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        book.lookup(torch.arange(8)).square().mean().backward()
        optimizer.step()
    assert torch.equal(book.basis, before)
    assert not torch.equal(book.linear.weight, weight)
