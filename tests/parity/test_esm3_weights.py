"""Does a model converted from ESM3's layout give the tokens and coordinates of the esm package?"""

import gc
import shutil
from dataclasses import dataclass, replace
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

from esm.utils.structure.normalize_coordinates import normalize_coordinates  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    # Calls of esm that torch is about to drop.
    pytest.mark.filterwarnings("ignore:.*torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning"),
]

CODES = 4096
LATENT_TOLERANCE = 1e-5
# Angstrom: after 30 blocks in single precision.
COORDINATE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sizes:
    """Arguments of esm's encoder and decoder."""

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]


FULL = Sizes(encoder=(1024, 1, 128, 2, 128, CODES), decoder=(1280, 20, 30))
SMALL = Sizes(encoder=(64, 1, 16, 2, 24, CODES), decoder=(128, 2, 3))


@dataclass(frozen=True)
class Expected:
    """What esm makes of one chain."""

    latents: Tensor
    ids: Tensor
    coords: Tensor


def real_chains(paths: list[Path]) -> list[Backbone]:
    """Return chains with jumps in their numbering, one of which lacks a residue."""
    chains = [
        chain
        for path in paths
        if path.name.startswith(("1a8o.cif", "1gbt", "2xhe"))
        for chain in read_backbones(path)
        if chain.chain_id == "A"
    ]
    assert any(not chain.resolved.all() for chain in chains)
    assert any((np.diff(chain.author_numbers) > 1).any() for chain in chains)
    return chains


def around_the_gap(chain: Backbone, reach: int = 60) -> Backbone:
    """Return what surrounds the first unresolved residue; the whole chain if it has none."""
    if chain.resolved.all():
        return chain
    middle = int(chain.resolved.argmin())
    rows = slice(max(0, middle - reach), middle + reach)
    return Backbone.from_arrays(
        chain.coords[rows], author_numbers=chain.author_numbers[rows], source=chain.source
    )


def gapped(chain: Backbone) -> Backbone:
    """Return the chain without a third of its residues, and with a jump in its numbering."""
    generator = np.random.default_rng(0)
    resolved = chain.resolved & (generator.random(len(chain)) > 1 / 3)
    numbers = chain.author_numbers.copy()
    numbers[len(chain) // 2 :] += 40
    coords = np.where(resolved[:, None, None], chain.coords, np.float32(np.nan))
    return replace(chain, coords=coords, resolved=resolved, author_numbers=numbers)


def shaken(module: nn.Module) -> nn.Module:
    """Move what starts as 0 or 1 away from it, so that no parameter is without effect."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return module.eval()


def latents_of(encoder: nn.Module, chain: Backbone) -> tuple[Tensor, Tensor]:
    """Return the latents and ids of esm, from its own normalization of coordinates on."""
    atoms = torch.full((len(chain), 37, 3), torch.nan)
    known = np.where(chain.resolved[:, None, None], chain.coords, np.float32(np.nan))
    atoms[:, :3] = torch.from_numpy(known)
    numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))
    kept: list[Tensor] = []
    hook = encoder.pre_vq_proj.register_forward_hook(lambda *call: kept.append(call[-1]))
    try:
        _, ids = encoder.encode(normalize_coordinates(atoms)[None], residue_index=numbers[None])
    finally:
        hook.remove()
    return kept[0][0], ids[0]


def place_codes(encoder: nn.Module, chains: list[Backbone]) -> None:
    """Put codes among the latents of real chains, so that many of them are chosen."""
    latents = torch.cat([latents_of(encoder, chain)[0] for chain in chains])
    chosen = latents[torch.randint(len(latents), (CODES,))]
    noise = torch.randn_like(chosen) * latents.std(dim=0)
    encoder.codebook.embeddings.copy_(chosen + 0.7 * noise)
    encoder.codebook.z_avg.copy_(encoder.codebook.embeddings)
    encoder.codebook.N.fill_(1.0)


def coords_of(decoder: nn.Module, ids: Tensor) -> Tensor:
    """Return the backbone that esm's decoder gives for ids, between a start and an end."""
    start, end = (torch.tensor([decoder.special_tokens[name]]) for name in ("BOS", "EOS"))
    tokens = torch.cat([start, ids, end])[None]
    return decoder.decode(tokens)["bb_pred"][0, 1:-1]


@torch.inference_mode()
def convert_and_compare(sizes: Sizes, chains: list[Backbone], folder: Path) -> None:
    torch.manual_seed(7)
    encoder = shaken(vqvae.StructureTokenEncoder(*sizes.encoder))
    place_codes(encoder, chains)
    decoder = shaken(vqvae.StructureTokenDecoder(*sizes.decoder))
    expected = []
    for chain in chains:
        latents, ids = latents_of(encoder, chain)
        coords = coords_of(decoder, ids[torch.from_numpy(chain.resolved.copy())])
        expected.append(Expected(latents, ids, coords))
    files = folder / "encoder.pth", folder / "decoder.pth"
    for path, module in zip(files, (encoder, decoder), strict=True):
        torch.save(module.state_dict(), path)
    # At full size each copy of the decoder takes 2.5 GB.
    del encoder, decoder, module
    gc.collect()

    assert main(["convert-checkpoint", *map(str, files), "-o", str(folder / "model")]) == 0
    for path in files:
        path.unlink()
    tokenizer = StructureTokenizer.from_pretrained(folder / "model")
    # Gigabytes, which pytest would keep for three more runs.
    shutil.rmtree(folder / "model")
    tokens = tokenizer.encode(chains)
    assert tokenizer.codebook_size == CODES
    assert len({int(one) for chain in tokens for one in chain.ids}) > 100
    for chain, ours, latents, backbone, theirs in zip(
        chains, tokens, tokenizer.embed(chains), tokenizer.decode(tokens), expected, strict=True
    ):
        there = chain.resolved
        np.testing.assert_allclose(
            latents[there],
            theirs.latents.numpy()[there],
            atol=LATENT_TOLERANCE,
            rtol=LATENT_TOLERANCE,
        )
        np.testing.assert_array_equal(ours.ids[there], theirs.ids.numpy()[there])
        assert (ours.ids[~there] == -1).all()
        np.testing.assert_allclose(
            backbone.coords[there], theirs.coords.numpy(), atol=COORDINATE_TOLERANCE, rtol=0
        )
        # Coordinates that are nearly the same everywhere would agree with anything.
        assert backbone.coords[there].std() > 1.0


def test_small_models(sample_structures: list[Path], tmp_path: Path) -> None:
    chains = real_chains(sample_structures)
    convert_and_compare(SMALL, [*chains, gapped(chains[0])], tmp_path)


@pytest.mark.slow
def test_full_size(sample_structures: list[Path], tmp_path: Path) -> None:
    # The decoder multiplies 600 million times per residue: the longest chain is cut.
    chains = [around_the_gap(chain) for chain in real_chains(sample_structures)]
    convert_and_compare(FULL, [*chains, gapped(chains[0])], tmp_path)
