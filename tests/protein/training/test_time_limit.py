"""Can a run be trained in pieces of some minutes?"""

import sys

import pytest

from provq_protein.runs import checkpoint, loop, processes
from provq_protein.runs.loop import CHECKPOINT, MODEL
from provq_protein.training.config import load_recipe
from provq_protein.training.store import save_store
from provq_protein.training.trainer import Trainer


class Clock:
    """Seconds pass with every look at it."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1.0
        return self.now


def test_pieces_of_a_time_limit_make_the_unbroken_run(tiny_store, tmp_path, monkeypatch):
    Trainer(load_recipe("smoke"), tiny_store, tmp_path / "whole").run()
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(processes, "time", clock)
    steps = [0]
    while steps[-1] < 16:
        trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "parts")
        assert trainer.step == steps[-1]
        trainer.run(seconds=15.0)
        steps.append(trainer.step)
        document = checkpoint.load_document(tmp_path / "parts" / CHECKPOINT / "state.json")
        assert document["step"] == trainer.step
        assert (tmp_path / "parts" / MODEL).exists() == (trainer.step == 16)
    # Three looks at the clock per step.
    assert len(steps) > 3
    whole = checkpoint.load_tensors(tmp_path / "whole" / MODEL / checkpoint.WEIGHTS)
    parts = checkpoint.load_tensors(tmp_path / "parts" / MODEL / checkpoint.WEIGHTS)
    assert all(bool((whole[name] == parts[name]).all()) for name in whole)


def test_the_command_says_where_it_stopped_and_goes_on(tiny_store, tmp_path, capsys):
    from provq_protein.cli import main

    save_store(tmp_path / "chains.h5", tiny_store, provenance="test")
    command = ["train", "--recipe", "smoke", "--data", str(tmp_path / "chains.h5")]
    command += ["--output", str(tmp_path / "run")]
    assert main([*command, "--minutes", "0.000001"]) == 0
    assert "stopped at step 1 of 16 after 1e-06 minutes; the same command goes on" in (
        capsys.readouterr().err
    )
    assert main(command) == 0
    assert "resuming" in (text := capsys.readouterr().err) and "trained 16 steps" in text


@pytest.mark.parametrize("value", ["0", "-3", "nan", "soon"])
def test_a_limit_that_is_none_is_refused(value, capsys, monkeypatch):
    from provq_protein.cli import main

    monkeypatch.setattr(sys, "argv", ["provq-protein"])
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--recipe", "smoke", "--data", "x", "--output", "y", "--minutes", value])
    assert stopped.value.code == 2
    assert "--minutes" in capsys.readouterr().err
