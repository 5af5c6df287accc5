"""Is the nearest code the nearest one, and the same in every batch?"""

import pytest
import torch

from provq_protein.quantize import Codebook, nearest_codes


def brute_force(latents, codes):
    """Compare every pair in float64; argmin takes the first of equals."""
    difference = latents.double()[:, None, :] - codes.double()[None, :, :]
    return difference.square().sum(dim=-1).argmin(dim=1)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("count", "size", "dim"), [(500, 64, 16), (300, 700, 3), (40, 30, 1024)])
def test_agrees_with_brute_force(count, size, dim):
    latents, codes = normal(count, dim), normal(size, dim, seed=1)
    assert torch.equal(nearest_codes(latents, codes), brute_force(latents, codes))


def test_agrees_with_brute_force_far_from_the_origin():
    # The expanded form |z|^2 + |e|^2 - 2 z.e has no correct digit left here.
    latents, codes = normal(400, 8) + 3e4, normal(100, 8, seed=1) + 3e4
    expanded = (
        latents.square().sum(1)[:, None] + codes.square().sum(1) - 2 * latents @ codes.T
    ).argmin(1)
    expected = brute_force(latents, codes)
    assert not torch.equal(expanded, expected)
    assert torch.equal(nearest_codes(latents, codes), expected)


def test_near_ties_agree_with_brute_force():
    # Latents on the bisector of two codes, off by a few units in the last place.
    codes = normal(200, 16)
    pairs = torch.randint(200, (2, 1000), generator=torch.Generator().manual_seed(1))
    middle = 0.5 * (codes[pairs[0]] + codes[pairs[1]])
    close = torch.cat([codes, codes + 1e-7 * normal(200, 16, seed=2)])
    for table in (codes, close):
        assert torch.equal(nearest_codes(middle, table), brute_force(middle, table))


def test_ties_go_to_the_lowest_index():
    codes = normal(50, 8)
    table = torch.cat([codes, codes, codes])
    found = nearest_codes(normal(2000, 8, seed=1), table)
    assert int(found.max()) < 50
    line = torch.tensor([[1.0], [-1.0], [1.0], [3.0]])
    latents = torch.tensor([[0.0], [2.0], [-1.0]])
    assert nearest_codes(latents, line).tolist() == [0, 0, 1]


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-21, 1e-20, 1.0, 1e12, 1e25])
def test_any_magnitude(scale):
    latents, codes = normal(200, 4) * scale, normal(40, 4, seed=1) * scale
    assert torch.equal(nearest_codes(latents, codes), brute_force(latents, codes))


def near_ties(kind):
    """Return codes, and latents half-way between two of them or a few last places away from it."""
    generator = torch.Generator().manual_seed(7)
    codes = normal(300, 8)
    if kind == "duplicates":
        codes = codes[torch.randint(60, (300,), generator=generator)]
    elif kind == "far from the origin":
        codes = codes + 3e4
    elif kind == "lattice":
        codes = torch.randint(-2, 3, (300, 8), generator=generator).float()
    pairs = torch.randint(300, (2, 300), generator=generator)
    middle = 0.5 * (codes[pairs[0]] + codes[pairs[1]])
    up, down = (torch.nextafter(middle, torch.full_like(middle, end)) for end in (1e9, -1e9))
    return torch.cat([middle, up, down]), codes


@pytest.mark.parametrize("elements", [20 * 32, 300 * 200, None])
@pytest.mark.parametrize("kind", ["midpoints", "duplicates", "far from the origin", "lattice"])
def test_near_ties_agree_with_brute_force_whatever_the_tile(kind, elements):
    latents, codes = near_ties(kind)
    expected = brute_force(latents, codes)
    assert torch.equal(nearest_codes(latents, codes, tile_elements=elements), expected)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000])
def test_any_number_of_codes_in_tiles_of_one_group(size):
    latents, codes = normal(20, 4), normal(size, 4, seed=1)
    expected = brute_force(latents, codes)
    assert torch.equal(nearest_codes(latents, codes, tile_elements=32), expected)


def test_a_tie_across_tiles_goes_to_the_lowest_index():
    codes = normal(64, 8)
    table = torch.cat([codes.flip(0), codes])
    latents = normal(30, 8, seed=1)
    found = nearest_codes(latents, table, tile_elements=32)
    assert int(found.max()) < 64
    assert torch.equal(found, brute_force(latents, table))


