"""Are tokens those of the chain alone, in every pose, and do they lead back to a backbone?"""

import dataclasses

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, StructureError, TokenFormatError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe

GAPS = (4, 5, 11)


def build_tokenizer(coords: np.ndarray, *, seed: int) -> StructureTokenizer:
    """Return an untrained model whose codes are latents, so that all of them are used."""
    model = StructureAutoencoder.build(load_recipe("smoke").model, seed=seed)
    tokenizer = StructureTokenizer(model, name=f"seed {seed}")
    latents = torch.from_numpy(tokenizer.embed([Backbone.from_arrays(coords)])[0])
    model.quantizer.seed(latents, torch.Generator().manual_seed(0))
    return StructureTokenizer(model, name=f"seed {seed}")


@pytest.fixture
def coords(make_coords) -> np.ndarray:
    return make_coords(160, 1)


@pytest.fixture
def tokenizer(coords) -> StructureTokenizer:
    return build_tokenizer(coords, seed=3)


@pytest.fixture
def gapped(coords) -> Backbone:
    broken = coords.copy()
    for place, atom in zip(GAPS, (0, 1, 2), strict=True):
        broken[place, atom] = np.nan
    numbers = np.arange(len(coords), dtype=np.int32) - 7
    return dataclasses.replace(
        Backbone.from_arrays(broken, sequence="MX" * 80, chain_id="β", source="some/1abc.cif.gz"),
        residue_names=("MSE", "UNK") * 80,
        author_numbers=numbers,
        insertion_codes=("",) * 159 + ("A",),
        label_numbers=numbers + 100,
        label_chain_id="C",
        model=2,
    )


def ids_of(tokenizer: StructureTokenizer, coords: np.ndarray) -> np.ndarray:
    return tokenizer.encode([Backbone.from_arrays(coords)])[0].ids


def rotation(seed: int) -> np.ndarray:
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix * np.linalg.det(matrix)


def test_tokens_carry_everything_that_is_known_about_the_chain(tokenizer, gapped) -> None:
    (tokens,) = tokenizer.encode([gapped])
    for name in ("sequence", "residue_names", "insertion_codes", "chain_id", "label_chain_id",
                 "source", "model", "residue_ids"):  # fmt: skip
        assert getattr(tokens, name) == getattr(gapped, name), name
    for name in ("resolved", "author_numbers", "label_numbers"):
        np.testing.assert_array_equal(getattr(tokens, name), getattr(gapped, name), err_msg=name)
    assert tokens.fingerprint == tokenizer.model.fingerprint()
    assert tokens.codebook_size == tokenizer.codebook_size == 32
    assert np.flatnonzero(tokens.ids == -1).tolist() == list(GAPS)


def test_ids_are_the_nearest_codes_of_the_latents(tokenizer, gapped) -> None:
    (tokens,), (latents,) = tokenizer.encode([gapped]), tokenizer.embed([gapped])
    assert latents.dtype == np.float32
    assert latents.shape == (160, 8)
    np.testing.assert_array_equal(np.isnan(latents).any(axis=1), ~gapped.resolved)
    assert np.isfinite(latents[gapped.resolved]).all()
    distance = np.linalg.norm(latents[:, None] - tokenizer.codebook, axis=-1)
    np.testing.assert_array_equal(
        distance[gapped.resolved].argmin(axis=1), tokens.ids[gapped.resolved]
    )
    assert len(np.unique(tokens.ids)) > 16


def test_rigid_motion_leaves_tokens_and_reflection_does_not(tokenizer, coords) -> None:
    expected = ids_of(tokenizer, coords)
    for seed in range(3):
        moved = coords @ rotation(seed).T + np.array([50.0, -30.0, 8.0])
        assert (ids_of(tokenizer, moved) == expected).mean() >= 0.99
    assert (ids_of(tokenizer, coords * [1, 1, -1]) == expected).mean() < 0.9


def test_a_chain_far_from_the_origin_is_centered_before_anything_is_rounded(
    tokenizer, coords, monkeypatch
) -> None:
    # Quarter Angstroms are exact in float32 up to here, so the input itself loses nothing.
    coarse = np.round(coords * 4) / 4
    np.testing.assert_array_equal(ids_of(tokenizer, coarse + 1e6), ids_of(tokenizer, coarse))
    seen = []
    encode = tokenizer.model.encode
    monkeypatch.setattr(
        tokenizer.model, "encode", lambda *tensors: (seen.append(tensors), encode(*tensors))[1]
    )
    ids_of(tokenizer, coarse + 1e6)
    ((batch, resolved, numbers, present),) = seen
    assert batch.dtype == torch.float32
    assert batch[0, :, 1].mean(0).abs().max() < 1e-3
    assert (resolved.dtype, numbers.dtype, present.dtype) == (torch.bool, torch.int64, torch.bool)


def test_values_at_unresolved_residues_never_matter(tokenizer, gapped) -> None:
    wild = gapped.coords.copy()
    wild[4, 1:] = 1e5
    np.testing.assert_array_equal(
        tokenizer.encode([dataclasses.replace(gapped, coords=wild)])[0].ids,
        tokenizer.encode([gapped])[0].ids,
    )


