"""How does the ESM3-style transformer decoder turn latents into a backbone?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.model.sizes import check_sizes
from provq_protein.model.transformer_blocks import (
    FRAME_OUTPUTS,
    TransformerBlock,
    check_transformer,
    output_head,
    placed_residues,
    run_blocks,
)

DISTANCE_BINS = 64
DIRECTION_PAIRS = 6
DIRECTION_BINS = 16

_ERROR_BINS = 64
_CONFIDENCE_BINS = 50
_PAIR_WIDTH = 128
# The reference also predicts seven torsion angles and drops them.
_TORSION_OUTPUTS = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerDecoderConfig:
    """
    Sizes of a `TransformerDecoder`; the defaults are those of ESM3's first-stage decoder.

    Attributes
    ----------
    latent_dim : int
        Length of the latent vector.
    width : int
        Features per residue inside the network.
    blocks : int
        Attention and feed-forward pairs.
    heads : int
        Attention heads; `width` must be a multiple of twice this.
    rotary_base : float
        Longest wavelength of the rotary positions, in residues over 2 pi.
    num_classes : int
        Classes of the residue type head.
    confidence_heads : bool
        Also build the outputs that the reference has and no loss trains: aligned-error
        bins, per-residue confidence and torsion angles. Off, all parameters get gradients.
    """

    latent_dim: int
    width: int = 1024
    blocks: int = 8
    heads: int = 16
    rotary_base: float = 10_000.0
    num_classes: int = 33
    confidence_heads: bool = False

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "blocks", "heads", "num_classes"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                msg = f"decoder.{name} must be a positive whole number, got {value!r}"
                raise ConfigError(msg)
        check_sizes("decoder", self)
        check_transformer(self.width, self.heads, self.rotary_base)


@dataclass(frozen=True, eq=False)
class TransformerDecoderOutput:
    """
    What a `TransformerDecoder` predicts.

    Attributes
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C positions, in Angstrom. Finite but meaningless where the residue was
        not resolved or not present.
    distance_logits : Tensor or None, shape=(batch, residue, residue, 64), dtype=float
        Bins of the distance between C-beta atoms; None unless pairs were asked for.
    direction_logits : Tensor or None, shape=(batch, residue, residue, 6, 16), dtype=float
        Bins of six cosines between the axes of row and column residue; None as above.
    residue_logits : Tensor, shape=(batch, residue, num_classes), dtype=float
        Residue types.
    hidden : Tensor, shape=(batch, residue, width), dtype=float
        Features after the last norm.
    error_logits : Tensor or None, shape=(batch, residue, residue, 64), dtype=float
        Bins of the aligned error; None without confidence heads or without pairs.
    confidence_logits : Tensor or None, shape=(batch, residue, 50), dtype=float
        Bins of the per-residue confidence; None without confidence heads.
    """

    coords: Tensor
    distance_logits: Tensor | None
    direction_logits: Tensor | None
    residue_logits: Tensor
    hidden: Tensor
    error_logits: Tensor | None = None
    confidence_logits: Tensor | None = None


class _PairHead(nn.Module):
    """Predict properties of residue pairs from differences and products of their features."""

    def __init__(self, config: TransformerDecoderConfig) -> None:
        super().__init__()
        self.sizes = [DISTANCE_BINS, DIRECTION_PAIRS * DIRECTION_BINS]
        if config.confidence_heads:
            self.sizes.append(_ERROR_BINS)
        self.reduce = nn.Linear(config.width, _PAIR_WIDTH, bias=False)
        self.hidden = nn.Linear(_PAIR_WIDTH, _PAIR_WIDTH, bias=False)
        self.norm = nn.LayerNorm(_PAIR_WIDTH)
        self.output = nn.Linear(_PAIR_WIDTH, sum(self.sizes), bias=False)

    def forward(self, hidden: Tensor) -> list[Tensor]:
        """Return logits (batch, residue, residue, bins) for each kind of bin."""
        row, column = self.reduce(hidden).chunk(2, dim=-1)
        # Entry [i, j]: column features of i against row features of j, as the reference.
        row, column = row[:, None, :, :], column[:, :, None, :]
        pairs = torch.cat([row * column, row - column], dim=-1)
        logits = self.output(self.norm(functional.gelu(self.hidden(pairs))))
        return list(logits.split(self.sizes, dim=-1))


class TransformerDecoder(nn.Module):
    """
    Predict a backbone from latents with a transformer: the first-stage decoder of ESM3.

    One frame per residue is predicted in one step, and ideal N, CA and C are placed in it.

    Parameters
    ----------
    config : TransformerDecoderConfig
        Sizes of the network.

    Notes
    -----
    Unresolved and padded residues are invisible to the others, and positions count
    resolved residues only. A chain thus decodes to the same coordinates in any batch, and
    whether or not its file lists the residues that were not seen.

    References
    ----------
    .. [1] Hayes et al., *Science* 387 (2025), supplementary section A.1.7.

    Examples
    --------
    >>> decoder = TransformerDecoder(TransformerDecoderConfig(latent_dim=4, width=32, heads=2))
    >>> everywhere = torch.ones(1, 20, dtype=torch.bool)
    >>> output = decoder(torch.randn(1, 20, 4), everywhere, torch.arange(20)[None], everywhere)
    >>> output.coords.shape
    torch.Size([1, 20, 3, 3])
    """

    def __init__(self, config: TransformerDecoderConfig) -> None:
        super().__init__()
        self.config = config
        frame_outputs = FRAME_OUTPUTS + _TORSION_OUTPUTS * config.confidence_heads
        self.input = nn.Linear(config.latent_dim, config.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.frame_head = output_head(config.width, frame_outputs)
        self.pair_head = _PairHead(config)
        self.residue_head = output_head(config.width, config.num_classes)
        self.confidence_head = (
            output_head(config.width, _CONFIDENCE_BINS) if config.confidence_heads else None
        )

    def forward(
        self,
        latents: Tensor,
        resolved: Tensor,
        residue_numbers: Tensor,
        present: Tensor,
        *,
        with_pairs: bool | None = None,
    ) -> TransformerDecoderOutput:
        """
        Decode a batch of chains.

        Parameters
        ----------
        latents : Tensor, shape=(batch, residue, latent_dim), dtype=float
            Latent vectors or codes. Anything where not resolved.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where the residue has a latent.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Not used: decoders share their signature.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.
        with_pairs : bool, optional
            Also compute the pair logits, of size residue squared. By default while training,
            whose losses need them.

        Returns
        -------
        TransformerDecoderOutput
            Coordinates and logits.
        """
        del residue_numbers
        known = resolved & present
        features = self.input(torch.where(known[..., None], latents, 0.0))
        features = run_blocks(
            self.blocks,
            features,
            known,
            heads=self.config.heads,
            rotary_base=self.config.rotary_base,
        )
        hidden = self.norm(features)
        wanted = self.training if with_pairs is None else with_pairs
        distances, directions, errors = self._pairs(hidden) if wanted else (None, None, None)
        confidence = None if self.confidence_head is None else self.confidence_head(hidden)
        return TransformerDecoderOutput(
            coords=self._backbone(hidden),
            distance_logits=distances,
            direction_logits=directions,
            residue_logits=self.residue_head(hidden),
            hidden=hidden,
            error_logits=errors,
            confidence_logits=confidence,
        )

    def _backbone(self, hidden: Tensor) -> Tensor:
        """Return coordinates (batch, residue, 3, 3) of ideal residues in predicted frames."""
        return placed_residues(self.frame_head(hidden))

    def _pairs(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        distances, directions, *errors = self.pair_head(hidden)
        directions = directions.unflatten(-1, (DIRECTION_PAIRS, DIRECTION_BINS))
        return distances, directions, errors[0] if errors else None
