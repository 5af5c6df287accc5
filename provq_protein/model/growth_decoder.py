"""How does the lean decoder grow a chain from latents and then refine it?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import compose_chain, place_backbone, rotation_from_axes
from provq_protein.model.refinement import (
    FeedForward,
    Frames,
    PairFeatures,
    RefineBlock,
    Relate,
)
from provq_protein.model.sizes import check_sizes

# A CA-CA step along the chain is 3.8 Angstrom long; the step head predicts in this unit.
STEP_SCALE = 3.8
# Jumps in the residue numbering: 0 or 1 (none), 2 ... 15, and everything else.
_GAP_CLASSES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class GrowthDecoderConfig:
    """
    Sizes of `GrowthDecoder`.

    Parameters
    ----------
    latent_dim : int
        Size of one latent.
    width : int
        Size of a residue's hidden vector.
    heads : int
        Attention heads; `width` is a multiple of twice this (rotary positions).
    trunk_blocks : int
        Transformer blocks before the chain is grown.
    refine_blocks : int
        Blocks that move the residues afterwards.
    ffn_ratio : int
        Hidden size of the feed-forward layers as a multiple of `width`.
    pair_width : int
        Size of a residue pair's hidden vector.
    distance_bins : int
        Classes of the auxiliary CA-CA distance prediction.
    """

    latent_dim: int
    width: int
    heads: int
    trunk_blocks: int
    refine_blocks: int
    ffn_ratio: int
    pair_width: int
    distance_bins: int

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        check_sizes("decoder", self, may_be_zero=("trunk_blocks",))
        if self.width % (2 * self.heads):
            msg = (
                f"decoder: width ({self.width}) must be a multiple of twice the heads "
                f"({2 * self.heads}), because positions are rotary"
            )
            raise ConfigError(msg)


@dataclass(frozen=True)
class GrowthDecoderOutput:
    """
    What `GrowthDecoder` returns.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C after the last refinement, in Angstrom.
    step_rotations : Tensor, shape=(batch, residue - 1, 3, 3), dtype=float32
        Predicted orientation of residue i + 1 in the frame of residue i.
    step_translations : Tensor, shape=(batch, residue - 1, 3), dtype=float32
        Predicted origin of residue i + 1 in the frame of residue i, in Angstrom.
    refined : tuple of Frames
        The frames after each refinement block, the last one included.
    distance_logits : Tensor, shape=(batch, residue, residue, bins) or None
        Auxiliary distance prediction; only while training.
    """

    coords: Tensor
    step_rotations: Tensor
    step_translations: Tensor
    refined: tuple[Frames, ...]
    distance_logits: Tensor | None


class GrowthDecoder(nn.Module):
    """
    Decode latents to a backbone: grow the chain locally, then refine it globally.

    A transformer predicts for each residue the rigid transform to the next one. The
    product of these transforms is a first backbone with sound local geometry and drifting
    long-range order. Refinement blocks then attend over residues with a bias from the
    present geometry, read where their partners are, and move every frame.

    Parameters
    ----------
    config : GrowthDecoderConfig
        Sizes.

    Notes
    -----
    Gradients do not flow through the composed chain nor between refinement blocks: steps
    are supervised locally and each block by its own frame-aligned error. The gradient through
    a long composed chain is left out because it stalled the training of a prototype. Rotating
    the output of the growth step rotates the final coordinates with it; the global pose itself
    is arbitrary.
    """

    predicts_steps = True

    def __init__(self, config: GrowthDecoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.from_latent = nn.Linear(config.latent_dim, width)
        self.unresolved = nn.Parameter(torch.zeros(width))
        self.gaps = nn.Embedding(_GAP_CLASSES, width)
        nn.init.normal_(self.gaps.weight, std=0.1)
        self.trunk = nn.ModuleList(
            _TrunkBlock(width, config.heads, config.ffn_ratio) for _ in range(config.trunk_blocks)
        )
        self.trunk_norm = nn.LayerNorm(width)
        if self.predicts_steps:
            self.step = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 9))
        self.pair = PairFeatures(width, config.pair_width)
        self.distances = nn.Linear(config.pair_width, config.distance_bins)
        self.refine = nn.ModuleList(
            RefineBlock(width, config.heads, config.ffn_ratio, config.pair_width)
            for _ in range(config.refine_blocks)
        )

    def forward(
        self,
        latents: Tensor,
        resolved: Tensor,
        residue_numbers: Tensor,
        present: Tensor,
        *,
        steps: tuple[Tensor, Tensor] | None = None,
    ) -> GrowthDecoderOutput:
        """
        Decode latents to backbone coordinates.

        Parameters
        ----------
        latents : Tensor, shape=(batch, residue, latent_dim), dtype=float
            Latents or codes. Values at unresolved residues are ignored.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where the residue has a latent.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Author numbering; only jumps between successive residues are used.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.
        steps : tuple of Tensor, shapes=(batch, residue, 3, 3) and (batch, residue, 3), optional
            The rotation and translation (Angstrom) from each residue to the next one, for a
            decoder that does not predict them.

        Returns
        -------
        GrowthDecoderOutput
            Coordinates and the intermediate results that the losses need.
        """
        hidden = self.from_latent(latents)
        hidden = torch.where((resolved & present)[..., None], hidden, self.unresolved)
        hidden = hidden + self.gaps(_gap_classes(residue_numbers))
        rotary = _rotary_tables(hidden.shape[1], self.config.width // self.config.heads, hidden)
        for block in self.trunk:
            hidden = block(hidden, present, rotary)
        hidden = self.trunk_norm(hidden)
        step_rotations, step_translations = self._steps(hidden) if steps is None else _inner(steps)
        frames = _grow(step_rotations.detach(), step_translations.detach())
        refined = []
        relate, logits = self._relations(hidden)
        for block in self.refine:
            hidden, frames = block(hidden, frames.detach(), present, relate)
            refined.append(frames)
        with torch.autocast(hidden.device.type, enabled=False):
            coords = place_backbone(frames.rotations, frames.translations)
        return GrowthDecoderOutput(
            coords=coords,
            step_rotations=step_rotations,
            step_translations=step_translations,
            refined=tuple(refined),
            distance_logits=logits,
        )

    def _relations(self, hidden: Tensor) -> tuple[Relate, Tensor | None]:
        """
        Give blocks the pair features of some rows, and the loss its distances.

        In training all rows are computed once and kept for the gradient; otherwise each
        block computes the rows it is at, and memory stays linear in the chain's length.
        """
        projected = self.pair.project(hidden)
        if not self.training:
            return lambda rows: self.pair(projected, rows), None
        everything = self.pair(projected, slice(None))
        return lambda rows: everything[:, rows], self.distances(everything)

    def _steps(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        first, second, shift = self.step(hidden[:, :-1]).float().split(3, dim=-1)
        return rotation_from_axes(first, second), shift * STEP_SCALE


def _inner(steps: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Leave out the step that would follow the last residue."""
    rotations, translations = steps
    return rotations[:, :-1], translations[:, :-1]


