"""Does training learn, go on bit for bit, and refuse what does not belong together?"""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.runs.loop import CHECKPOINT, METRICS, MODEL
from provq_vision.codes.code_set import CodeSet
from provq_vision.codes.plan import CodePlan
from provq_vision.generation import Gpt, TrainedGpt
from provq_vision.gpt_training.config import load_recipe
from provq_vision.gpt_training.optimizer import make_optimizer, set_learning_rate
from provq_vision.gpt_training.step import compute_gradients
from provq_vision.gpt_training.trainer import GptTrainer, TrainingCodes
from provq_vision.gpt_training.validation import mean_loss

CLASSES, CODES, GRID = ("cat", "dog", "owl"), 16, 4


def events(folder, kind):
    lines = (folder / METRICS).read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def losses(folder):
    return [event["loss"] for event in events(folder, "train")]


def changed(config, **changes):
    return dataclasses.replace(config, **changes)


def untrained(network):
    model = Gpt.build(network, seed=3)
    # Fresh ones are zero: nothing before them would have a gradient.
    torch.nn.init.normal_(model.output.weight, generator=torch.Generator().manual_seed(4))
    return model


def test_a_model_learns_what_decides_the_next_token(codes, tmp_path):
    config = load_recipe("smoke", ["steps=80", "batch_size=24", "monitor.validate_every=80"])
    GptTrainer(config, codes, tmp_path).run()
    first, last = losses(tmp_path)[0], losses(tmp_path)[-1]
    assert first == pytest.approx(torch.tensor(float(CODES)).log().item(), abs=1e-5)
    assert last < 0.75 * first
    [seen] = events(tmp_path, "validation")
    trained = TrainedGpt.load(tmp_path / MODEL)
    assert seen["loss"] < 0.8 * first
    # The class says by how much codes grow along a row: without it they are harder to tell.
    batch = CodePlan(codes.validation, seed=0, batch_size=12).batch(0)
    none = torch.full_like(batch.labels, trained.model.config.null_class)
    with torch.no_grad():
        assert trained.model.loss(batch.labels, batch.ids) < trained.model.loss(none, batch.ids)


def test_the_model_knows_how_it_was_made(codes, config, tmp_path):
    GptTrainer(config, codes, tmp_path, command="provq-vision train-ar").run()
    trained = TrainedGpt.load(tmp_path / MODEL)
    assert trained.tokenizer == codes.training.fingerprint
    sizes = trained.model.config
    assert (sizes.vocabulary, sizes.num_classes, sizes.grid) == (CODES, len(CLASSES), GRID)
    assert trained.training["classes"] == list(CLASSES)
    assert trained.training["command"] == "provq-vision train-ar"
    assert trained.training["recipe"]["steps"] == 12
    assert [event["step"] for event in events(tmp_path, "validation")] == [5, 11]


@pytest.mark.parametrize("stop", [3, 5, 8])
def test_a_run_in_two_parts_is_the_unbroken_one_bit_for_bit(codes, config, tmp_path, stop):
    GptTrainer(config, codes, tmp_path / "whole").run()
    GptTrainer(config, codes, tmp_path / "parts").run(stop_at=stop)
    second = GptTrainer(config, codes, tmp_path / "parts")
    assert second.step == stop
    second.run()
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    one, two = (
        load_file(tmp_path / name / MODEL / "model.safetensors") for name in ("whole", "parts")
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_in_parts_gives_the_gradients_of_the_whole(codes, config):
    # Without dropout, whose masks belong to the parts; dropped classes belong to the images.
    config = changed(config, dropout=0.0, class_dropout=0.5)
    network = config.network(vocabulary=CODES, num_classes=len(CLASSES), grid=GRID)
    batch = CodePlan(codes.training, seed=0, batch_size=8).batch(0)
    found = []
    for parts in (1, 2, 4):
        model = untrained(network).train()
        loss = compute_gradients(model, batch, changed(config, accumulate=parts), step=7)
        found.append((loss.loss, loss.norm, model.tok_embeddings.weight.grad))
    for loss, norm, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        assert norm == pytest.approx(found[0][1], rel=1e-4)
        torch.testing.assert_close(gradient, found[0][2], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("features", "classes"), [(0.2, 0.0), (0.0, 0.5)])
def test_what_is_dropped_follows_seed_and_step_and_leaves_no_trace(
    codes, config, features, classes
):
    config = changed(config, dropout=features, class_dropout=classes)
    network = config.network(vocabulary=CODES, num_classes=len(CLASSES), grid=GRID)
    model = untrained(network).train()
    batch = CodePlan(codes.training, seed=0, batch_size=8).batch(0)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    runs = [(config, 1), (config, 1), (config, 2), (changed(config, seed=1), 1)]
    first, again, *others = (
        compute_gradients(model, batch, settings, step=step).loss for settings, step in runs
    )
    assert first == again
    assert first not in others
    assert torch.equal(before, torch.get_rng_state())


def test_gradients_are_clipped_and_their_norm_is_that_before(codes, config):
    optimizer = dataclasses.replace(config.optimizer, clip=1e-3)
    network = config.network(vocabulary=CODES, num_classes=len(CLASSES), grid=GRID)
    model = Gpt.build(network, seed=3).train()
    batch = CodePlan(codes.training, seed=0, batch_size=8).batch(0)
    found = compute_gradients(model, batch, changed(config, optimizer=optimizer), step=0)
    norms = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])
    assert norms.norm().item() == pytest.approx(1e-3, rel=1e-3)
    assert found.norm > 1e-2


