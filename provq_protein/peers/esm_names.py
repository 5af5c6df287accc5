"""What are the parts of an encoder and a decoder called by `esm`, and how large are they?"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.geometric_encoder import (
    GeometricEncoder,
    GeometricEncoderConfig,
    from_esm_state_dict,
)

# Both published decoders have one head per this many features; no tensor tells.
FEATURES_PER_HEAD = 64

_HEADS = "transformer.blocks.0.geom_attn.distance_scale_per_head"
_FEED_FORWARD = "transformer.blocks.0.ffn.1.weight"
_OUTPUT = "pre_vq_proj.weight"
_BLOCK = {
    "attn.layernorm_qkv.0.weight": "attention.norm.weight",
    "attn.layernorm_qkv.0.bias": "attention.norm.bias",
    "attn.layernorm_qkv.1.weight": "attention.query_key_value.weight",
    "attn.q_ln.weight": "attention.query_norm.weight",
    "attn.k_ln.weight": "attention.key_norm.weight",
    "attn.out_proj.weight": "attention.output.weight",
    "ffn.0.weight": "feed_forward.norm.weight",
    "ffn.0.bias": "feed_forward.norm.bias",
    "ffn.1.weight": "feed_forward.gate_value.weight",
    "ffn.3.weight": "feed_forward.output.weight",
}
# Layers of our heads, which are sequences, by the names of esm's.
FRAME_HEAD = {"ffn1": "0", "norm": "2", "proj": "3"}
REGRESSION_HEAD = {"dense": "0", "norm": "2", "output": "3"}


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
    axes = {_HEADS: 1, _FEED_FORWARD: 2, _OUTPUT: 2}
    missing = [name for name in axes if name not in state or state[name].ndim != axes[name]]
    if missing:
        some = ", ".join(sorted(state)[:3]) or "nothing"
        msg = (
            f"{where}: these are not the weights of an ESM3 structure encoder: no entry "
            f"{missing[0]!r} of its shape; the first entries are {some}"
        )
        raise CheckpointError(msg)
    latent_dim, width = state[_OUTPUT].shape
    return GeometricEncoderConfig(
        latent_dim=latent_dim,
        width=width,
        vector_heads=len(state[_HEADS]),
        blocks=count_blocks(state, "transformer.blocks."),
        ffn_ratio=len(state[_FEED_FORWARD]) // (2 * width),
    )


def encoder_tensors(
    state: Mapping[str, Tensor], config: GeometricEncoderConfig, where: str
) -> dict[str, Tensor]:
    """
    Rename and rearrange the weights of an encoder.

    Parameters
    ----------
    state : mapping of str to Tensor
        State dict in the layout of ESM3's structure encoder, without a codebook.
    config : GeometricEncoderConfig
        From `encoder_config`.
    where : str
        The file, for the message.

    Returns
    -------
    dict of str to Tensor
        As in the state dict of an autoencoder.

    Raises
    ------
    CheckpointError
        If entries are absent, unknown or of another size.
    """
    encoder = GeometricEncoder(config)
    try:
        from_esm_state_dict(encoder, state)
    except CheckpointError as error:
        msg = f"{where}: {error}"
        raise CheckpointError(msg) from error
    return {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}


def count_blocks(state: Iterable[str], prefix: str) -> int:
    """
    Count the blocks of a stack.

    Parameters
    ----------
    state : iterable of str
        Names of tensors.
    prefix : str
        What stands before the number of a block.

    Returns
    -------
    int
        How many numbers there are.

    Examples
    --------
    >>> count_blocks(["stack.0.a", "stack.1.a", "stack.1.b", "other"], "stack.")
    2
    """
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def stack_names(blocks: int) -> dict[str, str]:
    """
    Return our name for each tensor of a decoder's transformer and of its frame head.

    Parameters
    ----------
    blocks : int
        Number of blocks.

    Returns
    -------
    dict of str to str
        From names in esm's decoder to names in ours.
    """
    names = {"decoder_stack.norm.weight": "norm.weight"}
    for block in range(blocks):
        for theirs, ours in _BLOCK.items():
            names[f"decoder_stack.blocks.{block}.{theirs}"] = f"blocks.{block}.{ours}"
    return names | head_names("affine_output_projection", "frame_head", FRAME_HEAD)


def head_names(theirs: str, ours: str, layers: Mapping[str, str]) -> dict[str, str]:
    """
    Return our name for each tensor of a head.

    Parameters
    ----------
    theirs, ours : str
        Name of the head.
    layers : mapping of str to str
        From names of its layers in esm to names in ours.

    Returns
    -------
    dict of str to str
        One entry per weight and bias.
    """
    return {
        f"{theirs}.{layer}.{kind}": f"{ours}.{own}.{kind}"
        for layer, own in layers.items()
        for kind in ("weight", "bias")
    }


def attention_heads(width: int, asked: int | None, where: str) -> int:
    """
    Return the number of attention heads of a decoder, which its tensors do not tell.

    Parameters
    ----------
    width : int
        Features per residue.
    asked : int or None
        What the user says.
    where : str
        The file, for the message.

    Returns
    -------
    int
        What the user says; else one per 64 features, as both published decoders have.

    Raises
    ------
    CheckpointError
        If the user says nothing and the width is no multiple of 64.
    """
    if asked is None and width % FEATURES_PER_HEAD:
        msg = (
            f"{where}: a decoder of {width} features per residue, which is no multiple of "
            f"{FEATURES_PER_HEAD}: say how many attention heads it has (--decoder-heads)"
        )
        raise CheckpointError(msg)
    return asked or width // FEATURES_PER_HEAD


def renamed(
    tensors: Mapping[str, Tensor], names: Mapping[str, str], where: str
) -> dict[str, Tensor]:
    """
    Give tensors the names of ours.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        Weights, complete.
    names : mapping of str to str
        From their names to ours.
    where : str
        The file, for the message.

    Returns
    -------
    dict of str to Tensor
        The same tensors.

    Raises
    ------
    CheckpointError
        If one is absent, or one is there that has no name here.
    """
    absent, strange = sorted(set(names) - set(tensors)), sorted(set(tensors) - set(names))
    if absent or strange:
        msg = (
            f"{where}: does not have the tensors of this layout: absent {_some(absent)}, unknown "
            f"{_some(strange)}"
        )
        raise CheckpointError(msg)
    return {names[name]: tensor for name, tensor in tensors.items()}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else "none"
