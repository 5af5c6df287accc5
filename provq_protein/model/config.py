"""Which parts make up an autoencoder, and how large are they?"""

from dataclasses import dataclass, field
from typing import Literal

from provq_protein.errors import ConfigError
from provq_protein.model.chain_decoder import ChainDecoderConfig
from provq_protein.model.chain_encoder import ChainEncoderConfig
from provq_protein.model.geometric_encoder import GeometricEncoderConfig
from provq_protein.model.growth_decoder import GrowthDecoderConfig
from provq_protein.model.id_decoder import IdDecoderConfig
from provq_protein.model.neighborhood_encoder import NeighborhoodEncoderConfig
from provq_protein.model.sizes import check_sizes
from provq_protein.model.transformer_decoder import TransformerDecoderConfig
from provq_protein.runs.config import KINDS

ENCODER_KINDS = {
    "neighborhood": NeighborhoodEncoderConfig,
    "chain": ChainEncoderConfig,
    "geometric": GeometricEncoderConfig,
}
DECODER_KINDS = {
    "growth": GrowthDecoderConfig,
    "chain": ChainDecoderConfig,
    "transformer": TransformerDecoderConfig,
    "ids": IdDecoderConfig,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookConfig:
    """
    The codebook.

    Parameters
    ----------
    kind : str
        "free" is a trainable table (VanillaVQ) and "linear" a linear map of a frozen one
        (AminoAseed), both with straight-through gradients; the others are methods of
        `provq_protein.quantize.METHODS`. Residual codes are none of them: a token file holds one
        id per residue.
    size : int
        Number of codes.
    commitment_weight : float
        Weight of the commitment loss (beta of the paper).
    """

    kind: Literal[
        "free", "linear", "vanilla_l2", "ema", "simvq", "rotation", "diveq", "grit", "fsq"
    ]
    size: int
    commitment_weight: float

    def __post_init__(self) -> None:
        """Refuse a codebook without a choice."""
        if self.size < 2:
            msg = f"codebook: size must be at least 2, got {self.size}"
            raise ConfigError(msg)
        check_sizes("codebook", self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """
    An autoencoder: encoder, codebook, decoder.

    Parameters
    ----------
    encoder : NeighborhoodEncoderConfig, ChainEncoderConfig or GeometricEncoderConfig
        By ``kind``: "neighborhood", "chain" or "geometric".
    codebook : CodebookConfig
        The codes.
    decoder : GrowthDecoderConfig, ChainDecoderConfig, TransformerDecoderConfig or IdDecoderConfig
        By ``kind``: "growth", "chain", "transformer" or "ids".
    """

    encoder: NeighborhoodEncoderConfig | ChainEncoderConfig | GeometricEncoderConfig = field(
        metadata={KINDS: ENCODER_KINDS}
    )
    codebook: CodebookConfig
    decoder: (
        GrowthDecoderConfig | ChainDecoderConfig | TransformerDecoderConfig | IdDecoderConfig
    ) = field(metadata={KINDS: DECODER_KINDS})

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        follows = isinstance(self.encoder, ChainEncoderConfig)
        if follows != isinstance(self.decoder, ChainDecoderConfig):
            msg = (
                "an encoder of kind 'chain' and a decoder of kind 'chain' need each other: the "
                "steps that the one puts into latents are those by which the other grows"
            )
            raise ConfigError(msg)
        # A decoder of ids sees no latent.
        taken = None if isinstance(self.decoder, IdDecoderConfig) else self.decoder.latent_dim
        if taken is not None and self.encoder.latent_dim != taken:
            msg = (
                f"encoder.latent_dim ({self.encoder.latent_dim}) and decoder.latent_dim "
                f"({taken}) must be equal"
            )
            raise ConfigError(msg)
        breaks = self.encoder.break_codes if isinstance(self.encoder, ChainEncoderConfig) else 0
        if self.codebook.size - breaks < 2:
            msg = (
                f"encoder.break_codes ({breaks}) must leave at least 2 of the {self.codebook.size} "
                "codes of codebook.size for bonded residues"
            )
            raise ConfigError(msg)
