"""How do checkpoints of StructTokenBench, and of ProVQ's author, become a model?"""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.config import CodebookConfig, ModelConfig
from provq_protein.model.transformer_decoder import TransformerDecoderConfig
from provq_protein.peers.esm_names import (
    REGRESSION_HEAD,
    attention_heads,
    count_blocks,
    encoder_config,
    encoder_tensors,
    head_names,
    renamed,
    stack_names,
)
from provq_protein.peers.foreign_states import ForeignState
from provq_protein.peers.model_parts import ModelParts, check_table, initialized

_INPUT = "decoder.post_vq_proj.weight"
_CLASSES = "inverse_folding_head.output.weight"
_TABLE = "quantizer.codebook.weight"
_COMMITMENT = 0.25
_PAIR_HEAD = {"downproject": "reduce", "linear1": "hidden", "norm": "norm", "linear2": "output"}
# Where the training of ProVQ's author stood: of no use once it is over.
_PROGRESS = ("quantizer.sche_a", "quantizer.cur_iter")
_FREE = {"codebook.weight": "table"}
_LINEAR = {
    "codebook.weight": "basis",
    "linear_proj.weight": "linear.weight",
    "linear_proj.bias": "linear.bias",
}


def is_structtokenbench(names: Mapping[str, object]) -> bool:
    """
    Tell whether a file is a checkpoint of StructTokenBench or of ProVQ's author.

    Parameters
    ----------
    names : mapping with str as keys
        Its tensors.

    Returns
    -------
    bool
        Whether it has a name that only they have.
    """
    return _INPUT in names or _TABLE in names


def from_structtokenbench(
    states: Sequence[ForeignState], *, decoder_heads: int | None = None
) -> ModelParts:
    """
    Take VanillaVQ or AminoAseed, trained with or without ProVQ, from its checkpoint.

    Parameters
    ----------
    states : sequence of ForeignState
        Of one file.
    decoder_heads : int, optional
        Attention heads of the decoder; by default one per 64 features, as in its recipes.

    Returns
    -------
    ModelParts
        Configuration and weights.

    Raises
    ------
    CheckpointError
        If there is more than one file, no quantizer in it, or a tensor too many or too few.
    """
    if len(states) != 1:
        given = ", ".join(str(state.path) for state in states)
        msg = f"{given}: a checkpoint of StructTokenBench is one file or folder; name one"
        raise CheckpointError(msg)
    state, where = states[0], str(states[0].path)
    parts = {name: _under(state.tensors, f"{name}.") for name in ("encoder", "decoder")}
    encoder = encoder_config(parts["encoder"], where)
    kind, codes = _codebook(_under(state.tensors, "quantizer."), where)
    decoder = _decoder_config(state.tensors, encoder.latent_dim, decoder_heads, where)
    names = _decoder_names(decoder.blocks)
    beside = {
        name: tensor
        for name, tensor in state.tensors.items()
        if not name.startswith(("encoder.", "quantizer."))
    }
    tensors = encoder_tensors(parts["encoder"], encoder, where) | initialized()
    tensors |= {f"quantizer.codebook.{name}": tensor for name, tensor in codes.items()}
    tensors |= renamed(beside, names, where)
    size = len(codes["table" if kind == "free" else "basis"])
    return ModelParts(
        config=ModelConfig(
            encoder=encoder,
            codebook=CodebookConfig(kind=kind, size=size, commitment_weight=_COMMITMENT),
            decoder=decoder,
        ),
        tensors=tensors,
        left_out=tuple(name for name in _PROGRESS if name in state.tensors),
    )


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _codebook(
    tensors: Mapping[str, Tensor], where: str
) -> tuple[Literal["free", "linear"], dict[str, Tensor]]:
    """Return the kind of codebook and its tensors under our names."""
    progress = {name.removeprefix("quantizer.") for name in _PROGRESS}
    kept = {name: tensor for name, tensor in tensors.items() if name not in progress}
    if not kept:
        msg = (
            f"{where}: holds no quantizer, so it has no codes; it is the autoencoder of the first "
            "stage, and the checkpoint of the second is needed"
        )
        raise CheckpointError(msg)
    linear = any(name.startswith("linear_proj.") for name in kept)
    named = renamed(kept, _LINEAR if linear else _FREE, f"{where}: quantizer")
    check_table(kept["codebook.weight"], f"{where}: {_TABLE}")
    return ("linear" if linear else "free"), named


def _decoder_config(
    tensors: Mapping[str, Tensor], latent_dim: int, heads: int | None, where: str
) -> TransformerDecoderConfig:
    for name in (_INPUT, _CLASSES):
        if name not in tensors or tensors[name].ndim != 2:
            msg = f"{where}: no entry {name!r} with two axes, as StructTokenBench's models have"
            raise CheckpointError(msg)
    width = len(tensors[_INPUT])
    return TransformerDecoderConfig(
        latent_dim=latent_dim,
        width=width,
        blocks=count_blocks(tensors, "decoder.decoder_stack.blocks."),
        heads=attention_heads(width, heads, where),
        num_classes=len(tensors[_CLASSES]),
        # Nothing trained these, but so nothing of the file is lost.
        confidence_heads=True,
    )


def _decoder_names(blocks: int) -> dict[str, str]:
    """Return our name for each tensor outside of encoder and quantizer."""
    names = stack_names(blocks)
    names |= {f"post_vq_proj.{kind}": f"input.{kind}" for kind in ("weight", "bias")}
    names |= head_names("plddt_head", "confidence_head", REGRESSION_HEAD)
    # The linear layers of the pair head have no bias.
    pairs = head_names("pairwise_classification_head", "pair_head", _PAIR_HEAD)
    names |= {
        theirs: ours
        for theirs, ours in pairs.items()
        if ours.endswith("weight") or ours == "pair_head.norm.bias"
    }
    named = {f"decoder.{theirs}": f"decoder.{ours}" for theirs, ours in names.items()}
    return named | head_names("inverse_folding_head", "decoder.residue_head", REGRESSION_HEAD)
