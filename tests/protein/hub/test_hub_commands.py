"""Do commands take a repository of the Hub where they take a model folder?"""

import json

import pytest

from provq_protein import cli
from provq_protein.batch.run import encode_to_folder
from provq_protein.cli.model_option import MODEL
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone

OFFLINE = {"HF_HUB_OFFLINE": "1"}
COMMAND = ("-m", "provq_protein")


@pytest.fixture
def structure(make_coords, tmp_path):
    write_backbone(
        tmp_path / "one.cif", Backbone.from_arrays(make_coords(30, 2), chain_id="A", source="x")
    )
    return tmp_path / "one.cif"


def test_every_command_names_models_alike() -> None:
    parsers = cli.build_parser()._subparsers._group_actions[0].choices
    texts = {
        name: [action.metavar for action in parser._actions if "--model" in action.option_strings]
        for name, parser in parsers.items()
    }
    assert texts["encode"] == [MODEL]
    assert {metavar for found in texts.values() for metavar in found} == {MODEL}


def test_encoding_and_decoding_with_a_repository(cache, models, structure, python) -> None:
    here = python(*COMMAND, "encode", structure, "--model", models[1])
    there = python(*COMMAND, "encode", structure, "--model", "someone/tiny@v2", **OFFLINE)
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    assert json.loads(there.stdout)["ids"]


def test_a_folder_of_shards_does_not_depend_on_where_the_model_lies(
    cache, models, structure, python, tmp_path
) -> None:
    pytest.importorskip("pyarrow", reason="shards need the extra 'parquet'")
    for name, model in (("here", models[0]), ("there", "someone/tiny")):
        done = python(
            *COMMAND, "encode", structure, "-o", tmp_path / name, "-j2", "--model", model, **OFFLINE
        )
        assert done.returncode == 0, done.stderr
    contents = [
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.suffix in (".json", ".parquet")
        }
        for name in ("here", "there")
    ]
    assert contents[0]
    assert contents[0] == contents[1]


def test_workers_load_what_was_found_once(models, structure, tmp_path, monkeypatch) -> None:
    asked, loaded = [], []

    def find(model):
        asked.append(model)
        return models[0]

    class Pool:
        def __init__(self, jobs, load, *arguments, **options):
            loaded.append(load.args)
            raise KeyboardInterrupt

    monkeypatch.setattr("provq_protein.batch.run.model_folder", find)
    monkeypatch.setattr("provq_protein.batch.run.WorkerPool", Pool)
    with pytest.raises(KeyboardInterrupt):
        encode_to_folder([structure], tmp_path / "out", model="someone/tiny", jobs=2)
    assert asked == ["someone/tiny"]
    assert loaded == [(str(models[0]),)]


def test_the_onnx_runtime_takes_a_repository(hub, structure, python, tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    from provq_protein.runs.documents import default_model

    files = {path.name: path.read_bytes() for path in default_model().iterdir()}
    hub.add_to_cache(
        tmp_path / "home" / "hub", "someone/shipped", files, commit="5" * 40, ref="main"
    )
    command = (*COMMAND, "encode", structure, "--runtime", "onnx")
    here = python(*command)
    there = python(*command, "--model", "someone/shipped", **OFFLINE)
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr


@pytest.mark.parametrize("command", ["encode", "info"])
def test_a_repository_that_cannot_be_had_is_a_wrong_command_line(
    command, structure, python, tmp_path
) -> None:
    given = [structure] if command == "encode" else []
    done = python(*COMMAND, command, *given, "--model", "someone/absent", **OFFLINE)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"provq-protein {command}: error: someone/absent: ")
    assert "HF_HUB_OFFLINE is set" in line
    assert "hf download someone/absent --local-dir FOLDER" in line


def test_info_describes_a_repository_or_a_path(cache, models, python, structure) -> None:
    done = python(*COMMAND, "info", "--json", "--model", "someone/tiny", **OFFLINE)
    facts = json.loads(done.stdout)
    recorded = json.loads((models[0] / "config.json").read_text())["fingerprint"]
    assert (facts["name"], facts["fingerprint"]) == ("someone/tiny", recorded)
    assert cli.main(["info", str(structure), "--model", "someone/tiny"]) == 2


def test_doctor_examines_a_repository(cache, python) -> None:
    done = python(*COMMAND, "doctor", "--json", "--model", "someone/tiny", **OFFLINE)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["model"]["status"] == "ok", checks
    assert checks["ids with torch"]["status"] == "note"
