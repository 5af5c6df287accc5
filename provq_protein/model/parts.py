"""Which modules does a configuration ask for?"""

from provq_protein.model.break_codes import BreakCodes
from provq_protein.model.chain_decoder import ChainDecoder, ChainDecoderConfig, StepReader
from provq_protein.model.chain_encoder import ChainEncoder, ChainEncoderConfig
from provq_protein.model.config import ModelConfig
from provq_protein.model.geometric_encoder import GeometricEncoder, GeometricEncoderConfig
from provq_protein.model.growth_decoder import GrowthDecoder, GrowthDecoderConfig
from provq_protein.model.id_decoder import IdDecoder, IdDecoderConfig
from provq_protein.model.neighborhood_encoder import NeighborhoodEncoder
from provq_protein.model.transformer_decoder import TransformerDecoder
from provq_protein.quantize import ProgressiveQuantizer, ProgressiveSchedule, build_method

Encoder = GeometricEncoder | NeighborhoodEncoder
Decoder = GrowthDecoder | TransformerDecoder | IdDecoder

# Kinds of codebook that have another name among quantization methods.
_METHOD_NAMES = {"free": "vanilla", "linear": "aminoaseed"}


def build_encoder(config: ModelConfig) -> Encoder:
    """
    Build the encoder.

    Parameters
    ----------
    config : ModelConfig
        The parts and their sizes.

    Returns
    -------
    GeometricEncoder or NeighborhoodEncoder
        With fresh weights.
    """
    if isinstance(config.encoder, GeometricEncoderConfig):
        return GeometricEncoder(config.encoder)
    if isinstance(config.encoder, ChainEncoderConfig):
        return ChainEncoder(config.encoder)
    return NeighborhoodEncoder(config.encoder)


def build_quantizer(config: ModelConfig, schedule: ProgressiveSchedule) -> ProgressiveQuantizer:
    """
    Build the quantizer of all codes that are learned: those for chain breaks are not.

    Parameters
    ----------
    config : ModelConfig
        The parts and their sizes.
    schedule : ProgressiveSchedule
        The curriculum.

    Returns
    -------
    ProgressiveQuantizer
        With fresh weights.
    """
    breaks = config.encoder.break_codes if isinstance(config.encoder, ChainEncoderConfig) else 0
    return build_method(
        _METHOD_NAMES.get(config.codebook.kind, config.codebook.kind),
        size=config.codebook.size - breaks,
        dim=config.encoder.latent_dim,
        schedule=schedule,
        commitment_weight=config.codebook.commitment_weight,
    )


def build_course(config: ModelConfig) -> tuple[StepReader | None, BreakCodes | None]:
    """
    Build what says which step along the chain a code stands for, where codes do that.

    Parameters
    ----------
    config : ModelConfig
        The parts and their sizes.

    Returns
    -------
    course : StepReader or None
        For bonded residues.
    breaks : BreakCodes or None
        For what follows a break.
    """
    encoder = config.encoder
    if not isinstance(encoder, ChainEncoderConfig):
        return None, None
    course = StepReader(encoder.latent_dim, encoder.course_width)
    breaks = BreakCodes(encoder.break_codes, encoder.latent_dim) if encoder.break_codes else None
    return course, breaks


def build_decoder(config: ModelConfig) -> Decoder:
    """
    Build the decoder.

    Parameters
    ----------
    config : ModelConfig
        The parts and their sizes.

    Returns
    -------
    GrowthDecoder, TransformerDecoder or IdDecoder
        With fresh weights.
    """
    if isinstance(config.decoder, ChainDecoderConfig):
        return ChainDecoder(config.decoder)
    if isinstance(config.decoder, GrowthDecoderConfig):
        return GrowthDecoder(config.decoder)
    if isinstance(config.decoder, IdDecoderConfig):
        return IdDecoder(config.decoder, config.codebook.size)
    return TransformerDecoder(config.decoder)
