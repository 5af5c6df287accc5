"""Do the similarity scores mean what their names say?"""

import numpy as np
import pytest

from provq_protein.geometry.similarity import lddt_ca, mirror_rmsd, rmsd, tm_score
from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.geometry.tm_search import tm_scale

QUARTER_TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
BACKBONE_SCORES = [rmsd, mirror_rmsd]
CA_SCORES = [lddt_ca, tm_score]


def make_helix(count=40):
    """Return N, CA and C of a right-handed helix with the pitch and radius of an alpha helix."""
    turn = np.deg2rad(100) * np.arange(count)[:, None] + np.deg2rad([-28, 0, 27])
    rise = 1.5 * np.arange(count)[:, None] + np.array([-0.9, 0, 1.1])
    radius = np.array([1.6, 2.3, 1.7])
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), rise], axis=-1)


def make_walk(count=80, seed=0):
    """Return N, CA and C of a compact chain of random direction."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(count, 3)) + 0.3
    ca = 3.8 * np.cumsum(steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    return ca[:, None] + rng.normal(0, 0.8, (count, 3, 3)) * np.array([1, 0, 1])[:, None]


def test_identical_structures_score_best():
    chain = make_walk()

    assert rmsd(chain, chain) == pytest.approx(0, abs=1e-6)
    assert lddt_ca(chain[:, 1], chain[:, 1]) == 1
    assert tm_score(chain[:, 1], chain[:, 1]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("shift", [0, 5000])
def test_scores_do_not_depend_on_where_a_structure_lies(shift):
    chain = make_walk()
    predicted = chain + np.random.default_rng(1).normal(0, 1, chain.shape)
    moved = predicted @ QUARTER_TURN.T + shift

    for score in BACKBONE_SCORES:
        assert score(moved, chain) == pytest.approx(score(predicted, chain), abs=1e-8)
    for score in CA_SCORES:
        expected = score(predicted[:, 1], chain[:, 1])
        assert score(moved[:, 1], chain[:, 1]) == pytest.approx(expected, abs=1e-8)


def test_a_mirror_image_is_another_structure_for_rmsd_and_tm_but_not_for_lddt():
    helix = make_helix()
    mirrored = helix * [1, 1, -1]

    assert rmsd(mirrored, helix) > 1
    assert mirror_rmsd(mirrored, helix) == pytest.approx(0, abs=1e-6)
    assert mirror_rmsd(helix, helix) > 1
    assert tm_score(mirrored[:, 1], helix[:, 1]) < 0.9
    assert lddt_ca(mirrored[:, 1], helix[:, 1]) == pytest.approx(1)


def test_rmsd_by_hand():
    # Two atoms, one Angstrom further apart: each is half an Angstrom off.
    assert rmsd([[[0, 0, 0], [2, 0, 0]]], [[[0, 0, 0], [3, 0, 0]]]) == pytest.approx(0.5)


def test_lddt_by_hand():
    # Reference pairs: 0-1 10, 1-2 4, 0-2 14 in reach; 3 is out of reach of all.
    reference = np.array([[0, 0, 0], [10, 0, 0], [14, 0, 0], [60, 0, 0]], dtype=float)
    predicted = reference + np.array([[0, 0, 0], [0, 0, 0], [0.7, 0, 0], [9, 0, 0]])

    # 0-1 keeps all four thresholds, 1-2 and 0-2 are off by 0.7 and keep three.
    expected = np.mean([(1 + 0.75) / 2, (1 + 0.75) / 2, (0.75 + 0.75) / 2])
    assert lddt_ca(predicted, reference) == pytest.approx(expected)


def test_lddt_averages_residues_not_pairs():
    # The outer residue has one neighbor and loses it; a mean over pairs would weigh it less.
    reference = np.array([[0, 0, 0], [4, 0, 0], [8, 0, 0], [22, 0, 0]], dtype=float)
    predicted = reference + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [20, 0, 0]])

    assert lddt_ca(predicted, reference) == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)


def test_lddt_reaches_15_angstrom():
    pair = np.array([[0.0, 0, 0], [14.9, 0, 0]])

    assert lddt_ca(pair * 2, pair) == 0
    assert np.isnan(lddt_ca(pair * 2, pair * 1.02))


@pytest.mark.parametrize(
    ("length", "expected"), [(5, 0.5), (19, 0.5), (100, 3.65207), (300, 6.36025)]
)
def test_the_tm_scale_follows_its_formula_down_to_half_an_angstrom(length, expected):
    assert tm_scale(length) == pytest.approx(expected, abs=1e-4)


def test_tm_of_one_correct_half_is_found_although_rmsd_superposes_neither():
    chain = make_walk(120)[:, 1]
    predicted = chain.copy()
    predicted[60:] = (predicted[60:] - chain[60]) @ QUARTER_TURN.T + chain[60] + 40

    score = tm_score(predicted, chain)

    assert 0.5 <= score < 0.62


@pytest.mark.parametrize("seed", [1, 2, 9, 11])
def test_tm_finds_the_superposition_of_the_best_of_many_parts(seed):
    chain = make_walk(150)[:, 1]
    rng = np.random.default_rng(seed)
    predicted = chain.copy()
    parts = [slice(start, start + 25) for start in range(0, 150, 25)]
    for part in parts:
        # Each part is intact and lies elsewhere: the superposition of all fits none.
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        axes *= np.linalg.det(axes)
        predicted[part] = chain[part] @ axes.T + rng.uniform(-60, 60, 3)

    scores = []
    for part in parts:
        moved = apply_motion(predicted, *superpose(predicted[part], chain[part]))
        squared = np.sum((moved - chain) ** 2, axis=1)
        scores.append(np.mean(1 / (1 + squared / tm_scale(150) ** 2)))
    assert min(scores) > 0.16
    assert tm_score(predicted, chain) >= max(scores) - 1e-9


def test_tm_is_normalized_by_the_reference_length():
    chain = make_walk(100)[:, 1]
    scale = tm_scale(100)
    predicted = chain.copy()
    # Far enough for a contribution of one fifth, and too few to move the superposition.
    predicted[50, 2] += 2 * scale

    # The optimum may move a little towards the one residue, never the other way.
    assert tm_score(predicted, chain) == pytest.approx((99 + 0.2) / 100, abs=2e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_very_short_chains_have_a_tm_score(count):
    chain = make_walk(count)[:, 1]

    assert tm_score(chain @ QUARTER_TURN.T, chain) == pytest.approx(1, abs=1e-9)


def test_unresolved_residues_are_left_out():
    chain = make_walk()
    resolved = np.ones(len(chain), dtype=bool)
    resolved[[3, 4, 40]] = False
    predicted = chain + np.random.default_rng(2).normal(0, 1, chain.shape)
    wild = predicted.copy()
    wild[~resolved] = 1e6
    missing = np.where(resolved[:, None, None], chain, np.nan)

    for score in BACKBONE_SCORES:
        expected = score(predicted[resolved], chain[resolved])
        assert score(wild, chain, resolved=resolved) == pytest.approx(expected)
        assert score(wild, missing) == pytest.approx(expected)
    for score in CA_SCORES:
        expected = score(predicted[resolved, 1], chain[resolved, 1])
        assert score(wild[:, 1], chain[:, 1], resolved=resolved) == pytest.approx(expected)
        assert score(wild[:, 1], missing[:, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("score", [*BACKBONE_SCORES, *CA_SCORES])
def test_nothing_to_compare_is_not_a_number(score):
    chain = make_walk(5)
    points = chain if score in BACKBONE_SCORES else chain[:, 1]

    assert np.isnan(score(points, points, resolved=np.zeros(5, dtype=bool)))


@pytest.mark.parametrize("score", [*BACKBONE_SCORES, *CA_SCORES])
def test_a_prediction_without_a_position_is_refused_not_skipped(score):
    chain = make_walk(10)
    points = chain if score in BACKBONE_SCORES else chain[:, 1]
    holed = points.copy()
    holed[4] = np.nan

    with pytest.raises(ValueError, match="lacks positions"):
        score(holed, points)
    with pytest.raises(ValueError, match="same residues"):
        score(points[:-1], points)
