"""Do codes that are moving averages follow their latents, and nothing else?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize.ema_codebook import EmaCodebook


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(size=6, dim=3, **options):
    book = EmaCodebook(size, dim, **options)
    book.seed(normal(size, dim))
    return book


def state(book):
    return {name: value.clone() for name, value in book.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_two_updates_equal_the_formulas_by_hand():
    decay, epsilon, size = 0.8, 1e-2, 3
    book = EmaCodebook(size, 1, decay=decay, epsilon=epsilon)
    places = [0.0, 10.0, 20.0]
    book.seed(torch.tensor(places)[:, None])
    counts, sums = [1.0] * size, list(places)
    for batch in ([1.0, 2.0, 9.0], [0.5, 13.0, 14.0]):
        latents = torch.tensor(batch)[:, None]
        chosen = book.nearest(latents)
        book.update(latents, chosen)
        for code in range(size):
            own = [
                value for value, index in zip(batch, chosen.tolist(), strict=True) if index == code
            ]
            counts[code] = decay * counts[code] + (1 - decay) * len(own)
            sums[code] = decay * sums[code] + (1 - decay) * sum(own)
        total = sum(counts)
        for code in set(chosen.tolist()):
            smoothed = (counts[code] + epsilon) / (total + size * epsilon) * total
            places[code] = sums[code] / smoothed
        expected = torch.tensor(places)[:, None]
        torch.testing.assert_close(book.codes(), expected, rtol=1e-5, atol=1e-6)


def test_a_stationary_stream_takes_each_code_to_the_mean_of_its_latents():
    book = seeded(2, 1, decay=0.9)
    book.seed(torch.tensor([[-1.0], [1.0]]))
    latents = torch.cat([normal(50, 1) * 0.1 - 3, normal(50, 1, seed=1) * 0.1 + 5])
    for _ in range(200):
        book.update(latents, book.nearest(latents))
    expected = torch.stack([latents[:50].mean(0), latents[50:].mean(0)])
    torch.testing.assert_close(book.codes(), expected, rtol=1e-4, atol=0)


def test_a_code_that_is_never_chosen_keeps_its_place_however_long():
    book = seeded(decay=0.5)
    before = book.codes().clone()
    latents = before[:1] + 0.01
    for _ in range(400):  # 0.5 ** 400 is zero in float32
        book.update(latents, torch.tensor([0]))
    assert torch.equal(book.codes()[1:], before[1:])
    assert float(book.counts[1]) == 0.0
    # And when it is chosen at last, it goes to its latents.
    late = torch.full((4, 3), 7.0)
    book.update(late, torch.tensor([1, 1, 1, 1]))
    torch.testing.assert_close(book.codes()[1], late[0], rtol=1e-3, atol=0)


def test_the_first_update_after_seeding_moves_a_code_by_its_share_alone():
    book = seeded(decay=0.99)
    before = book.codes().clone()
    book.update(before[2:3] + 1.0, torch.tensor([2]))
    torch.testing.assert_close(book.codes()[2], before[2] + 0.01, rtol=0, atol=1e-4)
    torch.testing.assert_close(book.codes()[3:], before[3:], rtol=0, atol=0)


def test_seeding_forgets_the_averages_of_the_old_codes():
    book = seeded(decay=0.5)
    for seed in range(5):
        latents = normal(40, 3, seed=seed)
        book.update(latents, book.nearest(latents))
    book.seed(normal(6, 3, seed=9))
    assert torch.equal(book.table, normal(6, 3, seed=9))
    assert torch.equal(book.sums, book.table)
    assert torch.equal(book.counts, torch.ones(6))


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_refused_and_change_nothing(broken):
    book = seeded(revive_after=1)
    before = state(book)
    latents = normal(4, 3)
    latents[2, 1] = broken
    with pytest.raises(ValueError, match="NaN or infinity"):
        book.update(latents, torch.tensor([0, 1, 2, 3]), generator=torch.Generator())
    assert same(state(book), before)


def test_an_empty_batch_moves_no_code():
    book = seeded()
    before = book.codes().clone()
    moved = book.update(torch.empty(0, 3), torch.empty(0, dtype=torch.int64))
    assert torch.equal(book.codes(), before)
    assert not moved.any()


def test_one_code_is_the_running_mean():
    book = EmaCodebook(1, 2, decay=0.0)
    latents = normal(9, 2)
    assert torch.equal(book.nearest(latents), torch.zeros(9, dtype=torch.int64))
    book.update(latents, book.nearest(latents))
    torch.testing.assert_close(book.codes()[0], latents.mean(dim=0), rtol=1e-4, atol=1e-6)


def test_no_parameter_and_no_gradient():
    book = seeded()
    assert not list(book.parameters())
    assert book.learning == "averages"
    assert not book.lookup(torch.tensor([1])).requires_grad


def test_nearest_is_the_nearest_in_float64():
    book = seeded(40, 5)
    latents = normal(300, 5, seed=1)
    distances = torch.cdist(latents.double(), book.codes().double())
    assert torch.equal(book.nearest(latents), distances.argmin(dim=1))


def test_a_saved_book_goes_on_as_if_it_had_not_been_saved(tmp_path):
    book = seeded(decay=0.9)
    first, second = normal(30, 3, seed=1), normal(30, 3, seed=2)
    book.update(first, book.nearest(first))
    torch.save(book.state_dict(), tmp_path / "book.pt")
    loaded = EmaCodebook(6, 3, decay=0.9)
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    for each in (book, loaded):
        each.update(second, each.nearest(second))
    assert loaded.initialized
    assert same(state(loaded), state(book))


def test_state_names_are_stable():
    assert set(EmaCodebook(4, 3).state_dict()) == {"initialized", "table", "counts", "sums"}
    assert "idle.steps" in EmaCodebook(4, 3, revive_after=2).state_dict()


def test_folding_keeps_codes_and_choices():
    book = seeded(40, 5)
    latents = normal(300, 5, seed=1)
    folded = book.folded()
    before = book.codes().clone()
    assert torch.equal(folded.codes(), before)
    assert torch.equal(folded.nearest(latents), book.nearest(latents))
    book.update(latents, book.nearest(latents))
    assert torch.equal(folded.codes(), before)


@pytest.mark.parametrize(
    "options",
    [
        {"decay": 1.0},
        {"decay": -0.1},
        {"decay": float("nan")},
        {"epsilon": 0.0},
        {"epsilon": float("inf")},
        {"revive_after": 0},
    ],
)
def test_impossible_settings_are_refused_by_name(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        EmaCodebook(4, 3, **options)
