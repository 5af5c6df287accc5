"""Are reconstructions, and the controls beside them, measured as the report says?"""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from provq_protein.errors import StructureError
from provq_protein.evaluation.chain_scores import chain_name, score_chain, summarize
from provq_protein.evaluation.controls import (
    constant_tokens,
    continuous_roundtrip,
    most_frequent_id,
    shuffled_tokens,
    untrained_twin,
)
from provq_protein.evaluation.roundtrip import TOKENS, VARIANTS, evaluate_roundtrip
from provq_protein.evaluation.stability import perturbations, random_rotation
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.sequence import TokenSequence

CODES = 64
STRAIGHT, KINKED = np.array([0.0, 0.0, 3.8]), np.array([3.8, 0.0, 0.0])


class StepTokenizer:
    """Toy tokenizer: an id is the direction of the step to the next CA, on a grid of angles."""

    codebook_size = CODES

    def encode(self, inputs):
        return [self._tokens(chain) for chain in inputs]

    def decode(self, tokens):
        return [self._backbone(sequence) for sequence in tokens]

    def _tokens(self, chain):
        steps = np.diff(np.nan_to_num(chain.coords[:, 1]), axis=0, append=0.0)
        polar = np.arccos(np.clip(steps[:, 2] / 3.8, -1, 1)) / np.pi * 7.99
        around = (np.arctan2(steps[:, 1], steps[:, 0]) / np.pi + 1) / 2 * 7.99
        ids = polar.astype(int) * 8 + around.astype(int)
        return TokenSequence(
            ids=np.where(chain.resolved, ids, -1),
            resolved=chain.resolved,
            sequence=chain.sequence,
            residue_names=chain.residue_names,
            author_numbers=chain.author_numbers,
            insertion_codes=chain.insertion_codes,
            label_numbers=chain.label_numbers,
            chain_id=chain.chain_id,
            label_chain_id=chain.label_chain_id,
            source=chain.source,
            model=1,
            fingerprint="toy",
            codebook_size=CODES,
        )

    def _backbone(self, tokens):
        polar = (tokens.ids // 8 + 0.5) / 8 * np.pi
        around = ((tokens.ids % 8 + 0.5) / 8 * 2 - 1) * np.pi
        steps = 3.8 * np.stack(
            [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
        )
        ca = np.cumsum(steps, axis=0) - steps
        return Backbone.from_arrays(
            np.where(tokens.resolved[:, None, None], atoms_around(ca), np.nan), source=tokens.source
        )


def atoms_around(ca):
    """Put N and C at fixed offsets: enough for a toy."""
    return ca[:, None] + np.array([[0.9, 0.9, 0], [0, 0, 0], [-0.9, 0, 0.9]])


@pytest.fixture
def walks():
    """Return chains of random steps; the last has unresolved residues at its end."""
    chains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        steps = rng.normal(size=(50, 3)) + 0.5
        ca = np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
        coords = atoms_around(ca)
        if seed == 3:
            coords[40:] = np.nan
        chains.append(Backbone.from_arrays(coords, source=f"folder/walk{seed}.pdb"))
    return chains


@pytest.fixture
def toy_report(walks):
    return evaluate_roundtrip(StepTokenizer(), walks)


@pytest.fixture
def tiny_tokenizer(tiny_model):
    return StructureTokenizer(tiny_model)


@pytest.fixture
def tiny_chains(tiny_store):
    return [tiny_store.backbone(chain) for chain in range(4)]


def test_tokens_beat_the_controls_of_a_tokenizer_that_works(toy_report):
    tokens, constant, shuffled = (
        toy_report.summary(name) for name in (TOKENS, "constant", "shuffled")
    )
    for control in (constant, shuffled):
        assert tokens["rmsd"].median < control["rmsd"].median - 2
        assert tokens["tm_score"].median > control["tm_score"].median + 0.1
        assert tokens["lddt_ca"].median > control["lddt_ca"].median + 0.1


def test_only_resolved_residues_are_counted_and_compared(toy_report, walks):
    assert [one.residues for one in toy_report.chains] == [50, 50, 50, 40]
    assert toy_report.usage.tokens == 190
    shorter = Backbone.from_arrays(walks[3].coords[:40], source=walks[3].source)
    alone = evaluate_roundtrip(StepTokenizer(), [shorter]).chains[0]
    assert alone.rmsd == pytest.approx(toy_report.chains[3].rmsd, abs=1e-3)


def test_usage_is_pooled_over_chains(toy_report, walks):
    ids = np.concatenate([one.ids[one.resolved] for one in StepTokenizer().encode(walks)])
    share = np.bincount(ids, minlength=CODES) / len(ids)
    entropy = -sum(p * math.log(p) for p in share if p > 0)

    assert toy_report.usage.utilization == pytest.approx(np.mean(share > 0))
    assert toy_report.usage.perplexity == pytest.approx(math.exp(entropy))
    assert toy_report.usage.normalized_perplexity == pytest.approx(math.exp(entropy) / CODES)


def test_stability_tells_a_pose_dependent_tokenizer(toy_report):
    # Grid directions change under rotation and mirroring, and hardly under small noise.
    assert toy_report.stability["moved"] < 0.5
    assert toy_report.stability["mirrored"] < 0.5
    assert toy_report.stability["noise 0.02"] > 0.9
    assert toy_report.stability["noise 0.02"] > toy_report.stability["noise 0.1"]


def test_a_structure_tokenizer_is_stable_under_motion_and_has_all_variants(
    tiny_tokenizer, tiny_chains
):
    report = evaluate_roundtrip(tiny_tokenizer, tiny_chains)

    assert list(report.variants) == list(VARIANTS)
    assert report.stability["moved"] >= 0.98
    assert report.stability["mirrored"] < report.stability["moved"]
    assert [one.name for one in report.chains] == [f"chain{i}:A" for i in range(4)]


def test_reports_repeat_and_follow_their_seed(walks):
    first, again, other = (
        json.dumps(evaluate_roundtrip(StepTokenizer(), walks, seed=seed).to_json())
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_the_json_table_has_one_row_per_chain_and_the_summary_of_its_columns(toy_report):
    document = toy_report.to_json()
    json.dumps(document, allow_nan=False)
    table = document["chains"]
    for variant in toy_report.variants:
        index = table["columns"].index(f"{variant}.rmsd")
        median = np.median([row[index] for row in table["rows"]])
        assert document["summary"][variant]["rmsd"]["median"] == pytest.approx(median, abs=1e-4)


def test_progress_sees_every_chain(walks):
    seen = []

    def watch(chains):
        for chain in chains:
            seen.append(chain)
            yield chain

    evaluate_roundtrip(StepTokenizer(), walks, progress=watch)
    assert len(seen) == len(walks)


def test_no_chain_is_refused():
    with pytest.raises(StructureError, match="no chain"):
        evaluate_roundtrip(StepTokenizer(), [])


# ------------------------------------------------------------------------------------- controls


def test_constant_tokens_keep_only_the_mask(walks):
    tokens = StepTokenizer().encode(walks)
    common = most_frequent_id(tokens)
    ids = np.concatenate([one.ids[one.resolved] for one in tokens])
    assert np.sum(ids == common) == np.bincount(ids).max()

    changed = constant_tokens(tokens[3], common)
    assert set(changed.ids[:40]) == {common}
    assert set(changed.ids[40:]) == {-1}


def test_shuffled_tokens_keep_composition_and_mask(walks):
    tokens = StepTokenizer().encode(walks)[3]

    changed = shuffled_tokens(tokens, seed=1)

    assert sorted(changed.ids) == sorted(tokens.ids)
    assert (changed.ids[40:] == -1).all()
    assert (changed.ids != tokens.ids).sum() > 20
    assert (shuffled_tokens(tokens, seed=1).ids == changed.ids).all()


def test_an_untrained_twin_reads_the_same_tokens_with_another_decoder(tiny_tokenizer, tiny_chains):
    # As if training had moved every weight.
    with torch.no_grad():
        trained = StructureTokenizer(type(tiny_tokenizer.model).build(tiny_tokenizer.model.config))
        for values in trained.model.parameters():
            values.add_(0.01)

    twin = untrained_twin(trained, seed=5)

    tokens = trained.encode(tiny_chains)
    assert twin.fingerprint == trained.fingerprint
    assert all(
        (one.ids == other.ids).all()
        for one, other in zip(tokens, twin.encode(tiny_chains), strict=True)
    )
    known = tokens[1].resolved
    by_twin, by_trained, again = (
        one.decode([tokens[1]])[0].coords[known]
        for one in (twin, trained, untrained_twin(trained, seed=5))
    )
    assert not np.allclose(by_twin, by_trained, atol=0.1)
    np.testing.assert_array_equal(by_twin, again)
    fresh = type(trained.model).build(trained.model.config, seed=5).decoder.state_dict()
    assert all(torch.equal(fresh[name], twin.model.decoder.state_dict()[name]) for name in fresh)


def test_continuous_roundtrip_decodes_latents_not_codes(tiny_tokenizer, tiny_chains):
    chain = tiny_chains[0]
    model = tiny_tokenizer.model
    latents = torch.from_numpy(np.nan_to_num(tiny_tokenizer.embed([chain])[0]))[None]
    mask = torch.from_numpy(chain.resolved.copy())[None]
    numbers = torch.from_numpy(chain.author_numbers.astype(np.int64))[None]
    with torch.no_grad():
        expected = model.decode_latents(latents, mask, numbers, torch.ones_like(mask))[0].numpy()

    rebuilt = continuous_roundtrip(tiny_tokenizer, chain)

    known = chain.resolved
    assert not known.all()
    np.testing.assert_allclose(rebuilt.coords[known], expected[known], atol=1e-4)
    assert np.isnan(rebuilt.coords[~known]).all()


# --------------------------------------------------------------------------------- single chains


def test_a_mirrored_reconstruction_is_recognised(walks):
    chain = walks[0]
    flipped = dataclasses.replace(chain, coords=chain.coords * np.float32([1, 1, -1]))

    scores = score_chain(chain, flipped)

    assert scores.rmsd > 1
    assert scores.mirror_rmsd == pytest.approx(0, abs=1e-3)
    assert scores.lddt_ca == pytest.approx(1)


def test_an_incomplete_reconstruction_is_refused(walks):
    with pytest.raises(StructureError, match=r"walk0.pdb:A: 50 of 50 .* got 40 of 50"):
        score_chain(walks[0], walks[3])


def test_bootstrap_intervals_contain_the_estimate_and_shrink_with_the_number_of_chains():
    rng = np.random.default_rng(0)
    base = score_chain(*[Backbone.from_arrays(rng.normal(size=(9, 3, 3)))] * 2)
    scores = [dataclasses.replace(base, rmsd=float(value)) for value in rng.normal(5, 1, 200)]

    few, many = summarize(scores[:20])["rmsd"], summarize(scores)["rmsd"]

    for one in (few, many):
        assert one.median_interval[0] <= one.median <= one.median_interval[1]
        assert one.mean_interval[0] <= one.mean <= one.mean_interval[1]
    width = [one.mean_interval[1] - one.mean_interval[0] for one in (few, many)]
    # 95 % of a normal mean: plus or minus 1.96 standard errors.
    assert width[1] == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.15)
    assert width[1] < width[0]


def test_names_are_file_and_chain_without_folders():
    coords = np.zeros((1, 3, 3))
    assert chain_name(Backbone.from_arrays(coords, source="a/b/x.pdb", chain_id="B")) == "x.pdb:B"
    assert chain_name(Backbone.from_arrays(coords, source="1abc:B", chain_id="B")) == "1abc:B"
    assert chain_name(Backbone.from_arrays(coords, chain_id="B")) == "B"


def test_perturbations_do_what_they_are_called(walks):
    chain = walks[3]
    known = chain.resolved
    variants = perturbations(chain, seed=0)

    for name, changed in variants.items():
        scores = score_chain(chain, changed)
        expected = 0 if name in ("moved", "mirrored") else float(name.split()[1]) * math.sqrt(3)
        found = scores.mirror_rmsd if name == "mirrored" else scores.rmsd
        assert found == pytest.approx(expected, rel=0.15, abs=1e-3), name
        assert (changed.resolved == known).all()
    assert np.abs(variants["moved"].coords[known] - chain.coords[known]).min() > 1e-3


def test_random_rotations_are_proper():
    rng = np.random.default_rng(0)
    for _ in range(5):
        matrix = random_rotation(rng)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
