"""What goes wrong in a run: it stops with a reason, and nothing good is lost."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, METRICS, MODEL
from provq_protein.structure.backbone import Backbone
from provq_protein.training.config import load_recipe
from provq_protein.training.store import build_store
from provq_protein.training.trainer import BEST, Trainer

pytest.importorskip("h5py", reason="training needs the extra 'train'")


def _spoil(trainer):
    """Give the run a weight that is no number."""
    with torch.no_grad():
        trainer.model.decoder.trunk_norm.bias[0] = torch.nan


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    trainer.run(stop_at=4)
    _spoil(trainer)
    with pytest.raises(FloatingPointError, match=r"step 4: loss nan.*batch of chain\d:A") as caught:
        trainer.run()
    named = [tiny_store.names[chain] for chain in trainer.plan.chosen(4)]
    assert all(name in str(caught.value) for name in named)
    assert f"last good checkpoint is kept in {tmp_path / 'run' / CHECKPOINT}" in str(caught.value)
    again = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    assert again.step == 4
    assert all(torch.isfinite(value).all() for value in again.model.state_dict().values())
    again.run(stop_at=5)


def test_latents_that_are_no_number_are_traced_to_their_batch(tiny_store, tmp_path):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    with torch.no_grad():
        trainer.model.encoder.norm.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"step 0: .*latents.*batch of chain.*no checkpo"):
        trainer.run()


def test_a_failure_in_the_thread_that_builds_batches_is_not_lost(tiny_store, tmp_path, monkeypatch):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    whole = trainer.plan.batch

    def fails(step):
        if step == 2:
            msg = "the disk is gone"
            raise OSError(msg)
        return whole(step)

    monkeypatch.setattr(trainer.plan, "batch", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.run()
    assert trainer.step == 2


def test_batches_are_the_same_with_and_without_the_thread(tiny_store, tmp_path):
    config = load_recipe("smoke", ["data.latent_noise=0.2"])
    losses = []
    for prefetch in (True, False):
        trainer = Trainer(config, tiny_store, tmp_path / str(prefetch), prefetch=prefetch)
        trainer.run(stop_at=6)
        lines = (tmp_path / str(prefetch) / METRICS).read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert losses[0] == losses[1]


def test_a_store_without_a_usable_chain_is_refused(tiny_store, tmp_path):
    config = load_recipe("smoke")
    nowhere = np.full((30, 3, 3), np.nan, dtype=np.float32)
    lost = Backbone.from_arrays(nowhere, chain_id="A", source="lost")
    with pytest.raises(ConfigError, match="no usable training chain: of 1 chains, 1 are for tr"):
        Trainer(config, build_store([lost], ["train"]), tmp_path / "run")
    held = tiny_store.backbone(0)
    with pytest.raises(ConfigError, match="of 1 chains, 0 are for training"):
        Trainer(config, build_store([held], ["validation"]), tmp_path / "run")


def test_a_checkpoint_of_another_architecture_is_refused_even_amended(tiny_store, tmp_path):
    Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").run(stop_at=1)
    wider = load_recipe("smoke", ["model.encoder.width=64"])
    with pytest.raises(ConfigError, match=r"model\.encoder\.width was 32, is 64"):
        Trainer(wider, tiny_store, tmp_path / "run")
    with pytest.raises(CheckpointError, match="another architecture"):
        Trainer(wider, tiny_store, tmp_path / "run", amend=True)


def test_an_interrupted_write_leaves_the_last_checkpoint(tiny_store, tmp_path, monkeypatch):
    trainer = Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run")
    trainer.run(stop_at=4)

    def cut_off(*_):
        msg = "No space left on device"
        raise OSError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", cut_off)
        with pytest.raises(OSError, match="No space left"):
            trainer.run(stop_at=8)
    assert Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").step == 4
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [CHECKPOINT, METRICS]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("settle_steps=12", r"warm-up and transition \(11\) and settling \(12\) do not fit"),
        ("steps=0", "steps: must be 1 or more, got 0"),
        ("accumulate=0", "accumulate: must be 1 or more"),
        ("ema_decay=1.0", r"ema_decay: must be in \[0, 1\)"),
        ("precision=fp16", "precision: must be one of 'fp32', 'bf16'"),
        ("data.crop=0", "data.crop: must be 1 or more"),
        ("monitor.validate_every=0", "monitor.validate_every: must be 1 or more"),
        ("loss.kind=reconstruction", "loss: step: unknown key"),
    ],
)
def test_a_recipe_that_does_not_add_up_is_refused(change, reason):
    with pytest.raises(ConfigError, match=reason):
        load_recipe("smoke", [change])


def test_losses_must_be_those_of_the_decoder():
    paper = load_recipe("vanilla_vq")
    assert type(paper.loss).__name__ == "ReconstructionLossConfig"
    with pytest.raises(ConfigError, match="num_classes: must be 29 or more"):
        load_recipe("vanilla_vq", ["model.decoder.num_classes=20"])
    with pytest.raises(ConfigError, match="loss: kind: this decoder needs 'reconstruction'"):
        dataclasses.replace(paper, loss=load_recipe("smoke").loss)


def test_a_checkpoint_from_before_a_setting_existed_goes_on_without_amending(tiny_store, tmp_path):
    Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").run(stop_at=8)
    path = tmp_path / "run" / CHECKPOINT / "state.json"
    document = json.loads(path.read_text())
    recipe = document["recipe"]
    for table, key in (
        (recipe, "precision"), (recipe, "accumulate"), (recipe, "ema_decay"),
        (recipe["loss"], "kind"), (recipe["data"], "latent_noise"),
        (recipe["data"], "chains_per_step"), (recipe["optimizer"], "restart_after_warmup"),
        (document, "best"), (document, "processes"),
    ):  # fmt: skip
        del table[key]
    path.write_text(json.dumps(document))
    assert Trainer(load_recipe("smoke"), tiny_store, tmp_path / "run").step == 8
    with pytest.raises(ConfigError, match=r"ema_decay was 0\.0, is 0\.5"):
        Trainer(load_recipe("smoke", ["ema_decay=0.5"]), tiny_store, tmp_path / "run")
    averaged = load_recipe("smoke", ["ema_decay=0.5"])
    Trainer(averaged, tiny_store, tmp_path / "run", amend=True).run()


def test_the_best_model_is_chosen_once_quantization_is_hard(tiny_store, tmp_path):
    config = load_recipe("smoke", ["monitor.validate_every=1", "monitor.checkpoint_every=2"])
    trainer = Trainer(config, tiny_store, tmp_path / "run")
    trainer.run(stop_at=11)
    assert not (tmp_path / "run" / BEST).exists()
    trainer.run(stop_at=13)
    Trainer(config, tiny_store, tmp_path / "run").run()
    lines = (tmp_path / "run" / METRICS).read_text().splitlines()
    scores = {
        event["step"] + 1: event["rmsd"]
        for event in map(json.loads, lines)
        if event["kind"] == "validation" and event["step"] >= 11
    }
    record = checkpoint.load_document(tmp_path / "run" / BEST / checkpoint.CONFIG)["training"]
    best = min(scores, key=lambda step: scores[step])
    assert record["best_of"] == {"step": best, "rmsd": scores[best]}
    assert record["steps"] == best
    StructureAutoencoder.load(tmp_path / "run" / BEST)
    assert (tmp_path / "run" / MODEL).exists()


def test_a_restart_forgets_moments_and_begins_the_schedule_anew(tiny_store, tmp_path):
    config = load_recipe("smoke", ["optimizer.restart_after_warmup=true", "seeding.method=none"])
    trainer = Trainer(config, tiny_store, tmp_path / "run")
    trainer.run(stop_at=6)
    assert {int(state["step"]) for state in trainer.optimizer.state.values()} == {1}
    trainer.run(stop_at=8)
    lines = (tmp_path / "run" / METRICS).read_text().splitlines()
    rates = [e["learning_rate"] for e in map(json.loads, lines) if e["kind"] == "train"]
    # Two steps of warming up, at the start and again after five steps.
    assert rates[0] == rates[5] == config.optimizer.learning_rate / 2
    assert rates[1] == rates[6] == config.optimizer.learning_rate
