"""Do the chains of a complex see each other where they touch, and nowhere else?"""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError, StructureError
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.complexes import chains_in_complex
from provq_protein.model.geometric_encoder import GeometricEncoderConfig
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe

FAR = np.array([500.0, 0.0, 0.0])


def seeded(model: StructureAutoencoder, coords: np.ndarray) -> StructureTokenizer:
    """Give an untrained model codes that its latents use."""
    tokenizer = StructureTokenizer(model)
    latents = torch.from_numpy(tokenizer.embed([Backbone.from_arrays(coords)])[0])
    model.quantizer.seed(latents, torch.Generator().manual_seed(0))
    return StructureTokenizer(model)


def geometric_model() -> StructureAutoencoder:
    config = load_recipe("smoke").model
    encoder = GeometricEncoderConfig(
        latent_dim=config.encoder.latent_dim, width=32, vector_heads=4, neighbors=12
    )
    return StructureAutoencoder.build(dataclasses.replace(config, encoder=encoder), seed=3)


@pytest.fixture(params=["default", "neighborhood", "geometric"])
def tokenizer(request, make_coords) -> StructureTokenizer:
    """Return tokenizers with each kind of encoder; the first is trained."""
    if request.param == "default":
        return StructureTokenizer.from_pretrained()
    if request.param == "geometric":
        return seeded(geometric_model(), make_coords(160, 1))
    model = StructureAutoencoder.build(load_recipe("smoke").model, seed=3)
    return seeded(model, make_coords(160, 1))


def chain(coords: np.ndarray, name: str, *, first: int = 1, **fields: object) -> Backbone:
    made = Backbone.from_arrays(coords.astype(np.float32), chain_id=name, source="x.cif")
    numbers = np.arange(len(coords), dtype=np.int32) + first
    return dataclasses.replace(made, author_numbers=numbers, **fields)


@pytest.fixture
def touching(make_coords) -> list[Backbone]:
    """Return two chains side by side, and a third one far away."""
    one, other, third = (make_coords(60, seed) for seed in (1, 2, 3))
    middle = one[30, 1] - other[30, 1] + np.array([6.0, 0.0, 0.0])
    return [chain(one, "A"), chain(other + middle, "B"), chain(third + FAR, "C")]


def ids_by_chain(groups) -> dict[str, np.ndarray]:
    return {tokens.chain_id: tokens.ids for group in groups for tokens in group}


def reached(chains: list[Backbone], tokenizer: StructureTokenizer) -> dict[str, np.ndarray]:
    """Tell, by brute force, which residues have one of another chain in their neighborhood."""
    count = tokenizer.model.config.encoder.neighbors
    alpha = np.concatenate([one.coords[:, 1] for one in chains]).astype(np.float64)
    owner = np.repeat(np.arange(len(chains)), [len(one) for one in chains])
    order = np.linalg.norm(alpha[:, None] - alpha, axis=-1).argsort(axis=1)[:, :count]
    mixed = (owner[order] != owner[:, None]).any(axis=1)
    return {one.chain_id: mixed[owner == place] for place, one in enumerate(chains)}


def test_a_distant_chain_keeps_exactly_the_ids_that_it_has_alone(tokenizer, touching) -> None:
    together = ids_by_chain(tokenizer.encode_complex([touching]))
    alone = tokenizer.encode(touching)
    assert list(together) == ["A", "B", "C"]
    np.testing.assert_array_equal(together["C"], alone[2].ids)
    np.testing.assert_array_equal(
        tokenizer.embed_complex([touching])[0][2], tokenizer.embed(touching)[2]
    )


def test_latents_change_where_another_chain_is_among_the_nearest_and_only_there(
    tokenizer, touching
) -> None:
    near = reached(touching, tokenizer)
    assert all(0.1 < near[name].mean() < 0.9 for name in "AB")
    alone, together = tokenizer.embed(touching), tokenizer.embed_complex([touching])[0]
    for one, before, after in zip(touching, alone, together, strict=True):
        step = np.abs(before - after).max(axis=1)
        assert step[~near[one.chain_id]].max() < 1e-4
        if one.chain_id != "C":
            assert np.median(step[near[one.chain_id]]) > 1e-4


def test_the_neighborhoods_are_those_of_all_chains_at_once(tokenizer, touching) -> None:
    # The whole complex in one row, numbered so that the first chain is as far as can be from
    # the others: for that chain this is the same, whatever is around it.
    first = touching[0]
    rest = np.concatenate([one.coords for one in touching[1:]])
    gap = np.full((1, 3, 3), np.nan, dtype=np.float32)
    joined = Backbone.from_arrays(np.concatenate([first.coords, gap, rest]))
    numbers = np.full(len(joined), 10_000, dtype=np.int32)
    numbers[: len(first)] = first.author_numbers
    whole = tokenizer.embed([dataclasses.replace(joined, author_numbers=numbers)])[0]
    found = tokenizer.embed_complex([touching])[0][0]
    np.testing.assert_allclose(found, whole[: len(first)], atol=1e-4)


