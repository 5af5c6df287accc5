"""Does ``inspect`` show every file and chain, with the exit code that encoding would have?"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

DNA = "ATOM      1  P    DA B   1       0.000   0.000   0.000  1.00 20.00           P\nEND\n"


def rows(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_chain_is_shown_with_what_is_special_about_it(run, good_file) -> None:
    done = run("inspect", good_file)
    assert done.code == 0
    header, columns, row = done.out.splitlines()
    assert header.startswith(f"{good_file}: PDB, 1 model; 1 protein chain")
    assert columns.split() == ["chain", "residues", "tokens", "what", "and", "why"]
    assert row.split()[:3] == ["A", "20", "19"]
    assert "without a token: 1 incomplete backbone" in row
    assert "1 with insertion codes" in row
    assert "2 with negative numbers" in row
    assert done.err == "1 chain of 1 file would be encoded: 20 residues, 19 tokens\n"


def test_json_is_one_object_for_each_file(run, good_file, tmp_path) -> None:
    dna = tmp_path / "dna.pdb"
    dna.write_text(DNA)
    done = run("inspect", "--json", good_file, dna, tmp_path / "absent.cif")
    first, second, third = rows(done.out)
    assert (first["file"], first["format"], first["models"]) == (str(good_file), "PDB", 1)
    assert first["chains"][0]["chain_id"] == "A"
    assert first["chains"][0]["masked"] == {"incomplete backbone": 1}
    assert second["chains"] == []
    assert second["other_chains"] == {"nucleotide": ["B"]}
    assert "no polypeptide chain" in second["problem"]
    assert third["format"] is None
    assert "no such file" in third["problem"]
    assert done.code == 1
    assert "1 chain of 3 files would be encoded" in done.err
    assert "2 problems" in done.err


def test_a_file_without_protein_or_unreadable_has_a_line_with_the_reason(run, tmp_path) -> None:
    (tmp_path / "dna.pdb").write_text(DNA)
    (tmp_path / "text.pdb").write_text("nothing of the kind\n")
    done = run("inspect", tmp_path)
    assert done.code == 1
    dna, text = done.out.splitlines()
    assert "dna.pdb: no polypeptide chain; model 1 holds 1 nucleic-acid chain; PDB" in dna
    assert "1 chain of nucleotides (B)" in dna
    assert "text.pdb: the content is no structure file" in text


def test_archives_folders_and_patterns_are_gone_through(run, good_file, tmp_path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    with zipfile.ZipFile(folder / "two.zip", "w") as archive:
        archive.write(good_file, "inner/one.pdb")
        archive.writestr("empty.pdb", "")
    (folder / "three.pdb").write_bytes(Path(good_file).read_bytes())
    done = run("inspect", "--json", folder, f"{folder}/*.pdb")
    names = [Path(row["file"]).name for row in rows(done.out)]
    assert names == ["three.pdb", "one.pdb", "two.zip!empty.pdb", "three.pdb"]
    assert [row["problem"] is None for row in rows(done.out)] == [True, True, False, True]
    assert done.code == 1


def test_a_folder_without_structures_is_a_problem(run, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("inspect", tmp_path / "empty").code == 1


def test_the_options_say_what_is_taken(run, good_file) -> None:
    done = run("inspect", "--json", "--unresolved", "drop", good_file)
    chain = rows(done.out)[0]["chains"][0]
    assert (chain["residues"], chain["tokens"]) == (19, 19)
    assert chain["dropped"] == {"incomplete backbone": 1}
    done = run("inspect", "--chains", "A,Q", good_file)
    assert done.code == 1
    assert "no such protein chain: Q" in done.out
    done = run("inspect", "--min-plddt", "70", good_file)
    assert done.code == 1
    assert "not marked as a prediction" in done.out


def test_all_models_and_copies_are_rows(run, repo_root) -> None:
    samples = repo_root / "data" / "structures"
    done = run("inspect", "--models", "all", samples / "1lcd.pdb.gz")
    assert [line.split()[:3] for line in done.out.splitlines()[2:]] == [
        ["A", "(model", f"{model})"] for model in (1, 2, 3)
    ]
    done = run("inspect", "--assembly", "1", "--json", samples / "1a8o.cif")
    assert [chain["chain_id"] for chain in rows(done.out)[0]["chains"]] == ["A", "A-2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sequence", "full", "--unresolved", "drop"], "leaves some out"),
        (["--altloc", "AB"], "altloc must be"),
        (["--models", "0"], "expected all, or the number of a model from 1; got '0'"),
        (["--chains", "A,,B"], "expected chain ids separated by commas"),
        (["--plddt-mode", "drop"], "min_plddt must be given"),
    ],
)
def test_options_that_mean_nothing_are_refused(run, good_file, options, message) -> None:
    done = run("inspect", *options, good_file)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""


def test_neither_torch_nor_a_model_is_loaded(good_file) -> None:
    program = (
        "import sys; from provq_protein.cli import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; assert 'safetensors' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "inspect", str(good_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 protein chain" in done.stdout


def test_what_is_shown_is_what_encode_makes(run, good_file, model_folder, repo_root) -> None:
    files = [good_file, *sorted((repo_root / "data" / "structures").glob("1*.pdb*"))]
    shown = [
        (row["file"], chain["chain_id"], chain["residues"], chain["tokens"])
        for row in rows(run("inspect", "--json", *files).out)
        for chain in row["chains"]
    ]
    encoded = [
        (row["file"], row["chain_id"], len(row["ids"]), sum(i >= 0 for i in row["ids"]))
        for row in rows(run("encode", "--model", model_folder, *files).out)
    ]
    assert shown == encoded
