"""Does `encode` write what it can, report what it cannot, and say so in its exit code?"""

import json
import os
import subprocess
import sys
import threading

import pytest

from provq_protein.sources import FOLDCOMP_WARNING, Member
from provq_protein.tokens.formats import load_tokens


def lines_of(answer) -> list[dict]:
    return [json.loads(line) for line in answer.out.splitlines()]


def test_one_json_line_per_chain_goes_to_stdout(run, model_folder, good_file) -> None:
    answer = run("encode", good_file, good_file, "--model", model_folder)
    assert answer.code == 0
    first, second = lines_of(answer)
    assert first == second
    assert first["file"] == str(good_file)
    assert first["chain_id"] == "A"
    assert len(first["ids"]) == len(first["sequence"]) == len(first["resolved"])
    assert [code == -1 for code in first["ids"]] == [not whole for whole in first["resolved"]]
    residues = zip(first["residue_ids"], first["ids"], strict=True)
    assert [name for name, code in residues if code == -1] == ["4"]
    assert first["residue_ids"][0] == "-2"
    assert first["residue_ids"][-1] == "16A"
    assert answer.err == "2 chains of 2 files encoded\n"


@pytest.mark.parametrize("name", ["a.npz", "a.jsonl", "a", "a.h5"])
def test_a_token_file_holds_what_stdout_would_have(
    run, name, model_folder, good_file, tmp_path
) -> None:
    if name.endswith(".h5"):
        pytest.importorskip("h5py", reason="needs the extra provq[h5]")
    answer = run("encode", good_file, "-o", tmp_path / name, "--model", model_folder)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"1 chain of 1 file encoded to {tmp_path / name}\n"
    (tokens,) = load_tokens(tmp_path / name)
    (line,) = lines_of(run("encode", good_file, "--model", model_folder))
    assert tokens.ids.tolist() == line["ids"]
    assert list(tokens.residue_ids) == line["residue_ids"]
    assert tokens.fingerprint == line["fingerprint"]
    assert tokens.source == str(good_file)


def test_the_format_option_wins_over_the_suffix(run, model_folder, good_file, tmp_path) -> None:
    out = tmp_path / "tokens.txt"
    answer = run("encode", good_file, "-o", out, "--format", "jsonl", "--model", model_folder)
    assert answer.code == 0
    assert json.loads(out.read_text())["chain_id"] == "A"


@pytest.mark.parametrize(
    ("name", "chain", "reason"),
    [
        ("absent.cif", None, "no such file"),
        ("empty.cif", None, "empty"),
        ("truncated.cif.gz", None, "gzip"),
        ("text.pdb", None, "no structure"),
        ("dna.pdb", None, "no polypeptide chain"),
        ("trace.pdb", "T", "only CA atoms"),
        ("partial.pdb", "P", "all of N, CA and C"),
    ],
)
def test_a_bad_input_is_reported_and_the_others_are_encoded(
    run, name, chain, reason, model_folder, good_file, bad_files
) -> None:
    answer = run("encode", good_file, bad_files[name], good_file, "--model", model_folder)
    assert answer.code == 1
    assert [line["file"] for line in lines_of(answer)] == [str(good_file)] * 2
    problem, summary = answer.err.splitlines()
    where = f"{bad_files[name]}: " + (f"chain {chain}: " if chain else "")
    assert problem.startswith(where)
    assert reason in problem.removeprefix(where)
    assert str(bad_files[name]) not in problem.removeprefix(where)
    assert summary == "2 chains of 3 files encoded; 1 problem, listed above"


def test_the_structures_of_a_folder_are_encoded(run, model_folder, good_file, tmp_path) -> None:
    folder = tmp_path / "entries" / "inner"
    folder.mkdir(parents=True)
    (folder / good_file.name).write_bytes(good_file.read_bytes())
    (folder / "notes.txt").write_text("no structure")
    answer = run("encode", tmp_path / "entries", "--model", model_folder)
    assert answer.code == 0
    assert [line["file"] for line in lines_of(answer)] == [str(folder / good_file.name)]


def test_a_folder_without_structures_is_a_problem(run, model_folder, tmp_path) -> None:
    (tmp_path / "nothing").mkdir()
    answer = run("encode", tmp_path / "nothing", "--model", model_folder)
    assert answer.code == 1
    assert str(tmp_path / "nothing") in answer.err


def test_the_good_chain_of_a_mixed_file_is_encoded(run, model_folder, bad_files) -> None:
    answer = run("encode", bad_files["mixed.pdb"], "--model", model_folder)
    assert answer.code == 1
    assert [line["chain_id"] for line in lines_of(answer)] == ["W"]
    assert "chain T: only CA" in answer.err
    assert "chain P: " in answer.err


def test_all_bad_files_at_once(run, model_folder, bad_files, good_file, tmp_path) -> None:
    out = tmp_path / "a.npz"
    answer = run("encode", *bad_files.values(), good_file, "-o", out, "--model", model_folder)
    assert answer.code == 1
    assert {tokens.chain_id for tokens in load_tokens(out)} == {"W", "A"}
    for path in bad_files.values():
        assert f"{path}: " in answer.err