def test_other_chains_of_the_call_never_change_a_token(tokenizer, make_coords, gapped) -> None:
    chains = [
        gapped,
        *(Backbone.from_arrays(make_coords(length, length)) for length in (1, 2, 3, 17, 90)),
    ]
    alone = [tokenizer.encode([chain])[0].ids for chain in chains]
    together = [tokens.ids for tokens in tokenizer.encode(chains)]
    reverse = [tokens.ids for tokens in tokenizer.encode(chains[::-1])][::-1]
    for first, second, third in zip(alone, together, reverse, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


def test_decoding_keeps_the_mapping_and_leaves_gaps_open(tokenizer, gapped) -> None:
    (backbone,) = tokenizer.decode(tokenizer.encode([gapped]))
    for field in dataclasses.fields(Backbone):
        if field.name in ("coords", "b_factors"):
            continue
        found, expected = getattr(backbone, field.name), getattr(gapped, field.name)
        assert np.array_equal(found, expected), field.name
    assert backbone.coords.dtype == np.float32
    assert np.isfinite(backbone.coords[gapped.resolved]).all()
    assert np.isnan(backbone.coords[~gapped.resolved]).all()
    # Bonds of residues have their length whatever the weights are.
    bonds = np.linalg.norm(np.diff(backbone.coords[gapped.resolved], axis=1), axis=-1)
    np.testing.assert_allclose(bonds.mean(axis=0), [1.46, 1.52], atol=0.03)


def test_decoding_depends_on_the_ids(tokenizer, gapped) -> None:
    (tokens,) = tokenizer.encode([gapped])
    other = dataclasses.replace(tokens, ids=np.where(tokens.resolved, (tokens.ids + 1) % 32, -1))
    first, second = tokenizer.decode([tokens, other])
    assert not np.allclose(first.coords, second.coords, equal_nan=True)


def test_decoding_a_chain_without_tokens_gives_no_coordinates(tokenizer, gapped) -> None:
    (tokens,) = tokenizer.encode([gapped])
    bare = dataclasses.replace(tokens, ids=np.full(160, -1), resolved=np.zeros(160, dtype=bool))
    (backbone,) = tokenizer.decode([bare])
    assert len(backbone) == 160
    assert np.isnan(backbone.coords).all()


def test_tokens_of_another_model_are_refused(tokenizer, coords, gapped) -> None:
    other = build_tokenizer(coords, seed=4)
    tokens = tokenizer.encode([Backbone.from_arrays(coords)]) + other.encode([gapped])
    with pytest.raises(TokenFormatError) as caught:
        tokenizer.decode(tokens)
    for part in ("some/1abc.cif.gz", "chain β", other.fingerprint, tokenizer.fingerprint):
        assert part in str(caught.value)
    damaged = dataclasses.replace(tokens[0], codebook_size=64)
    with pytest.raises(TokenFormatError, match=r"codebook_size is 64.*has 32"):
        tokenizer.decode([damaged])


def test_the_codebook_is_a_read_only_copy(tokenizer) -> None:
    codes = tokenizer.codebook
    assert codes.dtype == np.float32
    assert codes.shape == (32, 8)
    with pytest.raises(ValueError, match="read-only"):
        codes[0] = 0
    np.testing.assert_array_equal(codes, tokenizer.model.codebook().numpy())


def test_a_problem_is_raised_or_reported(tokenizer, coords) -> None:
    broken = Backbone.from_arrays(np.full((3, 3, 3), np.nan), chain_id="Z", source="x.pdb")
    whole = Backbone.from_arrays(coords)
    for method in (tokenizer.encode, tokenizer.embed):
        with pytest.raises(StructureError, match=r"x\.pdb: chain Z"):
            method([broken, whole])
        problems = []
        assert len(method([broken, whole], on_problem=problems.append)) == 1
        assert [problem.chain_id for problem in problems] == ["Z"]


def test_a_saved_model_gives_the_same_tokens(tokenizer, gapped, tmp_path) -> None:
    tokenizer.model.save(tmp_path / "model", training={})
    loaded = StructureTokenizer.from_pretrained(tmp_path / "model")
    assert loaded.fingerprint == tokenizer.fingerprint
    np.testing.assert_array_equal(loaded.encode([gapped])[0].ids, tokenizer.encode([gapped])[0].ids)
    with pytest.raises(CheckpointError, match="absent"):
        StructureTokenizer.from_pretrained(tmp_path / "absent")


def test_a_missing_default_model_is_said_to_be_missing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("provq_protein.runs.documents.resources.files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match="contains no default model"):
        StructureTokenizer.from_pretrained()


def test_global_torch_settings_are_left_alone(tokenizer, coords) -> None:
    def settings():
        return (
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.random.get_rng_state().tolist(),
        )

    before = settings()
    tokenizer.decode(tokenizer.encode([Backbone.from_arrays(coords)]))
    assert settings() == before


def test_samples_have_the_same_tokens_in_every_format(tokenizer, sample_structures) -> None:
    by_entry: dict[tuple[str, str], list[np.ndarray]] = {}
    for tokens in tokenizer.encode(sample_structures):
        stem = tokens.source.rsplit("/", 1)[-1].split(".")[0]
        by_entry.setdefault((stem, tokens.chain_id), []).append(tokens.ids)
    repeated = [ids for ids in by_entry.values() if len(ids) > 1]
    assert repeated
    for first, *others in repeated:
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_the_shipped_model_encodes_and_decodes_the_samples(repo_root, sample_structures) -> None:
    if not (repo_root / "provq_protein" / "models" / "default").is_dir():
        pytest.skip("no default model in provq_protein/models/default")
    tokenizer = StructureTokenizer.from_pretrained()
    assert tokenizer.name == "default"
    tokens = tokenizer.encode(sample_structures[:1])
    backbones = tokenizer.decode(tokens)
    assert len(np.unique(tokens[0].ids)) > 20
    assert np.isfinite(backbones[0].coords[tokens[0].resolved]).all()
