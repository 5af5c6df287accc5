"""How large is the structure encoder whose weights are these?"""

from collections.abc import Mapping

from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.geometric_encoder import GeometricEncoderConfig

_HEADS = "transformer.blocks.0.geom_attn.distance_scale_per_head"
_FEED_FORWARD = "transformer.blocks.0.ffn.1.weight"
_OUTPUT = "pre_vq_proj.weight"


def encoder_config(state: Mapping[str, Tensor], where: str) -> GeometricEncoderConfig:
    """
    Read the sizes of an encoder off its weights.

    Parameters
    ----------
    state : mapping of str to Tensor
        State dict in the layout of ESM3's structure encoder.
    where : str
        The file, for the message.

    Returns
    -------
    GeometricEncoderConfig
        Sizes for which the weights fit, if any do.

    Raises
    ------
    CheckpointError
        If the layout is another.
    """
    missing = [name for name in (_HEADS, _FEED_FORWARD, _OUTPUT) if name not in state]
    if missing:
        some = ", ".join(sorted(state)[:3]) or "nothing"
        msg = (
            f"{where}: these are not the weights of an ESM3 structure encoder: no entry "
            f"{missing[0]!r}; the first entries are {some}"
        )
        raise CheckpointError(msg)
    latent_dim, width = state[_OUTPUT].shape
    prefix = "transformer.blocks."
    numbers = {name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)}
    return GeometricEncoderConfig(
        latent_dim=latent_dim,
        width=width,
        vector_heads=len(state[_HEADS]),
        blocks=len(numbers),
        ffn_ratio=len(state[_FEED_FORWARD]) // (2 * width),
    )