def test_without_any_chain_no_file_is_written(run, model_folder, bad_files, tmp_path) -> None:
    out = tmp_path / "a.npz"
    answer = run("encode", bad_files["empty.cif"], "-o", out, "--model", model_folder)
    assert answer.code == 1
    assert not out.exists()
    assert "nothing was written" in answer.err


def test_an_unexpected_error_in_one_file_does_not_stop_the_batch(
    run, model_folder, good_file, bad_files, monkeypatch
) -> None:
    from provq_protein.tokens import inputs

    read = inputs.read_content

    def fragile(path):
        if "mixed" in str(path):
            msg = "parser exploded"
            raise IndexError(msg)
        return read(path)

    monkeypatch.setattr(inputs, "read_content", fragile)
    answer = run("encode", bad_files["mixed.pdb"], good_file, "--model", model_folder)
    assert answer.code == 1
    assert len(lines_of(answer)) == 1
    assert f"{bad_files['mixed.pdb']}: unexpected IndexError: parser exploded" in answer.err


def test_only_the_chains_asked_for_are_encoded(run, model_folder, good_file, bad_files) -> None:
    mixed = bad_files["mixed.pdb"]
    answer = run("encode", mixed, "--chains", "W", "--model", model_folder)
    assert (answer.code, len(lines_of(answer))) == (0, 1)
    answer = run("encode", mixed, good_file, "--chains", "W, A", "--model", model_folder)
    assert answer.code == 1
    assert [line["chain_id"] for line in lines_of(answer)] == ["W", "A"]
    assert f"{mixed}: chain A: no such protein chain; there is" in answer.err
    assert f"{good_file}: chain W: no such protein chain; there is A" in answer.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "{tmp}/a.csv"], "suffix '.csv'"),
        (["-o", "{tmp}/absent/a.npz"], "does not exist"),
        (["-o", "{tmp}/old.npz"], "--overwrite"),
        (["--format", "npz"], "name a file with -o"),
        (["--model", "{tmp}/absent"], "{tmp}/absent"),
    ],
)
def test_what_cannot_be_carried_out_is_said_before_anything_is_encoded(
    run, options, message, model_folder, good_file, tmp_path, monkeypatch
) -> None:
    def never(*arguments, **keywords):
        pytest.fail("encoding began")

    monkeypatch.setattr("provq_protein.tokenizer.StructureTokenizer.iter_encode", never)
    (tmp_path / "old.npz").write_text("precious")
    options = [option.format(tmp=tmp_path) for option in options]
    answer = run("encode", good_file, "--model", model_folder, *options)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("provq-protein encode: error: ")
    assert message.format(tmp=tmp_path) in answer.err
    assert (tmp_path / "old.npz").read_text() == "precious"


def test_a_missing_h5py_is_said_before_anything_is_encoded(
    run, model_folder, good_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr(
        "provq_protein.tokenizer.StructureTokenizer.from_pretrained",
        lambda model: pytest.fail("the model was loaded"),
    )
    answer = run("encode", good_file, "-o", tmp_path / "a.h5", "--model", model_folder)
    assert answer.code == 2
    assert "provq[h5]" in answer.err


def test_overwrite_replaces(run, model_folder, good_file, tmp_path) -> None:
    (tmp_path / "old.npz").write_text("old")
    options = ("-o", tmp_path / "old.npz", "--overwrite", "--model", model_folder)
    assert run("encode", good_file, *options).code == 0
    assert len(load_tokens(tmp_path / "old.npz")) == 1


def test_lines_are_streamed_and_a_gone_reader_is_no_traceback(model_folder, good_file) -> None:
    # The second input is a pipe: it is not there before the first line has been read.
    pipe = good_file.with_name("pipe.pdb")
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "provq_protein", "encode", "--model", str(model_folder)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*command, str(good_file), str(pipe)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # A line that waits for the second input would never come; this ends the waiting.
        rescue = threading.Timer(120, process.kill)
        rescue.start()
        line = process.stdout.readline()
        rescue.cancel()
        first = json.loads(line)
        process.stdout.close()
        pipe.write_bytes(good_file.read_bytes())
        errors = process.stderr.read()
    assert first["chain_id"] == "A"
    assert errors == ""
    assert process.returncode == 141


def test_the_loss_of_foldcomp_is_said_once(run, model_folder, tmp_path, monkeypatch) -> None:
    found = [Member(name, problem="damaged", source="foldcomp") for name in ("a.fcz", "b.fcz")]
    monkeypatch.setattr("provq_protein.sources.members", lambda *args, **options: iter(found))
    answer = run("encode", tmp_path / "set.tar", "--model", model_folder)
    assert answer.code == 1
    assert answer.err.count("warning: ") == 1
    assert FOLDCOMP_WARNING in answer.err
    assert "b.fcz: damaged" in answer.err
