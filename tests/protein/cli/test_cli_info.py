"""Does `info` recognize models, token files and structures, and describe them truly?"""

import gzip
import json

import pytest

from provq_protein.tokens.formats import load_tokens


def facts_of(run, *arguments) -> dict:
    answer = run("info", *arguments, "--json")
    assert (answer.code, answer.err) == (0, "")
    return json.loads(answer.out)


def test_a_model_folder_is_described(run, model_folder, good_file) -> None:
    facts = facts_of(run, model_folder)
    line = json.loads(run("encode", good_file, "--model", model_folder).out)
    assert facts["kind"] == "model"
    assert facts["fingerprint"] == line["fingerprint"]
    assert facts["codebook_size"] == line["codebook_size"] == 32
    assert facts["latent_dim"] == 8
    assert facts["config"]["encoder"]["kind"] == "neighborhood"


@pytest.mark.parametrize("name", ["a.npz", "a.jsonl", "a.dat"])
def test_a_token_file_is_described(run, name, model_folder, good_file, tmp_path) -> None:
    path = tmp_path / name
    options = ("--format", "jsonl" if name == "a.jsonl" else "npz", "--model", model_folder)
    assert run("encode", good_file, "-o", path, *options).code == 0
    (tokens,) = load_tokens(path)
    facts = facts_of(run, path)
    assert facts["kind"] == "tokens"
    assert facts["format"] == ("jsonl" if name == "a.jsonl" else "npz")
    assert facts["fingerprints"] == [tokens.fingerprint]
    assert facts["residues"] == 20
    assert facts["resolved"] == 19
    assert facts["codes_used"] == len(set(tokens.ids[tokens.resolved].tolist()))
    (chain,) = facts["chains"]
    assert chain["file"] == str(good_file)
    assert (chain["first"], chain["last"]) == ("-2", "16A")


def test_a_structure_is_described_whatever_its_name(run, good_file, tmp_path) -> None:
    lying = tmp_path / "tokens.npz"
    lying.write_bytes(gzip.compress(good_file.read_bytes()))
    for path in (good_file, lying):
        facts = facts_of(run, path)
        assert facts["kind"] == "structure"
        (chain,) = facts["chains"]
        assert (chain["chain_id"], chain["first"], chain["last"]) == ("A", "-2", "16A")
        assert chain["residues"] == len(chain["sequence"])


def test_text_says_the_same(run, model_folder, good_file, bad_files) -> None:
    text = run("info", bad_files["mixed.pdb"]).out
    rows = [line.split() for line in text.splitlines()]
    assert ["chains", "3"] in rows
    assert ["W", "W", "8", "8", "1", "8", "b_factor"] in rows
    assert ["T", "T", "8", "0", "1", "8", "b_factor"] in rows
    assert ["codebook_size", "32"] in [
        line.split() for line in run("info", model_folder).out.splitlines()
    ]


@pytest.mark.parametrize("name", ["absent.cif", "empty.cif", "truncated.cif.gz", "text.pdb"])
def test_what_cannot_be_read_is_reported(run, name, bad_files) -> None:
    answer = run("info", bad_files[name])
    assert (answer.code, answer.out) == (1, "")
    assert str(bad_files[name]) in answer.err


def test_a_folder_that_holds_no_model_is_reported(run, bad_files) -> None:
    folder = bad_files["empty.cif"].parent
    answer = run("info", folder)
    assert (answer.code, answer.out) == (1, "")
    assert str(folder) in answer.err


def test_a_missing_default_model_is_a_wrong_installation(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("provq_protein.runs.documents.resources.files", lambda package: tmp_path)
    answer = run("info")
    assert (answer.code, answer.out) == (2, "")
    assert "no default model" in answer.err
