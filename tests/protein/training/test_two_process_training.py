"""Do two processes that share every batch train the model that one process trains?"""

import json
import subprocess
import sys

import pytest
import torch

from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, METRICS, MODEL
from provq_protein.training.config import load_recipe
from provq_protein.training.store import save_store
from provq_protein.training.trainer import BEST, Trainer

pytest.importorskip("h5py", reason="training needs the extra 'train'")
pytestmark = pytest.mark.slow

# Four parts of each batch: some have no chain.
SETTINGS = ["accumulate=2", "ema_decay=0.9", "data.latent_noise=0.1"]


def _events(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def _start_two(folder, store, assignments):
    save_store(folder / "chains.h5", store, provenance="test")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "provq_protein", "train", "--recipe", "smoke", "--data", str(folder / "chains.h5"),
        "--output", str(folder / "run"), "--device", "cpu", "--threads", "1",
    ]  # fmt: skip
    for assignment in assignments:
        command += ["--set", assignment]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def runs(tiny_store, tmp_path_factory):
    """Return the folders of the same run by two processes and by one."""
    folder = tmp_path_factory.mktemp("processes")
    done = _start_two(folder, tiny_store, SETTINGS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("TensorBoard logs are off") <= 1
    config = load_recipe("smoke", ["ema_decay=0.9", "data.latent_noise=0.1"])
    Trainer(config, tiny_store, folder / "alone", prefetch=False).run()
    return folder / "run", folder / "alone"


def test_two_processes_have_the_losses_of_one_in_every_stage(runs):
    together, alone = map(_events, runs)
    assert [event["stage"] for event in alone if event["kind"] == "train"][::4] == [
        "warmup", "warmup", "transition", "hard",
    ]  # fmt: skip
    assert len(together) == len(alone)
    for found, expected in zip(together, alone, strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            loose = 1e-4 if name == "gradient_norm" else 1e-5
            if isinstance(value, float) and name != "seconds":
                assert found[name] == pytest.approx(value, rel=loose, abs=1e-6), name
            elif name != "seconds":
                assert found[name] == value, name


@pytest.mark.parametrize("kept", [MODEL, BEST, CHECKPOINT])
def test_two_processes_end_with_the_weights_of_one(runs, kept):
    together, alone = (
        checkpoint.load_tensors(folder / kept / checkpoint.WEIGHTS) for folder in runs
    )
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=5e-5, msg=name)


def test_a_failure_ends_all_processes_and_is_named_once(tiny_store, tmp_path):
    done = _start_two(tmp_path, tiny_store, ["optimizer.learning_rate=1e30"])
    assert done.returncode != 0
    assert "the run has diverged on the batch of chain" in done.stderr
