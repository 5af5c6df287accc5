"""Are usage, mean fragments, nearest codes and secondary structure those of hand-made chains?"""

import numpy as np
import pytest

from provq_protein.reports.chain_records import record_of_structure
from provq_protein.reports.code_numbers import (
    FLANK,
    code_places,
    code_use,
    fragments_by_code,
    mean_fragment,
    nearest_codes,
)
from provq_protein.reports.drawn_codes import LENGTH, break_steps, drawn_codes
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.secondary import phi_psi, secondary_structure
from provq_protein.tokenizer import StructureTokenizer

# Lengths in Angstrom and angles in degrees of a peptide (Engh and Huber, 1991).
_BONDS = {"N": 1.329, "CA": 1.458, "C": 1.525}
_ANGLES = {"N": 116.2, "CA": 121.7, "C": 111.2}


def chain_of(phi: float, psi: float, length: int) -> Backbone:
    """Return a chain with the given angles, atom after atom (NeRF), with trans peptide bonds."""
    atoms = [np.array([0.0, 0, 0]), np.array([1.458, 0, 0]), np.array([2.0, 1.42, 0])]
    names = ("N", "CA", "C")
    turns = {"N": psi, "CA": 180.0, "C": phi}
    for index in range(3, 3 * length):
        name = names[index % 3]
        a, b, c = atoms[-3:]
        angle, turn = np.radians(_ANGLES[name]), np.radians(turns[name])
        along = (c - b) / np.linalg.norm(c - b)
        normal = np.cross(b - a, along)
        normal /= np.linalg.norm(normal)
        place = np.array(
            [-np.cos(angle), np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn)]
        )
        frame = np.stack([along, np.cross(normal, along), normal], axis=1)
        atoms.append(c + _BONDS[name] * frame @ place)
    return Backbone.from_arrays(np.array(atoms).reshape(length, 3, 3))


def rotated(points: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn[:, 0] *= np.linalg.det(turn)
    return points @ turn.T + generator.normal(0, 20, 3)


@pytest.mark.parametrize(("phi", "psi", "letter"), [(-62, -42, "H"), (-120, 130, "E")])
def test_a_chain_of_known_angles_has_them_and_its_structure(phi, psi, letter) -> None:
    chain = chain_of(phi, psi, 16)

    found_phi, found_psi = phi_psi(chain)

    assert np.isnan(found_phi[0]) and np.isnan(found_psi[-1])
    np.testing.assert_allclose(found_phi[1:], phi, atol=0.01)
    np.testing.assert_allclose(found_psi[:-1], psi, atol=0.01)
    assert "".join(secondary_structure(chain)[3:-3]) == letter * 10


def test_a_break_ends_angles_and_structure() -> None:
    coords = chain_of(-62, -42, 16).coords.copy()
    coords[8:] += 30.0
    coords[3] = np.nan
    chain = Backbone.from_arrays(coords)

    phi, psi = phi_psi(chain)

    assert np.flatnonzero(np.isnan(phi)).tolist() == [0, 3, 4, 8]
    assert np.flatnonzero(np.isnan(psi)).tolist() == [2, 3, 7, 15]
    # Three residues and four are too few to be a helix; the unresolved one has no letter.
    assert secondary_structure(chain)[:8].tolist() == ["C", "C", "C", "", "C", "C", "C", "C"]
    assert "H" in secondary_structure(chain)[8:]


def test_known_counts_have_their_perplexity() -> None:
    ids = [np.array([0, 0, 1, 1], np.int32), np.array([2, 2, 3, 3], np.int32)]
    letters = [np.array(list("HHHE")), np.array(list("CCEE"))]

    use = code_use(ids, letters, 8)

    assert use.perplexity == pytest.approx(4.0)
    assert use.utilization == 0.5
    assert (use.residues, use.used) == (8, 4)
    assert use.by_structure[:4].tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 2], [0, 2, 0]]
    assert use.most_frequent(3) == [0, 1, 2]
    assert use.most_frequent(99) == [0, 1, 2, 3]


