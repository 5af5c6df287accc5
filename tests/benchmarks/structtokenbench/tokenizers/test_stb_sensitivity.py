"""Are alignment scores, TM-scores and their correlations what independent programs say?"""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import biotite.sequence as seq
import biotite.sequence.align as align
import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from structtokenbench.alignment import best_alignment_score
from structtokenbench.conformations import (
    Pair,
    PairSet,
    pairs_from_arrays,
    pairs_from_jsonl,
    tm_score,
)
from structtokenbench.errors import SourceError
from structtokenbench.items import ChainTokens
from structtokenbench.sensitivity import measure_sensitivity, position_scores
from structtokenbench.tokenizers import build

MakeCoords = Callable[[int, int], np.ndarray]


def tokens_of(ids: np.ndarray) -> ChainTokens:
    return ChainTokens(
        ids=np.asarray(ids, dtype=np.int64), features=None, mask=np.ones(len(ids), dtype=bool)
    )


@pytest.mark.parametrize("codes", [20, 300, 1000])
def test_scores_are_those_of_biotite(codes: int) -> None:
    """Alphabets of more than 256 symbols included."""
    generator = np.random.default_rng(codes)
    codebook = generator.normal(size=(codes, 8)).astype(np.float32)
    norms = np.linalg.norm(codebook, axis=1)
    cosines = (codebook @ codebook.T / norms[:, None] / norms).astype(np.float16)
    cosines[np.diag_indices(codes)] = 1
    alphabet = seq.Alphabet(range(codes))
    first, second = generator.integers(0, codes, 50), generator.integers(0, codes, 43)
    second[5:30] = first[12:37]
    ours = position_scores(tokens_of(first), tokens_of(second), codebook)
    # biotite gets the very numbers, laid out by code; the pairs that occur are all it looks at.
    matrix = np.zeros((codes, codes), dtype=np.int32)
    matrix[np.ix_(first, second)] = ours
    substitution = align.SubstitutionMatrix(alphabet, alphabet, matrix)
    best = align.align_optimal(
        seq.GeneralSequence(alphabet, first),
        seq.GeneralSequence(alphabet, second),
        substitution,
        gap_penalty=-10,
        max_number=1,
    )[0]
    assert best_alignment_score(ours) == best.score
    expected = np.trunc(100 * cosines[np.ix_(first, second)].astype(float))
    assert np.abs(ours - expected).max() <= 1


def test_alignment_of_degenerate_tables() -> None:
    assert best_alignment_score(np.zeros((0, 4), dtype=np.int64)) == -40
    assert best_alignment_score(np.zeros((3, 0), dtype=np.int64)) == -30
    assert best_alignment_score(np.array([[-100]])) == -20
    assert best_alignment_score(np.array([[7]]), gap_penalty=0) == 7
    with pytest.raises(ValueError, match="whole numbers"):
        best_alignment_score(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="must not be positive"):
        best_alignment_score(np.zeros((2, 2), dtype=np.int64), gap_penalty=1)


def test_a_token_scores_exactly_100_with_itself() -> None:
    codebook = np.random.default_rng(0).normal(size=(200, 17)).astype(np.float32)
    one = tokens_of(np.arange(200))
    assert (np.diag(position_scores(one, one, codebook)) == 100).all()
    vectors = ChainTokens(ids=None, features=codebook, mask=one.mask)
    np.testing.assert_array_equal(
        position_scores(vectors, vectors, None), position_scores(one, one, codebook)
    )


def test_scores_are_rounded_to_half_precision_before_digits_are_cut() -> None:
    cosine = 0.28999
    codebook = np.array([[1, 0], [cosine, math.sqrt(1 - cosine**2)]], dtype=np.float32)
    scores = position_scores(tokens_of(np.array([0])), tokens_of(np.array([1])), codebook)
    assert scores.tolist() == [[29]]


def test_normalization_takes_both_lengths(make_coords: MakeCoords) -> None:
    chains = {key: Backbone.from_arrays(make_coords(n, 0)) for key, n in (("x", 20), ("y", 40))}
    tokens = {"x": tokens_of(np.arange(20)), "y": tokens_of(np.arange(40))}
    pair = Pair(id="xy", first="x", second="y", tm_score=0.5)
    made = PairSet(name="made", pairs=(pair,), chains=chains, listed=1)
    (score,) = measure_sensitivity(made, tokens, np.eye(40, dtype=np.float32)).scores
    assert score.raw == 20 * 100 - 20 * 10
    assert score.normalized == pytest.approx(1800 / math.sqrt(2000 * 4000))


