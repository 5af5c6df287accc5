"""How does the lean encoder turn the surroundings of a residue into one latent?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import backbone_frames
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.model.sizes import check_sizes

# Local coordinates are divided by this, so that features are of order one (Angstrom).
LENGTH_SCALE = 10.0
_DISTANCE_MAX = 24.0
_DISTANCE_BASES = 16
# Local N, CA, C of the neighbor, its relative rotation, and the distance basis.
_NUM_FEATURES = 9 + 9 + _DISTANCE_BASES


@dataclass(frozen=True, kw_only=True, slots=True)
class NeighborhoodEncoderConfig:
    """
    Sizes of `NeighborhoodEncoder`.

    Parameters
    ----------
    latent_dim : int
        Size of one latent.
    width : int
        Size of a neighbor's hidden vector.
    heads : int
        Attention heads; divides `width`.
    neighbors : int
        Nearest resolved residues in view, the residue itself included.
    max_offset : int
        Sequence separations are clamped to plus or minus this many residues.
    neighbor_ffn_ratio, query_ffn_ratio : int
        Hidden size of the feed-forward layers as a multiple of `width`: for all
        neighbors in the first block, for the residue alone in the second.
    """

    latent_dim: int
    width: int
    heads: int
    neighbors: int
    max_offset: int
    neighbor_ffn_ratio: int
    query_ffn_ratio: int

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        check_sizes("encoder", self, may_be_zero=("max_offset", "break_codes"))
        if self.width % self.heads:
            msg = f"encoder: width ({self.width}) must be a multiple of heads ({self.heads})"
            raise ConfigError(msg)


class NeighborhoodEncoder(nn.Module):
    """
    Encode each residue from the geometry of its nearest residues, and nothing else.

    Each of the `neighbors` nearest resolved residues is described in the frame of the
    residue in question: where its N, CA and C are, how it is turned, how far away it is
    and how far along the chain. One attention block lets these descriptions exchange
    information, a second one reads them out for the residue itself.

    Parameters
    ----------
    config : NeighborhoodEncoderConfig
        Sizes.

    Notes
    -----
    Invariant to rigid motions by construction, and not to reflections. Far smaller
    than ESM3's encoder (`GeometricEncoder`), with the same number of neighbors in view.
    """

    def __init__(self, config: NeighborhoodEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.features = nn.Linear(_NUM_FEATURES, width)
        self.offsets = nn.Embedding(2 * config.max_offset + 1, width)
        nn.init.normal_(self.offsets.weight, std=0.5)
        self.exchange = _NeighborBlock(width, config.heads, config.neighbor_ffn_ratio)
        self.read_out = _NeighborBlock(width, config.heads, config.query_ffn_ratio)
        self.norm = nn.LayerNorm(width)
        self.to_latent = nn.Linear(width, config.latent_dim)
        centers = torch.linspace(0.0, _DISTANCE_MAX, _DISTANCE_BASES)
        self.register_buffer("distance_centers", centers, persistent=False)

    def forward(
        self, coords: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> Tensor:
        """
        Return one latent per residue.

        Parameters
        ----------
        coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
            N, CA and C, in Angstrom. Values at unresolved residues are ignored.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where all three atoms exist.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Author numbering, from which sequence separations are taken.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.

        Returns
        -------
        Tensor, shape=(batch, residue, latent_dim), dtype=float32
            Each of mean 0 and mean square 1; exactly zero at unresolved residues.
        """
        resolved = resolved & present
        coords = torch.where(resolved[..., None, None], coords, 0.0)
        rotations, alpha = backbone_frames(coords)
        index, valid = nearest_residues(alpha, resolved, present, self.config.neighbors)
        index, valid = self._resolved_only(index, valid, resolved)
        rows, chain = self._packed_rows(index, resolved)
        features = self._describe(coords, rotations, alpha, rows, chain)
        numbers = residue_numbers.reshape(-1)
        separation = numbers[rows] - numbers[chain][:, None]
        bound = self.config.max_offset
        hidden = self.features(features) + self.offsets(separation.clamp(-bound, bound) + bound)
        valid = valid[resolved]
        hidden = self.exchange(hidden, hidden, valid)
        query = self.read_out(hidden[:, :1], hidden, valid)[:, 0]
        packed = self._project(query, coords, rotations, alpha, resolved).float()
        packed = functional.layer_norm(packed, packed.shape[-1:])
        latents = packed.new_zeros(*resolved.shape, self.config.latent_dim)
        latents[resolved] = packed
        return latents

    def _project(
        self, query: Tensor, coords: Tensor, rotations: Tensor, alpha: Tensor, resolved: Tensor
    ) -> Tensor:
        """Turn what was read for each resolved residue into its latent: (residue, latent_dim)."""
        del coords, rotations, alpha, resolved
        return self.to_latent(self.norm(query))

    @staticmethod
    def _resolved_only(index: Tensor, valid: Tensor, resolved: Tensor) -> tuple[Tensor, Tensor]:
        known = torch.gather(resolved, 1, index.flatten(1)).view_as(index)
        return index, valid & known

    @staticmethod
    def _packed_rows(index: Tensor, resolved: Tensor) -> tuple[Tensor, Tensor]:
        """Flat positions of the neighbors of each resolved residue, and of the residue."""
        batch, length = resolved.shape
        start = torch.arange(batch, device=index.device)[:, None] * length
        chain = (start + torch.arange(length, device=index.device))[resolved]
        return (index + start[..., None])[resolved], chain

    def _describe(
        self,
        coords: Tensor,
        rotations: Tensor,
        alpha: Tensor,
        rows: Tensor,
        chain: Tensor,
    ) -> Tensor:
        """Geometry of each neighbor in the frame of its residue: (resolved, neighbor, feature)."""
        inverse = rotations.flatten(0, 1)[chain].transpose(-1, -2)
        origin = alpha.flatten(0, 1)[chain]
        atoms = coords.flatten(0, 1)[rows] - origin[:, None, None, :]
        # Autocast would round these products to three digits.
        with torch.autocast(coords.device.type, enabled=False):
            local = atoms @ inverse[:, None].transpose(-1, -2)
            turned = inverse[:, None] @ rotations.flatten(0, 1)[rows]
        distance = torch.linalg.vector_norm(atoms[:, :, 1], dim=-1, keepdim=True)
        width = _DISTANCE_MAX / _DISTANCE_BASES
        basis = torch.exp(-0.5 * ((distance - self.distance_centers) / width) ** 2)
        return torch.cat([local.flatten(2) / LENGTH_SCALE, turned.flatten(2), basis], dim=-1)


class _NeighborBlock(nn.Module):
    """Pre-norm attention from queries to a neighborhood, then a feed-forward layer."""

    def __init__(self, width: int, heads: int, ffn_ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.norm_ffn = nn.LayerNorm(width)
        self.expand = nn.Linear(width, ffn_ratio * width)
        self.contract = nn.Linear(ffn_ratio * width, width)

    def forward(self, query: Tensor, neighbors: Tensor, valid: Tensor) -> Tensor:
        normed = self.norm_attention(neighbors)
        asked = normed[:, : query.shape[1]]
        query = query + self.output(self._attend(asked, normed, valid))
        return query + self.contract(functional.gelu(self.expand(self.norm_ffn(query))))

    def _attend(self, asked: Tensor, normed: Tensor, valid: Tensor) -> Tensor:
        split = (self.heads, -1)
        query = self.query(asked).unflatten(-1, split).transpose(1, 2)
        key, value = self.key_value(normed).chunk(2, dim=-1)
        key = key.unflatten(-1, split).transpose(1, 2)
        value = value.unflatten(-1, split).transpose(1, 2)
        mask = valid[:, None, None, :]
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return attended.transpose(1, 2).flatten(2)
