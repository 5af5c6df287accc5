"""Do the reconstruction losses measure what their formulas say, of real residues only?"""

import math

import pytest
import torch
from torch import Tensor

from provq_protein.model.reconstruction_losses import (
    backbone_direction_loss,
    backbone_distance_loss,
    binned_direction_loss,
    binned_distance_loss,
    direction_bins,
    distance_bins,
    reconstruction_loss,
    residue_loss,
    sanitized,
    virtual_beta,
)
from provq_protein.model.transformer_decoder import (
    TransformerDecoder,
    TransformerDecoderConfig,
    TransformerDecoderOutput,
)

BATCH, LENGTH, CLASSES = 2, 9, 5


def make_coords(seed: int) -> Tensor:
    """Return random residues about 3 Angstrom apart, so that no clamp hides everything."""
    generator = torch.Generator().manual_seed(seed)
    alpha = 2 * torch.randn(BATCH, LENGTH, 1, 3, generator=generator, dtype=torch.float64).cumsum(1)
    atoms = torch.randn(BATCH, LENGTH, 3, 3, generator=generator, dtype=torch.float64)
    return alpha + atoms * torch.tensor([1.0, 0.0, 1.0])[:, None]


def near(coords: Tensor, size: float = 0.3) -> Tensor:
    """Return the coordinates with a little noise: some errors below the clamps, some above."""
    generator = torch.Generator().manual_seed(9)
    return coords + size * torch.randn(coords.shape, generator=generator, dtype=coords.dtype)


@pytest.fixture
def valid() -> Tensor:
    """Return a mask with missing residues in chain 0 and padding in chain 1."""
    valid = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    valid[0, 3] = False
    valid[1, 6:] = False
    return valid


def make_output(coords: Tensor, seed: int = 3) -> TransformerDecoderOutput:
    generator = torch.Generator().manual_seed(seed)
    batch, length = coords.shape[:2]
    logits = [
        torch.randn(batch, length, *rest, generator=generator, dtype=torch.float64)
        for rest in ((length, 64), (length, 6, 16), (CLASSES,))
    ]
    return TransformerDecoderOutput(
        coords=coords,
        distance_logits=logits[0],
        direction_logits=logits[1],
        residue_logits=logits[2],
        hidden=coords.flatten(2),
    )


def mirrored(coords: Tensor) -> Tensor:
    return coords * torch.tensor([1.0, 1.0, -1.0], dtype=coords.dtype)


def mean(values: list[float]) -> Tensor:
    return torch.tensor(sum(values) / len(values), dtype=torch.float64)


# ------------------------------------------------------------------ against loops over entries


def test_distance_loss_equals_a_loop_over_atom_pairs(valid: Tensor) -> None:
    coords = make_coords(0)
    predicted = near(coords, 2.0)
    errors = []
    for chain in range(BATCH):
        atoms = [(i, a) for i in range(LENGTH) for a in range(3) if valid[chain, i]]
        for i, a in atoms:
            for j, b in atoms:
                got = math.dist(predicted[chain, i, a], predicted[chain, j, b])
                want = math.dist(coords[chain, i, a], coords[chain, j, b])
                errors.append(min((got - want) ** 2, 25.0))
    assert 0 < sum(error == 25.0 for error in errors) < len(errors) / 2
    torch.testing.assert_close(backbone_distance_loss(predicted, coords, valid), mean(errors))


def backbone_vectors(coords: Tensor, i: int) -> list[Tensor]:
    """Return the six vectors of residue i of one chain."""
    (_, _, carbon_before), (n, ca, c), (n_after, _, _) = coords[i - 1], coords[i], coords[i + 1]
    cross = torch.linalg.cross
    return [
        ca - n,
        c - ca,
        n_after - c,
        -cross(ca - n, c - ca),
        cross(n - carbon_before, ca - n),
        cross(c - ca, n_after - c),
    ]


