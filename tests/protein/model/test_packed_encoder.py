"""Does the packed evaluation give the latents and ids of the network written out?"""

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from provq_protein.geometry.frames import IDEAL_BACKBONE, backbone_frames
from provq_protein.model import geometric_encoder
from provq_protein.model.geometric_encoder import GeometricEncoder, GeometricEncoderConfig
from provq_protein.quantize.nearest import nearest_codes
from provq_protein.structure.reading import read_backbones

TOLERANCE = 1e-5


def build_encoder(blocks=2, **sizes):
    """Return an encoder of float32, no parameter left at a special value."""
    torch.manual_seed(11)
    settings = {"latent_dim": 24, "width": 64, "vector_heads": 16, "blocks": blocks} | sizes
    encoder = GeometricEncoder(GeometricEncoderConfig(**settings)).eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith(("scale", "bias", "offsets.weight")):
                parameter.normal_(std=0.5)
            if name.endswith("norm.weight"):
                parameter.normal_(1.0, 0.3)
    return encoder


def literal(encoder, coords, resolved, numbers):
    """Evaluate every block on every slot of every neighborhood, in double precision."""
    encoder = copy.deepcopy(encoder).double()
    length, size = len(coords), min(encoder.config.neighbors, len(coords))
    ideal = torch.tensor(IDEAL_BACKBONE, dtype=torch.float64)
    coords = torch.where(resolved[:, None, None], coords.double(), ideal)
    distance = (coords[:, None, 1] - coords[None, :, 1]).norm(dim=-1)
    steps = (torch.arange(length)[:, None] - torch.arange(length)).abs()
    distance = torch.where(resolved & resolved[:, None], distance, 1e6 + 100.0 * steps)
    distance.fill_diagonal_(-1.0)
    near = distance.argsort(dim=1)[:, :size]
    rotations, translations = backbone_frames(coords)
    rotations, translations = rotations[near], translations[near]
    offset = (numbers[near] - numbers[:, None]).clamp(-32, 32) + 33
    features = encoder.offsets.weight[offset]
    for block in encoder.blocks:
        update = literal_attention(
            block.attention, features, rotations, translations, resolved[near]
        )
        features = features + update
        features = features + block.feed_forward(features)
    return torch.where(
        resolved[:, None], encoder.output(features[:, 0]), encoder.output.bias
    ).float()


def literal_attention(layer, features, rotations, translations, seen):
    heads, normed = layer.vector_heads, layer.norm(features)
    direction, point = layer.query(normed).unflatten(-1, (2, heads, 3)).unbind(2)
    key, value, key_point = layer.key_value(normed).unflatten(-1, (3, heads, 3)).unbind(2)
    direction, point, key, value, key_point = (
        torch.einsum("lkij,lkhj->lkhi", rotations, part)
        for part in (direction, point, key, value, key_point)
    )
    point, key_point = point + translations[:, :, None], key_point + translations[:, :, None]
    agreement = torch.einsum("lqhi,lkhi->lhqk", direction, key)
    distance = (point[:, :, None] - key_point[:, None]).norm(dim=-1).permute(0, 3, 1, 2)
    logits = functional.softplus(layer.direction_scale)[:, None, None] * agreement
    logits = logits - functional.softplus(layer.distance_scale)[:, None, None] * distance
    logits = (logits / math.sqrt(3)).masked_fill(~seen[:, None, None], -torch.inf)
    weights = logits.softmax(-1).nan_to_num(0.0)  # of unresolved residues: not used
    common = torch.einsum("lhqk,lkhi->lqhi", weights, value)
    return layer.output(torch.einsum("lkji,lkhj->lkhi", rotations, common).flatten(-2))


def check(encoder, coords, resolved, numbers):
    """Compare latents, and ids among codes that are latents of the literal network."""
    expected = literal(encoder, coords, resolved, numbers)
    with torch.inference_mode():
        found = encoder(
            coords[None], resolved[None], numbers[None], torch.ones_like(resolved)[None]
        )[0]
    assert (found - expected).abs().max() < TOLERANCE
    codes = expected[resolved][::3] + 0.01
    assert torch.equal(nearest_codes(found, codes), nearest_codes(expected, codes))


