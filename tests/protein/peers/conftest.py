"""What do files of other projects look like, at sizes for which a test need not wait?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from provq_protein.structure.backbone import Backbone

State = dict[str, Tensor]

CODES, LATENT, ENCODER, HEADS, DECODER, HIDDEN = 12, 6, 16, 2, 64, 256


def layer(name: str, outputs: int, inputs: int, *, bias: bool = True) -> State:
    """Return a linear layer."""
    weight = {f"{name}.weight": torch.randn(outputs, inputs) / inputs**0.5}
    return weight | ({f"{name}.bias": torch.randn(outputs)} if bias else {})


def norm(name: str, width: int, *, bias: bool = True) -> State:
    """Return a layer norm."""
    weight = {f"{name}.weight": 1 + 0.1 * torch.randn(width)}
    return weight | ({f"{name}.bias": 0.1 * torch.randn(width)} if bias else {})


def encoder_state() -> State:
    """Return a geometric encoder of two blocks, under the names of esm."""
    state = layer("pre_vq_proj", LATENT, ENCODER)
    state["relative_positional_embedding.embedding.weight"] = torch.randn(66, ENCODER)
    for number in range(2):
        block = f"transformer.blocks.{number}"
        state |= norm(f"{block}.geom_attn.s_norm", ENCODER)
        state |= layer(f"{block}.geom_attn.proj", 15 * HEADS, ENCODER)
        state |= layer(f"{block}.geom_attn.out_proj", ENCODER, 3 * HEADS)
        state[f"{block}.geom_attn.distance_scale_per_head"] = torch.randn(HEADS)
        state[f"{block}.geom_attn.rotation_scale_per_head"] = torch.randn(HEADS)
        state |= norm(f"{block}.ffn.0", ENCODER) | layer(f"{block}.ffn.1", 8 * ENCODER, ENCODER)
        state |= layer(f"{block}.ffn.3", ENCODER, 4 * ENCODER)
    return state


def regression(name: str, outputs: int) -> State:
    """Return a head of a decoder."""
    state = layer(f"{name}.dense", DECODER, DECODER) | norm(f"{name}.norm", DECODER)
    return state | layer(f"{name}.output", outputs, DECODER)


def stack_state() -> State:
    """Return the transformer and the heads of a decoder of one block, under the names of esm."""
    block = "decoder_stack.blocks.0"
    state = norm(f"{block}.attn.layernorm_qkv.0", DECODER)
    state |= layer(f"{block}.attn.layernorm_qkv.1", 3 * DECODER, DECODER, bias=False)
    state |= norm(f"{block}.attn.q_ln", DECODER, bias=False)
    state |= norm(f"{block}.attn.k_ln", DECODER, bias=False)
    state |= layer(f"{block}.attn.out_proj", DECODER, DECODER, bias=False)
    state |= norm(f"{block}.ffn.0", DECODER)
    state |= layer(f"{block}.ffn.1", 2 * HIDDEN, DECODER, bias=False)
    state |= layer(f"{block}.ffn.3", DECODER, HIDDEN, bias=False)
    state |= norm("decoder_stack.norm", DECODER, bias=False)
    frame, pair = "affine_output_projection", "pairwise_classification_head"
    state |= layer(f"{frame}.ffn1", DECODER, DECODER) | norm(f"{frame}.norm", DECODER)
    state |= layer(f"{frame}.proj", 23, DECODER)
    state |= layer(f"{pair}.downproject", 128, DECODER, bias=False)
    state |= layer(f"{pair}.linear1", 128, 128, bias=False) | norm(f"{pair}.norm", 128)
    state |= layer(f"{pair}.linear2", 224, 128, bias=False)
    return state | regression("plddt_head", 50)


@pytest.fixture
def esm3() -> dict[str, State]:
    """Return the two files of ESM3."""
    torch.manual_seed(3)
    codebook = {
        "codebook.embeddings": torch.randn(CODES, LATENT),
        "codebook.N": torch.rand(CODES) + 1,
        "codebook.z_avg": torch.randn(CODES, LATENT),
    }
    return {
        "encoder": encoder_state() | codebook,
        "decoder": stack_state() | {"embed.weight": torch.randn(CODES + 5, DECODER)},
    }


@pytest.fixture
def released() -> Callable[..., State]:
    """Return a function that makes the weights of VanillaVQ or AminoAseed."""

    def make(*, linear: bool) -> State:
        torch.manual_seed(4)
        state = {f"encoder.{name}": tensor for name, tensor in encoder_state().items()}
        decoder = stack_state() | layer("post_vq_proj", DECODER, LATENT)
        state |= {f"decoder.{name}": tensor for name, tensor in decoder.items()}
        state |= regression("inverse_folding_head", 33)
        state["quantizer.codebook.weight"] = torch.randn(CODES, LATENT)
        if linear:
            state |= layer("quantizer.linear_proj", LATENT, LATENT)
        return state

    return make


@pytest.fixture
def esm3_files(esm3: dict[str, State], tmp_path: Path) -> list[Path]:
    """Return the two files of ESM3, saved."""
    paths = [tmp_path / f"{name}.pth" for name in esm3]
    for path, state in zip(paths, esm3.values(), strict=True):
        torch.save(state, path)
    return paths


def save_deepspeed(state: State, folder: Path) -> Path:
    """Save as Lightning does with DeepSpeed: a folder, and a prefix before every name."""
    (folder / "checkpoint").mkdir(parents=True)
    content = {
        "module": {f"model.{name}": tensor for name, tensor in state.items()},
        "ds_version": "0.14.2",
        "global_steps": 3,
        "param_shapes": [{"model.a": torch.Size([3])}],
    }
    torch.save(content, folder / "checkpoint" / "mp_rank_00_model_states.pt")
    return folder


@pytest.fixture
def deepspeed() -> Callable[[State, Path], Path]:
    """Return `save_deepspeed`."""
    return save_deepspeed


@pytest.fixture
def chain(make_coords: Callable[[int, int], np.ndarray]) -> Backbone:
    """Return a chain of 30 residues, of which two are unresolved."""
    coords = make_coords(30, 1)
    coords[[4, 17]] = np.nan
    return Backbone.from_arrays(coords)