def test_direction_loss_equals_a_loop_over_vector_pairs(valid: Tensor) -> None:
    coords = make_coords(1)
    predicted = near(coords)
    errors = []
    for chain in range(BATCH):
        inner = [i for i in range(1, LENGTH - 1) if valid[chain, i - 1 : i + 2].all()]
        got, want = (
            [vector for i in inner for vector in backbone_vectors(structure[chain], i)]
            for structure in (predicted, coords)
        )
        for one, other in zip(got, want, strict=True):
            for two, another in zip(got, want, strict=True):
                errors.append(min(float(one @ two - other @ another) ** 2, 20.0))
    assert 0 < sum(error == 20.0 for error in errors) < len(errors)
    torch.testing.assert_close(backbone_direction_loss(predicted, coords, valid), mean(errors))


def nats(logits: Tensor, target: int) -> float:
    return float(logits.exp().sum().log() - logits[target])


def test_binned_distance_loss_equals_a_loop_over_residue_pairs(valid: Tensor) -> None:
    coords = make_coords(2)
    logits, beta = make_output(coords).distance_logits, virtual_beta(coords)
    squared_edges = [(2.3125 + 0.3075 * i) ** 2 for i in range(63)]
    terms, bins = [], set()
    for chain in range(BATCH):
        for i in range(LENGTH):
            for j in range(LENGTH):
                if valid[chain, i] and valid[chain, j]:
                    squared = float((beta[chain, i] - beta[chain, j]).square().sum())
                    bins.add(sum(squared >= edge for edge in squared_edges))
                    target = sum(squared >= edge for edge in squared_edges)
                    terms.append(nats(logits[chain, i, j], target))
    assert len(bins) > 10
    got = binned_distance_loss(logits, coords, valid)
    torch.testing.assert_close(got.double(), mean(terms), atol=1e-5, rtol=1e-5)


def test_binned_direction_loss_equals_a_loop_over_residue_pairs(valid: Tensor) -> None:
    coords = make_coords(3)
    logits = make_output(coords).direction_logits
    terms = []
    for chain in range(BATCH):
        for i in range(LENGTH):
            for j in range(LENGTH):
                if valid[chain, i] and valid[chain, j]:
                    (a, b, c), (d, e, f) = unit_axes(coords[chain, i]), unit_axes(coords[chain, j])
                    products = (a @ e, a @ f, b @ d, b @ f, c @ d, c @ e)
                    for kind, product in enumerate(products):
                        target = min(int((float(product) + 1) / 0.125 + 1e-5), 15)
                        terms.append(nats(logits[chain, i, j, kind], target))
    got = binned_direction_loss(logits, coords, valid)
    torch.testing.assert_close(got.double(), mean(terms), atol=1e-5, rtol=1e-5)


def unit_axes(residue: Tensor) -> list[Tensor]:
    n, ca, c = residue
    axes = (c - ca, n - ca, torch.linalg.cross(c - ca, n - ca))
    return [axis / axis.norm() for axis in axes]


def test_residue_loss_equals_a_loop_over_residues(valid: Tensor) -> None:
    logits = make_output(make_coords(4)).residue_logits
    classes = torch.arange(BATCH * LENGTH).reshape(BATCH, LENGTH) % CLASSES
    classes[0, 5] = -1  # a residue of unknown type
    terms = [
        nats(logits[chain, i], int(classes[chain, i]))
        for chain in range(BATCH)
        for i in range(LENGTH)
        if valid[chain, i] and classes[chain, i] >= 0
    ]
    got = residue_loss(logits, classes, valid)
    torch.testing.assert_close(got.double(), mean(terms), atol=1e-5, rtol=1e-5)


# ----------------------------------------------------------------------------------- geometry


