"""Training on images: stages in order, only the right things move, a killed run loses nothing."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, METRICS, MODEL
from provq_vision.images.batches import center_batches
from provq_vision.images.crops import to_bytes, to_floats
from provq_vision.metrics.fidelity import psnr
from provq_vision.model import ImageAutoencoder
from provq_vision.model.perceptual import NoPerceptualLoss
from provq_vision.training.config import load_recipe
from provq_vision.training.data import training_images
from provq_vision.training.trainer import SAMPLES, ImageTrainer
from provq_vision.training.validation import validate

CODES = "quantizer.codebook."


def _trainer(folder, output, settings=(), *, preset=None, **options):
    config = load_recipe("smoke", list(settings), preset=preset)
    images = training_images(config, [folder], output)
    return ImageTrainer(config, images, output, perceptual=NoPerceptualLoss(), **options)


def _events(folder, kind="train"):
    lines = (folder / METRICS).read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def _without_times(events):
    return [{k: v for k, v in event.items() if k != "seconds"} for event in events]


@pytest.fixture(scope="module")
def finished(image_folder, tmp_path_factory):
    """Return the folder of an unbroken smoke run."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    _trainer(image_folder, output, command="test").run()
    return output


def test_stages_follow_the_recipe(finished):
    events = _events(finished)
    assert [event["stage"] for event in events] == (
        ["warmup"] * 8 + ["transition"] * 8 + ["hard"] * 8
    )
    alphas = [event["alpha"] for event in events]
    assert alphas == sorted(alphas, reverse=True)
    assert alphas[8] == 1.0
    assert alphas[16:] == [0.0] * 8


def test_the_discriminator_is_trained_before_it_judges(finished):
    events = _events(finished)
    assert [event["discriminator_loss"] is None for event in events] == [True] * 12 + [False] * 12
    assert [event["loss_adversarial_weight"] > 0.0 for event in events] == [False] * 16 + [True] * 8


def test_the_loss_has_the_quantizers_losses_in_it_after_the_warmup(finished):
    for event in _events(finished):
        vq = event["omega"] * (event["codebook_loss"] + 0.25 * event["commitment_loss"])
        adversarial = event["loss_adversarial_weight"] * event["loss_adversarial"]
        assert event["loss"] == pytest.approx(event["loss_pixel"] + vq + adversarial, rel=1e-5)
        assert (vq == 0.0) == (event["stage"] == "warmup")


def test_the_model_loads_and_knows_how_it_was_made(finished):
    model = ImageAutoencoder.load(finished / MODEL)
    assert bool(model.quantizer.codebook.initialized)
    record = checkpoint.load_document(finished / MODEL / checkpoint.CONFIG)["training"]
    assert (record["image_size"], record["training_images"], record["command"]) == (32, 40, "test")
    assert record["recipe"]["preset"] == "vanilla+provq"


def test_validation_is_continuous_in_the_warmup_only_and_leaves_a_picture(finished):
    events = _events(finished, "validation")
    assert [event["continuous"] for event in events] == [True, False, False]
    assert [event["perplexity"] is None for event in events] == [True, False, False]
    pictures = sorted(each.name for each in (finished / SAMPLES).iterdir())
    assert pictures == ["step_0000008.png", "step_0000016.png", "step_0000024.png"]
    with Image.open(finished / SAMPLES / pictures[0]) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (32 * 2 + 2, 32 * 4 + 3 * 2, 3)


def test_training_lowers_the_error(image_folder, tmp_path):
    settings = ["steps=80", "curriculum.warmup_steps=40", "curriculum.transition_steps=20"]
    _trainer(image_folder, tmp_path / "run", [*settings, "loss.adversarial_weight=0.0"]).run()
    errors = [event["loss_pixel"] for event in _events(tmp_path / "run")]
    assert np.mean(errors[-8:]) < 0.7 * np.mean(errors[:8])


@pytest.mark.parametrize("stop", [3, 8, 11, 19])
def test_a_run_in_two_parts_is_the_unbroken_one_bit_for_bit(image_folder, finished, tmp_path, stop):
    _trainer(image_folder, tmp_path / "run").run(stop_at=stop)
    _trainer(image_folder, tmp_path / "run", command="test").run()
    assert _without_times(_events(tmp_path / "run")) == _without_times(_events(finished))
    for folder in (MODEL, CHECKPOINT):
        for path in sorted((finished / folder).glob("*.safetensors")):
            ours = checkpoint.load_tensors(tmp_path / "run" / folder / path.name)
            theirs = checkpoint.load_tensors(path)
            assert ours.keys() == theirs.keys()
            for name, value in theirs.items():
                assert torch.equal(ours[name], value), (path.name, name)


