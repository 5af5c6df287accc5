"""Is a model folder that the ONNX runtime cannot stand for refused, with what to do?"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from provq_protein.errors import CheckpointError, MissingExtraError
from provq_protein.onnx_runtime.model_folder import load_encoder
from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
from provq_protein.runs.documents import default_model


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a copy of the shipped model without its decoder."""
    copy = tmp_path / "model"
    copy.mkdir()
    shutil.copy(default_model() / "config.json", copy)
    tensors = load_file(default_model() / "model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if not name.startswith("decoder.")},
        copy / "model.safetensors",
    )
    return copy


def change(folder: Path, section: str, name: str, value: object) -> None:
    path = folder / "config.json"
    document = json.loads(path.read_text())
    target = document if section == "" else document["model"][section]
    target[name] = value
    path.write_text(json.dumps(document))


def test_the_fingerprint_is_that_of_torch_and_needs_no_decoder(folder) -> None:
    from provq_protein.model.autoencoder import StructureAutoencoder

    assert load_encoder(folder).fingerprint == load_encoder(default_model()).fingerprint
    assert load_encoder(folder).fingerprint == StructureAutoencoder.load(
        default_model()
    ).fingerprint()  # fmt: skip


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("encoder", "width", 64, r"encoder\.\S+ is float32 .*expected"),
        ("encoder", "width", 130, "no multiple of heads"),
        ("encoder", "chain_reach", 3, r"along_chain\.0\.weight is float32 \(256, 76\), expected"),
        ("encoder", "neighbors", 12, "fingerprint"),
        ("encoder", "drift_weight", 0.5, "fingerprint"),
        ("encoder", "drift_weight", "much", "drift_weight must be a number"),
        ("encoder", "neighbors", None, "neighbors must be an integer"),
        ("codebook", "size", 512, r"codebook\.table is float32"),
        ("encoder", "break_codes", 0, r"unknown \['breaks"),
        ("encoder", "kind", "geometric", "chain, neighborhood. Encode with --runtime torch"),
        ("codebook", "kind", "linear", "diveq, ema, free, rotation. Encode with --runtime torch"),
        ("", "format", "else", "no model configuration"),
        ("", "format_version", 99, "model format 99"),
        ("", "fingerprint", "0" * 16, "do not belong together"),
        ("", "model", {}, "model.encoder is missing"),
    ],
)
def test_a_configuration_that_is_not_of_these_weights_is_refused(
    folder, section, name, value, message
) -> None:
    change(folder, section, name, value)
    with pytest.raises(CheckpointError, match=message):
        load_encoder(folder)


def test_changed_weights_are_refused(folder) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.norm.bias"] += np.float32(1e-3)
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_encoder(folder)


def test_weights_that_cannot_be_used_are_refused(folder) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "encoder.more.weight": np.zeros(3, dtype=np.float32)}, path)
    with pytest.raises(CheckpointError, match=r"unknown \['encoder.more.weight'\]"):
        load_encoder(folder)
    save_file({**tensors, "encoder.norm.bias": np.zeros(128)}, path)
    with pytest.raises(CheckpointError, match="is float64"):
        load_encoder(folder)
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_encoder(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_encoder(folder)


def test_absent_and_damaged_folders_are_refused(folder, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="no such model folder"):
        load_encoder(tmp_path / "elsewhere")
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        load_encoder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_encoder(folder)


def test_a_whole_number_where_a_real_one_is_due_changes_nothing(folder) -> None:
    path = folder / "config.json"
    document = json.loads(path.read_text())
    document["model"]["codebook"]["commitment_weight"] = 1.0
    document["model"]["encoder"]["drift_weight"] = 0.0
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError) as real:
        load_encoder(folder)
    document["model"]["codebook"]["commitment_weight"] = 1
    document["model"]["encoder"]["drift_weight"] = 0
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError) as whole:
        load_encoder(folder)
    assert str(whole.value) == str(real.value)


def test_a_missing_runtime_is_named_with_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime.*provq\[onnx\]"):
        OnnxStructureTokenizer.from_pretrained()
