"""Which arrays make a valid backbone, and what does it derive from them."""

import dataclasses

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure import Backbone


@pytest.fixture
def backbone() -> Backbone:
    """Return three residues, the last without its C atom."""
    coords = np.arange(27.0).reshape(3, 3, 3)
    coords[2, 2] = np.nan
    return Backbone.from_arrays(coords, sequence="MXK", insertion_codes=["", "A", ""])


def test_defaults_follow_from_coordinates_and_letters(backbone: Backbone) -> None:
    assert len(backbone) == 3
    assert backbone.resolved.tolist() == [True, True, False]
    assert backbone.residue_names == ("MET", "UNK", "LYS")
    assert backbone.residue_ids == ("1", "2A", "3")
    assert backbone.label_numbers.tolist() == [1, 2, 3]
    assert np.isnan(backbone.b_factors).all()
    assert backbone.coords.dtype == np.float32
    assert (backbone.chain_id, backbone.label_chain_id, backbone.source) == ("A", "A", "")


def test_a_chain_may_have_no_residues() -> None:
    assert len(Backbone.from_arrays(np.zeros((0, 3, 3)))) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coords": np.zeros((2, 3, 3), np.float32)}, r"coords must be .*\(3, 3, 3\).*\(2, 3, 3\)"),
        ({"coords": np.zeros((3, 3, 3))}, "coords must be an array of float32 .* got float64"),
        ({"coords": [[0.0]]}, "coords must be .* got list"),
        ({"resolved": np.ones(3, bool)}, r"resolved\[2\] is True but N, CA and C are not all"),
        ({"resolved": np.zeros(3, bool)}, r"resolved\[0\] is False but N, CA and C are all"),
        ({"resolved": np.ones(3, np.int8)}, "resolved must be an array of bool"),
        ({"author_numbers": np.arange(3)}, "author_numbers must be an array of int32"),
        ({"label_numbers": np.arange(2, dtype=np.int32)}, "label_numbers must be"),
        ({"b_factors": np.zeros(4, np.float32)}, "b_factors must be"),
        ({"residue_names": ("MET",)}, "residue_names has 1 entries, expected 3"),
        ({"insertion_codes": ("",) * 4}, "insertion_codes has 4 entries, expected 3"),
        ({"confidence": "b"}, "confidence must be"),
        ({"chain_id": ""}, "chain_id must be one word"),
        ({"label_chain_id": "A B"}, "label_chain_id must be one word"),
    ],
)
def test_arrays_that_disagree_are_refused(
    backbone: Backbone, change: dict[str, object], message: str
) -> None:
    with pytest.raises(StructureError, match=message):
        dataclasses.replace(backbone, **change)


def test_the_refusal_names_file_and_chain(backbone: Backbone) -> None:
    with pytest.raises(StructureError, match=r"^x\.cif: chain Q: residue_names"):
        dataclasses.replace(backbone, source="x.cif", chain_id="Q", residue_names=())


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3), (2, 3, 2)])
def test_coordinates_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StructureError, match=r"\(residue, 3, 3\)"):
        Backbone.from_arrays(np.zeros(shape))