def test_sixteen_images_are_learned_by_heart(write, tmp_path):
    # A class each, or nothing would tell their first tokens.
    classes = tuple(f"class{number:02d}" for number in range(16))
    folder = write(tmp_path / "codes", images=16, seed=5, views=1, classes=classes)
    changes = ["steps=120", "dropout=0.0", "class_dropout=0.0", "optimizer.weight_decay=0.0"]
    config = load_recipe("smoke", changes)
    GptTrainer(config, TrainingCodes(CodeSet.open(folder)), tmp_path / "run").run()
    assert losses(tmp_path / "run")[-1] < 0.1


def test_the_rate_rises_and_stays_and_only_matrices_decay(config):
    network = config.network(vocabulary=CODES, num_classes=len(CLASSES), grid=GRID)
    model = Gpt.build(network)
    optimizer = make_optimizer(model, config.optimizer)
    matrices, scales = optimizer.param_groups
    assert matrices["weight_decay"] == 0.05
    assert scales["weight_decay"] == 0.0
    assert {p.ndim for p in scales["params"]} == {1}
    assert len(matrices["params"]) + len(scales["params"]) == len(list(model.parameters()))
    rates = [set_learning_rate(optimizer, config.optimizer, step=step) for step in (0, 9, 500)]
    assert rates == pytest.approx([1e-4, 1e-3, 1e-3])
    assert {group["lr"] for group in optimizer.param_groups} == {1e-3}


def test_validation_takes_the_first_view_of_images_spread_over_the_set(codes, config):
    network = config.network(vocabulary=CODES, num_classes=len(CLASSES), grid=GRID)
    model = untrained(network)
    held = codes.validation
    rows = [0, 3, 6, 9]
    ids = torch.from_numpy(held.take(rows, [0] * 4))
    wanted = model.loss(torch.from_numpy(held.labels[rows]), ids).item()
    model.train()
    found = mean_loss(model, held, images=4, batch_size=3)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert model.training


def test_codes_of_another_tokenizer_or_other_images_are_refused(codes, config, write, tmp_path):
    other = CodeSet.open(write(tmp_path / "a", images=12, seed=1, fingerprint="f" * 16))
    with pytest.raises(ConfigError, match="differ in their fingerprint"):
        TrainingCodes(codes.training, other)
    GptTrainer(config, codes, tmp_path / "run").run(stop_at=1)
    more = CodeSet.open(write(tmp_path / "b", images=41, seed=0))
    with pytest.raises(ConfigError, match="other data"):
        GptTrainer(config, TrainingCodes(more), tmp_path / "run")


def test_a_run_with_other_settings_goes_on_only_if_it_is_amended(codes, config, tmp_path):
    GptTrainer(config, codes, tmp_path).run(stop_at=2)
    other = changed(config, steps=4)
    with pytest.raises(ConfigError, match=r"steps was 12, is 4.*--amend"):
        GptTrainer(other, codes, tmp_path)
    trainer = GptTrainer(other, codes, tmp_path, amend=True)
    trainer.run()
    assert trainer.record()["amendments"] == [{"step": 2, "changes": {"steps": [12, 4]}}]


def test_a_checkpoint_of_another_size_is_refused(codes, config, tmp_path):
    GptTrainer(config, codes, tmp_path).run(stop_at=1)
    with pytest.raises(CheckpointError, match="model changed; choose another --output"):
        GptTrainer(changed(config, model="small"), codes, tmp_path, amend=True)


def test_a_run_that_diverges_names_step_and_checkpoint(codes, config, tmp_path):
    trainer = GptTrainer(config, codes, tmp_path)
    trainer.run(stop_at=2)
    with torch.no_grad():
        trainer.model.output.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=rf"step 2: .*is kept in .*{CHECKPOINT}"):
        trainer.run()


def test_images_that_cannot_be_shared_evenly_are_refused(codes, config, tmp_path):
    with pytest.raises(ConfigError, match=r"8 images cannot be shared evenly .* multiple of 3"):
        GptTrainer(changed(config, accumulate=3), codes, tmp_path)


def test_low_precision_trains_and_leaves_weights_in_single_precision(codes, config, tmp_path):
    GptTrainer(changed(config, precision="bf16", steps=3), codes, tmp_path).run()
    tensors = load_file(tmp_path / MODEL / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
