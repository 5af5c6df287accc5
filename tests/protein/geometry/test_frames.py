"""Frames: right-handed, moved with the chain, composed as promised."""

import numpy as np
import torch

from provq_protein.geometry.frames import (
    IDEAL_BACKBONE,
    backbone_frames,
    compose_chain,
    place_backbone,
    relative_frames,
)


def _random_rotation(seed):
    generator = torch.Generator().manual_seed(seed)
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return matrix * torch.sign(torch.det(matrix))


def test_frames_are_rotations_not_reflections(make_coords):
    rotations, _ = backbone_frames(torch.from_numpy(make_coords(30, 0)))
    assert torch.allclose(torch.det(rotations), torch.ones(30), atol=1e-5)
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).expand(30, 3, 3), atol=1e-5)


def test_frames_move_with_the_chain(make_coords):
    coords = torch.from_numpy(make_coords(30, 1))
    turn, shift = _random_rotation(0), torch.tensor([10.0, -20.0, 5.0])
    rotations, origins = backbone_frames(coords)
    moved_rotations, moved_origins = backbone_frames(coords @ turn.T + shift)
    assert torch.allclose(moved_rotations, turn @ rotations, atol=1e-4)
    assert torch.allclose(moved_origins, origins @ turn.T + shift, atol=1e-4)


def test_a_mirrored_chain_has_other_frames_than_the_mirrored_frames(make_coords):
    coords = torch.from_numpy(make_coords(30, 2))
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    rotations, _ = backbone_frames(coords)
    mirrored, _ = backbone_frames(coords @ mirror)
    assert (mirrored - mirror @ rotations).abs().max() > 0.5


def test_placing_the_ideal_backbone_inverts_building_frames():
    coords = torch.tensor(IDEAL_BACKBONE) + 3.0
    rebuilt = place_backbone(*backbone_frames(coords))
    assert torch.allclose(rebuilt, coords, atol=1e-4)


def test_composition_equals_one_multiplication_after_another():
    generator = torch.Generator().manual_seed(0)
    rotations = torch.stack([_random_rotation(i) for i in range(37)])
    translations = torch.randn(37, 3, generator=generator)
    composed_rotations, composed_translations = compose_chain(rotations, translations)
    rotation, origin = np.eye(3), np.zeros(3)
    for i in range(37):
        origin = rotation @ translations[i].numpy() + origin
        rotation = rotation @ rotations[i].numpy()
        assert np.allclose(composed_rotations[i].numpy(), rotation, atol=1e-4)
        assert np.allclose(composed_translations[i].numpy(), origin, atol=1e-4)


def test_relative_frames_invert_composition():
    rotations = torch.stack([_random_rotation(i) for i in range(12)])
    translations = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    steps = relative_frames(*compose_chain(rotations, translations))
    assert torch.allclose(steps[0], rotations[1:], atol=1e-4)
    assert torch.allclose(steps[1], translations[1:], atol=1e-4)
