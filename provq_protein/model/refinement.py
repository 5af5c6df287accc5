"""How do residues see each other's places and move, once a chain has been grown?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

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
# Queries handled at once outside training: bounds memory at this many rows of pairs.
_ROW_CHUNK = 256

# Pair features of some rows: shape=(batch, row, residue, pair_width).
Relate = Callable[[slice], Tensor]


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
        """
        Return the same frames, cut from the gradient.

        Returns
        -------
        Frames
            Detached.
        """
        return Frames(self.rotations.detach(), self.translations.detach())


class FeedForward(nn.Module):
    """
    Pre-norm feed-forward layer with a residual connection.

    Parameters
    ----------
    width : int
        Size of a residue's hidden vector.
    ratio : int
        Hidden size of the layer as a multiple of `width`.
    """

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, ratio * width)
        self.contract = nn.Linear(ratio * width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """
        Transform each residue on its own.

        Parameters
        ----------
        hidden : Tensor, shape=(..., width), dtype=float
            Hidden vectors.

        Returns
        -------
        Tensor, shape=(..., width), dtype=float
            New hidden vectors.
        """
        return hidden + self.contract(functional.gelu(self.expand(self.norm(hidden))))


class PairFeatures(nn.Module):
    """
    A low-rank guess at the relation of two residues, from the trunk and their separation.

    Parameters
    ----------
    width : int
        Size of a residue's hidden vector.
    pair_width : int
        Size of a pair's hidden vector.
    """

    def __init__(self, width: int, pair_width: int) -> None:
        super().__init__()
        self.left_right = nn.Linear(width, 2 * pair_width)
        self.offsets = nn.Embedding(2 * _MAX_OFFSET + 1, pair_width)
        self.mix = nn.Linear(pair_width, pair_width)

    def project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return each residue's part in its pairs.

        Parameters
        ----------
        hidden : Tensor, shape=(batch, residue, width), dtype=float
            From the trunk.

        Returns
        -------
        left : Tensor, shape=(batch, residue, pair_width), dtype=float
            As the first of a pair.
        right : Tensor, shape=(batch, residue, pair_width), dtype=float
            As the second of a pair.
        """
        left, right = self.left_right(hidden).chunk(2, dim=-1)
        return left, right

    def forward(self, projected: tuple[Tensor, Tensor], rows: slice) -> Tensor:
        """
        Return the features of all pairs whose first residue is in some rows.

        Parameters
        ----------
        projected : tuple of Tensor
            From `project`.
        rows : slice
            Of the residue axis.

        Returns
        -------
        Tensor, shape=(batch, row, residue, pair_width), dtype=float
            Pair features.
        """
        left, right = projected
        position = torch.arange(left.shape[1], device=left.device)
        separation = position[None, :] - position[rows, None]
        offset = self.offsets(separation.clamp(-_MAX_OFFSET, _MAX_OFFSET) + _MAX_OFFSET)
        return self.mix(functional.gelu(left[:, rows, None] * right[:, None] + offset))


