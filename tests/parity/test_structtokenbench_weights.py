"""Does a converted checkpoint of StructTokenBench compute what its parts, as esm has them, do?

The benchmark's model is put together here from layers of the installed esm package, which its own
layers repeat, under the names of its state dict.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from provq_protein.cli import main
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer

vqvae = pytest.importorskip("esm.models.vqvae", reason="needs esm, see requirements/esm-parity.txt")

from esm.layers.structure_proj import Dim6RotStructureHead  # noqa: E402
from esm.layers.transformer_stack import TransformerStack  # noqa: E402
from esm.utils.structure.normalize_coordinates import normalize_coordinates  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    # Calls of esm that torch is about to drop.
    pytest.mark.filterwarnings("ignore:.*torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning"),
]

TOLERANCE = 1e-5
# Angstrom.
COORDINATE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sizes:
    """Of the parts."""

    width: int
    vector_heads: int
    latent_dim: int
    codes: int
    decoder: int
    heads: int
    blocks: int


FULL = Sizes(1024, 128, 1024, 512, 1024, 16, 8)
SMALL = Sizes(64, 16, 24, 60, 128, 2, 3)


class Decoder(nn.Module):
    """Decode vectors: the layers of esm's decoder behind a projection."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.decoder
        self.post_vq_proj = nn.Linear(sizes.latent_dim, width)
        self.decoder_stack = TransformerStack(
            width, sizes.heads, 1, sizes.blocks, n_layers_geom=0, scale_residue=False
        )
        self.affine_output_projection = Dim6RotStructureHead(
            width, 10, predict_torsion_angles=False
        )
        self.pairwise_classification_head = vqvae.PairwisePredictionHead(
            width, 128, 128, 224, bias=False
        )
        self.plddt_head = vqvae.RegressionHead(width, 50)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and coordinates."""
        one_chain = torch.zeros(vectors.shape[:2], dtype=torch.int64)
        hidden, _, _ = self.decoder_stack(
            self.post_vq_proj(vectors), sequence_id=one_chain, chain_id=one_chain
        )
        nowhere = torch.zeros_like(one_chain, dtype=torch.bool)
        return hidden, self.affine_output_projection(hidden, None, nowhere)[1]


class Quantizer(nn.Module):
    """A table, and for AminoAseed a map of it."""

    def __init__(self, sizes: Sizes, *, linear: bool) -> None:
        super().__init__()
        self.codebook = nn.Embedding(sizes.codes, sizes.latent_dim)
        if linear:
            self.linear_proj = nn.Linear(sizes.latent_dim, sizes.latent_dim)

    def codes(self) -> Tensor:
        """Return the codes that latents are compared with."""
        table = self.codebook.weight
        return self.linear_proj(table) if hasattr(self, "linear_proj") else table


class Reference(nn.Module):
    """The benchmark's model, by the names of its parts."""

    def __init__(self, sizes: Sizes, *, linear: bool) -> None:
        super().__init__()
        self.encoder = vqvae.StructureTokenEncoder(
            sizes.width, 1, sizes.vector_heads, 2, sizes.latent_dim, 8
        )
        # The benchmark's encoder has none of its own.
        self.encoder.codebook = nn.Identity()
        self.quantizer = Quantizer(sizes, linear=linear)
        self.decoder = Decoder(sizes)
        self.inverse_folding_head = vqvae.RegressionHead(sizes.decoder, 33)

    def latents(self, chain: Backbone) -> Tensor:
        """Encode a chain as it is listed."""
        atoms = torch.full((len(chain), 37, 3), torch.nan)
        known = np.where(chain.resolved[:, None, None], chain.coords, np.float32(np.nan))
        atoms[:, :3] = torch.from_numpy(known)
        numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))
        kept: list[Tensor] = []
        hook = self.encoder.pre_vq_proj.register_forward_hook(
            lambda *call: kept.append(call[-1][0])
        )
        self.encoder.codebook.forward = lambda latents: (latents, None, None)
        try:
            self.encoder.encode(normalize_coordinates(atoms)[None], residue_index=numbers[None])
        finally:
            hook.remove()
        return kept[0]

    def ids(self, latents: Tensor) -> Tensor:
        """Return nearest codes, in double precision."""
        codes = self.quantizer.codes().double()
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(latents.double(), codes, compute_mode=mode).argmin(dim=1)