def test_virtual_beta_has_the_hand_of_an_l_residue() -> None:
    # Alanine of an ideal helix; C-beta as built by refinement programs.
    residue = torch.tensor([[-0.525, 1.363, 0.0], [0.0, 0.0, 0.0], [1.526, 0.0, 0.0]])
    beta = torch.tensor([-0.529, -0.774, -1.205])
    torch.testing.assert_close(virtual_beta(residue), beta, atol=0.06, rtol=0)


@pytest.mark.parametrize(
    ("distance", "expected"),
    [(0.0, 0), (2.31, 0), (2.32, 1), (8.0, 19), (21.37, 62), (21.38, 63), (22.0, 63), (100.0, 63)],
)
def test_distances_fall_into_bins_of_equal_width(distance: float, expected: int) -> None:
    residue = make_coords(0)[:1, :1]
    shift = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64) * distance
    bins = distance_bins(torch.cat([residue, residue + shift], dim=1))
    assert bins[0].tolist() == [[0, expected], [expected, 0]]


def test_direction_bins_tell_a_structure_from_its_mirror_image() -> None:
    coords = make_coords(0)
    bins, reflected = direction_bins(coords), direction_bins(mirrored(coords))
    assert int(bins.min()) == 0
    assert int(bins.max()) == 15
    # a.b and b.a keep their value, products with the crossed axis change sign.
    assert torch.equal(bins[..., [0, 2]], reflected[..., [0, 2]])
    off_diagonal = ~torch.eye(LENGTH, dtype=torch.bool)
    for kind in (1, 3, 4, 5):
        crossed = bins[:, off_diagonal][..., kind]
        assert torch.equal(reflected[:, off_diagonal][..., kind], 15 - crossed)


def test_direction_bins_of_a_moved_copy_are_the_same() -> None:
    coords = make_coords(0).float()
    rotation, _ = torch.linalg.qr(make_coords(5)[0, 0].float())
    moved = coords @ (rotation * rotation.det()).T
    itself = torch.arange(LENGTH)  # orthogonal axes lie on the edge between two bins
    bins, again = (
        direction_bins(coords)[:, itself, itself],
        direction_bins(moved)[:, itself, itself],
    )
    assert torch.equal(bins, again)
    assert (bins[..., [1, 3, 4, 5]] == 8).all()


def test_a_mirror_image_has_no_distance_loss_but_a_direction_loss() -> None:
    coords = make_coords(0)
    everywhere = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    assert backbone_distance_loss(mirrored(coords), coords, everywhere) < 1e-9
    assert backbone_direction_loss(mirrored(coords), coords, everywhere) > 1.0


def test_a_moved_copy_has_no_geometric_loss(valid: Tensor) -> None:
    coords = make_coords(0)
    rotation, _ = torch.linalg.qr(make_coords(5)[0, 0])
    moved = coords @ (rotation * rotation.det()).T + 100.0
    assert backbone_distance_loss(moved, coords, valid) < 1e-9
    assert backbone_direction_loss(moved, coords, valid) < 1e-9


# ------------------------------------------------------------------------- padding and gaps


def terms_of(loss) -> Tensor:
    names = ("distance", "direction", "binned_distance", "binned_direction", "residue", "total")
    return torch.stack([getattr(loss, name).double() for name in names])


def test_entries_outside_the_mask_do_not_count(valid: Tensor) -> None:
    coords = make_coords(0).float()
    classes = torch.arange(LENGTH).repeat(BATCH, 1) % CLASSES
    output = make_output(near(coords))
    expected = terms_of(reconstruction_loss(output, coords, valid, classes))
    garbage = torch.where(valid[..., None, None], coords, torch.nan)
    output.coords[~valid] += 50.0
    output.distance_logits[~(valid[:, :, None] & valid[:, None])] += make_coords(7)[0, 0, 0, 0]
    output.residue_logits[~valid] = 7.0
    classes[~valid] = -1
    before = garbage.clone()
    got = terms_of(reconstruction_loss(output, garbage, valid, classes))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(garbage, before, equal_nan=True, rtol=0, atol=0)