def test_a_mean_fragment_does_not_depend_on_the_pose_of_its_pieces(make_coords) -> None:
    generator = np.random.default_rng(0)
    shape = make_coords(5, 1).astype(np.float64)
    pieces = np.stack([shape + generator.normal(0, 0.2, shape.shape) for _ in range(12)])
    turned = np.stack([rotated(piece, seed) for seed, piece in enumerate(pieces)])

    mean, again = mean_fragment(pieces), mean_fragment(turned)

    assert again.spread == pytest.approx(mean.spread, abs=1e-4)
    assert again.nearest == mean.nearest
    distances = [
        np.linalg.norm(one[:, None] - one, axis=-1)
        for one in (mean.coords[:, 1], again.coords[:, 1])
    ]
    np.testing.assert_allclose(*distances, atol=1e-3)
    # Noise of 0.2 Angstrom per coordinate is 0.35 in space.
    assert mean.spread == pytest.approx(0.35, abs=0.08)


def test_mirror_images_are_not_superposed(make_coords) -> None:
    piece = make_coords(5, 1).astype(np.float64)
    assert mean_fragment(np.stack([piece, piece])).spread == pytest.approx(0, abs=1e-6)
    assert mean_fragment(np.stack([piece, piece * [1, 1, -1]])).spread > 0.1


def test_fragments_come_from_bonded_residues_only(make_coords, tiny_model) -> None:
    coords = make_coords(20, 2)
    coords[10:] += 50.0
    record = record_of_structure(Backbone.from_arrays(coords), StructureTokenizer(tiny_model))

    found = fragments_by_code([record])

    # Residues 2 to 7 and 12 to 17 have two bonded neighbours on both sides.
    middles = [row for start in (0, 10) for row in range(start + FLANK, start + 10 - FLANK)]
    expected = {int(record.tokens.ids[row]) for row in middles}
    assert set(found) == expected
    assert sum(one.used for one in found.values()) == len(middles)
    residues = {residue for one in found.values() for _, residue in one.exemplars}
    assert residues <= {str(row + 1) for row in middles}


def test_nearest_codes_are_by_distance_and_never_the_code_itself() -> None:
    codebook = np.array([[0.0], [1.0], [3.0], [3.5]], dtype=np.float32)

    codes, distances = nearest_codes(codebook, number=2)

    assert codes.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    assert distances[2].tolist() == [0.5, 2.0]


def test_places_of_codes_follow_their_main_direction() -> None:
    codebook = np.array([[5.0, 0], [1.0, 0.1], [3.0, 0]], dtype=np.float32)
    assert code_places(codebook).tolist() in ([1.0, 0.0, 0.5], [0.0, 1.0, 0.5])


def test_every_code_is_drawn_and_breaks_have_steps(tiny_model) -> None:
    tokenizer = StructureTokenizer(tiny_model)
    drawn = drawn_codes(tokenizer)
    assert drawn.shape == (tokenizer.codebook_size, LENGTH, 3, 3)
    assert np.isfinite(drawn).all()
    steps = break_steps(tokenizer)
    count = 0 if tiny_model.breaks is None else tiny_model.breaks.count
    assert list(steps) == list(range(tokenizer.codebook_size - count, tokenizer.codebook_size))


def test_the_error_is_that_of_the_superposed_chain(make_coords, tiny_model) -> None:
    coords = make_coords(20, 3)
    coords[4] = np.nan
    chain = Backbone.from_arrays(coords)

    record = record_of_structure(chain, StructureTokenizer(tiny_model))

    known = chain.resolved
    assert np.isnan(record.errors).tolist() == (~known).tolist()
    moved = record.decoded.coords[known] - chain.coords[known]
    rmsd = np.sqrt((moved.astype(np.float64) ** 2).sum(-1).mean())
    assert rmsd == pytest.approx(record.scores.rmsd, abs=1e-3)
