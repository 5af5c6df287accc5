"""Does `decode` write one file per chain with its numbering, and refuse foreign tokens?"""

import dataclasses

import numpy as np
import pytest

from provq_protein.structure.reading import read_backbones
from provq_protein.tokens.formats import load_tokens, save_tokens


@pytest.fixture
def token_file(run, model_folder, good_file, tmp_path):
    path = tmp_path / "tokens.npz"
    assert run("encode", good_file, "-o", path, "--model", model_folder).code == 0
    return path


def test_each_chain_becomes_a_file_with_the_original_numbering(
    run, model_folder, good_file, token_file, tmp_path
) -> None:
    answer = run("decode", token_file, "-o", tmp_path / "new" / "out", "--model", model_folder)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"1 chain decoded to {tmp_path / 'new' / 'out'}\n"
    (path,) = (tmp_path / "new" / "out").iterdir()
    assert path.name == "good_A.cif"
    (decoded,), (original,) = read_backbones(path), read_backbones(good_file)
    whole = np.array(original.residue_ids)[original.resolved].tolist()
    assert list(decoded.residue_ids) == whole
    assert decoded.chain_id == "A"
    letters = np.array(list(original.sequence))[original.resolved]
    assert decoded.sequence == "".join(letters)
    assert decoded.resolved.all()


def test_names_that_collide_are_told_apart_and_explained(
    run, model_folder, token_file, tmp_path
) -> None:
    (tokens,) = load_tokens(token_file)
    variants = [
        dataclasses.replace(tokens, source=source, chain_id=chain)
        for source, chain in [("a/1abc.cif", "A"), ("b/1abc.cif", "A"), ("a/1abc.cif", "a")]
    ]
    save_tokens(tmp_path / "many.jsonl", variants)
    out = tmp_path / "out"
    answer = run("decode", tmp_path / "many.jsonl", "-o", out, "--model", model_folder)
    assert answer.code == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["1abc_A-2.cif", "1abc_A.cif", "1abc_a-3.cif"]
    assert f"{out / '1abc_A-2.cif'}: b/1abc.cif: chain A\n" in answer.err
    assert f"{out / '1abc_a-3.cif'}: a/1abc.cif: chain a\n" in answer.err
    assert read_backbones(out / "1abc_a-3.cif")[0].chain_id == "a"


def test_tokens_of_another_model_are_refused_with_both_fingerprints(
    run, model_folder, other_model_folder, token_file, tmp_path
) -> None:
    (tokens,) = load_tokens(token_file)
    answer = run("decode", token_file, "-o", tmp_path / "out", "--model", other_model_folder)
    assert answer.code == 1
    assert not (tmp_path / "out").exists()
    assert f"{token_file}: 1 chain encoded by the model with fingerprint {tokens.fingerprint}" in (
        answer.err
    )
    theirs = run("info", other_model_folder).out
    (other,) = (line.split()[1] for line in theirs.splitlines() if line.startswith("fingerprint"))
    assert other in answer.err
    assert "--model" in answer.err


def test_own_tokens_among_foreign_ones_are_decoded(run, model_folder, token_file, tmp_path) -> None:
    (tokens,) = load_tokens(token_file)
    foreign = dataclasses.replace(tokens, fingerprint="f" * 16, chain_id="B")
    save_tokens(tmp_path / "both.npz", [foreign, tokens, foreign])
    out = tmp_path / "out"
    answer = run("decode", tmp_path / "both.npz", "-o", out, "--model", model_folder)
    assert answer.code == 1
    assert [path.name for path in out.iterdir()] == ["good_A.cif"]
    assert answer.err.count("f" * 16) == 1
    assert "2 chains encoded by" in answer.err


def test_a_chain_that_fails_is_reported_and_the_others_are_decoded(
    run, model_folder, token_file, tmp_path
) -> None:
    (tokens,) = load_tokens(token_file)
    none = np.zeros(len(tokens), dtype=bool)
    bare = dataclasses.replace(tokens, ids=none - 1, resolved=none, chain_id="B")
    save_tokens(tmp_path / "both.npz", [bare, tokens])
    out = tmp_path / "out"
    answer = run("decode", tmp_path / "both.npz", "-o", out, "--model", model_folder)
    assert answer.code == 1
    assert [path.name for path in out.iterdir()] == ["good_A.cif"]
    assert f"{tokens.source}: chain B: " in answer.err
    assert answer.err.endswith(f"1 chain decoded to {out}; 1 problem, listed above\n")


def test_an_unexpected_error_in_one_chain_does_not_stop_the_batch(
    run, model_folder, token_file, tmp_path, monkeypatch
) -> None:
    def explode(self, tokens):
        msg = "out of memory"
        raise RuntimeError(msg)

    monkeypatch.setattr("provq_protein.tokenizer.StructureTokenizer.decode", explode)
    answer = run("decode", token_file, "-o", tmp_path / "out", "--model", model_folder)
    assert answer.code == 1
    assert "chain A: unexpected RuntimeError: out of memory" in answer.err


@pytest.mark.parametrize("content", [None, b"", b"no tokens", b"PK\x03\x04 cut"])
def test_an_unusable_token_file_is_reported(run, content, model_folder, tmp_path) -> None:
    path = tmp_path / "tokens.npz"
    if content is not None:
        path.write_bytes(content)
    answer = run("decode", path, "-o", tmp_path / "out", "--model", model_folder)
    assert answer.code == 1
    assert answer.err.startswith(f"{path}: ")
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_existing_files_are_kept_unless_asked(run, model_folder, token_file, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "good_A.cif").write_text("precious")
    answer = run("decode", token_file, "-o", out, "--model", model_folder)
    assert answer.code == 2
    assert f"{out / 'good_A.cif'}: exists" in answer.err
    assert "--overwrite" in answer.err
    assert (out / "good_A.cif").read_text() == "precious"
    assert run("decode", token_file, "-o", out, "--overwrite", "--model", model_folder).code == 0
    assert (out / "good_A.cif").read_text() != "precious"


def test_a_file_in_place_of_the_folder_is_refused(run, model_folder, token_file, good_file) -> None:
    answer = run("decode", token_file, "-o", good_file, "--model", model_folder)
    assert answer.code == 2
    assert "is not a folder" in answer.err