def shaken(module: nn.Module) -> nn.Module:
    """Move what starts as 0 or 1 away from it, so that no parameter is without effect."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return module.eval()


def place_codes(model: Reference, chains: list[Backbone]) -> None:
    """Put the effective codes among the latents of real chains, so that many are chosen."""
    latents = torch.cat([model.latents(chain) for chain in chains])
    size = model.quantizer.codebook.num_embeddings
    wanted = latents[torch.randint(len(latents), (size,))]
    wanted = wanted + 0.2 * torch.randn_like(wanted) * latents.std(dim=0)
    if hasattr(model.quantizer, "linear_proj"):
        layer = model.quantizer.linear_proj
        # Near the identity, and not the identity.
        layer.weight.copy_(torch.eye(len(layer.weight)) + 0.01 * layer.weight)
        layer.bias.mul_(0.1)
    model.quantizer.codebook.weight.copy_(wanted)


def saved(model: Reference, folder: Path) -> Path:
    """Save as Lightning does with DeepSpeed."""
    (folder / "checkpoint").mkdir(parents=True)
    module = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    content = {"module": module, "ds_version": "0.14.2", "global_steps": 108_530}
    torch.save(content, folder / "checkpoint" / "mp_rank_00_model_states.pt")
    return folder


def compare_heads(model: Reference, tokenizer: StructureTokenizer, ids: Tensor) -> None:
    """Compare what the decoder predicts beside coordinates."""
    vectors = model.quantizer.codes()[ids][None]
    hidden, _ = model.decoder(vectors)
    there = torch.ones(vectors.shape[:2], dtype=torch.bool)
    numbers = torch.arange(len(ids))[None]
    ours = tokenizer.model.decoder(vectors, there, numbers, there, with_pairs=True)
    distances, directions, errors = (
        ours.distance_logits,
        ours.direction_logits.flatten(-2),
        ours.error_logits,
    )
    pairs = torch.cat([distances, directions, errors], dim=-1)
    for own, theirs in [
        (ours.residue_logits, model.inverse_folding_head(hidden)),
        (ours.confidence_logits, model.decoder.plddt_head(hidden)),
        (pairs, model.decoder.pairwise_classification_head(hidden)),
    ]:
        torch.testing.assert_close(own, theirs, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def convert_and_compare(
    sizes: Sizes, chains: list[Backbone], folder: Path, *, linear: bool
) -> None:
    torch.manual_seed(7)
    model = shaken(Reference(sizes, linear=linear))
    place_codes(model, chains)
    checkpoint, out = saved(model, folder / "last.ckpt"), folder / "model"
    assert main(["convert-checkpoint", str(checkpoint), "-o", str(out)]) == 0
    tokenizer = StructureTokenizer.from_pretrained(out)
    # A gigabyte, which pytest would keep for three more runs.
    shutil.rmtree(checkpoint)
    shutil.rmtree(out)
    tokens = tokenizer.encode(chains)
    assert len({int(one) for chain in tokens for one in chain.ids}) > 20
    for chain, ours, latents, backbone in zip(
        chains, tokens, tokenizer.embed(chains), tokenizer.decode(tokens), strict=True
    ):
        there = chain.resolved
        expected = model.latents(chain)[torch.from_numpy(there.copy())]
        np.testing.assert_allclose(latents[there], expected.numpy(), atol=TOLERANCE, rtol=TOLERANCE)
        ids = model.ids(expected)
        np.testing.assert_array_equal(ours.ids[there], ids.numpy())
        coords = model.decoder(model.quantizer.codes()[ids][None])[1][0]
        np.testing.assert_allclose(
            backbone.coords[there], coords.numpy(), atol=COORDINATE_TOLERANCE, rtol=0
        )
    compare_heads(model, tokenizer, model.ids(model.latents(chains[0])))


@pytest.fixture(scope="module")
def chains(sample_structures: list[Path]) -> list[Backbone]:
    """Return chains with jumps in their numbering, and one with an unresolved residue."""
    whole = [
        read_backbones(path)[0]
        for path in sample_structures
        if path.name.startswith(("1a8o.cif", "1gbt", "2xhe"))
    ]
    gap = int(whole[-1].resolved.argmin())
    rows = slice(gap - 60, gap + 60)
    part = Backbone.from_arrays(
        whole[-1].coords[rows], author_numbers=whole[-1].author_numbers[rows]
    )
    assert not part.resolved.all()
    return [*whole[:-1], part]


@pytest.mark.parametrize("linear", [False, True], ids=["vanilla", "aminoaseed"])
def test_small_models_of_the_benchmark(
    chains: list[Backbone], tmp_path: Path, linear: bool
) -> None:
    convert_and_compare(SMALL, chains, tmp_path, linear=linear)


@pytest.mark.slow
def test_aminoaseed_at_full_size(chains: list[Backbone], tmp_path: Path) -> None:
    convert_and_compare(FULL, chains, tmp_path, linear=True)
