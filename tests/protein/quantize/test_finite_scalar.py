"""Is finite scalar quantization rounding inside a box, and are its indices its codes?"""

import math

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import ProgressiveQuantizer, ProgressiveSchedule
from provq_protein.quantize.finite_scalar import FiniteScalarCodebook, fsq_levels

GRIDS = [(8, 5, 5), (7,), (4, 4), (3, 16), (2, 3)]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("levels", GRIDS)
def test_the_codes_are_a_grid_in_the_box(levels):
    book = FiniteScalarCodebook(levels)
    codes = book.codes()
    assert codes.shape == (math.prod(levels), len(levels)) == (book.size, book.dim)
    assert len({tuple(code) for code in codes.tolist()}) == book.size
    for axis, count in enumerate(levels):
        half = count // 2
        values = codes[:, axis].unique()
        torch.testing.assert_close(values, (torch.arange(count) - half) / half)
    # The first dimension counts fastest.
    assert torch.equal(codes[0], torch.full((book.dim,), -1.0))
    assert codes[1, 0] > -1.0


@pytest.mark.parametrize("levels", GRIDS)
def test_indices_and_codes_belong_together(levels):
    book = FiniteScalarCodebook(levels)
    every = torch.arange(book.size)
    assert torch.equal(book.lookup(every), book.codes())
    assert torch.equal(book.nearest(book.codes()), every)


@pytest.mark.parametrize("levels", GRIDS)
def test_nearest_is_the_nearest_in_float64(levels):
    book = FiniteScalarCodebook(levels)
    inside = book.project(3 * normal(500, len(levels)))
    outside = 4 * normal(500, len(levels), seed=1)
    for latents in (inside, outside):
        distances = torch.cdist(latents.double(), book.codes().double())
        found = distances.gather(1, book.nearest(latents)[:, None])[:, 0]
        torch.testing.assert_close(found, distances.amin(dim=1), rtol=0, atol=1e-7)


def test_a_tie_goes_to_the_lowest_index():
    book = FiniteScalarCodebook([5, 9])
    halves = torch.tensor([[-0.75, 0.0], [-0.25, 0.0], [0.25, 0.0], [0.0, 0.125], [0.0, -0.125]])
    lower = torch.tensor([[-1.0, 0.0], [-0.5, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, -0.25]])
    assert torch.equal(book.lookup(book.nearest(halves)), lower)


@pytest.mark.parametrize("levels", GRIDS)
def test_every_level_can_be_reached_and_none_beyond(levels):
    book = FiniteScalarCodebook(levels)
    line = torch.linspace(-12, 12, 2001)[:, None].expand(-1, len(levels))
    codes = book.lookup(book.nearest(book.project(line)))
    for axis, count in enumerate(levels):
        assert codes[:, axis].unique().numel() == count
        assert (codes[1:, axis] >= codes[:-1, axis]).all()


@pytest.mark.parametrize("levels", GRIDS)
def test_the_box_ends_just_beyond_the_outermost_codes(levels):
    book = FiniteScalarCodebook(levels)
    ends = book.project(torch.tensor([[-30.0], [30.0]]).expand(-1, len(levels)))
    codes = book.codes()
    beyond = torch.stack([codes.amin(dim=0) - ends[0], ends[1] - codes.amax(dim=0)])
    assert (beyond > 0).all()
    assert (beyond < 2e-3).all()
    assert book.project(torch.zeros(book.dim)).abs().max() < 1e-6


def test_many_levels_never_leave_the_grid():
    book = FiniteScalarCodebook([4001])
    indices = book.nearest(book.project(torch.tensor([[-50.0], [50.0]])))
    assert indices.tolist() == [0, 4000]


