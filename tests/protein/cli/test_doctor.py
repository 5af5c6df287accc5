"""Does `doctor` find what is wrong with an installation, and say what to do about it?"""

import json
import shutil
import sys
from importlib import metadata

import pytest
from safetensors.torch import load_file, save_file

from provq_protein.evaluation import health
from provq_protein.evaluation.installation import check_installation
from provq_protein.runs.documents import default_model

COMPUTED = ["ids with torch", "ids with onnx", "round trip"]


@pytest.fixture
def examine(run):
    """Return a function that runs `doctor --json`: exit code, and checks by name."""

    def call(*arguments):
        answer = run("doctor", "--json", *arguments)
        assert answer.err == ""
        document = json.loads(answer.out)
        checks = {check["name"]: check for check in document["checks"]}
        failed = [check for check in checks.values() if check["status"] == "failed"]
        assert document["healthy"] == (not failed) == (answer.code == 0)
        assert all(check["remedy"] for check in failed)
        return answer.code, checks

    return call


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Return a copy of the shipped models that takes their place."""
    shutil.copytree(default_model().parent, tmp_path / "models")
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    return tmp_path / "models"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def failed(checks):
    return [name for name, check in checks.items() if check["status"] == "failed"]


def test_this_installation_is_healthy(run, examine):
    pytest.importorskip("onnxruntime", reason="one check needs the extra 'onnx'")
    code, checks = examine()
    assert (code, failed(checks)) == (0, [])
    assert {checks[name]["status"] for name in COMPUTED} == {"ok"}
    answer = run("doctor")
    assert answer.code == 0
    assert len(answer.out.splitlines()) == len(checks) + 1
    assert answer.out.endswith("none failed\n")


def test_another_decoder_is_noticed(run, examine, models):
    weights = models / "default" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.startswith("decoder."))
    save_file(tensors | {name: tensors[name] + 0.5}, weights)
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["weights"])
    assert "install provq again" in checks["weights"]["remedy"]
    (line,) = [line for line in run("doctor").out.splitlines() if line.startswith("FAILED")]
    assert "SHA-256" in line
    assert "to do: install provq again" in line


def test_damaged_weights_are_noticed(examine, models):
    weights = models / "default" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["model"])
    assert str(weights) in checks["model"]["found"]


def test_other_ids_are_noticed(examine, models):
    pytest.importorskip("onnxruntime", reason="one check needs the extra 'onnx'")
    expected = models / "golden" / "expected.json"
    ids = json.loads(expected.read_text())["ids"]
    edit(expected, ids=[*ids[:5], ids[5] + 1, *ids[6:]])
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["ids with torch", "ids with onnx"])
    assert checks["ids with torch"]["found"].startswith("1 of 70")


def test_another_deviation_is_noticed(examine, models):
    edit(models / "golden" / "expected.json", rmsd=0.15)
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["round trip"])
    assert "expected 0.150" in checks["round trip"]["found"]


def test_a_model_of_another_release_is_noticed(examine, models):
    edit(models / "golden" / "expected.json", fingerprint="0" * 16)
    code, checks = examine()
    assert code == 1
    assert failed(checks) == ["model"]


@pytest.mark.parametrize("name", ["1a8o.cif", "expected.json"])
def test_an_incomplete_installation_is_noticed(examine, models, name):
    (models / "golden" / name).unlink()
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["golden chain"])
    assert "install provq again" in checks["golden chain"]["remedy"]


def test_ids_of_another_chain_are_noticed(examine, models):
    edit(models / "golden" / "expected.json", ids=[1, 2, 3])
    assert failed(examine()[1]) == ["golden chain"]


def test_a_model_of_ones_own_is_compared_with_nothing(examine, model_folder):
    code, checks = examine("--model", model_folder)
    assert (code, failed(checks)) == (0, [])
    assert str(model_folder) in checks["model"]["found"]
    assert {checks[name]["status"] for name in COMPUTED} == {"note"}


def test_a_copy_of_the_shipped_model_is_compared(examine, tmp_path):
    copy = shutil.copytree(default_model(), tmp_path / "copy")
    _, checks = examine("--model", copy)
    assert checks["ids with torch"]["status"] == checks["round trip"]["status"] == "ok"


def test_a_folder_without_a_model_fails(examine, tmp_path):
    code, checks = examine("--model", tmp_path / "absent")
    assert (code, failed(checks)) == (1, ["model"])
    assert "absent" in checks["model"]["found"]


@pytest.mark.parametrize("error", [4e-3, float("nan")])
def test_rounding_beyond_single_precision_is_noticed(examine, monkeypatch, error):
    monkeypatch.setattr(health, "route_error", lambda: error)
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["float32 products"])
    assert "ONEDNN_DEFAULT_FPMATH_MODE" in checks["float32 products"]["remedy"]


def test_what_raises_is_a_failed_check_and_the_others_go_on(examine, monkeypatch):
    def broken(tokenizer):
        msg = "no\nmemory"
        raise RuntimeError(msg)

    monkeypatch.setattr(health, "golden_ids", broken)
    code, checks = examine()
    assert code == 1
    assert "ids with torch" in failed(checks)
    assert checks["ids with torch"]["found"] == "RuntimeError: no memory"
    assert checks["round trip"]["status"] == "ok"


def test_without_onnx_runtime_nothing_fails(examine, monkeypatch):
    monkeypatch.setattr(health, "find_spec", lambda name: None)
    _, checks = examine()
    assert checks["ids with onnx"]["status"] == "note"
    assert "provq[onnx]" in checks["ids with onnx"]["remedy"]


def test_a_package_that_cannot_be_imported_is_reported(examine, monkeypatch):
    monkeypatch.setitem(sys.modules, "provq_protein.evaluation.health", None)
    code, checks = examine()
    assert (code, failed(checks)) == (1, ["imports"])


def declare(monkeypatch, required, installed):
    """Let the distribution ask for some packages while others are installed."""

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "requires", lambda name: required)
    monkeypatch.setattr(metadata, "version", version)
    return {check.name: check for check in check_installation()}


@pytest.mark.parametrize(
    ("installed", "status"),
    [
        ("2.5", "ok"),
        ("2.5.0", "ok"),
        ("2.13.0+cpu", "ok"),
        ("10", "ok"),
        ("2.4.9", "failed"),
        ("2", "failed"),
        (None, "failed"),
    ],
)
def test_versions_are_compared_as_numbers(monkeypatch, installed, status):
    have = {} if installed is None else {"torch": installed}
    check = declare(monkeypatch, ["torch>=2.5.0"], have)["torch"]
    assert check.status == status
    assert status == "ok" or "torch>=2.5.0" in check.remedy


def test_an_absent_extra_is_a_note_and_an_old_one_a_failure(monkeypatch):
    required = [
        "h5py>=3.10; extra == 'h5'",
        "h5py>=3.10; extra == 'train'",
        "tensorboard>=2.15; extra == 'train'",
        'pyarrow>=17; extra == "parquet"',
        "pyright[nodejs]==1.1.414; extra == 'dev'",
    ]
    checks = declare(monkeypatch, required, {"h5py": "3.12.1", "pyarrow": "16.1.0"})
    found = {name: check.status for name, check in checks.items() if name != "provq"}
    assert found == {"extra h5": "ok", "extra parquet": "failed", "extra train": "note"}
    assert checks["extra train"].found == "not installed: tensorboard>=2.15"
    assert "provq[train]" in checks["extra train"].remedy
    assert "provq[parquet]" in checks["extra parquet"].remedy


def test_a_source_tree_that_is_not_installed_is_noticed(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    (check,) = check_installation()
    assert check.status == "failed"
    assert "pip install" in check.remedy
