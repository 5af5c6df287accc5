"""Do the decoder's trunk and heads compute the functions of the installed esm layers?"""

import pytest
import torch
from torch import Tensor, nn

from provq_protein.model.reconstruction_losses import virtual_beta
from provq_protein.model.transformer_decoder import TransformerDecoder, TransformerDecoderConfig

pytest.importorskip("esm.models.vqvae", reason="needs esm, see requirements/esm-parity.txt")

from esm.layers.structure_proj import Dim6RotStructureHead
from esm.layers.transformer_stack import TransformerStack
from esm.models.vqvae import PairwisePredictionHead
from esm.utils.structure.protein_structure import infer_cbeta_from_atom37

pytestmark = pytest.mark.parity

WIDTH, HEADS, BLOCKS, LENGTH = 64, 4, 3, 23
BLOCK_NAMES = {
    "attention.norm.weight": "attn.layernorm_qkv.0.weight",
    "attention.norm.bias": "attn.layernorm_qkv.0.bias",
    "attention.query_key_value.weight": "attn.layernorm_qkv.1.weight",
    "attention.query_norm.weight": "attn.q_ln.weight",
    "attention.key_norm.weight": "attn.k_ln.weight",
    "attention.output.weight": "attn.out_proj.weight",
    "feed_forward.norm.weight": "ffn.0.weight",
    "feed_forward.norm.bias": "ffn.0.bias",
    "feed_forward.gate_value.weight": "ffn.1.weight",
    "feed_forward.output.weight": "ffn.3.weight",
}
FRAME_NAMES = {"0": "ffn1", "2": "norm", "3": "proj"}
PAIR_NAMES = {"reduce": "downproject", "hidden": "linear1", "norm": "norm", "output": "linear2"}


def randomized(module: TransformerDecoder) -> TransformerDecoder:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    return module.eval()


@pytest.fixture
def decoder() -> TransformerDecoder:
    config = TransformerDecoderConfig(
        latent_dim=8, width=WIDTH, blocks=BLOCKS, heads=HEADS, confidence_heads=True
    )
    torch.manual_seed(11)
    return randomized(TransformerDecoder(config))


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(1, LENGTH, WIDTH, generator=torch.Generator().manual_seed(0))


def renamed(module: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """Return the module's state under esm's names, layer by layer."""
    state = {}
    for name, tensor in module.state_dict().items():
        layer, kind = name.rsplit(".", 1)
        state[f"{names[layer]}.{kind}"] = tensor
    return state


@torch.inference_mode()
def test_trunk(decoder: TransformerDecoder) -> None:
    theirs = TransformerStack(WIDTH, HEADS, 1, BLOCKS, n_layers_geom=0, scale_residue=False).eval()
    state = {"norm.weight": decoder.norm.weight}
    for number, block in enumerate(decoder.blocks):
        for name, tensor in block.state_dict().items():
            state[f"blocks.{number}.{BLOCK_NAMES[name]}"] = tensor
    theirs.load_state_dict(state)

    latents = torch.randn(1, LENGTH, 8, generator=torch.Generator().manual_seed(1))
    everywhere = torch.ones(1, LENGTH, dtype=torch.bool)
    ours = decoder(latents, everywhere, torch.arange(LENGTH)[None], everywhere).hidden
    one_chain = torch.zeros(1, LENGTH, dtype=torch.int64)
    expected, _, _ = theirs(decoder.input(latents), sequence_id=one_chain, chain_id=one_chain)
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=2e-5)


@torch.inference_mode()
def test_frame_head(decoder: TransformerDecoder, hidden: Tensor) -> None:
    theirs = Dim6RotStructureHead(WIDTH, 10, predict_torsion_angles=False).eval()
    theirs.load_state_dict(renamed(decoder.frame_head, FRAME_NAMES))
    nowhere = torch.zeros(1, LENGTH, dtype=torch.bool)
    _, expected = theirs(hidden, affine=None, affine_mask=nowhere)
    torch.testing.assert_close(decoder._backbone(hidden), expected, atol=1e-4, rtol=1e-5)


@torch.inference_mode()
def test_pair_head(decoder: TransformerDecoder, hidden: Tensor) -> None:
    theirs = PairwisePredictionHead(WIDTH, 128, 128, 224, bias=False).eval()
    theirs.load_state_dict(renamed(decoder.pair_head, PAIR_NAMES))
    distances, directions, errors = decoder._pairs(hidden)
    ours = torch.cat([distances, directions.flatten(-2), errors], dim=-1)
    torch.testing.assert_close(ours, theirs(hidden), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_virtual_beta(decoder: TransformerDecoder, hidden: Tensor) -> None:
    coords = decoder._backbone(hidden)[0]
    atom37 = torch.full((LENGTH, 37, 3), torch.nan)
    atom37[:, :3] = coords
    expected = torch.from_numpy(infer_cbeta_from_atom37(atom37.numpy()))
    torch.testing.assert_close(virtual_beta(coords).double(), expected, atol=1e-4, rtol=1e-5)
