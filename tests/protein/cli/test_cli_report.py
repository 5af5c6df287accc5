"""Do ``report`` and ``codebook`` write pages, name what failed, and keep what exists?"""

import re
import shutil
import sys

import pytest


def test_a_page_has_every_chain_and_every_problem(
    run, model_folder, good_file, bad_files, tmp_path
):
    page = tmp_path / "r.html"
    files = [good_file, *bad_files.values()]

    answer = run("report", *files, "-o", page, "--model", model_folder, "--no-viewer")

    assert answer.code == 1
    text = page.read_text(encoding="utf-8")
    assert "good.pdb:A" in text
    lines = answer.err.splitlines()
    assert len(lines) >= len(bad_files)
    problems = re.search(r'<table id="problem-table".*?</table>', text, re.DOTALL).group()
    for name in bad_files:
        assert name in problems
        assert any(name in line for line in lines)
    assert problems.count("<tr>") == 1 + len(lines) - 1
    assert 'id="viewer"' not in text


def test_an_empty_file_gives_a_reason_and_no_page(run, model_folder, bad_files, tmp_path):
    page = tmp_path / "r.html"
    options = ["-o", page, "--model", model_folder, "--no-viewer"]
    answer = run("report", bad_files["empty.cif"], *options)
    assert answer.code == 1
    assert answer.out == ""
    first, last = answer.err.splitlines()
    assert "empty.cif" in first
    assert last == "no chain could be used, so no page was written; 1 problem, listed above"
    assert not page.exists()
    assert list(tmp_path.glob(".r.html*")) == []


@pytest.mark.parametrize("command", ["report", "codebook"])
def test_a_page_that_exists_is_kept(run, model_folder, good_file, tmp_path, command):
    page = tmp_path / "r.html"
    page.write_text("mine")
    more = ["--no-viewer"] if command == "report" else []
    line = [command, good_file, "-o", page, "--model", model_folder, *more]

    refused = run(*line)

    assert refused.code == 2
    assert page.read_text() == "mine"
    assert "--overwrite" in refused.err
    assert run(*line, "--overwrite").code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_tokens_give_a_page_without_errors(run, model_folder, good_file, tmp_path):
    tokens, page = tmp_path / "x.npz", tmp_path / "r.html"
    assert run("encode", good_file, "-o", tokens, "--model", model_folder).code == 0

    answer = run("report", tokens, "-o", page, "--model", model_folder, "--no-viewer")

    assert answer.code == 0
    text = page.read_text(encoding="utf-8")
    assert "tokens only" in text
    assert "without the original there is no error" in text


def test_tokens_of_another_model_are_a_problem(
    run, model_folder, other_model_folder, good_file, tmp_path
):
    tokens, page = tmp_path / "x.npz", tmp_path / "r.html"
    run("encode", good_file, "-o", tokens, "--model", other_model_folder)

    answer = run("report", tokens, good_file, "-o", page, "--model", model_folder, "--no-viewer")

    assert answer.code == 1
    assert "fingerprint" in answer.err
    assert "fingerprint" in page.read_text(encoding="utf-8").split("problem-table")[1]


def test_without_the_viewer_package_the_extra_is_named(
    run, model_folder, good_file, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "molstar_cli", None)
    page = tmp_path / "r.html"
    answer = run("report", good_file, "-o", page, "--model", model_folder)
    assert answer.code == 2
    assert "provq[report]" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not page.exists()


def test_chains_that_are_not_embedded_are_named(run, model_folder, good_file, tmp_path):
    pytest.importorskip("molstar_cli", reason="the 3D viewer needs the extra 'report'")
    second = tmp_path / "second.pdb"
    second.write_bytes(good_file.read_bytes())
    page = tmp_path / "r.html"
    files = [good_file, second]
    answer = run("report", *files, "-o", page, "--model", model_folder, "--structures", 1)
    assert answer.code == 0
    text = page.read_text(encoding="utf-8")
    assert "The first 1 of 2 chains are in this page" in text
    assert "left out: second.pdb:A" in text
    assert '<option value="1">' not in text