def test_a_batch_in_parts_gives_the_gradients_of_the_whole(image_folder, finished, tmp_path):
    settings = ["accumulate=4", "loss.adversarial_weight=0.0"]
    _trainer(image_folder, tmp_path / "parts", settings).run(stop_at=12)
    _trainer(image_folder, tmp_path / "whole", settings[1:]).run(stop_at=12)
    pairs = zip(_events(tmp_path / "parts"), _events(tmp_path / "whole"), strict=True)
    for parts, whole in pairs:
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-4)
        assert parts["gradient_norm"] == pytest.approx(whole["gradient_norm"], rel=1e-3)


def test_codes_are_seeded_once_and_without_moments(image_folder, tmp_path):
    trainer = _trainer(image_folder, tmp_path / "run")
    trainer.run(stop_at=8)
    book = trainer.model.quantizer.codebook
    before = book.codes().detach().clone()
    assert not bool(book.initialized)
    trainer.run(stop_at=9)
    assert bool(book.initialized)
    # Far from the random table that was there: codes are where latents are.
    assert not torch.allclose(book.codes().detach(), before, atol=0.05)
    state = trainer.parts.optimizer.state[next(iter(book.parameters()))]
    assert int(state["step"]) == 1
    seeded = book.codes().detach().clone()
    trainer.run(stop_at=10)
    assert torch.allclose(book.codes().detach(), seeded, atol=3 * 2e-3)


def test_nothing_jumps_where_the_transition_begins(image_folder, tmp_path):
    # On the sphere as well: there the warm-up normalizes too.
    for preset in ("vanilla+provq", "vanilla_l2+provq"):
        trainer = _trainer(image_folder, tmp_path / preset, preset=preset)
        trainer.run(stop_at=8)
        trainer._begin_stage()
        model = trainer.model.train()
        images = to_floats(trainer.plan.batch(8).images)
        last, first = model(images, step=7).images, model(images, step=8).images
        assert torch.equal(last, first), preset


@pytest.mark.parametrize(
    "preset", ["vanilla_l2", "simvq+soft", "vanilla+warmup", "ema+provq", "fsq", "rvq+provq"]
)
def test_rows_of_the_tables_train_and_decode_what_they_encode(image_folder, tmp_path, preset):
    _trainer(image_folder, tmp_path / "run", preset=preset).run()
    model = ImageAutoencoder.load(tmp_path / "run" / MODEL)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(model.decode(model.encode(images)), model(images).images)


def test_a_warmup_of_its_own_forgets_moments_and_discriminator(image_folder, tmp_path):
    settings = ["optimizer.restart_after_warmup=true", "loss.discriminator_start=2"]
    trainer = _trainer(image_folder, tmp_path / "run", settings)
    trainer.run(stop_at=8)
    assert int(trainer.parts.optimizer.state[trainer.model.last_layer]["step"]) == 8
    trainer.run(stop_at=9)
    assert int(trainer.parts.optimizer.state[trainer.model.last_layer]["step"]) == 1
    weights = [event["loss_adversarial_weight"] > 0.0 for event in _events(tmp_path / "run")]
    # Judged from step 2 on, and again two steps after the new beginning.
    assert weights == [False, False, True, True, True, True, True, True, False]


def test_a_warmup_of_pixels_only_has_no_other_loss(image_folder, tmp_path):
    settings = ['warmup_loss="pixels"', "loss.discriminator_start=0", "loss.pixel_weight=2.0"]
    _trainer(image_folder, tmp_path / "run", settings).run(stop_at=9)
    *warm, after = _events(tmp_path / "run")
    for event in warm:
        assert event["loss"] == pytest.approx(2.0 * event["loss_pixel"])
    assert after["loss_adversarial_weight"] > 0.0


def test_averages_are_what_is_shipped(image_folder, tmp_path):
    trainer = _trainer(image_folder, tmp_path / "run", ["ema_decay=0.9"])
    trainer.run()
    shipped = checkpoint.load_tensors(tmp_path / "run" / MODEL / checkpoint.WEIGHTS)
    averages = trainer.parts.averages.tensors()
    name = "decoder.conv_out.weight"
    assert torch.equal(shipped[name], averages[name])
    assert not torch.equal(shipped[name], trainer.model.state_dict()[name])


def test_a_run_with_other_settings_is_not_gone_on_with_unless_it_is_amended(image_folder, tmp_path):
    _trainer(image_folder, tmp_path / "run").run(stop_at=6)
    other = ["optimizer.learning_rate=1e-3"]
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.002, is 0\.001"):
        _trainer(image_folder, tmp_path / "run", other)
    trainer = _trainer(image_folder, tmp_path / "run", other, amend=True)
    assert trainer.step == 6
    changes = {"optimizer.learning_rate": [0.002, 0.001]}
    assert trainer.record()["amendments"] == [{"step": 6, "changes": changes}]


