"""Folders appear whole or not at all."""

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.runs import checkpoint


def test_tensors_and_documents_come_back(tmp_path):
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(True)}
    checkpoint.save_folder(tmp_path / "x", {"t.safetensors": tensors}, {"d.json": {"k": [1]}})
    loaded = checkpoint.load_tensors(tmp_path / "x" / "t.safetensors")
    assert {name: value.tolist() for name, value in loaded.items()} == {"a": [0, 1, 2], "b": True}
    assert checkpoint.load_document(tmp_path / "x" / "d.json") == {"k": [1]}


def test_tensors_that_share_memory_can_be_saved(tmp_path):
    base = torch.arange(4.0)
    checkpoint.save_folder(tmp_path / "x", {"t": {"a": base, "b": base[1:]}}, {})
    assert checkpoint.load_tensors(tmp_path / "x" / "t")["b"].tolist() == [1, 2, 3]


def test_a_failed_write_leaves_the_old_folder_and_no_litter(tmp_path):
    checkpoint.save_folder(tmp_path / "x", {}, {"d.json": {"version": 1}})
    with pytest.raises(TypeError):
        checkpoint.save_folder(tmp_path / "x", {}, {"d.json": {"version": object()}})
    assert checkpoint.load_document(tmp_path / "x" / "d.json") == {"version": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_documents_that_are_no_objects_are_named(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(CheckpointError, match=r"a\.json: expected a JSON object, got list"):
        checkpoint.load_document(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"b\.json: is not JSON"):
        checkpoint.load_document(tmp_path / "b.json")
