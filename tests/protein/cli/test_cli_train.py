"""`provq-protein train`: what a user sees, and how it ends."""

import json
import sys
import types

import pytest
import torch

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.training.store import save_store

pytest.importorskip("h5py", reason="training needs the extra 'train'")


@pytest.fixture
def train(run, tiny_store, tmp_path, monkeypatch):
    """Return a function that trains on the tiny store, without TensorBoard unless it is faked."""
    save_store(tmp_path / "chains.h5", tiny_store, provenance="test")
    if "torch.utils.tensorboard" not in sys.modules:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    def call(*options, recipe="smoke", output="run"):
        return run(
            "train", "--recipe", recipe, "--data", tmp_path / "chains.h5",
            "--output", tmp_path / output, "--device", "cpu", *options,
        )  # fmt: skip

    return call


def test_a_run_tells_speed_quality_and_time_left_at_each_validation(train, tmp_path):
    answer = train()
    assert answer.code == 0
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert [line for line in lines if line.startswith("step ")] == [lines[1], lines[2]]
    for line in lines[1:3]:
        for word in ("validation RMSD", "lDDT-CA", "codes used", "residues/s", "min left"):
            assert word in line
    assert lines[-1] == f"trained 16 steps; the model is in {tmp_path / 'run' / 'model'}"
    StructureAutoencoder.load(tmp_path / "run" / "model")


def test_a_run_says_once_that_tensorboard_is_not_there(train):
    answer = train("--set", "steps=14", "--set", "settle_steps=0")
    assert answer.err.count("TensorBoard logs are off") == 1


def test_tensorboard_gets_the_numbers_of_the_log(train, tmp_path, monkeypatch):
    scalars = []

    class Writer:
        def __init__(self, folder, purge_step):
            assert purge_step == 0
            assert folder == str(tmp_path / "run" / "tensorboard")

        def add_scalar(self, name, value, step):
            scalars.append((name, value, step))

        def close(self):
            scalars.append("closed")

    fake = types.ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(fake, "SummaryWriter", Writer, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    answer = train("--no-prefetch")
    assert "TensorBoard" not in answer.err
    assert scalars.pop() == "closed"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert ("train/loss", first["loss"], 0) in scalars
    assert {name for name, _, _ in scalars} >= {"train/alpha", "validation/rmsd"}
    assert not [name for name, _, _ in scalars if name.endswith(("/step", "/stage", "/kind"))]


def test_a_run_that_diverges_ends_with_one_and_without_a_traceback(train):
    answer = train("--set", "optimizer.learning_rate=1e30")
    assert answer.code == 1
    assert "error: step" in answer.err
    assert "has diverged on the batch of" in answer.err
    assert "Traceback" not in answer.err


def test_a_gpu_that_is_not_there_is_a_mistake_of_the_command_line(train):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    answer = train("--device", "cuda")
    assert answer.code == 2
    assert "has no GPU: there are 0" in answer.err


def test_the_recipes_that_do_not_fit_are_mistakes_of_the_command_line(train):
    answer = train("--set", "steps=5")
    assert answer.code == 2
    assert "do not fit into 5 steps" in answer.err
