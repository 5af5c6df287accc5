"""Does a shared network move all codes, start exactly at the centroids, and fold away?"""

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize.transformed_codebook import TransformedCodebook


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(size=12, dim=3, *, stirred=True, **options):
    """Make a small book whose network adds something."""
    torch.manual_seed(0)
    book = TransformedCodebook(size, dim, **{"width": 8, "depth": 1, "heads": 2} | options)
    if stirred:
        torch.nn.init.normal_(book.leave.weight)
    return book


@pytest.mark.parametrize("patch", [1, 3, 12])
def test_seeded_codes_are_the_centroids_to_the_bit(patch):
    book = make(patch=patch)
    centroids = 20 * normal(12, 3) + 50
    book.seed(centroids)
    assert torch.equal(book.codes(), centroids)
    assert torch.equal(book.raw_codes(), centroids)
    assert book.initialized


def test_one_step_on_one_code_moves_all():
    book = make(stirred=False)
    book.seed(normal(12, 3))
    optimizer = torch.optim.SGD(book.parameters(), lr=0.1)
    before = book.codes().detach().clone()
    (book.lookup(torch.tensor([4])) - 3).square().sum().backward()
    optimizer.step()
    assert (book.codes() != before).any(dim=1).all()
    assert torch.equal(book.raw_codes(), before)


@pytest.mark.parametrize("train_table", [False, True])
def test_gradients_reach_the_network_and_the_table_only_if_asked(train_table):
    book = make(train_table=train_table)
    book.lookup(torch.tensor([4, 7])).square().sum().backward()
    parameters = dict(book.named_parameters())
    assert ("table" in parameters) == train_table
    assert all(parameter.grad.abs().sum() > 0 for parameter in parameters.values())


def test_codes_of_other_positions_matter():
    book = make(patch=3)
    before = book.codes().detach().clone()
    with torch.no_grad():
        # Two codes of one position change places: the mean and the spread of the table stay.
        book.table[:2] = book.table[[1, 0]]
    moved = (book.codes() - before).abs().amax(dim=1)
    assert (moved[3:] > 1e-4).all()


def test_what_the_network_adds_has_the_scale_of_the_table():
    book = make()
    added = (book.codes() - book.table).detach()
    with torch.no_grad():
        book.table.copy_(100 * book.table + 7)
    scaled = (book.codes() - book.table).detach()
    torch.testing.assert_close(scaled, 100 * added, rtol=1e-2, atol=1e-1)


def test_nearest_is_the_nearest_in_float64_of_the_effective_codes():
    book = make(40, 5, patch=4)
    latents = 3 * normal(300, 5, seed=1)
    distances = torch.cdist(latents.double(), book.codes().detach().double())
    assert torch.equal(book.nearest(latents), distances.argmin(dim=1))


def test_folding_keeps_every_bit_and_drops_the_network():
    book = make(40, 5, patch=4)
    latents = 3 * normal(300, 5, seed=1)
    folded = book.folded()
    assert not list(folded.parameters())
    assert torch.equal(folded.codes(), book.codes())
    with torch.no_grad():
        assert torch.equal(folded.codes(), book.codes())
    indices = book.nearest(latents)
    assert torch.equal(folded.nearest(latents), indices)
    assert torch.equal(folded.lookup(indices), book.lookup(indices))


def test_full_precision_under_autocast():
    book = make()
    exact = book.codes()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(book.codes(), exact)


def test_save_load_and_step_equal_a_step_without_saving(tmp_path):
    book = make(train_table=True)
    torch.save(book.state_dict(), tmp_path / "book.pt")
    loaded = make(train_table=True, stirred=False)
    loaded.load_state_dict(torch.load(tmp_path / "book.pt", weights_only=True))
    assert torch.equal(loaded.codes(), book.codes())
    for each in (book, loaded):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        each.lookup(torch.tensor([4])).square().sum().backward()
        optimizer.step()
    assert torch.equal(loaded.codes(), book.codes())


def test_nan_centroids_are_refused_and_change_nothing():
    book = make()
    before = book.codes().detach().clone()
    with pytest.raises(ValueError, match="NaN"):
        book.seed(torch.full((12, 3), float("nan")))
    assert torch.equal(book.codes(), before)
    assert not book.initialized


def test_one_code_can_learn():
    book = make(1, 3, stirred=False)
    book.seed(normal(1, 3))
    optimizer = torch.optim.SGD(book.parameters(), lr=0.02)
    for _ in range(50):
        optimizer.zero_grad()
        (book.lookup(torch.tensor([0])) - 2).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(book.codes().detach(), torch.full((1, 3), 2.0), rtol=1e-2, atol=0)


@pytest.mark.parametrize(("size", "patch"), [(64, 1), (256, 1), (512, 2), (768, 3), (1000, 4)])
def test_at_most_256_positions_by_default(size, patch):
    assert TransformedCodebook(size, 2, width=4, depth=1).patch == patch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 5}, "patch must divide size, got 5 and 12"),
        ({"heads": 3}, "heads must divide width, got 3 and 8"),
        ({"depth": 0}, "depth must be 1 or more"),
        ({"width": 0}, "width must be 1 or more"),
        ({"heads": 0}, "heads must be 1 or more"),
        ({"patch": 0}, "patch must be 1 or more"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)
