"""The run: stages in order, only the right things move, and a killed run loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, METRICS, MODEL
from provq_protein.training.config import load_recipe, recipe_names
from provq_protein.training.store import save_store
from provq_protein.training.trainer import Trainer

pytest.importorskip("h5py", reason="training needs the extra 'train'")


def _events(folder, kind="train"):
    lines = (folder / METRICS).read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [event for event in events if event["kind"] == kind]


def _without_times(events):
    return [{k: v for k, v in event.items() if k != "seconds"} for event in events]


@pytest.fixture(scope="module")
def finished(tiny_store, tmp_path_factory):
    """Return the folder of an unbroken smoke run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    Trainer(load_recipe("smoke"), tiny_store, folder, command="test").run()
    return folder


def test_stages_follow_the_recipe(finished):
    stages = [event["stage"] for event in _events(finished)]
    assert stages == ["warmup"] * 5 + ["transition"] * 6 + ["hard"] * 3 + ["settle"] * 2
    alphas = [event["alpha"] for event in _events(finished)]
    assert alphas[:6] == [1.0] * 6
    assert alphas == sorted(alphas, reverse=True)
    assert alphas[11:] == [0.0] * 5


def test_the_model_loads_and_knows_how_it_was_made(finished):
    model = StructureAutoencoder.load(finished / MODEL)
    assert bool(model.quantizer.codebook.initialized)
    record = checkpoint.load_document(finished / MODEL / checkpoint.CONFIG)["training"]
    assert record["steps"] == 16
    assert record["command"] == "test"
    assert record["recipe"]["schedule"]["warmup_steps"] == 5
    assert record["training_chains"] == 8


def test_validation_is_continuous_in_the_warmup_only(finished, tiny_store, tmp_path):
    assert [event["continuous"] for event in _events(finished, "validation")] == [False, False]
    config = load_recipe("smoke", ["monitor.validate_every=4"])
    Trainer(config, tiny_store, tmp_path / "run").run(stop_at=5)
    assert [e["continuous"] for e in _events(tmp_path / "run", "validation")] == [True]


def test_settling_moves_the_decoder_and_nothing_else(tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    trainer.run(stop_at=14)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run()
    after = trainer.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)


def test_codes_are_seeded_once_and_move_by_optimizer_steps_only(tiny_store, tmp_path):
    config = load_recipe("smoke")
    trainer = Trainer(config, tiny_store, tmp_path / "run")
    trainer.run(stop_at=5)
    assert not trainer.model.quantizer.codebook.initialized
    trainer.run(stop_at=6)
    seeded = trainer.model.codebook().clone()
    again = Trainer(config, tiny_store, tmp_path / "run")
    again.run(stop_at=7)
    rate = config.optimizer.learning_rate * config.optimizer.codebook_factor
    step = (again.model.codebook() - seeded).abs().max()
    assert 0 < step <= 3.2 * rate  # Adam's first steps are at most a few rates long


def test_a_run_in_parts_equals_an_unbroken_run_bit_for_bit(finished, tiny_store, tmp_path):
    folder = tmp_path / "parts"
    for stop in (3, 8, 13, None):
        Trainer(load_recipe("smoke"), tiny_store, folder, command="test").run(stop_at=stop)
    assert _without_times(_events(folder)) == _without_times(_events(finished))
    whole = checkpoint.load_tensors(finished / MODEL / checkpoint.WEIGHTS)
    parts = checkpoint.load_tensors(folder / MODEL / checkpoint.WEIGHTS)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_killed_run_resumes_to_the_same_losses_and_codes(finished, tiny_store, tmp_path):
    save_store(tmp_path / "chains.h5", tiny_store, provenance="test")
    folder = tmp_path / "killed"
    command = [
        sys.executable, "-m", "provq_protein", "train", "--recipe", "smoke",
        "--data", str(tmp_path / "chains.h5"), "--output", str(folder),
        "--threads", str(torch.get_num_threads()),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (folder / METRICS).exists() and len(_events_so_far(folder)) >= 9:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # Mid-transition, and past the last checkpoint: the resumed run has steps to do again.
    assert 9 <= len(_events_so_far(folder)) < 16
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert _without_times(_events(folder)) == _without_times(_events(finished))
    whole = checkpoint.load_tensors(finished / MODEL / checkpoint.WEIGHTS)
    resumed = checkpoint.load_tensors(folder / MODEL / checkpoint.WEIGHTS)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def _events_so_far(folder):
    text = (folder / METRICS).read_text()
    return [line for line in text.splitlines() if '"kind": "train"' in line and line.endswith("}")]


def test_a_checkpoint_cut_off_between_its_renames_is_found(tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    trainer.run(stop_at=4)
    folder = tmp_path / "run" / CHECKPOINT
    folder.rename(checkpoint.previous(folder))
    assert Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").step == 4


def test_a_run_folder_of_another_recipe_or_data_is_refused(finished, tiny_store):
    with pytest.raises(ConfigError, match=r"other settings \(seed was 0, is 1\).*--amend"):
        Trainer(load_recipe("smoke", ["seed=1"]), tiny_store, finished)
    tiny_store.coords[0, 0, 0] += 1.0
    try:
        with pytest.raises(ConfigError, match="other data"):
            Trainer(load_recipe("smoke"), tiny_store, finished)
    finally:
        tiny_store.coords[0, 0, 0] -= 1.0


def test_a_run_can_be_amended_and_the_model_says_so(tiny_store, tmp_path):
    Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").run(stop_at=4)
    shorter = load_recipe("smoke", ["steps=14"])
    Trainer(shorter, tiny_store, tmp_path / "run", amend=True).run(stop_at=8)
    Trainer(shorter, tiny_store, tmp_path / "run").run()
    path = tmp_path / "run" / MODEL / checkpoint.CONFIG
    record = checkpoint.load_document(path)["training"]
    assert record["steps"] == 14
    assert record["amendments"] == [{"step": 4, "changes": {"steps": [16, 14]}}]


def test_without_a_curriculum_quantization_is_hard_from_the_first_step(tiny_store, tmp_path):
    config = load_recipe(
        "smoke", ["schedule.warmup_steps=0", "schedule.transition_steps=0", 'seeding.method="none"']
    )
    trainer = Trainer(config, tiny_store, tmp_path / "run")
    codes = trainer.model.codebook().clone()
    trainer.run(stop_at=1)
    assert _events(tmp_path / "run")[0]["alpha"] == 0.0
    rate = config.optimizer.learning_rate * config.optimizer.codebook_factor
    assert (trainer.model.codebook() - codes).abs().max() <= rate


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_shipped_recipe_describes_a_run(recipe):
    assert load_recipe(recipe).steps > 0


def test_mistakes_in_a_recipe_are_named_with_the_nearest_key():
    with pytest.raises(ConfigError, match="data: corp: unknown key; did you mean 'crop'"):
        load_recipe("smoke", ["data.corp=3"])
    with pytest.raises(ConfigError, match="seed: expected int, got '7'"):
        load_recipe("smoke", ['seed="7"'])
    with pytest.raises(ConfigError, match="do not fit into 10 steps"):
        load_recipe("smoke", ["steps=10"])
    with pytest.raises(ConfigError, match=r"no such recipe; shipped are aminoaseed, .*smoke"):
        load_recipe("smokey")
    with pytest.raises(ConfigError, match="kind: must be one of 'growth', 'chain', 'transformer'"):
        load_recipe("smoke", ['model.decoder.kind="grow"'])
