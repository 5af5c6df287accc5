"""How does the ESM3-style encoder turn each residue's neighborhood into a latent vector?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.geometry.frames import IDEAL_BACKBONE, backbone_frames
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.model.geometric_attention import GeometricAttention
from provq_protein.model.matmul_route import fast_exact_products
from provq_protein.model.packed_encoder import Neighborhoods, PackedEncoder
from provq_protein.model.sizes import check_sizes

# Residues per pass through the network: bounds memory, at about 1 MB per residue of
# transient activations at full size, whatever the length and number of the chains.
_RESIDUES_PER_PASS = 256
# Without gradients on a CPU: activations then stay near the caches.
_RESIDUES_PER_PASS_ON_CPU = 64

# Standard deviation of the offset table at the start of training.
_OFFSET_STD = 0.02

_Frames = tuple[Tensor, Tensor, Tensor]  # rotations, translations, valid


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometricEncoderConfig:
    """
    Sizes of a `GeometricEncoder`; the defaults are those of ESM3's structure encoder.

    Attributes
    ----------
    latent_dim : int
        Length of the latent vector.
    width : int
        Features per frame inside the network.
    vector_heads : int
        Heads of the geometric attention.
    blocks : int
        Attention and feed-forward pairs.
    ffn_ratio : int
        Hidden width of the feed-forward layers, over `width`.
    neighbors : int
        Residues in a neighborhood, the residue itself included.
    max_offset : int
        Offsets between residue numbers are clamped to this many residues.
    """

    latent_dim: int
    width: int = 1024
    vector_heads: int = 128
    blocks: int = 2
    ffn_ratio: int = 4
    neighbors: int = 16
    max_offset: int = 32

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                msg = f"encoder.{name} must be a positive whole number, got {value!r}"
                raise ConfigError(msg)
        check_sizes("encoder", self)


class _GatedFeedForward(nn.Module):
    """Norm, then a linear layer gated by the SiLU of another, then back to `width`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate_value = nn.Linear(width, 2 * hidden)
        self.output = nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return what the layer adds to its input."""
        gate, value = self.gate_value(self.norm(features)).chunk(2, dim=-1)
        return self.output(functional.silu(gate) * value)


class _Block(nn.Module):
    def __init__(self, config: GeometricEncoderConfig) -> None:
        super().__init__()
        self.attention = GeometricAttention(config.width, config.vector_heads)
        self.feed_forward = _GatedFeedForward(config.width, config.ffn_ratio * config.width)

    def forward(
        self, features: Tensor, frames: _Frames, *, queries: int, row: Tensor | None
    ) -> Tensor:
        """
        Return the features (set, queries, width) of the leading frames of each set.

        The input is (set, frame, width); or a table (entry, width) of distinct features,
        of which `row` (set, frame) picks: then each entry is projected once.
        """
        if row is None:
            query, key_value = self.attention.project(features, queries=queries)
            features = features[:, :queries]
        else:
            query_table, key_value_table = self.attention.project(features)
            query = functional.embedding(row[:, :queries], query_table)
            key_value = functional.embedding(row, key_value_table)
            features = functional.embedding(row[:, :queries], features)
        features = features + self.attention.attend(query, key_value, *frames)
        return features + self.feed_forward(features)


class GeometricEncoder(nn.Module):
    """
    Describe each residue by the frames of its nearest residues: the encoder of ESM3.

    A residue sees its `neighbors` nearest residues by CA distance, itself included, and
    nothing else. What it sees are their backbone frames and their offsets in residue
    number: no sequence, no coordinates. The latent is unchanged when a chain is moved or
    turned, and changes when it is mirrored.

    Parameters
    ----------
    config : GeometricEncoderConfig
        Sizes of the network.

    Notes
    -----
    Computed as `esm.models.vqvae.StructureTokenEncoder` computes it, with work left out
    that cannot change the result: residues without coordinates never enter the network,
    the first block projects the table of offsets instead of each neighbor, and the last
    block is evaluated for the residue itself only. About half of the operations remain; in
    evaluation mode and without gradients a third, by `PackedEncoder`.

    References
    ----------
    .. [1] Hayes et al., *Science* 387 (2025), supplementary section A.1.7.

    Examples
    --------
    >>> encoder = GeometricEncoder(GeometricEncoderConfig(latent_dim=4, width=32, vector_heads=4))
    >>> coords = torch.randn(1, 20, 3, 3)
    >>> everywhere = torch.ones(1, 20, dtype=torch.bool)
    >>> encoder(coords, everywhere, torch.arange(20)[None], everywhere).shape
    torch.Size([1, 20, 4])
    """

    def __init__(self, config: GeometricEncoderConfig) -> None:
        super().__init__()
        self.config = config
        # Row 0 is never used. It stays so that the weights are ESM3's, one to one.
        self.offsets = nn.Embedding(2 * config.max_offset + 2, config.width)
        nn.init.normal_(self.offsets.weight, std=_OFFSET_STD)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.output = nn.Linear(config.width, config.latent_dim)
        self._packed: tuple[object, PackedEncoder] | None = None

    def forward(
        self, coords: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Tensor:
        """
        Encode a batch of chains.

        Parameters
        ----------
        coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
            N, CA and C positions, in Angstrom. Anything where not resolved, also *NaN*.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where N, CA and C are known.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Residue numbers along each chain; only their differences matter.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.

        Returns
        -------
        Tensor, shape=(batch, residue, latent_dim), dtype=float
            One latent per residue. Where a residue is not resolved or not present this
            is the bias of the output layer: the same vector everywhere.
        """
        seen = self.neighborhoods(coords, resolved, residue_numbers, present)
        packed = self.encode_neighborhoods(seen)
        resolved = resolved & present
        latents = self.output.bias.to(packed.dtype).expand(*resolved.shape, -1).clone()
        latents[resolved] = packed
        return latents

    def neighborhoods(
        self, coords: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Neighborhoods:
        """
        Gather what each residue sees: all that its latent depends on.

        Parameters
        ----------
        coords, resolved, residue_numbers, present : Tensor
            As `forward`.

        Returns
        -------
        Neighborhoods
            One per resolved residue, in the order of the chains and of their residues.
        """
        resolved = resolved & present
        precise = torch.promote_types(self.offsets.weight.dtype, torch.float32)
        coords = _normalized(coords, resolved).to(precise)
        index, valid = nearest_residues(coords[:, :, 1], resolved, present, self.config.neighbors)
        chain, residue = resolved.nonzero(as_tuple=True)
        # From here on packed: one row per resolved residue, whatever its chain.
        chain, index = chain[:, None], index[chain, residue]
        valid = valid[chain[:, 0], residue] & resolved[chain, index]
        rotations, translations = backbone_frames(coords[chain, index])
        offset = residue_numbers[chain, index] - residue_numbers[chain, residue[:, None]]
        largest = self.config.max_offset
        row = offset.clamp(-largest, largest) + largest + 1
        return Neighborhoods(row, rotations, translations, valid)

    def encode_neighborhoods(
        self, seen: Neighborhoods, *, packed: PackedEncoder | None = None
    ) -> Tensor:
        """
        Map neighborhoods to latents, a part at a time.

        Parameters
        ----------
        seen : Neighborhoods
            From `neighborhoods`, or some of them.
        packed : PackedEncoder, optional
            Evaluate with these weights instead of those of this encoder.

        Returns
        -------
        Tensor, shape=(set, latent_dim), dtype=float
            One latent per neighborhood.
        """
        evaluate, size = self._evaluate, _RESIDUES_PER_PASS
        # Under autocast the weights are rounded as they are; products of them are not taken.
        device = seen.row.device
        if packed is not None or not (
            self.training or torch.is_grad_enabled() or torch.is_autocast_enabled(device.type)
        ):
            evaluate = (packed or self.packed()).latents
            if device.type == "cpu":
                size = min(size, _RESIDUES_PER_PASS_ON_CPU)
        parts = zip(*(part.split(size) for part in seen), strict=True)
        with fast_exact_products(device):
            latents = [evaluate(row, _seen_from_first(frames)) for row, *frames in parts]
        return torch.cat(latents)

    def packed(self) -> PackedEncoder:
        """
        Return the present weights, rearranged for evaluation.

        Returns
        -------
        PackedEncoder
            Made once, and again after weights have changed.
        """
        state = tuple(_state_of(parameter) for parameter in self.parameters())
        if self._packed is None or self._packed[0] != state:
            self._packed = state, PackedEncoder(self)
        return self._packed[1]

    def __getstate__(self) -> dict[str, Any]:
        # Copies, also those sent to other processes, make their own.
        return self.__dict__ | {"_packed": None}

    def _evaluate(self, row: Tensor, frames: _Frames) -> Tensor:
        return self.output(self._embed(row, frames))

    def _embed(self, row: Tensor, frames: _Frames) -> Tensor:
        """Run the blocks on offsets (set, neighbor); return the first slot's features."""
        features = self.offsets.weight
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            features = block(
                features,
                frames,
                queries=1 if number == last else row.shape[1],
                row=row if number == 0 else None,
            )
        return features[:, 0]