@pytest.fixture(scope="module")
def sample_chains(sample_structures):
    """Return (coords, resolved, numbers) of the shipped samples."""
    chains = []
    for path in sample_structures:
        for chain in read_backbones(path):
            if chain.resolved.any() and len(chain) <= 300:
                chains.append(
                    (
                        torch.from_numpy(np.array(chain.coords)),
                        torch.from_numpy(np.array(chain.resolved)),
                        torch.from_numpy(chain.author_numbers.astype(np.int64)),
                    )
                )
    return chains


@pytest.mark.parametrize("blocks", [1, 2, 3])
@torch.no_grad()
def test_sample_chains(sample_chains, blocks):
    encoder = build_encoder(blocks)
    for chain in sample_chains:
        check(encoder, *chain)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17])
@torch.no_grad()
def test_short_chains(make_coords, length):
    coords = torch.from_numpy(make_coords(length, 1))
    check(build_encoder(), coords, torch.ones(length, dtype=torch.bool), torch.arange(length))


@torch.no_grad()
def test_gaps_and_missing_residues(make_coords):
    coords, numbers = torch.from_numpy(make_coords(90, 2)), torch.arange(90)
    resolved = torch.rand(90, generator=torch.Generator().manual_seed(0)) > 0.3
    coords[~resolved] = torch.nan
    numbers[40:] += 37
    check(build_encoder(), coords, resolved, numbers)


@torch.no_grad()
def test_fewer_resolved_residues_than_neighbors(make_coords):
    coords, numbers = torch.from_numpy(make_coords(60, 5)), torch.arange(60)
    resolved = numbers % 6 == 2
    coords[~resolved] = torch.nan
    check(build_encoder(), coords, resolved, numbers)


@torch.no_grad()
def test_far_from_the_origin(make_coords):
    # On this grid a shift of 5000 is exact in float32.
    coords = (torch.from_numpy(make_coords(60, 3)) * 1024).round() / 1024
    everywhere, numbers = torch.ones(60, dtype=torch.bool), torch.arange(60)
    encoder = build_encoder()
    near, far = (
        encoder(at[None], everywhere[None], numbers[None], everywhere[None])
        for at in (coords, coords + 5000.0)
    )
    torch.testing.assert_close(far, near, rtol=0, atol=2e-6)
    check(encoder, coords, everywhere, numbers)


def _batch(make_coords, length=50):
    coords = torch.from_numpy(make_coords(length, 4))[None]
    everywhere = torch.ones(1, length, dtype=torch.bool)
    return coords, everywhere, torch.arange(length)[None], everywhere


@torch.no_grad()
def test_packed_weights_follow_the_weights(make_coords):
    encoder, batch = build_encoder(), _batch(make_coords)
    before = encoder(*batch)
    assert encoder.packed() is encoder.packed()
    encoder.blocks[0].attention.output.weight.mul_(1.5)
    after = encoder(*batch)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, encoder.train()(*batch), rtol=0, atol=TOLERANCE)
    encoder.eval().load_state_dict(build_encoder().state_dict())
    torch.testing.assert_close(encoder(*batch), before, rtol=0, atol=0)


def test_training_and_evaluation_agree_and_gradients_flow(make_coords):
    encoder, batch = build_encoder(), _batch(make_coords)
    with_gradient = encoder(*batch)
    assert with_gradient.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(encoder(*batch), with_gradient, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_passes_of_any_size_agree(make_coords, monkeypatch):
    encoder, batch = build_encoder(), _batch(make_coords)
    whole = encoder(*batch)
    monkeypatch.setattr(geometric_encoder, "_RESIDUES_PER_PASS_ON_CPU", 7)
    torch.testing.assert_close(encoder(*batch), whole, rtol=0, atol=2e-6)


@torch.no_grad()
def test_copies_do_not_share_packed_weights(make_coords):
    encoder, batch = build_encoder(), _batch(make_coords)
    encoder(*batch)
    other = copy.deepcopy(encoder)
    other.output.weight.zero_()
    torch.testing.assert_close(other(*batch), other.output.bias.expand(1, 50, -1))
    assert not torch.allclose(encoder(*batch), other(*batch))


def test_no_weight_is_copied_for_each_residue(make_coords):
    width = 64
    largest = []

    class Products(TorchDispatchMode):
        """Notes the second operands of products that are taken set by set."""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.bmm.default:
                largest.append(args[1].shape[1])
            return func(*args, **(kwargs or {}))

    encoder = build_encoder(width=width)
    with torch.no_grad(), Products():
        encoder(*_batch(make_coords))
    # Rotations are, and have three rows; a weight of the network has as many as it is wide.
    assert largest
    assert max(largest) < width