def test_residues_without_token_are_left_out() -> None:
    mask = np.array([True, False, True])
    tokens = ChainTokens(ids=np.array([1, 0, 2]), features=None, mask=mask)
    scores = position_scores(tokens, tokens, np.eye(3, dtype=np.float32))
    assert scores.tolist() == [[100, 0], [0, 100]]


def test_ids_need_a_codebook() -> None:
    with pytest.raises(ValueError, match="pass the tokenizer's codebook"):
        position_scores(tokens_of(np.zeros(2)), tokens_of(np.zeros(2)), None)


@pytest.fixture
def pairs(make_coords: MakeCoords) -> tuple[PairSet, dict[str, ChainTokens]]:
    """Return pairs whose share of equal tokens is their TM-score, of different lengths."""
    generator = np.random.default_rng(3)
    chains, tokens, found = {}, {}, []
    for number, (length, similarity) in enumerate(
        [(20, 0.9), (60, 0.2), (30, 0.7), (50, 0.4), (90, 0.1), (25, 1.0)]
    ):
        first = np.arange(length)
        second = np.where(np.arange(length) < similarity * length, first, first + 100)
        for side, ids in (("x", first), ("y", second)):
            key = f"{number}{side}"
            chains[key] = Backbone.from_arrays(make_coords(length, number))
            tokens[key] = tokens_of(ids)
        pair = Pair(id=str(number), first=f"{number}x", second=f"{number}y", tm_score=similarity)
        found.append(pair)
    generator.shuffle(found)
    return PairSet(name="made", pairs=tuple(found), chains=chains, listed=6), tokens


def test_normalized_scores_follow_similarity_and_raw_ones_length(
    pairs: tuple[PairSet, dict[str, ChainTokens]],
) -> None:
    made, tokens = pairs
    found = measure_sensitivity(made, tokens, np.eye(200, dtype=np.float32), resamples=200)
    assert found.coverage.used == found.coverage.listed == 6
    assert found.normalized_spearman.value == 1
    assert found.normalized_pearson.value > 0.999
    assert found.length_spearman.value < -0.8
    assert found.raw_spearman.value < found.normalized_spearman.value
    for score in found.scores:
        assert score.normalized == pytest.approx(score.tm_score, abs=0.03)
        assert score.raw == pytest.approx(100 * score.tm_score * score.lengths[0], abs=60)
    estimate = found.raw_pearson
    assert estimate.low <= estimate.value <= estimate.high
    raw = [score.raw for score in found.scores]
    truth = [score.tm_score for score in found.scores]
    assert estimate.value == pytest.approx(np.corrcoef(raw, truth)[0, 1])


def test_pairs_without_tokens_are_counted(
    pairs: tuple[PairSet, dict[str, ChainTokens]],
) -> None:
    made, tokens = pairs
    del tokens["3y"]
    tokens["4x"] = dataclasses.replace(tokens["4x"], ids=None)
    found = measure_sensitivity(
        made, tokens, np.eye(200, dtype=np.float32), problems={"3y": "is broken"}, resamples=20
    )
    assert found.coverage.listed == 6
    assert found.coverage.used == 4
    reasons = {problem.id: problem.reason for problem in found.coverage.problems}
    assert reasons["3"] == "3y: is broken"
    assert reasons["4"].startswith("tokens have neither")


def test_too_few_or_constant_pairs_have_no_correlation(
    pairs: tuple[PairSet, dict[str, ChainTokens]],
) -> None:
    made, tokens = pairs
    codebook = np.eye(200, dtype=np.float32)
    few = dataclasses.replace(made, pairs=made.pairs[:2])
    found = measure_sensitivity(few, tokens, codebook, resamples=20)
    assert math.isnan(found.raw_pearson.value)
    assert "2 pairs" in found.raw_pearson.note
    same = dataclasses.replace(
        made, pairs=tuple(dataclasses.replace(pair, tm_score=0.5) for pair in made.pairs)
    )
    found = measure_sensitivity(same, tokens, codebook, resamples=20)
    assert math.isnan(found.normalized_spearman.value)
    assert "all equal" in found.normalized_spearman.note


def test_position_alone_knows_lengths_only(
    pairs: tuple[PairSet, dict[str, ChainTokens]],
) -> None:
    """All its tokens are equal, so that no pair of equal lengths is told from another."""
    made, _ = pairs
    control = build("position")
    tokens = {key: control.tokenize(chain) for key, chain in made.chains.items()}
    found = measure_sensitivity(made, tokens, np.ones((1, 3), dtype=np.float32), resamples=20)
    assert {score.normalized for score in found.scores} == {1.0}


