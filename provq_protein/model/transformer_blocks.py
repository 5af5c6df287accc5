"""What are ESM3-style decoders made of, whatever they are given?"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import place_backbone, rotation_from_axes

FRAME_OUTPUTS = 9
"""What a frame is made from: a translation and two axes."""

# The feed-forward layers are 8/3 of the width, rounded up to a multiple of this.
_HIDDEN_MULTIPLE = 256
# Angstrom per unit of the frame head's translation output.
_TRANSLATION_SCALE = 10.0
_AXIS_EPSILON = 1e-5

_Rotary = tuple[Tensor, Tensor]  # cosines, sines


def check_transformer(width: int, heads: int, rotary_base: float) -> None:
    """
    Refuse sizes that do not go together.

    Parameters
    ----------
    width : int
        Features per residue.
    heads : int
        Attention heads.
    rotary_base : float
        Longest wavelength of the rotary positions, in residues over 2 pi.

    Raises
    ------
    ConfigError
        If heads cannot share the features, or positions would not be told apart.
    """
    if width % (2 * heads):
        msg = f"decoder.width must be a multiple of 2 * heads = {2 * heads}, got {width}"
        raise ConfigError(msg)
    if rotary_base <= 1:
        msg = f"decoder.rotary_base must exceed 1, got {rotary_base!r}"
        raise ConfigError(msg)


def hidden_width(width: int) -> int:
    """
    Return the hidden width of a feed-forward layer.

    Parameters
    ----------
    width : int
        Features per residue.

    Returns
    -------
    int
        8/3 of it, rounded up to a multiple of 256.

    Examples
    --------
    >>> hidden_width(1024), hidden_width(1280)
    (2816, 3584)
    """
    return -(-8 * width // (3 * _HIDDEN_MULTIPLE)) * _HIDDEN_MULTIPLE


def output_head(width: int, outputs: int) -> nn.Sequential:
    """
    Build what reads a prediction off each residue.

    Parameters
    ----------
    width : int
        Features per residue.
    outputs : int
        Numbers that are predicted.

    Returns
    -------
    Sequential
        With fresh weights.
    """
    return nn.Sequential(
        nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, outputs)
    )


def placed_residues(outputs: Tensor) -> Tensor:
    """
    Place ideal residues in predicted frames.

    Parameters
    ----------
    outputs : Tensor, shape=(batch, residue, 9 or more), dtype=float
        Of a frame head: a translation and two axes; what follows is ignored.

    Returns
    -------
    Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom.
    """
    translations, first, second = outputs.float()[..., :FRAME_OUTPUTS].chunk(3, dim=-1)
    first, second = (
        axis / (axis.norm(dim=-1, keepdim=True) + _AXIS_EPSILON) for axis in (first, second)
    )
    with torch.autocast(outputs.device.type, enabled=False):
        # The first output points from CA to C, the frame's first axis from C to CA.
        rotations = rotation_from_axes(-first, second)
        return place_backbone(rotations, _TRANSLATION_SCALE * translations)


def run_blocks(
    blocks: Iterable[nn.Module],
    features: Tensor,
    known: Tensor,
    *,
    heads: int,
    rotary_base: float,
) -> Tensor:
    """
    Let known residues see each other, block after block.

    Parameters
    ----------
    blocks : iterable of TransformerBlock
        In order.
    features : Tensor, shape=(batch, residue, width), dtype=float
        Anything finite where not known.
    known : Tensor, shape=(batch, residue), dtype=bool
        False for residues that the others do not see; positions do not count them.
    heads : int
        Attention heads of each block.
    rotary_base : float
        Longest wavelength of the rotary positions, in residues over 2 pi.

    Returns
    -------
    Tensor, shape=(batch, residue, width), dtype=float
        Without meaning where not known.
    """
    rotary = _rotary_tables(known.cumsum(dim=1) - 1, features.shape[-1] // heads, rotary_base)
    # A softmax over nothing is not a number: a chain of no known residue sees all.
    visible = (known | ~known.any(dim=1, keepdim=True))[:, None, None, :]
    for block in blocks:
        features = block(features, rotary, visible)
    return features


def _rotary_tables(positions: Tensor, head_dim: int, base: float) -> _Rotary:
    """Return cosines and sines (batch, 1, residue, head_dim / 2), in single precision."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[:, None, :, None].float() * base**-exponents
    return angles.cos(), angles.sin()


def _rotate_by_position(vectors: Tensor, tables: _Rotary) -> Tensor:
    """Rotate (batch, head, residue, head_dim), pairing each feature with the other half's."""
    cosines, sines = tables
    first, second = vectors.float().chunk(2, dim=-1)
    rotated = (first * cosines - second * sines, second * cosines + first * sines)
    return torch.cat(rotated, dim=-1).to(vectors.dtype)


class _SelfAttention(nn.Module):
    """Bidirectional attention with normed queries and keys and rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.LayerNorm(width, bias=False)
        self.key_norm = nn.LayerNorm(width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, features: Tensor, rotary: _Rotary, visible: Tensor) -> Tensor:
        """Return what the layer adds to its input; `visible` is bool (batch, 1, 1, residue)."""
        query, key, value = self.query_key_value(self.norm(features)).chunk(3, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query_norm(query), self.key_norm(key), value)
        )
        query, key = _rotate_by_position(query, rotary), _rotate_by_position(key, rotary)
        # A boolean mask: cast to float it would be added to the logits, and padding seen.
        attended = functional.scaled_dot_product_attention(
            query, key, value.to(query.dtype), attn_mask=visible
        )
        return self.output(attended.transpose(1, 2).flatten(-2))


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = hidden_width(width)
        self.norm = nn.LayerNorm(width)
        self.gate_value = nn.Linear(width, 2 * hidden, bias=False)
        self.output = nn.Linear(hidden, width, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return what the layer adds to its input."""
        gate, value = self.gate_value(self.norm(features)).chunk(2, dim=-1)
        return self.output(functional.silu(gate) * value)


class TransformerBlock(nn.Module):
    """
    Attention between residues and a feed-forward layer, each added to its input.

    Parameters
    ----------
    width : int
        Features per residue.
    heads : int
        Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = _SelfAttention(width, heads)
        self.feed_forward = _FeedForward(width)

    def forward(self, features: Tensor, rotary: _Rotary, visible: Tensor) -> Tensor:
        """
        Run both layers.

        Parameters
        ----------
        features : Tensor, shape=(batch, residue, width), dtype=float
            Of the block before.
        rotary : tuple of Tensor, shape=(batch, 1, residue, width / heads / 2), dtype=float32
            Cosines and sines of the positions.
        visible : Tensor, shape=(batch, 1, 1, residue), dtype=bool
            Which residues are seen.

        Returns
        -------
        Tensor, shape=(batch, residue, width), dtype=float
            For the next block.
        """
        features = features + self.attention(features, rotary, visible)
        return features + self.feed_forward(features)