def test_other_chains_are_never_bonded_to_the_end_of_a_chain(tokenizer, make_coords) -> None:
    # One chain that is given as two: its halves touch by a peptide bond.
    coords = make_coords(60, 5)
    halves = [chain(coords[:30], "A"), chain(coords[30:], "B", first=31)]
    inside = chains_in_complex(halves, neighbors=16, max_offset=32)
    assert not inside[0].resolved[30]
    assert (inside[0].numbers[31:] - inside[0].numbers[:30].max() > 32).all()
    whole = tokenizer.embed([chain(coords, "A")])[0]
    found = tokenizer.embed_complex([halves])[0]
    assert np.abs(found[0][-1] - whole[29]).max() > 1e-3


def test_the_order_of_the_chains_does_not_matter(tokenizer, touching) -> None:
    expected = ids_by_chain(tokenizer.encode_complex([touching]))
    found = ids_by_chain(tokenizer.encode_complex([touching[::-1]]))
    for name, ids in expected.items():
        np.testing.assert_array_equal(found[name], ids)


def test_a_complex_may_be_turned_and_moved(tokenizer, touching) -> None:
    matrix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    matrix *= np.linalg.det(matrix)
    moved = [
        dataclasses.replace(one, coords=(one.coords @ matrix.T + 40.0).astype(np.float32))
        for one in touching
    ]
    before, after = (tokenizer.embed_complex([some])[0] for some in (touching, moved))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-3)


def test_one_chain_is_encoded_as_it_is_alone(tokenizer, touching, sample_structures) -> None:
    (one,) = next(tokenizer.iter_encode_complex([touching[:1]]))
    np.testing.assert_array_equal(one.ids, tokenizer.encode(touching[:1])[0].ids)
    assert one.context == "complex"
    path = next(path for path in sample_structures if path.name == "1a8o.cif")
    ((found,),) = tokenizer.encode_complex([path])
    np.testing.assert_array_equal(found.ids, tokenizer.encode([path])[0].ids)


def test_rows_decode_as_rows_of_single_chains_do(tokenizer, touching) -> None:
    (group,) = tokenizer.encode_complex([touching])
    for tokens, backbone in zip(group, tokenizer.decode(group), strict=True):
        assert backbone.chain_id == tokens.chain_id
        assert np.isfinite(backbone.coords[tokens.resolved]).all()


def test_unresolved_residues_and_numbers_stay_those_of_each_chain(tokenizer, touching) -> None:
    coords = touching[0].coords.copy()
    coords[[0, 31, 59], 2] = np.nan
    gapped = chain(coords, "A", first=-5)
    (group,) = tokenizer.encode_complex([[gapped, *touching[1:]]])
    assert np.flatnonzero(group[0].ids == -1).tolist() == [0, 31, 59]
    np.testing.assert_array_equal(group[0].author_numbers, gapped.author_numbers)
    assert [len(tokens) for tokens in group] == [60, 60, 60]


def test_which_chains_are_asked_for_changes_no_id(tokenizer, touching) -> None:
    every = tokenizer.embed_complex([touching])[0]
    ((only,),) = tokenizer.embed_complex([touching], chains=["B"])
    np.testing.assert_array_equal(only, every[1])
    ((tokens,),) = tokenizer.encode_complex([touching], chains=["B"])
    assert tokens.chain_id == "B"


def test_copies_of_a_homomer_see_each_other(tokenizer, sample_structures) -> None:
    path = next(path for path in sample_structures if path.name == "1a8o.cif")
    dimer = ResiduePolicy(assembly="1")
    (group,) = tokenizer.encode_complex([path], policy=dimer)
    assert [tokens.chain_id for tokens in group] == ["A", "A-2"]
    alone = tokenizer.embed([path], policy=dimer)
    together = tokenizer.embed_complex([path], policy=dimer)[0]
    for before, after in zip(alone, together, strict=True):
        assert 0.02 < (np.abs(before - after).max(axis=1) > 1e-4).mean() < 0.9


def test_each_model_is_a_complex_of_its_own(touching) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    second = [dataclasses.replace(one, model=2) for one in touching]
    groups = tokenizer.encode_complex([touching + second])
    assert [[(t.model, t.chain_id) for t in group] for group in groups] == [
        [(number, name) for name in "ABC"] for number in (1, 2)
    ]
    for one, other in zip(*groups, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)


