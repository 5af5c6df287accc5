"""Does superposition return the rigid motion, and never a reflection?"""

import numpy as np
import pytest

from provq_protein.geometry.superpose import apply_motion, superpose


def random_rotation(rng):
    matrix, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix))


@pytest.mark.parametrize("seed", range(5))
def test_superposition_recovers_a_known_motion(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 10, (20, 3))
    rotation, translation = random_rotation(rng), rng.normal(0, 100, 3)

    found = superpose(points, points @ rotation.T + translation)

    np.testing.assert_allclose(found[0], rotation, atol=1e-10)
    np.testing.assert_allclose(found[1], translation, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_superposition_onto_the_mirror_image_is_a_proper_rotation(seed):
    points = np.random.default_rng(seed).normal(0, 10, (20, 3))

    rotation, _ = superpose(points, points * [1, 1, -1])

    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_weights_decide_which_points_are_superposed():
    rng = np.random.default_rng(0)
    mobile = rng.normal(0, 10, (20, 3))
    target = mobile @ random_rotation(rng).T + 3
    target[10:] += rng.normal(0, 20, (10, 3))

    motion = superpose(mobile, target, weights=[1] * 10 + [0] * 10)

    np.testing.assert_allclose(apply_motion(mobile, *motion)[:10], target[:10], atol=1e-8)
    assert not np.allclose(apply_motion(mobile, *superpose(mobile, target))[:10], target[:10], 1)


def test_the_result_minimizes_the_weighted_deviation():
    rng = np.random.default_rng(1)
    mobile, target = rng.normal(0, 5, (2, 12, 3))
    weights = rng.uniform(0.1, 1, 12)

    def deviation(rotation, translation):
        error = apply_motion(mobile, rotation, translation) - target
        return np.sum(weights[:, None] * error**2)

    rotation, translation = superpose(mobile, target, weights)
    best = deviation(rotation, translation)
    for _ in range(20):
        small = rng.normal(0, 0.02, 3)
        turn = np.array(
            [[0, -small[2], small[1]], [small[2], 0, -small[0]], [-small[1], small[0], 0]]
        )
        nearby, _ = np.linalg.qr(np.eye(3) + turn)
        nearby *= np.sign(np.diag(nearby))
        assert deviation(nearby @ rotation, nearby @ translation) >= best
        assert deviation(rotation, translation + small) >= best


def test_leading_axes_are_independent_problems():
    mobile, target = np.random.default_rng(2).normal(0, 5, (2, 4, 12, 3))

    rotations, translations = superpose(mobile, target)

    for index in range(4):
        rotation, translation = superpose(mobile[index], target[index])
        np.testing.assert_allclose(rotations[index], rotation, atol=1e-12)
        np.testing.assert_allclose(translations[index], translation, atol=1e-12)


@pytest.mark.parametrize(
    ("mobile", "target", "weights", "message"),
    [
        (np.zeros((3, 3)), np.zeros((4, 3)), None, "same points"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None, "at least one point"),
        (np.full((3, 3), np.nan), np.zeros((3, 3)), None, "not finite"),
        (np.zeros((3, 3)), np.zeros((3, 3)), [0, 0, 0], "weights"),
        (np.zeros((3, 3)), np.zeros((3, 3)), [1, 1], "weights"),
    ],
)
def test_unusable_points_are_refused(mobile, target, weights, message):
    with pytest.raises(ValueError, match=message):
        superpose(mobile, target, weights)