def test_tm_score_of_moved_parts(make_coords: MakeCoords) -> None:
    pytest.importorskip("tmtools", reason="computes the TM-score")
    coords = make_coords(60, 0)
    first = Backbone.from_arrays(coords)
    assert tm_score(first, Backbone.from_arrays(coords + 5)) == pytest.approx(1, abs=1e-4)
    gapped = coords.copy()
    gapped[50:] = np.nan
    # Ten of 60 residues are unresolved: 50 / 60 by the one length, 1 by the other.
    expected = (50 / 60 + 1) / 2
    assert tm_score(first, Backbone.from_arrays(gapped)) == pytest.approx(expected, abs=1e-3)
    with pytest.raises(StructureError, match="0 resolved residues"):
        tm_score(first, Backbone.from_arrays(np.full((9, 3, 3), np.nan)))


def test_a_tm_score_that_is_not_given_is_computed(
    pairs: tuple[PairSet, dict[str, ChainTokens]],
) -> None:
    pytest.importorskip("tmtools", reason="computes the TM-score")
    made, tokens = pairs
    open_pairs = tuple(dataclasses.replace(pair, tm_score=None) for pair in made.pairs[:3])
    made = dataclasses.replace(made, pairs=open_pairs)
    found = measure_sensitivity(made, tokens, np.eye(200, dtype=np.float32), resamples=20)
    assert [score.tm_score for score in found.scores] == pytest.approx([1, 1, 1], abs=1e-4)


def line(first: str, second: str, **more: object) -> str:
    row = {"prot1_pdb_id": first, "prot1_chain_id": "A", "prot2_pdb_id": second}
    return json.dumps({**row, "prot2_chain_id": "B", **more})


def test_pairs_of_the_benchmark_files(tmp_path: Path, make_coords: MakeCoords) -> None:
    path = tmp_path / "ConformationalSwitchDataset_tm_score_fold_switching_test.jsonl"
    lines = [
        line("1abc", "2abc", tm_score=0.7),
        "",
        line("1abc", "none", tm_score=0.5),
        line("3abc", "4abc"),
        line("1abc", "2abc", tm_score="high"),
    ]
    path.write_text("\n".join(lines))

    def find(entry: str, chain: str) -> Backbone:
        if entry == "none":
            msg = f"no structure of {entry} chain {chain}"
            raise StructureError(msg)
        return Backbone.from_arrays(make_coords(20, 1), chain_id=chain)

    found = pairs_from_jsonl(path, find)
    assert found.name == "fold_switching"
    assert found.listed == 4
    assert [pair.tm_score for pair in found.pairs] == [0.7, None]
    assert set(found.chains) == {"1abc_A", "2abc_B", "3abc_A", "4abc_B"}
    assert [problem.id for problem in found.problems] == ["1abc_A-none_B", "1abc_A-2abc_B"]
    assert "no structure of none chain B" in found.problems[0].reason
    assert "from 0 to 1, got 'high'" in found.problems[1].reason


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "line 1: is no JSON"),
        ("[1]", "line 1: expected a JSON object, got list"),
        ("{}", "line 1: prot1_pdb_id and prot1_chain_id must be words"),
        (None, "cannot be read"),
    ],
)
def test_malformed_pair_files(content: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceError, match=problem):
        pairs_from_jsonl(path, lambda entry, chain: Backbone.from_arrays(np.zeros((1, 3, 3))))


@pytest.mark.parametrize(("name", "count"), [("apo_holo", 90), ("fold_switching", 69)])
def test_protein_blocks_follow_real_conformations(name: str, count: int, shared_data: Path) -> None:
    pairs = pairs_from_arrays(shared_data, name)
    assert pairs.listed == len(pairs.pairs) == count
    assert not pairs.problems
    control = build("protein_blocks")
    some = dataclasses.replace(pairs, pairs=pairs.pairs[:25])
    keys = {key for pair in some.pairs for key in (pair.first, pair.second)}
    tokens = {key: control.tokenize(pairs.chains[key]) for key in keys}
    found = measure_sensitivity(some, tokens, control.codebook, resamples=50)
    assert found.coverage.used == 25
    assert found.normalized_spearman.value > 0.2


def test_given_tm_scores_are_those_of_tmtools(shared_data: Path) -> None:
    pytest.importorskip("tmtools", reason="computes the TM-score")
    pairs = pairs_from_arrays(shared_data, "apo_holo")
    short = sorted(pairs.pairs, key=lambda pair: len(pairs.chains[pair.first]))[:5]
    for pair in short:
        found = tm_score(pairs.chains[pair.first], pairs.chains[pair.second])
        assert found == pytest.approx(pair.tm_score, abs=0.03)