def test_models_of_a_file_do_not_see_each_other(sample_structures) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    path = next(path for path in sample_structures if path.name.startswith("1lcd"))
    every = ResiduePolicy(model="all")
    groups = tokenizer.embed_complex([path], policy=every)
    assert [len(group) for group in groups] == [1, 1, 1]
    # They lie on top of each other: had one seen another, all of its latents would be others.
    for (found,), alone in zip(groups, tokenizer.embed([path], policy=every), strict=True):
        np.testing.assert_array_equal(found, alone)


def test_a_chain_that_cannot_be_encoded_is_reported_and_the_others_are_encoded(touching) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    bare = touching[1].coords.copy()
    bare[:, [0, 2]] = np.nan
    problems: list = []
    groups = tokenizer.encode_complex(
        [[touching[0], chain(bare, "B"), touching[2]]], on_problem=problems.append
    )
    assert [tokens.chain_id for tokens in groups[0]] == ["A", "C"]
    assert [(one.file, one.chain_id) for one in problems] == [("x.cif", "B")]
    assert "only CA atoms" in problems[0].reason
    np.testing.assert_array_equal(groups[0][0].ids, tokenizer.encode(touching[:1])[0].ids)
    with pytest.raises(StructureError, match=r"x\.cif: chain B"):
        tokenizer.encode_complex([[touching[0], chain(bare, "B")]])


def test_files_that_fail_are_reported_and_the_others_go_on(tmp_path, sample_structures) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    problems: list = []
    path = next(path for path in sample_structures if path.name == "4zhl.bcif")
    groups = tokenizer.encode_complex(
        [tmp_path / "absent.cif", path], chains=["P", "Z"], on_problem=problems.append
    )
    assert [[tokens.chain_id for tokens in group] for group in groups] == [["P"]]
    assert [one.chain_id for one in problems] == [None, "Z"]


def test_a_cutoff_of_confidence_hides_residues_of_chains_that_are_not_asked_for(touching) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    low = dataclasses.replace(
        touching[1], confidence="plddt", b_factors=np.full(60, 20.0, dtype=np.float32)
    )
    high = dataclasses.replace(
        touching[0], confidence="plddt", b_factors=np.full(60, 90.0, dtype=np.float32)
    )
    cutoff = ResiduePolicy(chains=["A"], min_plddt=50)
    ((found,),) = tokenizer.embed_complex([[high, low]], policy=cutoff)
    np.testing.assert_array_equal(found, tokenizer.embed(touching[:1])[0])


def test_fast_precision_is_refused_before_anything_is_read() -> None:
    tokenizer = StructureTokenizer.from_pretrained(precision="fast")
    with pytest.raises(ConfigError, match="complexes are encoded exactly"):
        tokenizer.encode_complex(["absent.cif"])


def test_one_input_instead_of_a_list_is_a_mistake_that_is_named() -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    with pytest.raises(TypeError, match="inputs must be a list"):
        tokenizer.encode_complex("1abc.cif")
    with pytest.raises(TypeError, match="chains must be a list"):
        tokenizer.encode_complex(["1abc.cif"], chains="A")


def test_the_search_over_a_large_complex_needs_little_memory(make_coords) -> None:
    # 100 chains of 100 residues on a grid. All distances at once would be 400 MB in float32.
    coords = make_coords(100, 7)
    places = np.stack(np.meshgrid(*[np.arange(5) * 30.0] * 2, np.arange(4) * 30.0), -1)
    chains = [
        chain(coords + shift, f"C{number}") for number, shift in enumerate(places.reshape(-1, 3))
    ]
    tracemalloc.start()
    inside = chains_in_complex(chains, neighbors=16, max_offset=32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert len(inside) == 100
    assert all(100 <= len(one.coords) < 1000 for one in inside)
    # The search that it relies on holds no table of all pairs either, whoever allocates it.
    points = torch.from_numpy(np.concatenate([one.coords[:, 1] for one in chains]))[None]
    everywhere = torch.ones(1, 10_000, dtype=torch.bool)
    index, valid = nearest_residues(points, everywhere, everywhere, 18)
    assert valid.all()
    assert (index[0, :, 0] == torch.arange(10_000)).all()


def test_a_file_of_two_chains_is_one_group(sample_structures) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    path = next(path for path in sample_structures if path.name.startswith("2xhe"))
    (group,) = tokenizer.encode_complex([path])
    assert [tokens.chain_id for tokens in group] == [one.chain_id for one in read_backbones(path)]
    assert {tokens.context for tokens in group} == {"complex"}
    assert {tokens.fingerprint for tokens in group} == {tokenizer.fingerprint}
