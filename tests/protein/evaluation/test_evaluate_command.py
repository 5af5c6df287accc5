"""Does ``provq-protein evaluate`` print and write what it measured, and report bad input?"""

import json

import numpy as np
import pytest

from provq_protein.cli import main
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone


@pytest.fixture
def model_folder(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "tiny", training={"steps": 0})
    return tmp_path / "tiny"


@pytest.fixture
def structure(make_coords, tmp_path):
    path = tmp_path / "good.cif"
    write_backbone(path, Backbone.from_arrays(make_coords(30, 1), sequence="A" * 30))
    return path


@pytest.fixture
def ca_only(make_coords, tmp_path):
    coords = make_coords(30, 2)
    coords[:, [0, 2]] = np.nan
    path = tmp_path / "ca_only.pdb"
    path.write_text(
        "".join(
            f"ATOM  {i:5d}  CA  ALA A{i:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C\n"
            for i, (x, y, z) in enumerate(coords[:, 1], start=1)
        )
        + "END\n"
    )
    return path


def test_the_table_names_chains_metrics_and_controls(model_folder, structure, capsys):
    assert main(["evaluate", str(structure), "--model", str(model_folder)]) == 0

    output = capsys.readouterr()
    for words in ("good.cif:A", "RMSD", "TM-score", "lDDT-CA", "most frequent", "untrained"):
        assert words in output.out
    assert "perplexity" in output.out
    assert "mirrored" in output.out
    assert output.err == "1 chain of 1 file evaluated\n"


def test_the_json_file_holds_the_numbers_of_the_table(model_folder, structure, tmp_path, capsys):
    out = tmp_path / "new" / "scores.json"
    command = ["evaluate", str(structure), "--model", str(model_folder), "--json", str(out)]

    assert main(command) == 0

    document = json.loads(out.read_text())
    table = capsys.readouterr().out
    assert document["format"] == "provq-evaluation"
    rows = document["chains"]["rows"]
    assert [row[:2] for row in rows] == [["good.cif:A", 30]]
    rmsd = document["summary"]["tokens"]["rmsd"]["median"]
    assert f"{rmsd:.3f} [{rmsd:.2f}, {rmsd:.2f}]" in table

    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_bad_files_are_reported_and_the_others_evaluated(
    model_folder, structure, ca_only, tmp_path, capsys
):
    junk = tmp_path / "junk.pdb"
    junk.write_text("no structure")
    files = [str(path) for path in (tmp_path / "absent.cif", junk, ca_only, structure)]

    assert main(["evaluate", *files, "--model", str(model_folder)]) == 1

    output = capsys.readouterr()
    assert "good.cif:A" in output.out
    lines = output.err.splitlines()
    assert len(lines) == 4
    for line, name in zip(lines, files[:3], strict=False):
        assert line.startswith(f"{name}: ")
    assert "only CA atoms" in lines[2]
    assert lines[3] == "1 chain of 4 files evaluated; 3 problems, listed above"


def test_bad_files_are_reported_like_encode_does(model_folder, ca_only, tmp_path, capsys):
    files = [str(tmp_path / "absent.cif"), str(ca_only)]
    assert main(["encode", *files, "--model", str(model_folder)]) == 1
    by_encode = capsys.readouterr().err.splitlines()

    assert main(["evaluate", *files, "--model", str(model_folder)]) == 1

    assert capsys.readouterr().err.splitlines()[:-1] == by_encode[:-1]


def test_an_absent_model_is_a_usage_error(structure, tmp_path, capsys):
    assert main(["evaluate", str(structure), "--model", str(tmp_path / "none")]) == 2
    assert "no such model folder" in capsys.readouterr().err