def test_a_dictionary_has_a_card_for_every_code(run, model_folder, good_file, tmp_path):
    from provq_protein import StructureTokenizer

    size = StructureTokenizer.from_pretrained(model_folder).codebook_size
    page = tmp_path / "d.html"
    assert run("codebook", "-o", page, "--model", model_folder).code == 0
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'<li id="c\d+"', text)) == size
    assert "need FILES" in text
    assert "exemplars:" not in text

    line = ["codebook", good_file, "-o", page, "--model", model_folder, "--overwrite"]
    assert run(*line).code == 0
    text = page.read_text(encoding="utf-8")
    counts = [int(count) for count in re.findall(r'data-count="(\d+)"', text)]
    # Of 20 residues one is not resolved.
    assert (len(counts), sum(counts)) == (size, 19)


def test_without_files_the_shipped_model_has_the_counts_of_its_training_chains(run, tmp_path):
    from provq_protein.runs.documents import default_model

    page, copied = tmp_path / "d.html", tmp_path / "copy.html"

    answer = run("codebook", "-o", page)

    assert answer.code == 0
    text = page.read_text(encoding="utf-8")
    told = re.search(r"<dd>([\d,]+) residues of ([\d,]+) chains that the model was trained", text)
    residues, chains = (int(number.replace(",", "")) for number in told.groups())
    assert f"counted in {chains} chains" in answer.err
    counts = [int(count) for count in re.findall(r'data-count="(\d+)"', text)]
    assert (len(counts), sum(counts)) == (4096, residues)
    assert "model was trained on (train_strict_c95)" in text
    cards = re.findall(r'<li id="c\d+".*?</li>', text, re.DOTALL)
    pieces = [card for card in cards if "mean of " in card]
    assert len(pieces) > 3000
    named = [card for card in pieces if re.search(r"<p>exemplars: [0-9a-z]{4}:\S+ -?\d+", card)]
    assert len(named) > 0.99 * len(pieces)
    assert not [card for card in pieces if "<p>exemplars: :" in card]
    assert len(text.encode()) < 10_000_000

    # A copy of the folder is the same model; where it lies decides nothing.
    folder = tmp_path / "copy_of_the_model"
    shutil.copytree(default_model(), folder)
    assert run("codebook", "-o", copied, "--model", folder).code == 0
    assert counts == [
        int(count)
        for count in re.findall(r'data-count="(\d+)"', copied.read_text(encoding="utf-8"))
    ]


def test_a_damaged_file_of_statistics_is_one_line_and_no_page(run, tmp_path, monkeypatch):
    from provq_protein.reports import statistics_file

    page, broken = tmp_path / "d.html", tmp_path / "codes.npz"
    broken.write_bytes(statistics_file.default_statistics_file().read_bytes()[:5000])
    monkeypatch.setattr(statistics_file, "default_statistics_file", lambda: broken)
    answer = run("codebook", "-o", page)
    assert answer.code == 2
    assert f"{broken}: cannot be used" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not page.exists()


def test_a_dictionary_of_unusable_files_is_not_written(run, model_folder, bad_files, tmp_path):
    page = tmp_path / "d.html"
    answer = run("codebook", bad_files["empty.cif"], "-o", page, "--model", model_folder)
    assert answer.code == 1
    assert not page.exists()


def test_a_token_file_without_chains_is_a_problem(run, model_folder, good_file, tmp_path):
    from provq_protein import save_tokens

    page = tmp_path / "r.html"
    save_tokens(tmp_path / "none.npz", [])
    files = [tmp_path / "none.npz", good_file]
    answer = run("report", *files, "-o", page, "--model", model_folder, "--no-viewer")
    assert answer.code == 1
    assert f"{tmp_path / 'none.npz'}: the token file holds no chain" in answer.err
    assert "the token file holds no chain" in page.read_text(encoding="utf-8")
