"""Does `convert-checkpoint` write a whole model folder or none, and say what it did?"""

import hashlib
import json
import os

import pytest
import torch

from provq_protein.cli import main
from provq_protein.runs import checkpoint


class Harmful:
    """What runs a command when it is unpickled."""

    def __init__(self, trace) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


@pytest.fixture
def run(capsys):
    """Return a function that carries out the command: exit code, stdout and stderr."""

    def call(*arguments):
        try:
            code = main(["convert-checkpoint", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        return (code, *capsys.readouterr())

    return call


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_folder_records_where_it_comes_from(run, esm3_files, tmp_path) -> None:
    out = tmp_path / "model"
    code, printed, told = run(*esm3_files, "-o", out)
    assert (code, printed) == (0, "")
    document = config_of(out)
    training = document["training"]
    assert training["converted_from"] == "esm3"
    assert training["files"] == [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in esm3_files
    ]
    assert "plddt_head.dense.bias" in training["left_out"]
    left_out, summary = told.splitlines()
    assert all(name in left_out for name in training["left_out"])
    assert summary == (
        f"esm3: 12 codes of 6 dimensions, fingerprint {document['fingerprint']}, written to {out}"
    )


def test_a_checkpoint_of_deepspeed_is_converted(run, released, deepspeed, tmp_path) -> None:
    folder = deepspeed(released(linear=True), tmp_path / "last.ckpt")
    code, _, told = run(folder, "-o", tmp_path / "model", "--format", "structtokenbench")
    assert code == 0
    assert told.startswith("structtokenbench: 12 codes of 6 dimensions")
    (source,) = config_of(tmp_path / "model")["training"]["files"]
    assert source["file"] == "mp_rank_00_model_states.pt"


def test_two_conversions_write_the_same_bytes(run, esm3_files, tmp_path) -> None:
    for name in ("one", "two"):
        assert run(*esm3_files, "-o", tmp_path / name)[0] == 0
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_model_folder_is_kept_unless_told_otherwise(run, esm3_files, tmp_path) -> None:
    out = tmp_path / "model"
    assert run(*esm3_files, "-o", out)[0] == 0
    before = config_of(out)
    assert run(*esm3_files, "-o", out, "--decoder-heads", 4)[0] == 2
    assert config_of(out) == before
    assert run(*esm3_files, "-o", out, "--decoder-heads", 4, "--overwrite")[0] == 0
    assert config_of(out)["model"]["decoder"]["heads"] == 4


def test_a_folder_with_something_else_is_never_replaced(run, esm3_files, tmp_path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("work of years")
    code, _, told = run(*esm3_files, "-o", tmp_path / "thesis", "--overwrite")
    assert code == 2
    assert "is not a model folder" in told
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "work of years"


@pytest.mark.parametrize("place", ["file", "link", "absent/model"])
def test_places_where_no_folder_can_be_are_refused(place, run, esm3_files, tmp_path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    code, _, told = run(*esm3_files, "-o", tmp_path / place, "--overwrite")
    assert code == 2
    assert str(tmp_path / place) in told
    assert len(told.splitlines()) == 1


def damaged(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damage", [damaged, lambda path: path.write_text("text"), os.unlink])
def test_damaged_and_missing_files_are_named_and_nothing_is_written(
    damage, run, esm3_files, tmp_path
) -> None:
    damage(esm3_files[1])
    code, printed, told = run(*esm3_files, "-o", tmp_path / "model")
    assert (code, printed) == (1, "")
    assert told.startswith(f"{esm3_files[1]}: ")
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "model").exists()


def test_code_in_a_file_is_named_and_not_run(run, esm3_files, tmp_path) -> None:
    trace = tmp_path / "trace"
    torch.save({"embed.weight": Harmful(trace)}, esm3_files[1])
    code, _, told = run(*esm3_files, "-o", tmp_path / "model")
    assert code == 1
    assert f"{os.system.__module__}.system" in told
    assert not trace.exists()
    assert not (tmp_path / "model").exists()


def test_what_is_cut_off_while_writing_leaves_the_old_folder(
    run, esm3_files, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "model"
    assert run(*esm3_files, "-o", out)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    code, _, told = run(*esm3_files, "-o", out, "--overwrite", "--decoder-heads", 4)
    assert code == 1
    assert "No space left" in told
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".model")]


def test_an_unknown_layout_is_a_wrong_command_line(run, esm3_files, tmp_path) -> None:
    assert run(*esm3_files, "-o", tmp_path / "model", "--format", "esm4")[0] == 2
    assert run("-o", tmp_path / "model")[0] == 2


def test_a_converted_model_is_evaluated_and_described(
    run, esm3_files, tmp_path, repo_root, capsys
) -> None:
    out = tmp_path / "model"
    assert run(*esm3_files, "-o", out)[0] == 0
    assert main(["info", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["codebook_size"], facts["config"]["decoder"]["kind"]) == (12, "ids")
    structure = repo_root / "data" / "structures" / "1a8o.cif"
    assert main(["roundtrip", str(structure), "--model", str(out)]) == 0