def _normalized(coords: Tensor, resolved: Tensor) -> Tensor:
    """
    Bring each chain to its own origin, and give unresolved residues an ideal backbone.

    The origin is the first resolved CA and not a mean: subtracting a point of the chain
    from its neighbors is exact in floating point, however far the chain is from zero.
    """
    batch = torch.arange(len(coords), device=coords.device)
    # argmax of the mask is its first True.
    origin = coords[batch, resolved.int().argmax(dim=1), 1]
    ideal = torch.tensor(IDEAL_BACKBONE, dtype=coords.dtype, device=coords.device)
    return torch.where(resolved[..., None, None], coords - origin[:, None, None], ideal)


def _seen_from_first(frames: list[Tensor]) -> _Frames:
    """Express the frames of each set (set, frame) in the first frame of the set."""
    rotations, translations, valid = frames
    inverse = rotations[:, :1].transpose(-1, -2)
    step = (translations - translations[:, :1])[..., None]
    # Autocast would round these products to three digits.
    with torch.autocast(rotations.device.type, enabled=False):
        return inverse @ rotations, (inverse @ step)[..., 0], valid


def _state_of(parameter: Tensor) -> tuple[object, ...]:
    """Return something that changes when the values of a parameter do."""
    # Inference tensors count no versions; they are not trained either.
    version = 0 if parameter.is_inference() else parameter._version
    return parameter.data_ptr(), version, parameter.dtype, parameter.device