def test_padding_a_batch_changes_nothing(valid: Tensor) -> None:
    coords = make_coords(0).float()
    classes = torch.arange(LENGTH).repeat(BATCH, 1) % CLASSES
    output = make_output(near(coords))
    expected = terms_of(reconstruction_loss(output, coords, valid, classes))
    extra = 4

    def pad(tensor: Tensor, value: float, dims: tuple[int, ...]) -> Tensor:
        for dim in dims:
            shape = list(tensor.shape)
            shape[dim] = extra
            tensor = torch.cat([tensor, torch.full(shape, value, dtype=tensor.dtype)], dim=dim)
        return tensor

    padded = TransformerDecoderOutput(
        coords=pad(output.coords, 1.0, (1,)),
        distance_logits=pad(output.distance_logits, 2.0, (1, 2)),
        direction_logits=pad(output.direction_logits, 2.0, (1, 2)),
        residue_logits=pad(output.residue_logits, 2.0, (1,)),
        hidden=output.hidden,
    )
    everywhere = torch.ones(BATCH, LENGTH + extra, dtype=torch.bool)
    resolved = torch.cat([valid, everywhere[:, :extra]], dim=1)
    got = reconstruction_loss(
        padded,
        pad(coords, math.inf, (1,)),
        resolved,
        pad(classes, 1, (1,)),
        present=torch.arange(LENGTH + extra).expand(BATCH, -1) < LENGTH,
    )
    # Single precision: sums over longer arrays may be taken in another order.
    torch.testing.assert_close(terms_of(got), expected, rtol=1e-6, atol=1e-6)


def test_total_is_the_sum_of_the_five_terms(valid: Tensor) -> None:
    coords = make_coords(0).float()
    classes = torch.zeros(BATCH, LENGTH, dtype=torch.int64)
    terms = terms_of(reconstruction_loss(make_output(near(coords)), coords, valid, classes))
    assert terms[:5].min() > 0
    torch.testing.assert_close(terms[5], terms[:5].sum())


@pytest.mark.parametrize("length", [1, 2])
def test_chains_too_short_for_a_term_give_zero(length: int) -> None:
    coords = make_coords(0)[:, :length]
    everywhere = torch.ones(BATCH, length, dtype=torch.bool)
    assert backbone_direction_loss(near(coords), coords, everywhere) == 0


def test_without_pair_logits_the_message_says_what_to_do(valid: Tensor) -> None:
    coords = make_coords(0)
    output = TransformerDecoderOutput(
        coords=coords,
        distance_logits=None,
        direction_logits=None,
        residue_logits=coords,
        hidden=coords,
    )
    with pytest.raises(ValueError, match="with_pairs=True"):
        reconstruction_loss(output, coords, valid, valid.long())


@pytest.mark.parametrize("nothing", [False, True])
def test_gradients_are_finite_and_reach_every_parameter(valid: Tensor, nothing: bool) -> None:
    torch.manual_seed(0)
    decoder = TransformerDecoder(
        TransformerDecoderConfig(latent_dim=4, width=16, blocks=1, heads=2, num_classes=CLASSES)
    )
    if nothing:
        valid = torch.zeros_like(valid)
    numbers = torch.arange(LENGTH).expand(BATCH, -1)
    coords = torch.where(valid[..., None, None], make_coords(0).float(), torch.nan)
    output = decoder(torch.randn(BATCH, LENGTH, 4), valid, numbers, valid, with_pairs=True)
    classes = torch.zeros(BATCH, LENGTH, dtype=torch.int64)
    loss = reconstruction_loss(output, coords, valid, classes)
    loss.total.backward()
    assert (loss.total == 0) == nothing
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() != nothing, name


def test_sanitized_leaves_its_input_alone() -> None:
    coords = torch.full((1, 2, 3, 3), torch.nan)
    clean = sanitized(coords, torch.zeros(1, 2, dtype=torch.bool))
    assert clean.isfinite().all()
    assert coords.isnan().all()