def test_no_product_is_larger_than_a_tile(monkeypatch):
    sizes = []
    full = torch.mm

    def counted(left, right, *, out):
        sizes.append(out.numel())
        return full(left, right, out=out)

    monkeypatch.setattr(torch, "mm", counted)
    latents, codes = normal(700, 4), normal(5000, 4, seed=1)
    assert torch.equal(
        nearest_codes(latents, codes, tile_elements=20_000), brute_force(latents, codes)
    )
    assert max(sizes) <= 20_000
    assert sum(sizes) >= 700 * 5000


def adversarial():
    codes = normal(300, 12)
    pairs = torch.randint(300, (2, 600), generator=torch.Generator().manual_seed(1))
    return 0.5 * (codes[pairs[0]] + codes[pairs[1]]), codes


def test_result_does_not_depend_on_tiles():
    latents, codes = adversarial()
    expected = nearest_codes(latents, codes)
    for elements in (301, 5_000, 77_777):
        assert torch.equal(nearest_codes(latents, codes, tile_elements=elements), expected)
    # Less than one latent and one group of codes cannot be held.
    assert torch.equal(nearest_codes(latents[:30], codes, tile_elements=1), expected[:30])


def test_a_row_alone_gets_the_index_it_gets_in_a_batch():
    latents, codes = adversarial()
    expected = nearest_codes(latents, codes)
    alone = torch.cat([nearest_codes(row[None], codes) for row in latents])
    assert torch.equal(alone, expected)
    order = torch.randperm(len(latents), generator=torch.Generator().manual_seed(2))
    assert torch.equal(nearest_codes(latents[order], codes), expected[order])


def test_autocast_changes_nothing():
    latents, codes = adversarial()
    expected = nearest_codes(latents, codes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_codes(latents, codes), expected)


def test_reduced_precision_products_change_nothing(monkeypatch):
    # Not every machine has such products, so operands are rounded here as bfloat16 units do.
    latents, codes = normal(1000, 12, seed=3), normal(300, 12)
    expected = nearest_codes(latents, codes)
    full = torch.mm

    def reduced(left, right, *, out):
        return full(left.bfloat16().float(), right.bfloat16().float(), out=out)

    monkeypatch.setattr(torch, "mm", reduced)
    assert not torch.equal(nearest_codes(latents, codes), expected)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(nearest_codes(latents, codes), expected)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_every_float_type_is_compared_exactly():
    codes = normal(64, 8)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        latents = normal(200, 8, seed=1).to(dtype)
        assert torch.equal(nearest_codes(latents, codes), brute_force(latents, codes))
    fine = torch.tensor([[1e-12], [-1e-12]], dtype=torch.float64) + 1
    assert nearest_codes(fine, torch.tensor([[0.0], [2.0]])).tolist() == [1, 0]


def test_leading_axes_and_empty_batches_keep_their_shape():
    codes = normal(10, 3)
    latents = normal(4, 5, 3, seed=1)
    found = nearest_codes(latents, codes)
    assert found.shape == (4, 5)
    assert torch.equal(found.flatten(), nearest_codes(latents.flatten(0, 1), codes))
    assert nearest_codes(torch.empty(2, 0, 3), codes).shape == (2, 0)
    assert nearest_codes(normal(3), codes).shape == ()


def test_a_single_code_is_nearest_to_everything():
    assert nearest_codes(normal(5, 3), normal(1, 3)).tolist() == [0] * 5
    assert Codebook(1, 3).nearest(normal(5, 3)).tolist() == [0] * 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    latents, codes = normal(4, 3), normal(5, 3)
    broken = latents.clone()
    broken[2, 1] = value
    with pytest.raises(ValueError, match="latents"):
        nearest_codes(broken, codes)
    with pytest.raises(ValueError, match="codes"):
        nearest_codes(latents, torch.full((5, 3), value))


def test_latents_whose_distances_overflow_are_refused():
    latents = torch.full((2, 3), 1e200, dtype=torch.float64)
    with pytest.raises(ValueError, match="too large"):
        nearest_codes(latents, normal(5, 3))


def test_arguments_are_left_as_they_were():
    # The search works in float64, where a conversion may return the argument itself.
    latents, codes = normal(20, 3).double(), normal(5, 3).double()
    before = latents.clone(), codes.clone()
    nearest_codes(latents, codes)
    assert torch.equal(latents, before[0])
    assert torch.equal(codes, before[1])


def test_wrong_dimension_names_both_shapes():
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\), got \(4, 2\)"):
        nearest_codes(normal(4, 2), normal(5, 3))
