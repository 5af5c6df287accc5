"""Does the geometric encoder see each residue's neighborhood, all of it, and nothing else?"""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.geometry.frames import backbone_frames
from provq_protein.model import geometric_encoder
from provq_protein.model.geometric_attention import GeometricAttention
from provq_protein.model.geometric_encoder import (
    GeometricEncoder,
    GeometricEncoderConfig,
    from_esm_state_dict,
)

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def build_encoder(**sizes: int) -> GeometricEncoder:
    """Return a small encoder in double precision, no parameter left at a special value."""
    torch.manual_seed(3)
    settings = {"latent_dim": 6, "width": 32, "vector_heads": 8, "blocks": 2} | sizes
    encoder = GeometricEncoder(GeometricEncoderConfig(**settings)).double().eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith(("scale", "bias", "offsets.weight")):
                parameter.normal_(std=0.5)
    return encoder


def make_batch(*lengths: int, seed: int = 0) -> Batch:
    """Return random but chain-like backbones, fully resolved, padded to the longest."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    steps = functional.normalize(
        torch.randn(len(lengths), longest, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    alpha = (3.8 * steps).cumsum(1)
    atoms = torch.randn(len(lengths), longest, 2, 3, generator=generator, dtype=torch.float64)
    coords = torch.stack([alpha + atoms[:, :, 0], alpha, alpha + atoms[:, :, 1]], dim=2)
    present = torch.arange(longest) < torch.tensor(lengths)[:, None]
    numbers = torch.arange(longest).repeat(len(lengths), 1) * present
    coords = torch.where(present[..., None, None], coords, torch.nan)
    return coords, present.clone(), numbers, present


def random_rotation(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return rotation * rotation.det()


def brute_force(encoder: GeometricEncoder, coords: Tensor, numbers: Tensor) -> Tensor:
    """Run every block on every slot of every neighborhood, one residue and head at a time."""
    rotations, translations = backbone_frames(coords)
    distances = (coords[:, None, 1] - coords[None, :, 1]).norm(dim=-1)
    latents = []
    for residue in range(len(coords)):
        near = distances[residue].argsort()[: encoder.config.neighbors]
        offset = (numbers[near] - numbers[residue]).clamp(-32, 32) + 33
        features = encoder.offsets.weight[offset]
        for block in encoder.blocks:
            update = dense_attention(block.attention, features, rotations[near], translations[near])
            features = features + update
            features = features + block.feed_forward(features)
        latents.append(encoder.output(features[0]))
    return torch.stack(latents)


def dense_attention(layer, features, rotations, translations):
    heads, normed = layer.vector_heads, layer.norm(features)
    query, key = layer.query(normed), layer.key_value(normed)
    attended = torch.zeros(len(features), heads, 3, dtype=features.dtype)
    for head in range(heads):
        vectors = [
            projected[:, 3 * (part * heads + head) :][:, :3]
            for projected, parts in ((query, 2), (key, 3))
            for part in range(parts)
        ]
        turned = [
            torch.stack([r @ v for r, v in zip(rotations, one, strict=True)]) for one in vectors
        ]
        direction, point, key_direction, value, key_point = turned
        agreement = direction @ key_direction.T
        distance = torch.stack(
            [
                (p + t - (key_point + translations)).norm(dim=-1)
                for p, t in zip(point, translations, strict=True)
            ]
        )
        logits = functional.softplus(layer.direction_scale[head]) * agreement
        logits = logits - functional.softplus(layer.distance_scale[head]) * distance
        common = (logits / math.sqrt(3)).softmax(-1) @ value
        attended[:, head] = torch.stack([r.T @ v for r, v in zip(rotations, common, strict=True)])
    return layer.output(attended.flatten(1))


@pytest.mark.parametrize("blocks", [1, 2, 3])
@torch.no_grad()
def test_equals_the_network_without_shortcuts(blocks: int) -> None:
    encoder = build_encoder(blocks=blocks, vector_heads=4)
    coords, resolved, numbers, present = make_batch(24)
    expected = brute_force(encoder, coords[0], numbers[0])
    torch.testing.assert_close(encoder(coords, resolved, numbers, present)[0], expected)


def test_gradients_equal_those_without_shortcuts() -> None:
    encoder = build_encoder(vector_heads=4)
    coords, resolved, numbers, present = make_batch(18)
    parameters = list(encoder.parameters())
    mine = encoder(coords, resolved, numbers, present)[0].square().sum()
    expected = brute_force(encoder, coords[0], numbers[0]).square().sum()
    for got, want in zip(
        torch.autograd.grad(mine, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


@torch.no_grad()
def test_moving_and_turning_a_chain_changes_nothing() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(40)
    moved = coords @ random_rotation().T + torch.tensor([5000.0, -300.0, 70.0])
    torch.testing.assert_close(
        encoder(moved, resolved, numbers, present), encoder(coords, resolved, numbers, present)
    )


@torch.no_grad()
def test_mirroring_a_chain_changes_its_latents() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(40)
    mirrored = coords * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    change = encoder(mirrored, resolved, numbers, present) - encoder(
        coords, resolved, numbers, present
    )
    assert change.abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_single_precision_far_from_the_origin(dtype: torch.dtype) -> None:
    encoder = build_encoder().float()
    coords, resolved, numbers, present = make_batch(40)
    if dtype is torch.float32:
        coords = (coords * 1024).round() / 1024  # a shift of 5000 is exact on this grid
    coords = coords.to(dtype)
    torch.testing.assert_close(
        encoder(coords + 5000.0, resolved, numbers, present),
        encoder(coords, resolved, numbers, present),
        atol=2e-6,
        rtol=2e-6,
    )


@torch.no_grad()
def test_padding_and_batch_mates_change_nothing() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(9, 30, 21)
    latents = encoder(coords, resolved, numbers, present)
    garbage = torch.where(present[..., None, None], coords, 1.0)
    torch.testing.assert_close(
        encoder(garbage, torch.ones_like(resolved), numbers, present), latents, rtol=0, atol=0
    )
    for row, length in enumerate((9, 30, 21)):
        alone = encoder(
            coords[row : row + 1, :length],
            resolved[row : row + 1, :length],
            numbers[row : row + 1, :length],
            present[row : row + 1, :length],
        )
        torch.testing.assert_close(latents[row, :length], alone[0])


@torch.no_grad()
def test_a_residue_sees_its_sixteen_nearest_and_no_other() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(60)
    before = encoder(coords, resolved, numbers, present)[0]
    distance = (coords[0, :, 1] - coords[0, 30, 1]).norm(dim=-1)
    order = distance.argsort()
    for rank, seen in ((15, True), (16, False), (40, False)):
        turned = coords.clone()
        residue = order[rank]
        # Turn the residue about its CA: no distance between CA atoms changes.
        center = coords[0, residue, 1]
        turned[0, residue] = (coords[0, residue] - center) @ random_rotation().T + center
        change = (encoder(turned, resolved, numbers, present)[0] - before).abs().amax(-1)
        assert change[residue] > 1e-6
        assert (change[30] > 1e-9) == seen


@pytest.mark.parametrize("missing", [[0, 7, 8, 25], list(range(3, 36))])
@torch.no_grad()
def test_unresolved_residues_get_the_output_bias_and_are_not_seen(missing: list[int]) -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(40)
    resolved[0, missing] = False
    latents = encoder(coords, resolved, numbers, present)[0]
    torch.testing.assert_close(latents[missing], encoder.output.bias.expand(len(missing), -1))
    without = [part[:, resolved[0]] for part in (coords, resolved, numbers, present)]
    torch.testing.assert_close(latents[resolved[0]], encoder(*without)[0])
    coords[0, missing] = torch.nan
    torch.testing.assert_close(encoder(coords, resolved, numbers, present)[0], latents)


@torch.no_grad()
def test_a_chain_without_coordinates_gets_the_output_bias() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(5)
    nothing = torch.zeros_like(resolved)
    latents = encoder(torch.full_like(coords, torch.nan), nothing, numbers, present)
    torch.testing.assert_close(latents, encoder.output.bias.expand(1, 5, -1))


@torch.no_grad()
def test_only_differences_of_residue_numbers_matter_up_to_the_clamp() -> None:
    encoder = build_encoder()
    coords, resolved, numbers, present = make_batch(40)
    latents = encoder(coords, resolved, numbers, present)
    torch.testing.assert_close(encoder(coords, resolved, numbers - 500, present), latents)
    gap = numbers + 1000 * (numbers >= 20)
    assert not torch.allclose(encoder(coords, resolved, gap, present), latents)
    wider = numbers + 2000 * (numbers >= 20)
    torch.testing.assert_close(
        encoder(coords, resolved, wider, present), encoder(coords, resolved, gap, present)
    )


@torch.no_grad()
def test_passes_of_any_size_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder()
    batch = make_batch(40, 33)
    whole = encoder(*batch)
    monkeypatch.setattr(geometric_encoder, "_RESIDUES_PER_PASS", 7)
    torch.testing.assert_close(encoder(*batch), whole)


def test_gradients_are_finite_and_reach_every_parameter() -> None:
    encoder = build_encoder().float().train()
    coords, resolved, numbers, present = make_batch(30, 12)
    coords = coords.float()
    resolved[0, 3:6] = False
    coords[0, 3:6] = torch.nan
    encoder(coords, resolved, numbers, present).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_inputs_are_left_as_they_were() -> None:
    encoder = build_encoder()
    batch = make_batch(20, 12)
    batch[1][0, 4] = False
    copies = [part.clone() for part in batch]
    encoder(*batch)
    for part, copy in zip(batch, copies, strict=True):
        torch.testing.assert_close(part, copy, equal_nan=True, rtol=0, atol=0)


@torch.no_grad()
def test_autocast_keeps_the_geometry_in_single_precision() -> None:
    encoder = build_encoder().float()
    coords, resolved, numbers, present = make_batch(40)
    exact = encoder(coords.float(), resolved, numbers, present)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(coords.float(), resolved, numbers, present)
    assert (rough.float() - exact).norm() < 0.02 * exact.norm()


@torch.no_grad()
def test_autocast_does_not_touch_attention_between_frames() -> None:
    layer = GeometricAttention(32, 8)
    layer.output = torch.nn.Identity()
    rotations, translations = backbone_frames(make_batch(16)[0].float())
    vectors = layer.project(torch.randn(1, 16, 32, generator=torch.Generator().manual_seed(0)))
    frames = rotations, translations, torch.ones(1, 16, dtype=torch.bool)
    exact = layer.attend(*vectors, *frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer.attend(*vectors, *frames), exact)


@pytest.mark.parametrize(("latent_dim", "parameters"), [(1024, 31_034_624), (128, 30_116_224)])
def test_full_size_is_that_of_esm3(latent_dim: int, parameters: int) -> None:
    with torch.device("meta"):
        encoder = GeometricEncoder(GeometricEncoderConfig(latent_dim=latent_dim))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"encoder.neighbors .* got 0"):
        GeometricEncoderConfig(latent_dim=4, neighbors=0)


def test_weights_of_another_network_are_refused() -> None:
    encoder = build_encoder()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(CheckpointError, match="missing"):
        from_esm_state_dict(encoder, {"pre_vq_proj.weight": torch.zeros(6, 32)})
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])
