"""Averaged weights: what they are, when they start over, and which ones are shipped."""

import pytest
import torch
from torch import nn

from provq_protein.errors import CheckpointError
from provq_protein.runs import checkpoint
from provq_protein.runs.averages import WeightAverages
from provq_protein.runs.loop import CHECKPOINT, MODEL
from provq_protein.training.config import load_recipe
from provq_protein.training.trainer import Trainer

pytest.importorskip("h5py", reason="training needs the extra 'train'")

AVERAGED = ["ema_decay=0.8", "accumulate=2"]


@pytest.fixture
def table():
    """Return a model of one table, all zero."""
    model = nn.Embedding(3, 2)
    nn.init.zeros_(model.weight)
    return model


def test_an_average_follows_the_weights_by_its_decay(table):
    averages = WeightAverages(table, decay=0.9)
    nn.init.ones_(table.weight)
    averages.update(step=10_000)
    averages.update(step=10_000)
    torch.testing.assert_close(averages.tensors()["weight"], torch.full((3, 2), 0.19))


def test_early_averages_forget_the_start(table):
    averages = WeightAverages(table, decay=0.999)
    nn.init.ones_(table.weight)
    averages.update(step=0)
    torch.testing.assert_close(averages.tensors()["weight"], torch.full((3, 2), 0.9))


def test_rows_that_were_moved_start_over(table):
    averages = WeightAverages(table, decay=0.9)
    nn.init.ones_(table.weight)
    averages.restart(rows=torch.tensor([False, True, False]))
    assert averages.tensors()["weight"][:, 0].tolist() == [0.0, 1.0, 0.0]


def test_the_weights_come_back_after_a_look_at_the_averages(table):
    averages = WeightAverages(table, decay=0.9)
    nn.init.ones_(table.weight)
    with pytest.raises(RuntimeError, match="inside"), averages.in_place():
        assert not table.weight.any()
        msg = "inside"
        raise RuntimeError(msg)
    assert table.weight.all()


def test_averages_of_another_model_are_refused(table):
    with pytest.raises(CheckpointError, match="not those of this model: see weight"):
        WeightAverages(table, decay=0.9).restore({"weight": torch.zeros(2, 2)})


@pytest.fixture(scope="module")
def averaged(tiny_store, tmp_path_factory):
    """Return the folder of an unbroken run with averaged weights, in parts."""
    folder = tmp_path_factory.mktemp("averaged") / "whole"
    Trainer(load_recipe("smoke", AVERAGED), tiny_store, folder).run()
    return folder


def test_a_resumed_run_has_the_same_averages_bit_for_bit(averaged, tiny_store, tmp_path):
    config = load_recipe("smoke", AVERAGED)
    # Without a checkpoint at the boundaries: before seeding, and at the start of settling.
    for stop in (5, 14, None):
        Trainer(config, tiny_store, tmp_path / "run", prefetch=False).run(stop_at=stop)
    for part in (f"{CHECKPOINT}/averages.safetensors", f"{MODEL}/{checkpoint.WEIGHTS}"):
        found, whole = (checkpoint.load_tensors(f / part) for f in (tmp_path / "run", averaged))
        assert all(torch.equal(found[name], value) for name, value in whole.items()), part


def test_averages_are_shipped_and_settling_fixes_their_ids(averaged, tiny_store, tmp_path):
    shipped = checkpoint.load_tensors(averaged / MODEL / checkpoint.WEIGHTS)
    own = checkpoint.load_tensors(averaged / CHECKPOINT / checkpoint.WEIGHTS)
    averages = checkpoint.load_tensors(averaged / CHECKPOINT / "averages.safetensors")
    assert all(torch.equal(shipped[name], value) for name, value in averages.items())
    same = {name for name in averages if torch.equal(own[name], averages[name])}
    assert all(name.startswith("decoder.") for name in averages.keys() - same)
    assert any(name.startswith("decoder.") for name in averages.keys() - same)


def test_codes_start_their_average_when_they_are_seeded(tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke", AVERAGED), tiny_store, tmp_path / "run")
    trainer.run(stop_at=6)
    assert trainer.averages is not None
    averaged = trainer.averages.tensors()["quantizer.codebook.table"]
    rate = trainer.config.optimizer.learning_rate * trainer.config.optimizer.codebook_factor
    assert (averaged - trainer.model.codebook()).abs().max() <= rate
