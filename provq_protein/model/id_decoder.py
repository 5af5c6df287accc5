"""How does a decoder that embeds ids, as ESM3's does, turn them into a backbone?"""

from dataclasses import dataclass

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

SPECIAL_IDS = 5
"""Rows of the embedding behind those of the codes: mask, end, start, padding, chain break."""

# Of them, counted from the number of codes.
_END, _START = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class IdDecoderConfig:
    """
    Sizes of an `IdDecoder`; the defaults are those of ESM3's released structure decoder.

    Attributes
    ----------
    width : int
        Features per residue inside the network.
    blocks : int
        Attention and feed-forward pairs.
    heads : int
        Attention heads; `width` must be a multiple of twice this.
    rotary_base : float
        Longest wavelength of the rotary positions, in residues over 2 pi.
    """

    width: int = 1280
    blocks: int = 30
    heads: int = 20
    rotary_base: float = 10_000.0

    def __post_init__(self) -> None:
        """Refuse sizes that no decoder has."""
        check_sizes("decoder", self)
        check_transformer(self.width, self.heads, self.rotary_base)


@dataclass(frozen=True, eq=False)
class IdDecoderOutput:
    """
    What an `IdDecoder` predicts.

    Attributes
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C positions, in Angstrom. Finite but meaningless where the residue was
        not resolved or not present.
    hidden : Tensor, shape=(batch, residue, width), dtype=float
        Features after the last norm.
    """

    coords: Tensor
    hidden: Tensor


class IdDecoder(nn.Module):
    """
    Predict a backbone from ids with a transformer: the released structure decoder of ESM3.

    It has vectors of its own for the ids, and none of the codebook. It thus gives an encoder no
    gradient: a model with this decoder encodes and decodes, and is not trained.

    Parameters
    ----------
    config : IdDecoderConfig
        Sizes of the network.
    codes : int
        Number of codes.

    Notes
    -----
    A start and an end id stand around the residues of a chain, as in ESM3. Unresolved and padded
    residues are invisible, and positions count resolved residues only, as in
    `TransformerDecoder`: a chain decodes as ESM3 decodes the tokens of its resolved residues.
    (ESM3 also gives a token to a residue that is listed and lacks an atom.)

    References
    ----------
    .. [1] Hayes et al., *Science* 387 (2025), supplementary section A.1.7.

    Examples
    --------
    >>> import torch
    >>> decoder = IdDecoder(IdDecoderConfig(width=32, blocks=1, heads=2), codes=8)
    >>> everywhere = torch.ones(1, 20, dtype=torch.bool)
    >>> ids = torch.arange(20)[None] % 8
    >>> decoder(ids, everywhere, torch.arange(20)[None], everywhere).coords.shape
    torch.Size([1, 20, 3, 3])
    """

    def __init__(self, config: IdDecoderConfig, codes: int) -> None:
        super().__init__()
        self.config = config
        self.codes = codes
        self.embedding = nn.Embedding(codes + SPECIAL_IDS, config.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.frame_head = output_head(config.width, FRAME_OUTPUTS)

    def forward(
        self, ids: Tensor, resolved: Tensor, residue_numbers: Tensor, present: Tensor
    ) -> IdDecoderOutput:
        """
        Decode a batch of chains.

        Parameters
        ----------
        ids : Tensor, shape=(batch, residue), dtype=int64
            Ids of codes. Any valid one where not resolved.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            True where the residue has an id.
        residue_numbers : Tensor, shape=(batch, residue), dtype=int64
            Not used: decoders share their signature.
        present : Tensor, shape=(batch, residue), dtype=bool
            False where the batch is padded.

        Returns
        -------
        IdDecoderOutput
            Coordinates.

        Raises
        ------
        ConfigError
            If latents are given in place of ids.
        """
        del residue_numbers
        if ids.is_floating_point():
            msg = (
                "a decoder of kind 'ids' embeds ids: it decodes no latents and gives an encoder "
                "no gradient, so a model that has one encodes and decodes tokens, and can be "
                "neither trained nor asked for backbones of latents"
            )
            raise ConfigError(msg)
        known = functional.pad(resolved & present, (1, 1), value=True)
        ids = functional.pad(ids, (1, 1))
        ids[:, 0], ids[:, -1] = self.codes + _START, self.codes + _END
        features = run_blocks(
            self.blocks,
            self.embedding(ids),
            known,
            heads=self.config.heads,
            rotary_base=self.config.rotary_base,
        )
        hidden = self.norm(features)[:, 1:-1]
        return IdDecoderOutput(coords=placed_residues(self.frame_head(hidden)), hidden=hidden)
