"""Is every input that cannot be used reported, with the others still being used?"""

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.tokens.inputs import InputProblem, per_chain


def backbone(*, atoms=(0, 1, 2), length=4, chain_id="A", source="") -> Backbone:
    coords = np.full((length, 3, 3), np.nan, dtype=np.float32)
    steps = np.arange(length * 9, dtype=np.float32).reshape(length, 3, 3)
    for atom in atoms:
        coords[:, atom] = steps[:, atom]
    return Backbone.from_arrays(coords, chain_id=chain_id, source=source)


def collect(inputs, *, compute=lambda chain: chain.chain_id, chains=None):
    problems = []
    results = per_chain(compute, inputs, chains=chains, on_problem=problems.append)
    return list(results), problems


def test_arrays_and_files_are_taken_in_order(tmp_path) -> None:
    write_backbone(tmp_path / "b.cif", backbone(chain_id="B"))
    inputs = [backbone(), tmp_path / "b.cif", str(tmp_path / "b.cif"), backbone(chain_id="C")]
    assert collect(inputs) == (["A", "B", "B", "C"], [])


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        ((1,), "only CA atoms"),
        ((), "no residue .* all of N, CA and C"),
        ((0, 1), "no residue .* all of N, CA and C"),
    ],
)
def test_a_chain_without_a_whole_residue_is_reported(atoms, reason) -> None:
    results, problems = collect([backbone(atoms=atoms, source="x.pdb"), backbone(chain_id="B")])
    assert results == ["B"]
    assert [(problem.file, problem.chain_id) for problem in problems] == [("x.pdb", "A")]
    with pytest.raises(StructureError, match=rf"^x\.pdb: chain A: {reason}"):
        list(per_chain(len, [backbone(atoms=atoms, source="x.pdb")], chains=None, on_problem=None))


def test_a_file_error_is_reported_once_with_the_file_named_once(tmp_path) -> None:
    path = tmp_path / "absent.cif"
    results, problems = collect([path, backbone()])
    assert results == ["A"]
    assert len(problems) == 1
    assert problems[0].file == str(path)
    assert problems[0].chain_id is None
    assert str(problems[0]).count(str(path)) == 1
    assert "no such file" in problems[0].reason


def test_an_unexpected_error_is_reported_with_its_type_and_text() -> None:
    def compute(chain):
        if chain.chain_id == "A":
            msg = "two\nlines"
            raise ZeroDivisionError(msg)
        return chain.chain_id

    inputs = [backbone(source="x.pdb"), backbone(chain_id="B")]
    results, problems = collect(inputs, compute=compute)
    assert results == ["B"]
    assert problems == [InputProblem("x.pdb", "A", "unexpected ZeroDivisionError: two lines")]
    with pytest.raises(ZeroDivisionError):
        list(per_chain(compute, inputs, chains=None, on_problem=None))


def test_an_absent_chain_is_reported_and_the_others_used() -> None:
    inputs = [backbone(source="x.pdb"), backbone(chain_id="B", source="y.pdb")]
    results, problems = collect(inputs, chains=["B", "A"])
    assert results == ["A", "B"]
    assert [str(problem) for problem in problems] == [
        "x.pdb: chain B: no such protein chain; there is A",
        "y.pdb: chain A: no such protein chain; there is B",
    ]


def test_an_unusable_chain_that_was_not_asked_for_is_no_problem() -> None:
    assert collect([backbone(atoms=())], chains=[]) == ([], [])


def test_arrays_without_a_source_are_named_by_their_position() -> None:
    _, problems = collect([backbone(), backbone(atoms=())])
    assert problems[0].file == "input 2"


def test_results_come_before_the_next_input_is_touched() -> None:
    def inputs():
        yield backbone()
        pytest.fail("the second input was asked for too early")

    results = per_chain(len, inputs(), chains=None, on_problem=None)
    assert next(results) == 4


@pytest.mark.parametrize("inputs", ["1abc.cif", backbone()])
def test_one_input_instead_of_a_list_is_refused_at_once(inputs) -> None:
    with pytest.raises(TypeError, match=r"inputs must be a list.*write \[input\]"):
        per_chain(len, inputs, chains=None, on_problem=None)
    with pytest.raises(TypeError, match="chains must be a list"):
        per_chain(len, [], chains="AB", on_problem=None)