def test_a_latent_gets_the_gradient_of_the_box():
    book = FiniteScalarCodebook([8, 5, 5])
    latents = normal(6, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(book.project, (latents,))
    assert not list(book.parameters())
    assert not book.lookup(torch.tensor([1])).requires_grad


def test_inside_the_quantizer_the_decoder_gets_the_rounded_value():
    schedule = ProgressiveSchedule(
        warmup_steps=0, transition_steps=0, shape="hard", initial_coupling=1.0
    )
    book = FiniteScalarCodebook([8, 5])
    quantizer = ProgressiveQuantizer(book, schedule, latent_dim=7)
    latents = normal(30, 7).requires_grad_()
    out = quantizer(latents, step=0)
    assert torch.equal(out.codes, book.lookup(book.nearest(out.projected)))
    assert torch.equal(quantizer.decode(out.indices), quantizer.eval()(latents).latents)
    out.latents.sum().backward()
    assert (latents.grad != 0).any(dim=1).all()


def test_seeding_checks_the_sample_and_changes_no_code():
    book = FiniteScalarCodebook([8, 5])
    before = book.codes()
    for broken, message in (
        (torch.full((4, 2), float("nan")), "NaN"),
        (torch.zeros(4, 3), r"\(latent, 2\)"),
        (torch.zeros(0, 2), r"\(latent, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            book.seed_from(broken, generator=torch.Generator())
        assert not book.initialized
    book.seed_from(normal(3, 2), generator=torch.Generator())
    assert book.initialized
    assert torch.equal(book.codes(), before)


def test_seeding_with_centroids_marks_only():
    book = FiniteScalarCodebook([4, 3])
    before = book.codes()
    book.seed(normal(12, 2))
    assert book.initialized
    assert torch.equal(book.codes(), before)


def test_broken_latents_and_indices_are_refused():
    book = FiniteScalarCodebook([4, 3])
    with pytest.raises(ValueError, match="NaN"):
        book.nearest(torch.tensor([[0.0, float("nan")]]))
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\)"):
        book.nearest(torch.zeros(2, 3))
    for index in (-1, 12):
        with pytest.raises(ValueError, match=r"\[0, 12\)"):
            book.lookup(torch.tensor([index]))


def test_shapes_follow_the_latents():
    book = FiniteScalarCodebook([4, 3])
    assert book.nearest(torch.zeros(2, 5, 2)).shape == (2, 5)
    assert book.nearest(torch.zeros(0, 2)).shape == (0,)
    assert book.lookup(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 5, 2)


def test_the_state_is_the_flag_and_folding_is_a_copy():
    book = FiniteScalarCodebook([4, 3])
    assert set(book.state_dict()) == {"initialized"}
    folded = book.folded()
    assert folded is not book
    assert folded.levels == book.levels
    latents = book.project(normal(50, 2))
    assert torch.equal(folded.nearest(latents), book.nearest(latents))
    assert torch.equal(folded.project(latents), book.project(latents))


@pytest.mark.parametrize("levels", [[], [1], [8, 0], [8, -3]])
def test_impossible_levels_are_refused(levels):
    with pytest.raises(ConfigError, match="levels must be 2 or more"):
        FiniteScalarCodebook(levels)


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        (240, (8, 6, 5)),
        (512, (8, 8, 8)),
        (1000, (8, 5, 5, 5)),
        (1024, (16, 8, 8)),
        (16_384, (8, 8, 8, 8, 4)),
        (64_000, (8, 8, 8, 5, 5, 5)),
        (7, (7,)),
        (3, (3,)),
        (64, (8, 8)),
        (80, (10, 8)),
    ],
)
def test_levels_multiply_to_the_size(size, levels):
    assert math.prod(levels) == size
    assert fsq_levels(size) == levels


@pytest.mark.parametrize(
    ("size", "named"),
    [(509, "507 and 512"), (2, "are: 3"), (0, "are: 3"), (-7, "are: 3"), (17, "16 and 18")],
)
def test_sizes_that_are_no_grid_are_refused_with_those_that_are(size, named):
    with pytest.raises(ConfigError, match=named):
        fsq_levels(size)