def from_esm_state_dict(encoder: GeometricEncoder, state: Mapping[str, Tensor]) -> None:
    """
    Load the weights of ESM3's structure encoder.

    Parameters
    ----------
    encoder : GeometricEncoder
        Overwritten in place. Its sizes must be those of the weights.
    state : Mapping[str, Tensor]
        State dict of `esm.models.vqvae.StructureTokenEncoder`; its codebook is ignored.

    Raises
    ------
    CheckpointError
        If entries are missing or left over, or shapes differ. The encoder is unchanged.
    """
    names = [name for name in state if not name.startswith("codebook.")]
    expected = _esm_names(encoder.config.blocks)
    if set(names) != set(expected):
        missing, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
        msg = (
            f"these are not the weights of an ESM3 structure encoder of {encoder.config.blocks} "
            f"blocks: missing {missing or 'nothing'}, unexpected {extra or 'nothing'}"
        )
        raise CheckpointError(msg)
    renamed = {expected[name]: state[name] for name in names}
    heads = encoder.config.vector_heads
    for block in range(encoder.config.blocks):
        for kind in ("weight", "bias"):
            fused = renamed.pop(f"blocks.{block}.attention.fused.{kind}")
            if len(fused) != 15 * heads:
                msg = f"block {block} has {len(fused) / 15:g} vector heads, expected {heads}"
                raise CheckpointError(msg)
            # Rows: direction query and key, value, point query and key; 3 per head each.
            direction, key_direction, value, point, key_point = fused.split(3 * heads)
            renamed[f"blocks.{block}.attention.query.{kind}"] = torch.cat([direction, point])
            renamed[f"blocks.{block}.attention.key_value.{kind}"] = torch.cat(
                [key_direction, value, key_point]
            )
    own = encoder.state_dict()
    wrong = {
        name: (tuple(tensor.shape), tuple(own[name].shape))
        for name, tensor in renamed.items()
        if tensor.shape != own[name].shape
    }
    if wrong:
        msg = f"weights of another size (name: given, expected): {wrong}"
        raise CheckpointError(msg)
    encoder.load_state_dict(renamed)


def _esm_names(blocks: int) -> dict[str, str]:
    """Return our parameter name for each of ESM's; `fused` stands for two of ours."""
    layers = {
        "geom_attn.s_norm": "attention.norm",
        "geom_attn.proj": "attention.fused",
        "geom_attn.out_proj": "attention.output",
        "ffn.0": "feed_forward.norm",
        "ffn.1": "feed_forward.gate_value",
        "ffn.3": "feed_forward.output",
    }
    scales = {
        "geom_attn.rotation_scale_per_head": "attention.direction_scale",
        "geom_attn.distance_scale_per_head": "attention.distance_scale",
    }
    names = {
        "relative_positional_embedding.embedding.weight": "offsets.weight",
        "pre_vq_proj.weight": "output.weight",
        "pre_vq_proj.bias": "output.bias",
    }
    for block in range(blocks):
        ours, theirs = f"blocks.{block}", f"transformer.blocks.{block}"
        names |= {f"{theirs}.{name}": f"{ours}.{own}" for name, own in scales.items()}
        for name, own in layers.items():
            for kind in ("weight", "bias"):
                names[f"{theirs}.{name}.{kind}"] = f"{ours}.{own}.{kind}"
    return names
