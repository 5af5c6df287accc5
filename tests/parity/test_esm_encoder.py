"""Does the geometric encoder compute the function of the installed ESM3 structure encoder?"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from provq_protein.model.geometric_encoder import (
    GeometricEncoder,
    GeometricEncoderConfig,
    from_esm_state_dict,
)
from provq_protein.structure.reading import read_backbones

vqvae = pytest.importorskip("esm.models.vqvae", reason="needs esm, see requirements/esm-parity.txt")

from esm.utils.structure.normalize_coordinates import normalize_coordinates  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    # Calls of esm that torch is about to drop.
    pytest.mark.filterwarnings("ignore:.*torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning"),
]

TOLERANCE = 1e-5

# A chain is (coords (residue, 3, 3), residue numbers (residue,)), NaN where unresolved.
Chain = tuple[Tensor, Tensor]


def build_pair(
    *, width: int = 64, heads: int = 16, latent_dim: int = 24, blocks: int = 2
) -> tuple[vqvae.StructureTokenEncoder, GeometricEncoder]:
    """Return both encoders with the same random weights, no parameter left at zero."""
    torch.manual_seed(7)
    theirs = vqvae.StructureTokenEncoder(width, 1, heads, blocks, latent_dim, 8).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith(("scale_per_head", "bias")):
                parameter.normal_(std=0.5)
    theirs.relative_positional_embedding.embedding.weight.data.normal_(std=0.5)
    config = GeometricEncoderConfig(
        width=width, vector_heads=heads, latent_dim=latent_dim, blocks=blocks
    )
    ours = GeometricEncoder(config).eval()
    from_esm_state_dict(ours, theirs.state_dict())
    return theirs, ours


def reference(encoder: vqvae.StructureTokenEncoder, chain: Chain) -> Tensor:
    """Return the latents that esm gives its codebook, by esm's own path from coordinates."""
    coords, numbers = chain
    atom37 = torch.full((len(coords), 37, 3), torch.nan)
    atom37[:, :3] = coords
    latents: list[Tensor] = []
    hook = encoder.pre_vq_proj.register_forward_hook(lambda *call: latents.append(call[-1]))
    try:
        encoder.encode(normalize_coordinates(atom37)[None], residue_index=numbers[None])
    finally:
        hook.remove()
    return latents[0][0]


def resolved_of(coords: Tensor) -> Tensor:
    return coords.isfinite().flatten(-2).all(-1)


def encode(encoder: GeometricEncoder, chain: Chain) -> Tensor:
    coords, numbers = chain
    resolved = resolved_of(coords)[None]
    return encoder(coords[None], resolved, numbers[None], torch.ones_like(resolved))[0]


@pytest.fixture(scope="module")
def chains(sample_structures: list[Path]) -> list[Chain]:
    """Return real chains with their own numbering and missing residues."""
    found = []
    for path in sample_structures:
        for backbone in read_backbones(path):
            if backbone.resolved.any() and len(backbone) <= 400:
                coords = np.where(backbone.resolved[:, None, None], backbone.coords, np.nan)
                numbers = torch.from_numpy(backbone.author_numbers.astype(np.int64))
                found.append((torch.from_numpy(coords.astype(np.float32)), numbers))
    assert found
    return found


@pytest.fixture(scope="module")
def chain(chains: list[Chain]) -> Chain:
    """Return one real chain of middle length."""
    return min(chains, key=lambda chain: abs(len(chain[0]) - 150))


@pytest.mark.parametrize("blocks", [1, 2, 3])
@torch.inference_mode()
def test_real_chains(chains: list[Chain], blocks: int) -> None:
    theirs, ours = build_pair(blocks=blocks)
    for chain in chains:
        torch.testing.assert_close(
            encode(ours, chain), reference(theirs, chain), atol=TOLERANCE, rtol=TOLERANCE
        )


@torch.inference_mode()
def test_full_size(chain: Chain) -> None:
    theirs, ours = build_pair(width=1024, heads=128, latent_dim=128)
    short = chain[0][:60], chain[1][:60]
    torch.testing.assert_close(
        encode(ours, short), reference(theirs, short), atol=TOLERANCE, rtol=TOLERANCE
    )


