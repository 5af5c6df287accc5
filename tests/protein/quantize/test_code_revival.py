"""Do idle codes move to latents, they alone, and only if asked to?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import Codebook, LinearCodebook
from provq_protein.quantize.ema_codebook import EmaCodebook
from provq_protein.quantize.residual_codebook import ResidualCodebook
from provq_protein.quantize.revival import IdleCodes
from provq_protein.quantize.spherical_codebook import SphericalCodebook

REVIVING = [Codebook, EmaCodebook]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(kind, *, revive_after=3, size=6):
    book = kind(size, 2, revive_after=revive_after)
    book.seed(normal(size, 2))
    return book


def feed(book, latents, *, steps, codes=(0, 1), seed=0):
    """Let a batch choose only a few codes for some steps, and return what was ever revived."""
    indices = torch.tensor(codes).repeat(len(latents))[: len(latents)]
    updates = [book.update(latents, indices, generator=generator(seed)) for _ in range(steps)]
    return torch.stack(updates).any(dim=0)


@pytest.mark.parametrize("kind", REVIVING)
def test_exactly_the_idle_codes_move_to_different_latents_of_the_batch(kind):
    book, latents = make(kind), 10 + normal(8, 2, seed=1)
    before = book.codes().detach().clone()
    assert not feed(book, latents, steps=2).any()
    assert torch.equal(book.codes()[2:], before[2:])
    revived = feed(book, latents, steps=1)
    assert revived.tolist() == [False, False, True, True, True, True]
    moved = [tuple(code) for code in book.codes()[2:].tolist()]
    assert len(set(moved)) == 4
    assert set(moved) <= {tuple(latent) for latent in latents.tolist()}
    if kind is Codebook:
        assert torch.equal(book.codes()[:2], before[:2])


@pytest.mark.parametrize("kind", REVIVING)
def test_a_code_that_is_chosen_in_time_stays(kind):
    book, latents = make(kind), normal(8, 2, seed=1)
    feed(book, latents, steps=2)
    feed(book, latents, steps=1, codes=(2, 3, 4, 5))
    assert not feed(book, latents, steps=1).any()


@pytest.mark.parametrize("kind", REVIVING)
def test_the_generator_decides_and_nothing_else(kind):
    latents = normal(50, 2, seed=1)
    places = []
    for seed in (0, 0, 1):
        book = make(kind)
        torch.manual_seed(len(places))
        feed(book, latents, steps=3, seed=seed)
        places.append(book.codes().detach().clone())
    assert torch.equal(places[0], places[1])
    assert not torch.equal(places[0], places[2])


@pytest.mark.parametrize("kind", REVIVING)
def test_a_revived_code_gets_its_full_time_again(kind):
    book, latents = make(kind), normal(8, 2, seed=1)
    feed(book, latents, steps=3)
    assert not feed(book, latents, steps=2).any()
    assert feed(book, latents, steps=1).any()


@pytest.mark.parametrize("kind", REVIVING)
def test_seeding_starts_the_clock_anew(kind):
    book, latents = make(kind), normal(8, 2, seed=1)
    feed(book, latents, steps=2)
    book.seed(normal(6, 2))
    assert not feed(book, latents, steps=2).any()


@pytest.mark.parametrize("kind", REVIVING)
def test_a_saved_clock_goes_on(kind, tmp_path):
    book, latents = make(kind), normal(8, 2, seed=1)
    feed(book, latents, steps=2)
    torch.save(book.state_dict(), tmp_path / "book.pt")
    loaded = kind(6, 2, revive_after=3)
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    assert feed(loaded, latents, steps=1).any()
    feed(book, latents, steps=1)
    assert torch.equal(loaded.codes(), book.codes())


@pytest.mark.parametrize("kind", REVIVING)
def test_fewer_latents_than_idle_codes_revive_the_longest_idle(kind):
    book = make(kind, revive_after=1)
    latents = 5 + normal(2, 2, seed=1)
    # Codes 4 and 5 have been idle for two steps when the small batch comes, the others for one.
    book.idle.steps.copy_(torch.tensor([0, 0, 0, 0, 1, 1]))
    revived = book.update(latents, torch.tensor([0, 0]), generator=generator())
    assert revived.nonzero().flatten().tolist() == [4, 5]


def test_averages_of_a_revived_code_start_anew():
    book, latents = make(EmaCodebook), 10 + normal(8, 2, seed=1)
    feed(book, latents, steps=3)
    assert torch.equal(book.sums[2:], book.table[2:])
    assert torch.equal(book.counts[2:], torch.ones(4))
    # The next update moves a revived code by its share, not back to where it was.
    place = book.codes()[2].clone()
    book.update(place[None] + 1.0, torch.tensor([2]))
    torch.testing.assert_close(book.codes()[2], place + 0.01, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", REVIVING)
def test_off_by_default(kind):
    book = kind(6, 2)
    assert not any("idle" in name for name in book.state_dict())
    before = book.codes().detach().clone()
    for _ in range(20):
        revived = book.update(normal(4, 2), torch.tensor([0, 0, 0, 0]))
        assert not revived.any()
    assert torch.equal(book.codes()[1:], before[1:])


def test_books_without_revival_report_that_nothing_moved():
    book = LinearCodebook(6, 2)
    before = book.codes().detach().clone()
    assert not book.update(normal(4, 2), torch.tensor([0, 0, 0, 0])).any()
    assert torch.equal(book.codes(), before)


@pytest.mark.parametrize("kind", REVIVING)
def test_moving_without_a_generator_is_refused_and_leaves_the_codes(kind):
    book = make(kind, revive_after=1)
    before = book.codes().detach().clone()
    with pytest.raises(ValueError, match="generator"):
        book.update(normal(4, 2), torch.tensor([0, 0, 0, 0]))
    assert torch.equal(book.codes(), before)


@pytest.mark.parametrize("kind", REVIVING)
def test_an_empty_batch_revives_nothing(kind):
    book = make(kind, revive_after=1)
    before = book.codes().detach().clone()
    none = torch.empty(0, dtype=torch.int64)
    assert not book.update(torch.empty(0, 2), none, generator=generator()).any()
    assert torch.equal(book.codes(), before)


@pytest.mark.parametrize("kind", REVIVING)
def test_on_the_sphere_codes_move_to_directions(kind):
    book = SphericalCodebook(make(kind))
    latents = book.project(normal(8, 2, seed=1))
    assert feed(book, latents, steps=3)[2:].all()
    closest = (book.codes()[2:] @ latents.T).max(dim=1).values
    torch.testing.assert_close(closest.detach(), torch.ones(4), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", REVIVING)
def test_each_residual_level_revives_its_own_codes(kind):
    book = ResidualCodebook([make(kind), make(kind)])
    latents = normal(8, 2, seed=1)
    indices = torch.tensor([[0, 2], [1, 3]]).repeat(4, 1)
    residuals = latents - book.books[0].lookup(indices[:, 0]).detach()
    for step in range(3):
        if step == 2 and kind is EmaCodebook:
            residuals = latents - book.books[0].lookup(indices[:, 0])
        revived = book.update(latents, indices, generator=generator())
    assert revived.tolist() == [
        [False, False, True, True, True, True],
        [True, True, False, False, True, True],
    ]
    moved = book.books[1].codes().detach()[revived[1]]
    assert torch.cdist(moved, residuals).amin(dim=1).max() < 1e-6


def test_an_optimizer_keeps_the_parameter_that_revival_changes():
    book = make(Codebook, revive_after=1)
    optimizer = torch.optim.SGD(book.parameters(), lr=0.1)
    feed(book, normal(8, 2, seed=1), steps=1)
    before = book.codes().detach().clone()
    book.lookup(torch.tensor([4])).sum().backward()
    optimizer.step()
    torch.testing.assert_close(book.codes()[4].detach(), before[4] - 0.1)


def test_no_step_at_all_is_refused():
    with pytest.raises(ConfigError, match="revive_after must be 1 or more, got 0"):
        IdleCodes(4, 0)