def _gap_classes(residue_numbers: Tensor) -> Tensor:
    """Class of the jump from the residue before: 0 for none (also at the start)."""
    jump = torch.diff(residue_numbers, dim=1, prepend=residue_numbers[:, :1]).abs()
    jump = torch.where(jump <= 1, 0, (jump - 1).clamp(max=_GAP_CLASSES - 1))
    return jump.long()


def _grow(step_rotations: Tensor, step_translations: Tensor) -> Frames:
    """Compose the steps from an identity first frame, in fp32 whatever the autocast."""
    with torch.autocast(step_rotations.device.type, enabled=False):
        batch = step_rotations.shape[0]
        first = torch.eye(3, device=step_rotations.device).expand(batch, 1, 3, 3)
        origin = step_translations.new_zeros(batch, 1, 3)
        return Frames(
            *compose_chain(
                torch.cat([first, step_rotations.float()], dim=1),
                torch.cat([origin, step_translations.float()], dim=1),
            )
        )


def _rotary_tables(length: int, head_width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    frequency = 10_000.0 ** (-torch.arange(0, head_width, 2, device=like.device) / head_width)
    angle = torch.arange(length, device=like.device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def _rotate(vectors: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = rotary
    first, second = vectors.chunk(2, dim=-1)
    return (vectors * cosine + torch.cat([-second, first], dim=-1) * sine).to(vectors.dtype)


class _TrunkBlock(nn.Module):
    """Pre-norm transformer block with rotary positions."""

    def __init__(self, width: int, heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.ffn = FeedForward(width, ffn_ratio)

    def forward(self, hidden: Tensor, present: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        split = (3, self.heads, -1)
        parts = self.query_key_value(self.norm(hidden)).unflatten(-1, split)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(
            _rotate(query, rotary),
            _rotate(key, rotary),
            value,
            attn_mask=present[:, None, None, :],
        )
        hidden = hidden + self.output(attended.transpose(1, 2).flatten(2))
        return self.ffn(hidden)
