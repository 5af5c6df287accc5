"""Does the transformer decoder predict sane backbones, whatever else is in the batch?"""

import pytest
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.model.transformer_decoder import (
    TransformerDecoder,
    TransformerDecoderConfig,
    TransformerDecoderOutput,
)


def build_decoder(**settings: int | bool) -> TransformerDecoder:
    torch.manual_seed(5)
    sizes = {"latent_dim": 6, "width": 32, "blocks": 2, "heads": 4, "num_classes": 21} | settings
    return TransformerDecoder(TransformerDecoderConfig(**sizes)).double().eval()


def make_latents(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def decode(
    decoder: TransformerDecoder,
    latents: Tensor,
    resolved: Tensor | None = None,
    present: Tensor | None = None,
    *,
    with_pairs: bool = False,
) -> TransformerDecoderOutput:
    everywhere = torch.ones(latents.shape[:2], dtype=torch.bool)
    return decoder(
        latents,
        everywhere if resolved is None else resolved,
        torch.arange(latents.shape[1]).expand(latents.shape[:2]),
        everywhere if present is None else present,
        with_pairs=with_pairs,
    )


def test_full_size_is_that_of_the_reference() -> None:
    config = TransformerDecoderConfig(latent_dim=1024, confidence_heads=True)
    with torch.device("meta"):
        decoder = TransformerDecoder(config)
    residue_head = sum(parameter.numel() for parameter in decoder.residue_head.parameters())
    total = sum(parameter.numel() for parameter in decoder.parameters())
    assert residue_head == 1_085_473
    assert total - residue_head == 106_214_729


@torch.no_grad()
def test_residues_have_ideal_geometry() -> None:
    coords = decode(build_decoder(), make_latents(2, 11, 6)).coords
    assert coords.shape == (2, 11, 3, 3)
    nitrogen, alpha, carbon = coords.unbind(2)
    first, second = nitrogen - alpha, carbon - alpha
    angle = torch.acos(torch.cosine_similarity(first, second, dim=-1)).rad2deg()
    torch.testing.assert_close(first.norm(dim=-1), torch.full_like(angle, 1.459), atol=2e-3, rtol=0)
    torch.testing.assert_close(
        second.norm(dim=-1), torch.full_like(angle, 1.525), atol=2e-3, rtol=0
    )
    torch.testing.assert_close(angle, torch.full_like(angle, 111.1), atol=0.2, rtol=0)
    assert alpha.std(dim=1).min() > 0.1  # residues are not all in one place


@torch.no_grad()
def test_padding_and_batch_mates_change_nothing() -> None:
    decoder = build_decoder()
    latents = make_latents(2, 13, 6)
    present = torch.arange(13) < torch.tensor([[13], [8]])
    together = decode(decoder, latents, present, present, with_pairs=True)
    alone = decode(decoder, latents[1:, :8], with_pairs=True)
    for name in ("coords", "residue_logits", "hidden"):
        torch.testing.assert_close(getattr(together, name)[1:, :8], getattr(alone, name))
    for name in ("distance_logits", "direction_logits"):
        torch.testing.assert_close(getattr(together, name)[1:, :8, :8], getattr(alone, name))


@torch.no_grad()
def test_unresolved_residues_are_as_if_absent() -> None:
    decoder = build_decoder()
    latents = make_latents(1, 13, 6)
    resolved = torch.ones(1, 13, dtype=torch.bool)
    resolved[0, [0, 5, 6]] = False
    without = decode(decoder, latents[:, resolved[0]]).coords
    latents[0, ~resolved[0]] = torch.nan
    output = decode(decoder, latents, resolved)
    torch.testing.assert_close(output.coords[:, resolved[0]], without)
    assert output.coords.isfinite().all()


@torch.no_grad()
def test_a_chain_of_no_resolved_residue_stays_finite() -> None:
    nowhere = torch.zeros(1, 4, dtype=torch.bool)
    output = decode(build_decoder(), make_latents(1, 4, 6), nowhere)
    assert output.coords.isfinite().all()


@torch.no_grad()
def test_order_of_residues_matters() -> None:
    decoder = build_decoder()
    latents = make_latents(1, 9, 6)
    forward = decode(decoder, latents).coords
    backward = decode(decoder, latents.flip(1)).coords.flip(1)
    assert not torch.allclose(forward, backward, atol=1e-3)


@torch.no_grad()
def test_every_residue_sees_every_other() -> None:
    decoder = build_decoder()
    latents = make_latents(1, 9, 6)
    before = decode(decoder, latents).hidden
    latents[0, 8] += 1
    change = (decode(decoder, latents).hidden - before).abs().amax(-1)
    assert change.min() > 1e-6


@torch.no_grad()
def test_pair_logits_only_on_request() -> None:
    decoder = build_decoder()
    plain = decode(decoder, make_latents(1, 7, 6))
    assert plain.distance_logits is None
    assert plain.direction_logits is None
    pairs = decode(decoder, make_latents(1, 7, 6), with_pairs=True)
    assert pairs.distance_logits.shape == (1, 7, 7, 64)
    assert pairs.direction_logits.shape == (1, 7, 7, 6, 16)
    assert pairs.residue_logits.shape == (1, 7, 21)
    assert pairs.error_logits is None
    assert pairs.confidence_logits is None


@torch.no_grad()
def test_confidence_heads_add_outputs() -> None:
    decoder = build_decoder(confidence_heads=True)
    output = decode(decoder, make_latents(1, 7, 6), with_pairs=True)
    assert output.error_logits.shape == (1, 7, 7, 64)
    assert output.confidence_logits.shape == (1, 7, 50)


def test_gradients_are_finite_with_missing_residues() -> None:
    decoder = build_decoder().train()
    latents = make_latents(2, 7, 6).requires_grad_()
    resolved = torch.ones(2, 7, dtype=torch.bool)
    resolved[0, 2] = False
    resolved[1] = False
    coords = decode(decoder, latents, resolved).coords
    coords[resolved].square().sum().backward()
    assert latents.grad.isfinite().all()
    assert not latents.grad[~resolved].any()
    assert latents.grad[resolved].any(-1).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in decoder.parameters())


@torch.no_grad()
def test_autocast_gives_single_precision_coordinates() -> None:
    decoder = build_decoder().float()
    latents = make_latents(1, 9, 6).float()
    exact = decode(decoder, latents).coords
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = decode(decoder, latents).coords
    assert rough.dtype == torch.float32
    bonds = (rough[:, :, 2] - rough[:, :, 1]).norm(dim=-1)
    torch.testing.assert_close(bonds, torch.full_like(bonds, 1.5251), atol=1e-4, rtol=0)
    assert (rough - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 30}, "multiple of 2 \\* heads = 8, got 30"),
        ({"blocks": 0}, "decoder.blocks"),
        ({"rotary_base": 1.0}, "rotary_base"),
    ],
)
def test_impossible_sizes_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TransformerDecoderConfig(**({"latent_dim": 6, "width": 32, "heads": 4} | settings))
