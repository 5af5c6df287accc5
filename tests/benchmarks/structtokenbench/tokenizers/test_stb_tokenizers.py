"""Does every tokenizer of the benchmark say of a chain what it should, and of which residues?"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, StructureError, TokenFormatError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer
from structtokenbench.items import ChainTokens
from structtokenbench.tokenizers import BenchmarkTokenizer, build
from structtokenbench.tokenizers.controls import RandomCodebook, Shuffled
from structtokenbench.tokenizers.protocol import (
    DerivedTokenizer,
    chain_content_hash,
    check_tokens,
    fingerprint_of,
)
from structtokenbench.tokenizers.trained import TrainedTokenizer

NAMES = [
    "3di",
    "3di:published",
    "protein_blocks",
    "position",
    "amino_acid",
    "shuffled:3di",
    "random_codebook:protein_blocks",
]


@pytest.fixture(scope="module")
def chain(sample_structures: list[Path]) -> Backbone:
    """Return a real chain."""
    path = next(path for path in sample_structures if path.name == "1a8o.cif")
    return read_backbones(path)[0]


@pytest.fixture(scope="module")
def tiny(tiny_model: StructureAutoencoder) -> StructureTokenizer:
    return StructureTokenizer(tiny_model, name="tiny")


def with_gap(chain: Backbone, residue: int) -> Backbone:
    coords = chain.coords.copy()
    coords[residue] = np.nan
    return Backbone.from_arrays(coords, sequence=chain.sequence)


def moved(chain: Backbone) -> Backbone:
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    return dataclasses.replace(chain, coords=(chain.coords @ turn.T + 20).astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_tokens_fit_chain_and_codebook(name: str, chain: Backbone) -> None:
    tokenizer = build(name)
    assert isinstance(tokenizer, BenchmarkTokenizer)
    assert tokenizer.name == name
    assert tokenizer.codebook is not None
    tokens = tokenizer.tokenize(chain)
    check_tokens(chain, tokens, len(tokenizer.codebook))
    assert tokens.mask.sum() > 60
    assert tokenizer.codebook.dtype == np.float32
    again = build(name)
    assert again.fingerprint == tokenizer.fingerprint
    np.testing.assert_array_equal(again.tokenize(chain).ids, tokens.ids)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_do_not_depend_on_the_frame_unless_shuffled(name: str, chain: Backbone) -> None:
    tokenizer = build(name)
    first, second = tokenizer.tokenize(chain), tokenizer.tokenize(moved(chain))
    np.testing.assert_array_equal(first.mask, second.mask)
    if not name.startswith("shuffled"):
        np.testing.assert_array_equal(first.ids, second.ids)


def test_fingerprints_differ() -> None:
    prints = [build(name).fingerprint for name in NAMES]
    assert len(set(prints)) == len(NAMES)
    base = build("3di")
    assert Shuffled(base, seed=1).fingerprint != Shuffled(base, seed=2).fingerprint
    assert RandomCodebook(base, seed=1).fingerprint != RandomCodebook(base, seed=2).fingerprint


def test_fingerprint_parts_do_not_run_together() -> None:
    assert fingerprint_of("ab", "c") != fingerprint_of("a", "bc")
    assert fingerprint_of(np.zeros((2, 3))) != fingerprint_of(np.zeros((3, 2)))


def test_the_default_model_gives_its_own_tokens(chain: Backbone) -> None:
    tokenizer = build("default")
    theirs = StructureTokenizer.from_pretrained()
    short = Backbone.from_arrays(chain.coords[:20])
    np.testing.assert_array_equal(tokenizer.tokenize(short).ids, theirs.encode([short])[0].ids)
    np.testing.assert_array_equal(tokenizer.codebook, theirs.codebook)


def test_outputs_of_a_model_folder(
    tiny_model: StructureAutoencoder, tiny: StructureTokenizer, tmp_path: Path, chain: Backbone
) -> None:
    folder = tmp_path / "model"
    tiny_model.save(folder, training={})
    codes, latents, raw = (
        build(f"{folder}{suffix}") for suffix in ("", ":latents", ":raw_codebook")
    )
    gapped = with_gap(chain, 10)
    expected = tiny.encode([gapped])[0]
    tokens = codes.tokenize(gapped)
    np.testing.assert_array_equal(tokens.mask, gapped.resolved)
    np.testing.assert_array_equal(tokens.ids, np.where(gapped.resolved, expected.ids, 0))
    np.testing.assert_array_equal(raw.tokenize(gapped).ids, tokens.ids)
    vectors = latents.tokenize(gapped)
    assert latents.codebook is None
    assert vectors.ids is None
    check_tokens(gapped, vectors, None)
    np.testing.assert_array_equal(
        vectors.features[gapped.resolved], tiny.embed([gapped])[0][gapped.resolved]
    )
    assert len({codes.fingerprint, latents.fingerprint, raw.fingerprint}) == 3


def test_other_weights_have_another_fingerprint(
    tiny_model: StructureAutoencoder, tiny: StructureTokenizer
) -> None:
    other = StructureAutoencoder.build(tiny_model.config, seed=4)
    first = TrainedTokenizer(tiny, name="same")
    second = TrainedTokenizer(StructureTokenizer(other), name="same")
    assert first.fingerprint != second.fingerprint


def test_3di_is_what_mini3di_says_where_all_is_resolved(chain: Backbone) -> None:
    mini3di = pytest.importorskip("mini3di")
    nitrogen, alpha, carbon = chain.coords.swapaxes(0, 1)
    states = mini3di.Encoder().encode_atoms(alpha, np.full_like(alpha, np.nan), nitrogen, carbon)
    tokens = build("3di").tokenize(chain)
    np.testing.assert_array_equal(tokens.mask, ~states.mask)
    np.testing.assert_array_equal(tokens.ids[tokens.mask], states.data[tokens.mask])
    assert not tokens.mask[[0, -1]].any()
    assert tokens.mask[1:-1].all()


def test_3di_published_has_a_letter_for_every_resolved_residue(chain: Backbone) -> None:
    published = build("3di:published")
    gapped = with_gap(chain, 20)
    tokens, usual = published.tokenize(gapped), build("3di").tokenize(gapped)
    np.testing.assert_array_equal(tokens.mask, gapped.resolved)
    undefined = gapped.resolved & ~usual.mask
    assert undefined[[0, 19, 21, -1]].all()
    assert (tokens.ids[undefined] == 2).all()
    assert published.codebook.shape == (20, 2)
    # Two dimensions leave LayerNorm nothing but a sign: what makes 3Di look useless.
    rows = torch.nn.functional.layer_norm(torch.from_numpy(published.codebook.copy()), (2,))
    np.testing.assert_allclose(rows.abs().numpy(), 1, atol=1e-3)


def test_protein_blocks_of_a_helix_and_of_ends_gaps_and_breaks(chain: Backbone) -> None:
    tokens = build("protein_blocks").tokenize(chain)
    assert not tokens.mask[[0, 1, -2, -1]].any()
    assert tokens.mask[2:-2].all()
    # Most of this chain is helix, which is block m.
    assert np.bincount(tokens.ids[tokens.mask]).argmax() == "abcdefghijklmnop".index("m")
    gapped = build("protein_blocks").tokenize(with_gap(chain, 30))
    assert np.flatnonzero(tokens.mask & ~gapped.mask).tolist() == [28, 29, 30, 31, 32]
    kept = [residue for residue in range(len(chain)) if residue != 30]
    short = Backbone.from_arrays(chain.coords[kept])
    broken = build("protein_blocks").tokenize(short)
    # The bond from 29 to 30 is broken: windows of two residues to both sides span it.
    assert np.flatnonzero(~broken.mask[2:-2]).tolist() == [26, 27, 28, 29]


def test_shuffling_keeps_composition_and_mask(chain: Backbone) -> None:
    base = build("3di")
    tokens, shuffled = base.tokenize(chain), Shuffled(base).tokenize(chain)
    np.testing.assert_array_equal(tokens.mask, shuffled.mask)
    assert (tokens.ids != shuffled.ids).any()
    assert sorted(tokens.ids[tokens.mask]) == sorted(shuffled.ids[tokens.mask])
    renamed = dataclasses.replace(chain, chain_id="Z", source="elsewhere")
    np.testing.assert_array_equal(shuffled.ids, Shuffled(base).tokenize(renamed).ids)
    assert isinstance(Shuffled(base), DerivedTokenizer)


def test_shuffling_vectors(tiny: StructureTokenizer, chain: Backbone) -> None:
    base = TrainedTokenizer(tiny, name="tiny:latents", output="latents")
    tokens, shuffled = base.tokenize(chain), Shuffled(base).tokenize(chain)
    assert (tokens.features != shuffled.features).any()
    np.testing.assert_array_equal(
        np.sort(tokens.features, axis=0), np.sort(shuffled.features, axis=0)
    )
    with pytest.raises(ConfigError, match="has no codebook"):
        RandomCodebook(base)


def test_a_random_codebook_keeps_the_ids(tiny: StructureTokenizer, chain: Backbone) -> None:
    base = TrainedTokenizer(tiny, name="tiny")
    control = RandomCodebook(base)
    np.testing.assert_array_equal(control.tokenize(chain).ids, base.tokenize(chain).ids)
    assert control.codebook.shape == base.codebook.shape
    assert abs(control.codebook.std() - 1) < 0.1
    assert (control.codebook != base.codebook).all()


def test_position_and_amino_acid(chain: Backbone) -> None:
    gapped = with_gap(chain, 5)
    position, amino = build("position"), build("amino_acid")
    np.testing.assert_array_equal(position.tokenize(gapped).mask, gapped.resolved)
    assert not position.tokenize(gapped).ids.any()
    coords = np.zeros((4, 3, 3), dtype=np.float32) + np.arange(4)[:, None, None]
    tokens = amino.tokenize(Backbone.from_arrays(coords, sequence="AYXZ"))
    assert tokens.ids.tolist() == [0, 19, 20, 20]


@pytest.mark.parametrize(
    ("name", "length"),
    [(name, length) for name in NAMES for length in (0, 1, 3, 40)] + [("default", 9)],
)
def test_a_chain_without_resolved_residues_is_refused(name: str, length: int) -> None:
    chain = Backbone.from_arrays(np.full((length, 3, 3), np.nan), chain_id="Q", source="file.cif")
    with pytest.raises((TokenFormatError, StructureError), match=r"chain Q"):
        build(name).tokenize(chain)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_short_chains_give_tokens_or_a_reason(
    name: str, length: int, make_coords: Callable[[int, int], np.ndarray]
) -> None:
    chain = Backbone.from_arrays(make_coords(length, 0))
    tokenizer = build(name)
    try:
        tokens = tokenizer.tokenize(chain)
    except TokenFormatError as error:
        assert f"{length} residues" in str(error)
    else:
        check_tokens(chain, tokens, len(tokenizer.codebook))


@pytest.mark.parametrize("name", ["nothing", "shuffled:", "shuffled:nothing", "", "3di:latents"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="protein_blocks"):
        build(name)


def test_chain_hash_sees_content_and_not_names(chain: Backbone) -> None:
    same = dataclasses.replace(chain, chain_id="Z", source="x", model=3)
    assert chain_content_hash(same) == chain_content_hash(chain)
    numbers = chain.author_numbers.copy()
    numbers[4] += 1
    others = [
        moved(chain),
        with_gap(chain, 3),
        dataclasses.replace(chain, author_numbers=numbers),
        dataclasses.replace(chain, sequence="W" + chain.sequence[1:]),
    ]
    assert chain_content_hash(chain) not in {chain_content_hash(other) for other in others}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mask": np.ones(4, dtype=bool)}, "mask: expected bool of shape"),
        ({"ids": np.zeros(4, dtype=np.int64)}, "ids: expected int64 of shape"),
        ({"ids": np.zeros(70, dtype=np.float64)}, "got float64"),
        ({"ids": np.full(70, 9)}, r"ids must be in \[0, 9\), got 9 to 9"),
        ({"ids": np.full(70, -1)}, "got -1 to -1"),
        ({"ids": None}, "must return ids"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(
    changes: dict[str, np.ndarray], problem: str, chain: Backbone
) -> None:
    assert len(chain) == 70
    good = ChainTokens(
        ids=np.zeros(70, dtype=np.int64), features=None, mask=np.ones(70, dtype=bool)
    )
    check_tokens(chain, good, 9)
    with pytest.raises(TokenFormatError, match=problem):
        check_tokens(chain, dataclasses.replace(good, **changes), 9)


def test_vectors_that_do_not_fit_are_refused(chain: Backbone) -> None:
    features = np.zeros((70, 2), dtype=np.float32)
    good = ChainTokens(ids=None, features=features, mask=np.ones(70, dtype=bool))
    check_tokens(chain, good, None)
    bad = features.copy()
    bad[3] = np.nan
    for wrong, problem in [(bad, "not finite"), (features[:9], "70"), (None, "must return")]:
        with pytest.raises(TokenFormatError, match=problem):
            check_tokens(chain, dataclasses.replace(good, features=wrong), None)
