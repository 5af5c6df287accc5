"""Do codebooks hold, find, save and learn their codes?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import Codebook, LinearCodebook

BOOKS = (Codebook, LinearCodebook)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("book", BOOKS)
def test_save_and_load_keep_codes_and_the_initialized_flag(book, tmp_path):
    saved = book(6, 8)
    saved.seed(normal(6, 8))
    torch.save(saved.state_dict(), tmp_path / "book.pt")
    loaded = book(6, 8)
    assert not loaded.initialized
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    assert loaded.initialized
    assert torch.equal(loaded.codes(), saved.codes())


def test_state_names_are_stable():
    assert set(Codebook(4, 3).state_dict()) == {"table", "initialized"}
    assert set(LinearCodebook(4, 3).state_dict()) == {
        "basis",
        "initialized",
        "linear.weight",
        "linear.bias",
    }


@pytest.mark.parametrize("book", BOOKS)
def test_seeding_keeps_the_parameters_that_an_optimizer_holds(book):
    codebook = book(6, 8)
    optimizer = torch.optim.SGD(codebook.parameters(), lr=0.1)
    codebook.seed(normal(6, 8))
    before = codebook.codes().detach().clone()
    torch.testing.assert_close(before, normal(6, 8), atol=1e-5, rtol=0)
    codebook.lookup(torch.tensor([2])).sum().backward()
    optimizer.step()
    assert not torch.equal(codebook.codes()[2], before[2])


def test_a_free_code_learns_alone_and_a_linear_one_carries_all():
    for book, moved_alone in ((Codebook, True), (LinearCodebook, False)):
        codebook = book(6, 8)
        optimizer = torch.optim.SGD(codebook.parameters(), lr=0.1)
        before = codebook.codes().detach().clone()
        codebook.lookup(torch.tensor([2])).square().sum().backward()
        optimizer.step()
        moved = (codebook.codes() != before).any(dim=1)
        assert moved[2]
        assert (int(moved.sum()) == 1) == moved_alone


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("centroids", [torch.zeros(6, 7), torch.zeros(5, 8), torch.zeros(48)])
def test_seeding_with_another_shape_is_refused(book, centroids):
    with pytest.raises(ValueError, match=r"\(6, 8\)"):
        book(6, 8).seed(centroids)


@pytest.mark.parametrize("book", BOOKS)
def test_seeding_with_nan_leaves_the_book_unchanged(book):
    codebook = book(6, 8)
    before = codebook.codes().detach().clone()
    with pytest.raises(ValueError, match="NaN"):
        codebook.seed(torch.full((6, 8), float("nan")))
    assert torch.equal(codebook.codes(), before)
    assert not codebook.initialized


@pytest.mark.parametrize("book", BOOKS)
def test_lookup_refuses_indices_that_are_no_codes(book):
    codebook = book(6, 8)
    for index in (-1, 6):
        with pytest.raises(ValueError, match=r"\[0, 6\)"):
            codebook.lookup(torch.tensor([0, index]))
    assert codebook.lookup(torch.empty(0, dtype=torch.int64)).shape == (0, 8)


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize(("size", "dim"), [(0, 8), (8, 0), (-1, 8)])
def test_impossible_sizes_are_refused(book, size, dim):
    with pytest.raises(ConfigError, match="codebook"):
        book(size, dim)


@pytest.mark.parametrize("book", BOOKS)
def test_codes_keep_full_precision_under_autocast(book):
    codebook = book(30, 40)
    latents, exact = normal(500, 40, seed=1), codebook.codes()
    found = codebook.nearest(latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert codebook.codes().dtype == torch.float32
        assert torch.equal(codebook.codes(), exact)
        assert torch.equal(codebook.nearest(latents), found)
