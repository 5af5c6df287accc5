"""Does ``provq-protein roundtrip`` print the scores of every chain, or the reason for none?"""

import json
import shutil
import statistics

import numpy as np
import pytest

from provq_protein import StructureTokenizer
from provq_protein.evaluation.expected_scores import ExpectedScores, expected_scores
from provq_protein.evaluation.roundtrip import evaluate_roundtrip
from provq_protein.runs.documents import WEIGHTS, default_model
from provq_protein.runs.files import sha256_of
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
    nothing = {"rmsd": None, "tm_score": None, "lddt_ca": None}
    assert last == {"median_over": 0, **nothing, "expected": None}


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


def test_each_chain_becomes_a_file_with_the_reconstruction_on_the_original(
    run, structures, model_folder, tmp_path
):
    folder = tmp_path / "out"
    answer = run("roundtrip", *structures, "--model", model_folder, "-o", folder, "--json")

    assert answer.code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        f"chain{number}_A.cif" for number in (1, 2, 3)
    ]
    for path, row in zip(structures, lines(answer.out), strict=False):
        (original,) = read_backbones(path)
        assert row["written"] == str(folder / f"{path.stem}_A.cif")
        (first,), (second,) = (read_backbones(row["written"], model=one) for one in (1, 2))
        assert np.abs(first.coords - original.coords).max() < 1e-3
        assert first.residue_ids == second.residue_ids == original.residue_ids
        # In place already: superposing once more finds nothing better.
        away = np.linalg.norm(second.coords - first.coords, axis=-1)
        assert np.sqrt((away**2).mean()) == pytest.approx(row["rmsd"], abs=2e-3)
        per_residue = np.sqrt((away**2).mean(axis=-1))
        for chain in (first, second):
            assert chain.b_factors == pytest.approx(per_residue, abs=0.01)


def test_files_that_exist_are_kept(run, structures, model_folder, tmp_path):
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "chain2_A.cif"
    mine.write_text("mine")
    line = ["roundtrip", *structures, "--model", model_folder, "-o", tmp_path / "out"]

    answer = run(*line)
    assert answer.code == 1
    assert "chain2_A.cif: exists; name another folder, or allow --overwrite" in answer.err
    assert mine.read_text() == "mine"
    assert (tmp_path / "out" / "chain3_A.cif").exists()
    assert run(*line, "--overwrite").code == 0
    assert mine.read_text() != "mine"
    assert run(*line[:-1], mine).code == 2


def test_an_unresolved_residue_is_left_out_of_the_files(run, good_file, model_folder, tmp_path):
    assert run("roundtrip", good_file, "--model", model_folder, "-o", tmp_path / "out").code == 0
    (read,) = read_backbones(tmp_path / "out" / "good_A.cif", model=2)
    assert "4" not in read.residue_ids
    assert len(read) == 19


def test_what_the_model_folder_expects_is_shown(run, structures, model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    line = ["roundtrip", structures[0], "--model", folder]
    assert "expected medians: not recorded" in run(*line).out
    expected = ExpectedScores(
        weights_sha256=sha256_of(folder / WEIGHTS),
        chains_of="validation",
        chains=12,
        residues=3000,
        rmsd=1.5,
        tm_score=0.75,
        lddt_ca=0.5,
    )
    (folder / "expected.json").write_text(json.dumps(expected.document()))
    shown = run(*line).out.splitlines()[-1]
    assert shown == (
        "expected medians, of 12 chains (validation): RMSD (Å) 1.500, TM-score 0.750, lDDT-CA 0.500"
    )
    assert lines(run(*line, "--json").out)[-1]["expected"] == {
        "median_over": 12,
        "chains_of": "validation",
        "rmsd": 1.5,
        "tm_score": 0.75,
        "lddt_ca": 0.5,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights_sha256": "0" * 64}, "is about other weights"),
        ({"format_version": 2}, "none that this release reads"),
        ({"rmsd": float("nan")}, "is damaged"),
        ({"surplus": 1}, "is damaged"),
    ],
)
def test_expectations_that_do_not_hold_are_not_shown(
    change, reason, run, structures, model_folder, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    document = {
        "format": "provq-expected-scores",
        "format_version": 1,
        "weights_sha256": sha256_of(folder / WEIGHTS),
        "chains_of": "validation",
        "chains": 12,
        "residues": 3000,
        "rmsd": 1.5,
        "tm_score": 0.75,
        "lddt_ca": 0.5,
    }
    (folder / "expected.json").write_text(json.dumps({**document, **change}))
    answer = run("roundtrip", structures[0], "--model", folder)
    assert answer.code == 0
    assert "not recorded" in answer.out
    assert reason in answer.err


def test_the_shipped_model_says_what_to_expect():
    found = expected_scores(default_model())
    assert found is not None
    assert found.chains == 160