class RefineBlock(nn.Module):
    """
    Attend with a bias from the present geometry, read partner positions, move the frames.

    Parameters
    ----------
    width : int
        Size of a residue's hidden vector.
    heads : int
        Attention heads.
    ffn_ratio : int
        Hidden size of the feed-forward layer as a multiple of `width`.
    pair_width : int
        Size of a pair's features.

    Notes
    -----
    Everything is expressed in the residues' own frames, so that turning the whole chain turns
    the result with it.
    """

    def __init__(self, width: int, heads: int, ffn_ratio: int, pair_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.bias = nn.Linear(pair_width + _GEOMETRY_FEATURES, heads)
        self.output = nn.Linear(width + 4 * heads, width)
        self.ffn = FeedForward(width, ffn_ratio)
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
        relate: Relate,
    ) -> tuple[Tensor, Frames]:
        """
        Refine once.

        Parameters
        ----------
        hidden : Tensor, shape=(batch, residue, width), dtype=float
            Hidden vectors.
        frames : Frames
            Where the residues are now.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.
        relate : callable
            Gives the pair features of some rows.

        Returns
        -------
        hidden : Tensor, shape=(batch, residue, width), dtype=float
            New hidden vectors.
        frames : Frames
            Where the residues are afterwards.
        """
        split = (3, self.heads, -1)
        parts = self.query_key_value(self.norm(hidden)).unflatten(-1, split)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        length = hidden.shape[1]
        chunk = length if self.training else _ROW_CHUNK
        read = []
        for start in range(0, length, chunk):
            rows = slice(start, min(start + chunk, length))
            weights = self._weights(query[:, :, rows], key, frames, present, relate(rows), rows)
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
        relation: Tensor,
        rows: slice,
    ) -> Tensor:
        geometry = self._geometry(frames, rows)
        # One linear layer of both, without a concatenation of that size.
        from_relation, from_geometry = self.bias.weight.split(
            [relation.shape[-1], _GEOMETRY_FEATURES], dim=-1
        )
        bias = functional.linear(relation, from_relation, self.bias.bias)
        bias = bias + functional.linear(geometry.to(relation.dtype), from_geometry)
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        logits = (logits + bias.permute(0, 3, 1, 2)).float()
        return logits.masked_fill(~present[:, None, None, :], -torch.inf).softmax(-1)

    def _geometry(self, frames: Frames, rows: slice) -> Tensor:
        """Where and how far each residue is, and where its chain heads, in each row's frame."""
        inverse = frames.rotations[:, rows].transpose(-1, -2)
        apart = frames.translations[:, None] - frames.translations[:, rows, None]
        distance = torch.linalg.vector_norm(apart, dim=-1, keepdim=True)
        # Here and below: autocast would round positions and rotations to three digits.
        with torch.autocast(apart.device.type, enabled=False):
            local = torch.einsum("bqij,bqkj->bqki", inverse, apart) / (distance + 1.0)
            heading = torch.einsum("bqij,bkj->bqki", inverse, frames.rotations[..., 0])
        spacing = _DISTANCE_MAX / _DISTANCE_BASES
        basis = torch.exp(-0.5 * ((distance - self.distance_centers) / spacing) ** 2)
        return torch.cat([basis, torch.log1p(distance) / 4.0, local, heading], dim=-1)

    def _partner_positions(self, weights: Tensor, frames: Frames, rows: slice) -> Tensor:
        """Mean partner position of each head in each row's frame, and its distance."""
        turn = frames.rotations[:, rows]
        with torch.autocast(turn.device.type, enabled=False):
            mean = torch.einsum("bhqk,bkx->bqhx", weights, frames.translations)
            apart = mean - frames.translations[:, rows, None]
            local = torch.einsum("bqji,bqhj->bqhi", turn, apart) / _PARTNER_SCALE
        distance = torch.sqrt((local * local).sum(-1, keepdim=True) + 1e-6)
        return torch.cat([local, distance], dim=-1).flatten(2)

    def _move(self, hidden: Tensor, frames: Frames) -> Frames:
        """Turn and shift each frame by a small motion in its own axes (AlphaFold, Alg. 23)."""
        update = self.update(self.update_norm(hidden)).float()
        turn, shift = update.split(3, dim=-1)
        rotation = rotation_from_vector_part(turn * _TURN_SCALE)
        with torch.autocast(update.device.type, enabled=False):
            moved = torch.einsum("blij,blj->bli", frames.rotations, shift * _SHIFT_SCALE)
            return Frames(frames.rotations @ rotation, frames.translations + moved)


def rotation_from_vector_part(vector: Tensor) -> Tensor:
    """
    Return the rotation matrix of the quaternion ``(1, b, c, d)``, normalised.

    Parameters
    ----------
    vector : Tensor, shape=(..., 3), dtype=float
        ``(b, c, d)``; zero gives the identity.

    Returns
    -------
    Tensor, shape=(..., 3, 3), dtype=float
        Proper rotations.

    References
    ----------
    .. [1] Jumper et al., *Nature* 596 (2021), Supplementary Algorithm 23.
    """
    scale = torch.rsqrt(1.0 + (vector * vector).sum(-1, keepdim=True))
    real = scale[..., 0]
    b, c, d = (vector * scale).unbind(-1)
    rows = [
        1 - 2 * (c * c + d * d), 2 * (b * c - real * d), 2 * (b * d + real * c),
        2 * (b * c + real * d), 1 - 2 * (b * b + d * d), 2 * (c * d - real * b),
        2 * (b * d - real * c), 2 * (c * d + real * b), 1 - 2 * (b * b + c * c),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