@torch.inference_mode()
def test_dataset_chains(shared_data: Path) -> None:
    theirs, ours = build_pair()
    arrays = np.load(shared_data / "backbones.npz", allow_pickle=False)
    offsets, raw, numbers = (arrays[name] for name in ("offsets", "coords", "resnum"))
    for record in range(100, 10_000, 1000):
        rows = slice(offsets[record], min(offsets[record + 1], offsets[record] + 300))
        coords = np.where(raw[rows, :3] == -32768, np.nan, raw[rows, :3] / 100)
        chain = (
            torch.from_numpy(coords.astype(np.float32)),
            torch.from_numpy(numbers[rows].astype(np.int64)),
        )
        torch.testing.assert_close(
            encode(ours, chain), reference(theirs, chain), atol=TOLERANCE, rtol=TOLERANCE
        )


@torch.inference_mode()
def test_missing_residues_and_numbering_gaps(chain: Chain) -> None:
    theirs, ours = build_pair()
    coords, numbers = chain[0].clone(), chain[1].clone()
    generator = torch.Generator().manual_seed(0)
    coords[torch.randperm(len(coords), generator=generator)[:30]] = torch.nan
    coords[::17, 2] = torch.nan  # C alone missing
    numbers[50:] += 40
    numbers[90:] -= 300
    gapped = coords, numbers
    assert not resolved_of(coords)[[0, 17, 34]].any()
    torch.testing.assert_close(
        encode(ours, gapped), reference(theirs, gapped), atol=TOLERANCE, rtol=TOLERANCE
    )


@pytest.mark.parametrize("length", [1, 2, 9, 15, 16, 17])
@torch.inference_mode()
def test_short_chains(chain: Chain, length: int) -> None:
    theirs, ours = build_pair()
    short = chain[0][20 : 20 + length], chain[1][20 : 20 + length]
    torch.testing.assert_close(
        encode(ours, short), reference(theirs, short), atol=TOLERANCE, rtol=TOLERANCE
    )


@torch.inference_mode()
def test_few_resolved_residues_in_a_long_chain(chain: Chain) -> None:
    theirs, ours = build_pair()
    coords = torch.full_like(chain[0], torch.nan)
    coords[10:100:12] = chain[0][10:100:12]
    sparse = coords, chain[1]
    assert 0 < resolved_of(coords).sum() < 16
    torch.testing.assert_close(
        encode(ours, sparse), reference(theirs, sparse), atol=TOLERANCE, rtol=TOLERANCE
    )


@torch.inference_mode()
def test_chain_far_from_the_origin(chain: Chain) -> None:
    theirs, ours = build_pair()
    # On a grid of 2**-10 Angstrom a shift of 5000 is exact in float32.
    coords = (chain[0] * 1024).round() / 1024
    far = coords + 5000.0
    assert torch.equal(torch.nan_to_num(far - 5000.0), torch.nan_to_num(coords))
    expected = reference(theirs, (coords, chain[1]))
    torch.testing.assert_close(
        encode(ours, (far, chain[1])), expected, atol=TOLERANCE, rtol=TOLERANCE
    )


@torch.inference_mode()
def test_padded_batch_equals_esm_one_by_one(chains: list[Chain]) -> None:
    theirs, ours = build_pair()
    chosen = sorted(chains, key=lambda chain: len(chain[0]))[:3]
    longest = max(len(coords) for coords, _ in chosen)
    coords = torch.zeros(len(chosen), longest, 3, 3)
    numbers = torch.zeros(len(chosen), longest, dtype=torch.int64)
    present = torch.zeros(len(chosen), longest, dtype=torch.bool)
    for row, chain in enumerate(chosen):
        length = len(chain[0])
        coords[row, :length], numbers[row, :length] = chain
        present[row, :length] = True
    latents = ours(coords, resolved_of(coords), numbers, present)
    for row, chain in enumerate(chosen):
        torch.testing.assert_close(
            latents[row, : len(chain[0])],
            reference(theirs, chain),
            atol=TOLERANCE,
            rtol=TOLERANCE,
        )