def test_a_run_on_other_images_is_not_gone_on_with(image_folder, tmp_path):
    _trainer(image_folder, tmp_path / "run").run(stop_at=6)
    shutil.copytree(image_folder, tmp_path / "other")
    next((tmp_path / "other" / "train" / "class0").iterdir()).unlink()
    with pytest.raises(ConfigError, match="run on other data"):
        _trainer(tmp_path / "other", tmp_path / "run")


def test_a_checkpoint_of_another_network_is_refused(image_folder, tmp_path):
    _trainer(image_folder, tmp_path / "run").run(stop_at=6)
    with pytest.raises(CheckpointError, match="another architecture"):
        _trainer(image_folder, tmp_path / "run", ["network.channels=16"], amend=True)


def test_a_discriminator_that_diverges_is_named_and_the_checkpoint_kept(image_folder, tmp_path):
    settings = ["loss.discriminator_start=8"]
    trainer = _trainer(image_folder, tmp_path / "run", settings)
    trainer.run(stop_at=7)
    with torch.no_grad():
        trainer.parts.discriminator.main[0].weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 7: discriminator: .*checkpoint is kept"):
        trainer.run()
    assert _trainer(image_folder, tmp_path / "run", settings).step == 7


def test_a_rate_that_is_too_high_ends_the_run_with_advice(image_folder, tmp_path):
    with pytest.raises(FloatingPointError, match=r"has diverged; .* with a lower learning rate"):
        _trainer(image_folder, tmp_path / "run", ["optimizer.learning_rate=1e30"]).run()


def test_a_loss_that_is_no_number_ends_the_run(image_folder, tmp_path):
    trainer = _trainer(image_folder, tmp_path / "run")
    with torch.no_grad():
        trainer.model.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"step 0: loss nan, .*no checkpoint was written"):
        trainer.run()


def test_codes_are_seeded_from_batches_that_no_step_trains_on(image_folder, tmp_path, monkeypatch):
    trainer = _trainer(image_folder, tmp_path / "run")
    trainer.run(stop_at=8)
    asked, batch = [], trainer.plan.batch
    monkeypatch.setattr(trainer.plan, "batch", lambda step: asked.append(step) or batch(step))
    trainer._begin_stage()
    # 1,024 latents are 16 images of 8 x 8, two batches.
    assert asked == [24, 25]


def test_validation_quantizes_exactly_where_the_run_does(image_folder, finished):
    model = ImageAutoencoder.load(finished / MODEL)
    images = training_images(load_recipe("smoke"), [image_folder], finished).validation
    (batch,) = center_batches(images, size=32, batch_size=16)
    with torch.no_grad():
        latents = model.embed(to_floats(batch.images))
        expected = {
            False: to_bytes(model.decode(model.encode(to_floats(batch.images)))),
            True: to_bytes(model.decode_latents(latents)),
        }
    assert not torch.equal(expected[False], expected[True])
    for continuous, pixels in expected.items():
        scores, first = validate(model, [batch.images], continuous=continuous)
        assert torch.equal(first, pixels)
        assert scores["psnr"] == pytest.approx(psnr(pixels, batch.images).mean().item())
        assert (scores["utilization"] is None) == continuous


def test_an_unreadable_image_is_replaced_and_counted(image_folder, tmp_path):
    shutil.copytree(image_folder, tmp_path / "images")
    broken = tmp_path / "images" / "train" / "class1" / "03.png"
    broken.write_bytes(broken.read_bytes()[:100])
    trainer = _trainer(tmp_path / "images", tmp_path / "run")
    trainer.run()
    assert list(trainer.unreadable) == ["class1/03.png"]
    record = checkpoint.load_document(tmp_path / "run" / MODEL / checkpoint.CONFIG)["training"]
    assert list(record["unreadable_images"]) == ["class1/03.png"]
    # Five steps are an epoch: it was met once in each.
    assert sum(event["unreadable"] for event in _events(tmp_path / "run")) in (4, 5)


def test_held_out_images_are_never_trained_on(image_folder, tmp_path):
    settings = ["data.hold_out_per_class=5", "data.hold_out_seed=3"]
    trainer = _trainer(image_folder, tmp_path / "run", settings)
    document = json.loads((tmp_path / "run" / "split.json").read_text())
    held = {row[0] for row in document["test"]}
    assert len(held) == 10
    assert not held & set(trainer.images.training.names)
    assert len(trainer.images.training) == 30
    with pytest.raises(ConfigError, match="holds out 5 images per class by seed 3"):
        _trainer(image_folder, tmp_path / "run", ["data.hold_out_per_class=4"])
