"""Does the command line make folders when a folder is meant, and files as before?"""

import json
import tarfile

import pytest

from provq_protein.cli import main
from provq_protein.training.config import load_recipe


@pytest.fixture
def run(capsys):
    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from provq_protein.model.autoencoder import StructureAutoencoder

    folder = tmp_path_factory.mktemp("model") / "tiny"
    StructureAutoencoder.build(load_recipe("smoke").model, seed=3).save(folder, training={})
    return folder


@pytest.fixture
def archive(ten_files, tmp_path):
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted(ten_files.iterdir())[:3]:
            tar.add(file, arcname=file.name)
        (tmp_path / "bad.pdb").write_text("no structure")
        tar.add(tmp_path / "bad.pdb", arcname="bad.pdb")
    return path


def test_an_archive_becomes_the_same_tokens_in_a_folder_in_a_file_and_on_stdout(
    run, archive, model, tmp_path, rows_in, stand_ins
) -> None:
    out = tmp_path / "out"
    given = ("encode", archive, "--model", model)
    options = (*given, "-o", f"{out}/", "--format", "jsonl", "--shard-size", 10)
    code, printed, errors = run(*options)
    assert (code, printed) == (1, "")
    assert errors == (
        f"4 chains of 4 inputs in 1 shard; 1 problem, listed in {out}/manifest-*.jsonl\n"
    )
    assert [row.status for row in rows_in("out")] == ["ok", "ok", "ok", "ok", "failed"]
    code, printed, errors = run(*given)
    assert code == 1
    assert printed == (out / "tokens-000000.jsonl").read_text()
    assert {row.member for row in rows_in("out")} == {
        *(json.loads(line)["file"] for line in printed.splitlines()),
        f"{archive}!bad.pdb",
    }
    assert errors.startswith(f"{archive}!bad.pdb: ")
    assert run(*options, "--resume")[0] == 1
    code, _, errors = run(*options)
    assert code == 2
    assert "--resume" in errors


def test_only_the_chains_asked_for_are_taken_out_of_an_archive(run, archive, model) -> None:
    code, printed, errors = run("encode", archive, "--chains", "B", "--model", model)
    assert code == 1
    assert [json.loads(line)["chain_id"] for line in printed.splitlines()] == ["B"]
    assert f"{archive}!f0.pdb: chain B: no such protein chain; there is A" in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-j", "2"], "-j is for a folder of shards; name one with -o OUT/"),
        (["--resume", "-o", "a.npz"], "write -o a.npz/ if it is to be a folder"),
        (["-o", "out/", "--overwrite"], "--overwrite replaces no folder"),
        (["-o", "out/", "--shard", "3/2"], "1 <= I <= N"),
        (["-o", "out/", "-j", "0"], "a whole number from 1"),
        (["-o", "out/", "--time-limit", "-1"], "seconds above 0"),
        (["-o", "absent/out/"], "does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run, options, message, ten_files, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed, errors = run("encode", ten_files, *options)
    assert (code, printed) == (2, "")
    assert message in errors
    assert not (tmp_path / "out").exists()
