"""Do two processes that share every batch of images train the model that one process trains?"""

import json
import subprocess
import sys

import pytest
import torch

from provq_protein.runs import checkpoint
from provq_protein.runs.loop import METRICS, MODEL
from provq_vision.model.perceptual import NoPerceptualLoss
from provq_vision.training.config import load_recipe
from provq_vision.training.data import training_images
from provq_vision.training.trainer import ImageTrainer

pytestmark = pytest.mark.slow

# Without the discriminator, whose batch normalization sees the images of one process.
SETTINGS = ["loss.adversarial_weight=0.0", "ema_decay=0.9"]


def _events(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def _start_two(output, images, assignments):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "provq_vision", "train", "--recipe", "smoke", "--data", str(images),
        "--output", str(output), "--device", "cpu", "--threads", "1",
    ]  # fmt: skip
    for assignment in assignments:
        command += ["--set", assignment]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_two_processes_have_the_losses_and_weights_of_one(image_folder, tmp_path):
    # No parameter may be missing in a warm-up that has no use for codes.
    done = _start_two(tmp_path / "two", image_folder, [*SETTINGS, "accumulate=2"])
    assert done.returncode == 0, done.stderr
    config = load_recipe("smoke", SETTINGS)
    images = training_images(config, [image_folder], tmp_path / "one")
    ImageTrainer(config, images, tmp_path / "one", perceptual=NoPerceptualLoss()).run()
    pairs = list(zip(_events(tmp_path / "two"), _events(tmp_path / "one"), strict=True))
    assert len(pairs) == 24 + 3
    for found, expected in pairs:
        for name in ("loss", "loss_pixel", "codebook_loss", "latent_norm", "psnr"):
            if name in expected:
                assert found[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-5), name
    ours, theirs = (
        checkpoint.load_tensors(tmp_path / name / MODEL / checkpoint.WEIGHTS)
        for name in ("two", "one")
    )
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-2, atol=1e-3, msg=name)


def test_two_processes_train_against_a_discriminator(image_folder, tmp_path):
    done = _start_two(tmp_path / "two", image_folder, [])
    assert done.returncode == 0, done.stderr
    events = [event for event in _events(tmp_path / "two") if event["kind"] == "train"]
    assert [event["discriminator_loss"] is None for event in events] == [True] * 12 + [False] * 12


def test_images_that_cannot_be_shared_evenly_are_refused(image_folder, tmp_path):
    done = _start_two(tmp_path / "two", image_folder, ["data.batch_size=7"])
    assert done.returncode != 0
    assert "7 images cannot be shared evenly by 2 processes" in done.stderr
