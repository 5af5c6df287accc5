"""Do several books, one after the other, stand for one latent better than one?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import (
    Codebook,
    LinearCodebook,
    ProgressiveQuantizer,
    ProgressiveSchedule,
    StaticCodebook,
)
from provq_protein.quantize.ema_codebook import EmaCodebook
from provq_protein.quantize.finite_scalar import FiniteScalarCodebook
from provq_protein.quantize.residual_codebook import ResidualCodebook
from provq_protein.quantize.spherical_codebook import SphericalCodebook
from provq_protein.quantize.transformed_codebook import TransformedCodebook

INNER = [Codebook, LinearCodebook, EmaCodebook, TransformedCodebook]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(inner=Codebook, levels=3, size=8, dim=4, **options):
    torch.manual_seed(0)
    return ResidualCodebook([inner(size, dim, **options) for _ in range(levels)])


@pytest.mark.parametrize("inner", INNER)
def test_each_level_takes_the_nearest_to_what_is_left(inner):
    book = make(inner)
    latents = 3 * normal(5, 40, 4)
    indices = book.nearest(latents)
    assert indices.shape == (5, 40, 3)
    codes, residual = book.codes().detach().double(), latents.double()
    for level in range(3):
        expected = torch.cdist(residual.reshape(-1, 4), codes[level]).argmin(dim=1)
        assert torch.equal(indices[..., level].flatten(), expected)
        residual = residual - codes[level][indices[..., level]]
    left = latents - book.lookup(indices).detach()
    torch.testing.assert_close(left.double(), residual, rtol=0, atol=1e-5)


def test_one_level_is_the_book_itself():
    inner = Codebook(8, 4)
    book = ResidualCodebook([inner])
    latents = normal(50, 4)
    assert torch.equal(book.nearest(latents)[:, 0], inner.nearest(latents))
    assert torch.equal(book.lookup(book.nearest(latents)), inner.lookup(inner.nearest(latents)))


def test_each_level_learns_from_its_own_residual_alone():
    book = make()
    latents = normal(20, 4).requires_grad_()
    indices = book.nearest(latents)
    pairs = book.pairs(latents, indices, book.lookup(indices))
    assert len(pairs) == 3
    residual, code = pairs[1]
    (residual - code).square().sum().backward()
    touched = [inner.table.grad is not None for inner in book.books]
    assert touched == [False, True, False]
    torch.testing.assert_close(latents.grad, 2 * (residual - code).detach())


def test_lookup_trains_every_level_and_only_the_chosen_codes():
    book = make()
    book.lookup(torch.tensor([[0, 3, 7]])).sum().backward()
    touched = [inner.table.grad.any(dim=1).nonzero().flatten().tolist() for inner in book.books]
    assert touched == [[0], [3], [7]]


@pytest.mark.parametrize("inner", INNER)
def test_seeding_from_a_sample_makes_each_level_better(inner):
    sample = normal(600, 4)
    book = make(inner)
    book.seed_from(sample, generator=torch.Generator().manual_seed(0))
    assert book.initialized
    assert all(each.initialized for each in book.books)
    indices = book.nearest(sample)
    pairs = book.pairs(sample, indices, book.lookup(indices))
    errors = [float((residual - code).detach().square().mean()) for residual, code in pairs]
    assert errors[0] > 1.3 * errors[1] > 1.3**2 * errors[2]
    again = make(inner)
    again.seed_from(sample, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.codes(), book.codes())


def test_seeding_with_centroids_is_refused():
    book = make()
    before = book.codes().detach().clone()
    with pytest.raises(ValueError, match="seed_from"):
        book.seed(normal(8, 4))
    assert torch.equal(book.codes(), before)
    assert not book.initialized


@pytest.mark.parametrize(
    "sample", [torch.full((9, 4), float("nan")), torch.zeros(0, 4), torch.zeros(9, 3)]
)
def test_a_broken_sample_is_refused_and_changes_nothing(sample):
    book = make()
    before = book.codes().detach().clone()
    with pytest.raises(ValueError, match=r"kmeans|codebook"):
        book.seed_from(sample, generator=torch.Generator())
    assert torch.equal(book.codes(), before)
    assert not any(flag for name, flag in book.state_dict().items() if "initialized" in name)


def test_averages_of_each_level_are_those_of_residuals_before_the_update():
    book = make(EmaCodebook, levels=2, decay=0.5)
    first, second = (EmaCodebook(8, 4, decay=0.5) for _ in range(2))
    first.load_state_dict(book.books[0].state_dict())
    second.load_state_dict(book.books[1].state_dict())
    latents = normal(60, 4)
    indices = book.nearest(latents)
    moved = book.update(latents, indices)
    assert moved.shape == (2, 8)
    residual = latents - first.lookup(indices[:, 0])
    first.update(latents, indices[:, 0])
    second.update(residual, indices[:, 1])
    assert torch.equal(book.codes(), torch.stack([first.codes(), second.codes()]))


@pytest.mark.parametrize("inner", INNER)
def test_folding_keeps_every_bit(inner):
    book = make(inner)
    latents = 3 * normal(100, 4)
    folded = book.folded()
    indices = book.nearest(latents)
    assert not list(folded.parameters())
    assert folded.initialized
    assert (book.learning, folded.learning) == (book.books[0].learning, "nothing")
    assert torch.equal(folded.codes(), book.codes())
    assert torch.equal(folded.nearest(latents), indices)
    assert torch.equal(folded.lookup(indices), book.lookup(indices))
    # A sum of codes does not depend on what else is looked up.
    assert torch.equal(folded.lookup(indices[7]), book.lookup(indices)[7])


def test_save_and_load_keep_codes_and_flags(tmp_path):
    saved = make(EmaCodebook)
    saved.seed_from(normal(100, 4), generator=torch.Generator().manual_seed(0))
    torch.save(saved.state_dict(), tmp_path / "book.pt")
    loaded = make(EmaCodebook)
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    assert loaded.initialized
    assert torch.equal(loaded.codes(), saved.codes())


def test_inside_the_quantizer_decode_equals_the_eval_forward():
    schedule = ProgressiveSchedule(
        warmup_steps=1, transition_steps=4, shape="cosine", initial_coupling=1.0
    )
    quantizer = ProgressiveQuantizer(make(), schedule)
    latents = normal(3, 10, 4)
    mask = torch.rand(3, 10, generator=torch.Generator().manual_seed(0)) < 0.5
    assert quantizer(latents, step=0).indices.shape == (3, 10, 3)
    out = quantizer(latents, step=3, mask=mask)
    changed = torch.where(mask[..., None], latents, 99.0)
    assert torch.equal(quantizer(changed, step=3, mask=mask).codebook_loss, out.codebook_loss)
    result = quantizer.eval()(latents)
    assert torch.equal(quantizer.decode(result.indices), result.latents)
    assert torch.equal(quantizer.encode(latents), result.indices)


def test_indices_of_another_number_of_levels_are_refused():
    book = make()
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        book.lookup(torch.zeros(5, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\[0, 8\)"):
        book.lookup(torch.tensor([[0, 0, 8]]))


def test_broken_latents_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        make().nearest(torch.full((2, 4), float("nan")))


def shared_book():
    book = Codebook(4, 2)
    return [book, book]


@pytest.mark.parametrize(
    ("books", "message"),
    [
        (list, "at least one"),
        (shared_book, "its own"),
        (lambda: [Codebook(4, 2), Codebook(5, 2)], r"same size, got \[4, 5\]"),
        (lambda: [Codebook(4, 2), Codebook(4, 3)], r"same dim, got \[2, 3\]"),
        (lambda: [Codebook(4, 2), EmaCodebook(4, 2)], "same learning"),
        (lambda: [make()], "ResidualCodebook itself"),
        (lambda: [SphericalCodebook(Codebook(4, 2))], "SphericalCodebook, which expects"),
        (lambda: [FiniteScalarCodebook([3, 3])], "FiniteScalarCodebook, which expects"),
    ],
)
def test_books_that_cannot_be_added_are_refused(books, message):
    with pytest.raises(ConfigError, match=message):
        ResidualCodebook(books())


def test_one_code_per_level():
    book = ResidualCodebook([StaticCodebook(normal(1, 4)), StaticCodebook(normal(1, 4, seed=1))])
    assert torch.equal(book.nearest(normal(3, 4)), torch.zeros(3, 2, dtype=torch.int64))
