"""Does a token sequence hold together, and refuse what contradicts itself?"""

import dataclasses

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError


def test_arrays_have_the_promised_types_and_cannot_be_changed(make_chain) -> None:
    ids = np.array([7, -1, 4095])
    tokens = make_chain(ids=ids)
    assert tokens.ids.dtype == np.int32
    assert tokens.author_numbers.dtype == np.int32
    assert tokens.label_numbers.dtype == np.int32
    assert tokens.resolved.dtype == np.bool_
    with pytest.raises(ValueError, match="read-only"):
        tokens.ids[0] = 1
    ids[0] = 1
    assert tokens.ids[0] == 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        tokens.sequence = "AAA"


def test_residue_ids_join_number_and_insertion_code(make_chain) -> None:
    assert make_chain().residue_ids == ("-1", "52", "52A")
    assert len(make_chain()) == 3


def test_a_chain_without_residues_is_allowed(make_chain) -> None:
    empty = make_chain(
        ids=[], resolved=[], sequence="", residue_names=(), author_numbers=[],
        insertion_codes=(), label_numbers=[],
    )  # fmt: skip
    assert len(empty) == 0
    assert empty.ids.dtype == np.int32
    assert empty.resolved.dtype == np.bool_


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ids": [7, 3, 4095]}, r"residue 52 is not resolved, so its id must be -1, got 3"),
        ({"ids": [-1, -1, 4095]}, r"residue -1 is resolved.*\[0, 4096\), got -1"),
        ({"ids": [7, -1, 4096]}, r"residue 52A is resolved.*\[0, 4096\), got 4096"),
        ({"ids": [7, -2, 4095]}, "must be -1, got -2"),
        ({"ids": [7.0, -1.0, 3.0]}, "ids must be integers, got float64"),
        ({"ids": [7, -1, 2**40]}, "ids must fit into 32 bits"),
        ({"ids": [[7, -1, 3]]}, r"ids must have shape \(residue,\)"),
        ({"ids": [7, -1]}, "2 ids but resolved has length 3"),
        ({"resolved": [1, 0, 1]}, "resolved must be booleans, got int64"),
        ({"sequence": "MX"}, "3 ids but sequence has length 2"),
        ({"residue_names": ("GLY",)}, "residue_names has length 1"),
        ({"author_numbers": [1, 2, 3, 4]}, "author_numbers has length 4"),
        ({"insertion_codes": ("", "")}, "insertion_codes has length 2"),
        ({"insertion_codes": ("", None, "")}, "insertion_codes must be text"),
        ({"label_numbers": [1]}, "label_numbers has length 1"),
        ({"codebook_size": 0}, "codebook_size must be an integer of at least 1"),
        ({"mean_plddt": 100.1}, "mean_plddt must be a number from 0 to 100, or None, got 100.1"),
        ({"mean_plddt": float("nan")}, "mean_plddt must be a number"),
        ({"mean_plddt": "high"}, "mean_plddt must be a number"),
        ({"mean_plddt": True}, "mean_plddt must be a number"),
        ({"model": True}, "model must be an integer"),
        ({"fingerprint": ""}, "fingerprint is empty"),
        ({"chain_id": "A\0"}, "chain_id contains a NUL"),
        ({"source": None}, "source must be text"),
    ],
)
def test_contradictions_are_refused(make_chain, fields, message) -> None:
    with pytest.raises(TokenFormatError, match=message):
        make_chain(**fields)


def test_refusals_name_file_and_chain(make_chain) -> None:
    with pytest.raises(TokenFormatError, match=r"^1abc\.cif: chain A: "):
        make_chain(ids=[7, -1, 4096])


def test_language_model_ids_are_shifted_and_unresolved_ones_replaced(make_chain) -> None:
    ids = make_chain().to_plm(offset=33, unresolved_id=32)
    assert ids.dtype == np.int64
    assert ids.tolist() == [40, 32, 4128]
    assert make_chain().to_plm(offset=33, unresolved_id=-100).tolist() == [40, -100, 4128]
    assert make_chain().to_plm(offset=0, unresolved_id=4096).tolist() == [7, 4096, 4095]


@pytest.mark.parametrize("taken", [33, 4128])
def test_a_language_model_id_that_is_also_a_code_is_refused(make_chain, taken) -> None:
    with pytest.raises(ValueError, match=rf"also the id of code {taken - 33}; .*\[33, 4129\)"):
        make_chain().to_plm(offset=33, unresolved_id=taken)


def test_a_negative_offset_is_refused(make_chain) -> None:
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        make_chain().to_plm(offset=-1, unresolved_id=9999)
