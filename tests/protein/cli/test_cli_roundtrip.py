"""Does ``provq-protein roundtrip`` print the scores of every chain, or the reason for none?"""

import json
import statistics

import numpy as np
import pytest

from provq_protein import StructureTokenizer
from provq_protein.evaluation.roundtrip import evaluate_roundtrip
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.structure.writing import write_backbone

SCORES = ("rmsd", "tm_score", "lddt_ca")


@pytest.fixture
def structures(make_coords, tmp_path):
    """Return three files with a chain of 20, 30 and 40 residues."""
    paths = []
    for number in (1, 2, 3):
        length = 10 + 10 * number
        chain = Backbone.from_arrays(make_coords(length, number), sequence="A" * length)
        paths.append(tmp_path / f"chain{number}.cif")
        write_backbone(paths[-1], chain)
    return paths


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_hold_the_scores_of_evaluate(run, structures, model_folder):
    answer = run("roundtrip", *structures, "--model", model_folder, "--json")

    assert answer.code == 0
    assert answer.err == "3 chains of 3 files encoded and decoded\n"
    *rows, last = lines(answer.out)
    chains = [chain for path in structures for chain in read_backbones(path)]
    expected = evaluate_roundtrip(StructureTokenizer.from_pretrained(model_folder), chains)
    assert [row["chain"] for row in rows] == [one.name for one in expected.chains]
    assert [row["residues"] for row in rows] == [20, 30, 40]
    for row, one in zip(rows, expected.chains, strict=True):
        assert [row[name] for name in SCORES] == [round(getattr(one, name), 4) for name in SCORES]
    assert last["median_over"] == 3
    for name in SCORES:
        assert last[name] == statistics.median(row[name] for row in rows)


def test_the_table_shows_each_chain_and_the_medians(run, structures, model_folder):
    answer = run("roundtrip", *structures, "--model", model_folder)
    numbers = lines(run("roundtrip", *structures, "--model", model_folder, "--json").out)

    assert answer.code == 0
    shown = [line for line in answer.out.splitlines() if "chain" in line]
    for row in numbers[:-1]:
        (line,) = [line for line in shown if row["chain"] in line]
        assert all(f"{row[name]:.3f}" in line for name in SCORES)
    (footer,) = [line for line in shown if "median over 3 chains" in line]
    assert all(f"{numbers[-1][name]:.3f}" in footer for name in SCORES)
    assert "problem" not in answer.out


def test_bad_inputs_get_a_row_with_the_reason_of_encode(run, good_file, bad_files, model_folder):
    files = [bad_files["absent.cif"], bad_files["trace.pdb"], good_file, bad_files["mixed.pdb"]]

    answer = run("roundtrip", *files, "--model", model_folder)

    by_encode = run("encode", *files, "--model", model_folder)
    assert answer.code == by_encode.code == 1
    assert answer.err.splitlines()[:-1] == by_encode.err.splitlines()[:-1]
    assert answer.err.endswith(
        "2 chains of 4 files encoded and decoded; 4 problems, listed above\n"
    )
    for words in (
        "absent.cif",
        "trace.pdb:T",
        "good.pdb:A",
        "mixed.pdb:W",
        "mixed.pdb:P",
        "only CA",
    ):
        assert words in answer.out
    rows = lines(run("roundtrip", *files, "--model", model_folder, "--json").out)
    assert sum("problem" in row for row in rows) == 4
    assert rows[0]["file"] == str(files[0])
    assert rows[0]["chain"] is None


def test_nothing_usable_prints_reasons_and_no_medians(run, bad_files, model_folder):
    answer = run("roundtrip", bad_files["text.pdb"], "--model", model_folder)
    assert answer.code == 1
    assert "text.pdb" in answer.out
    assert "median" not in answer.out
    *_, last = lines(run("roundtrip", bad_files["text.pdb"], "--model", model_folder, "--json").out)
    assert last == {"median_over": 0, "rmsd": None, "tm_score": None, "lddt_ca": None}


def test_chains_are_chosen_by_name(run, bad_files, model_folder):
    mixed = bad_files["mixed.pdb"]
    answer = run("roundtrip", mixed, "--chains", "W", "--model", model_folder, "--json")
    assert answer.code == 0
    assert [row["chain"] for row in lines(answer.out)[:-1]] == ["mixed.pdb:W"]
    absent = run("roundtrip", mixed, "--chains", "W,X", "--model", model_folder)
    assert absent.code == 1
    assert "mixed.pdb:X" in absent.out


def test_one_residue_has_no_local_score(run, tmp_path, model_folder):
    path = tmp_path / "one.cif"
    coords = np.array([[[1.46, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.6, 1.4, 0.0]]], dtype=np.float32)
    write_backbone(path, Backbone.from_arrays(coords, sequence="G"))
    answer = run("roundtrip", path, "--model", model_folder)
    assert answer.code == 0
    assert "n/a" in answer.out


def test_names_and_reasons_are_not_read_as_markup(run, tmp_path, model_folder):
    answer = run("roundtrip", tmp_path / "[red]x.cif", "--model", model_folder)
    assert "[red]x.cif" in answer.out


def test_an_absent_model_is_a_usage_error(run, structures, tmp_path):
    answer = run("roundtrip", structures[0], "--model", tmp_path / "none")
    assert (answer.code, answer.out) == (2, "")
    assert "no such model folder" in answer.err
