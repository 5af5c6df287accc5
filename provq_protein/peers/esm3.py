"""How do the files of ESM3's structure tokenizer become a model?"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.config import CodebookConfig, ModelConfig
from provq_protein.model.id_decoder import SPECIAL_IDS, IdDecoderConfig
from provq_protein.model.transformer_blocks import FRAME_OUTPUTS
from provq_protein.peers.esm_names import (
    attention_heads,
    count_blocks,
    encoder_config,
    encoder_tensors,
    renamed,
    stack_names,
)
from provq_protein.peers.foreign_states import ForeignState
from provq_protein.peers.model_parts import ModelParts, check_table, initialized

ENCODER_SIGN = "codebook.embeddings"
"""A name that the encoder's file has, and no other."""
DECODER_SIGN = "embed.weight"
"""A name that the decoder's file has, and no other."""

# Of the moving averages behind the codes; the table comes first.
_CODEBOOK = {"embeddings": "table", "N": "counts", "z_avg": "sums"}
_COMMITMENT = 0.25
# Heads of the decoder that say how sure it is: `decode` returns coordinates.
_UNUSED_HEADS = ("pairwise_classification_head.", "plddt_head.")
_FRAME_ROWS = ("affine_output_projection.proj.weight", "affine_output_projection.proj.bias")


def from_esm3(states: Sequence[ForeignState], *, decoder_heads: int | None = None) -> ModelParts:
    """
    Put the encoder and the decoder of ESM3 together.

    Parameters
    ----------
    states : sequence of ForeignState
        Of ``esm3_structure_encoder_v0.pth`` and ``esm3_structure_decoder_v0.pth``, in any order.
    decoder_heads : int, optional
        Attention heads of the decoder; by default one per 64 features, as the released one has.

    Returns
    -------
    ModelParts
        Configuration and weights.

    Raises
    ------
    CheckpointError
        If one of the two is absent or there twice, or the tensors are not those of ESM3's models.
    """
    encoder, decoder = _one(states, ENCODER_SIGN, "encoder"), _one(states, DECODER_SIGN, "decoder")
    where = str(encoder.path)
    codebook = {
        name.removeprefix("codebook."): tensor
        for name, tensor in encoder.tensors.items()
        if name.startswith("codebook.")
    }
    rest = {n: t for n, t in encoder.tensors.items() if not n.startswith("codebook.")}
    sizes = encoder_config(rest, where)
    named = renamed(codebook, _CODEBOOK, f"{where}: codebook")
    codes = check_table(named["table"], f"{where}: {ENCODER_SIGN}")
    tensors = encoder_tensors(rest, sizes, where)
    tensors |= {f"quantizer.codebook.{name}": tensor for name, tensor in named.items()}
    decoding, decoder_tensors, left_out = _decoder(decoder, codes, decoder_heads)
    return ModelParts(
        config=ModelConfig(
            encoder=sizes,
            codebook=CodebookConfig(kind="ema", size=codes, commitment_weight=_COMMITMENT),
            decoder=decoding,
        ),
        tensors=tensors | initialized() | decoder_tensors,
        left_out=left_out,
    )


def _one(states: Sequence[ForeignState], sign: str, part: str) -> ForeignState:
    found = [state for state in states if sign in state.tensors]
    if len(found) != 1:
        given = ", ".join(str(state.path) for state in states)
        msg = (
            f"{given}: {len(found) or 'none'} of these files holds the {part} of ESM3 (an entry "
            f"{sign!r}); name esm3_structure_encoder_v0.pth and esm3_structure_decoder_v0.pth, "
            "once each"
        )
        raise CheckpointError(msg)
    return found[0]


def _decoder(
    state: ForeignState, codes: int, heads: int | None
) -> tuple[IdDecoderConfig, dict[str, Tensor], tuple[str, ...]]:
    """Return configuration, weights, and what is left out."""
    where = str(state.path)
    table = state.tensors[DECODER_SIGN]
    if table.ndim != 2 or len(table) != codes + SPECIAL_IDS:
        msg = (
            f"{where}: {DECODER_SIGN} has shape {tuple(table.shape)}, but the encoder has {codes} "
            f"codes, to which {SPECIAL_IDS} special ids come; the files do not belong together"
        )
        raise CheckpointError(msg)
    width = table.shape[1]
    blocks = count_blocks(state.tensors, "decoder_stack.blocks.")
    used = {
        name: tensor for name, tensor in state.tensors.items() if not name.startswith(_UNUSED_HEADS)
    }
    left_out = sorted(set(state.tensors) - set(used))
    left_out += _without_torsions(used)
    named = renamed(used, stack_names(blocks) | {DECODER_SIGN: "embedding.weight"}, where)
    config = IdDecoderConfig(width=width, blocks=blocks, heads=attention_heads(width, heads, where))
    return config, {f"decoder.{name}": tensor for name, tensor in named.items()}, tuple(left_out)


def _without_torsions(tensors: dict[str, Tensor]) -> list[str]:
    """Cut off, in place, what the frame head predicts beside a frame; return what that was."""
    cut = []
    for name in _FRAME_ROWS:
        rows = len(tensors[name]) if name in tensors and tensors[name].ndim else 0
        if rows > FRAME_OUTPUTS:
            tensors[name] = tensors[name][:FRAME_OUTPUTS]
            cut.append(f"{name}[{FRAME_OUTPUTS}:{rows}]")
    return cut


def is_esm3(names: Mapping[str, object]) -> bool:
    """
    Tell whether a file is one of the two of ESM3.

    Parameters
    ----------
    names : mapping with str as keys
        Its tensors.

    Returns
    -------
    bool
        Whether it has a name that only they have.
    """
    return ENCODER_SIGN in names or DECODER_SIGN in names
