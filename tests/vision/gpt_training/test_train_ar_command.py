"""Does `provq-vision train-ar` do what it is told, say what it did, and share work exactly?"""

import json
import subprocess
import sys

import pytest
import torch

from provq_protein.runs import checkpoint
from provq_protein.runs.loop import METRICS, MODEL
from provq_vision.cli import main
from provq_vision.codes.code_set import CodeSet
from provq_vision.generation import TrainedGpt
from provq_vision.gpt_training.config import load_recipe
from provq_vision.gpt_training.trainer import GptTrainer, TrainingCodes

SHORT = ["steps=4", "batch_size=8", "monitor.validate_every=4"]


def _train(*words, settings=SHORT):
    line = ["train-ar", "--recipe", "smoke", "--device", "cpu", *map(str, words)]
    for setting in settings:
        line += ["--set", setting]
    return main(line)


def test_a_run_says_what_it_did_and_records_the_command(code_folders, tmp_path, capsys):
    training, validation = code_folders
    output = tmp_path / "run"
    assert _train("--codes", training, "--validation", validation, "--output", output) == 0
    told = capsys.readouterr().err
    assert "step 4/4: validation loss 2." in told
    assert f"trained 4 steps; the model is in {output / MODEL}" in told
    command = TrainedGpt.load(output / MODEL).training["command"]
    assert command == (
        "provq-vision train-ar --recipe smoke --codes train --validation val --output run "
        "--set steps=4 --set batch_size=8 --set monitor.validate_every=4"
    )


def test_the_same_command_goes_on(code_folders, tmp_path, capsys):
    words = ["--codes", code_folders[0], "--output", tmp_path / "run"]
    assert _train(*words, "--minutes", "0.000001") == 0
    assert "stopped at step 1 of 4" in capsys.readouterr().err
    assert _train(*words) == 0
    assert f"resuming {tmp_path / 'run'} at step 1" in capsys.readouterr().err


def test_mistakes_are_refused_before_anything_is_written(code_folders, tmp_path, write, capsys):
    output = tmp_path / "run"
    assert _train("--codes", tmp_path / "none", "--output", output) == 2
    assert "none" in capsys.readouterr().err
    other = write(tmp_path / "other", images=12, seed=1, fingerprint="f" * 16)
    assert _train("--codes", code_folders[0], "--validation", other, "--output", output) == 2
    assert "extract both with one tokenizer" in capsys.readouterr().err
    assert _train("--codes", code_folders[0], "--output", output, settings=["model=giant"]) == 2
    assert "model: must be one of" in capsys.readouterr().err
    assert not output.exists()


def test_a_run_that_diverges_ends_with_1(code_folders, tmp_path, capsys):
    words = ["--codes", code_folders[0], "--output", tmp_path / "run"]
    rate = ["steps=40", "batch_size=8", "optimizer.learning_rate=1e30", "optimizer.clip=1e30"]
    assert _train(*words, settings=rate) == 1
    assert "the run has diverged" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_compute_what_one_does_in_two_parts(code_folders, tmp_path):
    # With dropout and dropped classes: what is drawn belongs to the part, not to the process.
    settings = ["steps=12", "batch_size=8", "monitor.validate_every=6"]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "provq_vision", "train-ar", "--recipe", "smoke", "--codes", str(code_folders[0]),
        "--validation", str(code_folders[1]), "--output", str(tmp_path / "two"),
        "--device", "cpu", "--threads", "1",
    ]  # fmt: skip
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    config = load_recipe("smoke", [*settings, "accumulate=2"])
    codes = TrainingCodes(*map(CodeSet.open, code_folders))
    GptTrainer(config, codes, tmp_path / "one").run()
    logs = [
        [json.loads(line) for line in (tmp_path / name / METRICS).read_text().splitlines()]
        for name in ("two", "one")
    ]
    assert len(logs[0]) == 12 + 2
    for found, expected in zip(*logs, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    ours, theirs = (
        checkpoint.load_tensors(tmp_path / name / MODEL / checkpoint.WEIGHTS)
        for name in ("two", "one")
    )
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-2, atol=1e-3, msg=name)
