"""How does the lean decoder grow a chain from latents and then refine it?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import compose_chain, place_backbone, rotation_from_axes

# A CA-CA step along the chain is 3.8 Angstrom long; the step head predicts in this unit.
_STEP_SCALE = 3.8
# Partner positions are read in this unit (Angstrom).
_PARTNER_SCALE = 10.0
# Frame updates are predicted in these units (Angstrom; vector part of a quaternion). Larger
# ones let an optimizer step of a young model tear the chain apart.
_SHIFT_SCALE = 1.0
_TURN_SCALE = 0.2
_DISTANCE_MAX = 40.0
_DISTANCE_BASES = 16
_GEOMETRY_FEATURES = _DISTANCE_BASES + 1 + 3 + 3
_MAX_OFFSET = 32
# Jumps in the residue numbering: 0 or 1 (none), 2 ... 15, and everything else.
_GAP_CLASSES = 16
# Queries handled at once outside training: bounds memory at this many rows of pairs.
_ROW_CHUNK = 256


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
        if self.width % (2 * self.heads):
            msg = (
                f"decoder: width ({self.width}) must be a multiple of twice the heads "
                f"({2 * self.heads}), because positions are rotary"
            )
            raise ConfigError(msg)
        if self.refine_blocks < 1:
            msg = f"decoder: refine_blocks must be at least 1, got {self.refine_blocks}"
            raise ConfigError(msg)


@dataclass(frozen=True)
class Frames:
    """
    The rigid frames of a batch of chains.

    Parameters
    ----------
    rotations : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        Columns are the local axes.
    translations : Tensor, shape=(batch, residue, 3), dtype=float32
        CA positions, in Angstrom.
    """

    rotations: Tensor
    translations: Tensor

    def detach(self) -> "Frames":
        """Return the same frames, cut from the gradient."""
        return Frames(self.rotations.detach(), self.translations.detach())


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
    are supervised locally and each block by its own frame-aligned error. With the gradient
    of the composed chain, training stalls. Rotating the output of the growth step rotates
    the final coordinates with it; the global pose itself is arbitrary.
    """

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
        self.step = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 9))
        self.pair = _PairFeatures(width, config.pair_width)
        self.distances = nn.Linear(config.pair_width, config.distance_bins)
        self.refine = nn.ModuleList(
            _RefineBlock(width, config.heads, config.ffn_ratio, config.pair_width)
            for _ in range(config.refine_blocks)
        )

    def forward(
        self, latents: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
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
        step_rotations, step_translations = self._steps(hidden)
        frames = _grow(step_rotations.detach(), step_translations.detach())
        refined = []
        pair = self.pair.project(hidden)
        for block in self.refine:
            hidden, frames = block(hidden, frames.detach(), present, self.pair, pair)
            refined.append(frames)
        logits = self.distances(self.pair(pair, slice(None))) if self.training else None
        return GrowthDecoderOutput(
            coords=place_backbone(frames.rotations, frames.translations),
            step_rotations=step_rotations,
            step_translations=step_translations,
            refined=tuple(refined),
            distance_logits=logits,
        )

    def _steps(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        first, second, shift = self.step(hidden[:, :-1]).float().split(3, dim=-1)
        return rotation_from_axes(first, second), shift * _STEP_SCALE


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


class _FeedForward(nn.Module):
    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, ratio * width)
        self.contract = nn.Linear(ratio * width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.contract(functional.gelu(self.expand(self.norm(hidden))))


class _TrunkBlock(nn.Module):
    """Pre-norm transformer block with rotary positions."""

    def __init__(self, width: int, heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.ffn = _FeedForward(width, ffn_ratio)

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


class _PairFeatures(nn.Module):
    """A low-rank guess at the relation of two residues, from the trunk and their separation."""

    def __init__(self, width: int, pair_width: int) -> None:
        super().__init__()
        self.left_right = nn.Linear(width, 2 * pair_width)
        self.offsets = nn.Embedding(2 * _MAX_OFFSET + 1, pair_width)
        self.mix = nn.Linear(pair_width, pair_width)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        left, right = self.left_right(hidden).chunk(2, dim=-1)
        return left, right

    def forward(self, projected: tuple[Tensor, Tensor], rows: slice) -> Tensor:
        left, right = projected
        position = torch.arange(left.shape[1], device=left.device)
        separation = position[None, :] - position[rows, None]
        offset = self.offsets(separation.clamp(-_MAX_OFFSET, _MAX_OFFSET) + _MAX_OFFSET)
        return self.mix(functional.gelu(left[:, rows, None] * right[:, None] + offset))


class _RefineBlock(nn.Module):
    """Attend with a bias from the present geometry, read partner positions, move the frames."""

    def __init__(self, width: int, heads: int, ffn_ratio: int, pair_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.bias = nn.Linear(pair_width + _GEOMETRY_FEATURES, heads)
        self.output = nn.Linear(width + 4 * heads, width)
        self.ffn = _FeedForward(width, ffn_ratio)
        self.update_norm = nn.LayerNorm(width)
        self.update = nn.Linear(width, 6)
        nn.init.zeros_(self.update.weight)
        nn.init.zeros_(self.update.bias)
        centers = torch.linspace(0.0, _DISTANCE_MAX, _DISTANCE_BASES)
        self.register_buffer("distance_centers", centers, persistent=False)

    def forward(
        self,
        hidden: Tensor,
        frames: Frames,
        present: Tensor,
        pair: _PairFeatures,
        projected: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Frames]:
        split = (3, self.heads, -1)
        parts = self.query_key_value(self.norm(hidden)).unflatten(-1, split)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        length = hidden.shape[1]
        chunk = length if self.training else _ROW_CHUNK
        read = []
        for start in range(0, length, chunk):
            rows = slice(start, min(start + chunk, length))
            weights = self._weights(query[:, :, rows], key, frames, present, pair, projected, rows)
            partners = self._partner_positions(weights, frames, rows)
            values = (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)
            read.append(torch.cat([values, partners.to(values.dtype)], dim=-1))
        hidden = self.ffn(hidden + self.output(torch.cat(read, dim=1)))
        return hidden, self._move(hidden, frames)

    def _weights(
        self,
        query: Tensor,
        key: Tensor,
        frames: Frames,
        present: Tensor,
        pair: _PairFeatures,
        projected: tuple[Tensor, Tensor],
        rows: slice,
    ) -> Tensor:
        geometry = self._geometry(frames, rows)
        relation = pair(projected, rows)
        bias = self.bias(torch.cat([relation, geometry.to(relation.dtype)], dim=-1))
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        logits = (logits + bias.permute(0, 3, 1, 2)).float()
        return logits.masked_fill(~present[:, None, None, :], -torch.inf).softmax(-1)

    def _geometry(self, frames: Frames, rows: slice) -> Tensor:
        """Where and how far each residue is, and where its chain heads, in each row's frame."""
        inverse = frames.rotations[:, rows].transpose(-1, -2)
        apart = frames.translations[:, None] - frames.translations[:, rows, None]
        distance = torch.linalg.vector_norm(apart, dim=-1, keepdim=True)
        local = torch.einsum("bqij,bqkj->bqki", inverse, apart) / (distance + 1.0)
        heading = torch.einsum("bqij,bkj->bqki", inverse, frames.rotations[..., 0])
        spacing = _DISTANCE_MAX / _DISTANCE_BASES
        basis = torch.exp(-0.5 * ((distance - self.distance_centers) / spacing) ** 2)
        return torch.cat([basis, torch.log1p(distance) / 4.0, local, heading], dim=-1)

    def _partner_positions(self, weights: Tensor, frames: Frames, rows: slice) -> Tensor:
        """Mean partner position of each head in each row's frame, and its distance."""
        mean = torch.einsum("bhqk,bkx->bqhx", weights, frames.translations)
        apart = mean - frames.translations[:, rows, None]
        local = torch.einsum("bqji,bqhj->bqhi", frames.rotations[:, rows], apart) / _PARTNER_SCALE
        distance = torch.sqrt((local * local).sum(-1, keepdim=True) + 1e-6)
        return torch.cat([local, distance], dim=-1).flatten(2)

    def _move(self, hidden: Tensor, frames: Frames) -> Frames:
        """Turn and shift each frame by a small motion in its own axes (AlphaFold, Alg. 23)."""
        update = self.update(self.update_norm(hidden)).float()
        turn, shift = update.split(3, dim=-1)
        rotation = _rotation_from_vector_part(turn * _TURN_SCALE)
        moved = torch.einsum("blij,blj->bli", frames.rotations, shift * _SHIFT_SCALE)
        return Frames(frames.rotations @ rotation, frames.translations + moved)


def _rotation_from_vector_part(vector: Tensor) -> Tensor:
    """Rotation matrix of the quaternion ``(1, b, c, d)``, normalised."""
    scale = torch.rsqrt(1.0 + (vector * vector).sum(-1, keepdim=True))
    real = scale[..., 0]
    b, c, d = (vector * scale).unbind(-1)
    rows = [
        1 - 2 * (c * c + d * d), 2 * (b * c - real * d), 2 * (b * d + real * c),
        2 * (b * c + real * d), 1 - 2 * (b * b + d * d), 2 * (c * d - real * b),
        2 * (b * d - real * c), 2 * (c * d + real * b), 1 - 2 * (b * b + c * c),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
