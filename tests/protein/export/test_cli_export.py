"""Does ``provq-protein export`` do what its help says?"""

import argparse

import pytest

from provq_protein.cli import export
from provq_protein.errors import TokenFormatError
from provq_protein.export.exporting import TARGETS
from provq_protein.export.token_array import TokenArray


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    export.add_parser(parser.add_subparsers())
    args = parser.parse_args(["export", *map(str, arguments)])
    return args.run(args)


def test_the_help_names_every_layout() -> None:
    assert export._TARGETS == TARGETS
    for target in TARGETS:
        assert f"\n  {target} " in export._DESCRIPTION


def test_an_export_says_what_it_did(corpus, tmp_path, capsys) -> None:
    inputs, chains = corpus
    assert run(*inputs, "-o", tmp_path / "out", "--to", "memmap") == 0
    residues = sum(map(len, chains))
    assert capsys.readouterr().err == (
        f"20 chains ({residues} residues) exported to {tmp_path / 'out'}\n"
    )
    assert len(TokenArray(tmp_path / "out")) == 20


def test_a_problem_is_one_line_and_the_exit_code(corpus, tmp_path, capsys) -> None:
    inputs, _ = corpus
    absent = tmp_path / "absent.npz"
    assert run(absent, inputs[1], "-o", tmp_path / "a.fasta", "--to", "fasta") == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"{absent}: cannot be read: No such file or directory"
    assert last.startswith("6 chains")
    assert last.endswith("; 1 problem, listed above")
    assert run(absent, "-o", tmp_path / "b.fasta", "--to", "fasta") == 1
    assert "so nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "b.fasta").exists()


def test_options_reach_the_writers(corpus, tmp_path) -> None:
    inputs, _ = corpus
    out = tmp_path / "out"
    assert run(*inputs, "-o", out, "--to", "datasets", "--chains-per-file", 7) == 0
    assert len(list((out / "data").iterdir())) == 3
    text = tmp_path / "a.fasta"
    assert run(*inputs, "-o", text, "--to", "fasta", "--style", "fixed", "--ids", "path") == 0
    assert ">in/e3.cif_A provq=fixed" in text.read_text()
    with pytest.raises(TokenFormatError, match="exists"):
        run(*inputs, "-o", text, "--to", "fasta")
    assert run(*inputs, "-o", text, "--to", "fasta", "--overwrite") == 0


def test_options_of_another_layout_are_refused(corpus, tmp_path, capsys) -> None:
    inputs, _ = corpus
    for option in (("--style", "fixed"), ("--chains-per-file", "3")):
        with pytest.raises(TokenFormatError, match=f"{option[0]} says something about"):
            run(*inputs, "-o", tmp_path / "out", "--to", "memmap", *option)
    with pytest.raises(SystemExit):
        run(*inputs, "-o", tmp_path / "out", "--to", "datasets", "--chains-per-file", "0")
    assert "at least 1, got '0'" in capsys.readouterr().err
