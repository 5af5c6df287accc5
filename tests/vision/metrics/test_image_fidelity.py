"""Are PSNR and SSIM those of scikit-image, whatever batch an image is in?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import ImageError
from provq_vision.metrics.fidelity import psnr, ssim, ssim_llamagen


def _pair(batch=3, height=29, width=24, noise=25, seed=0):
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (3 + each) + columns / 5) for each in range(3 * batch)]
    smooth = (127.5 + 120 * np.stack(waves)).reshape(batch, 3, height, width)
    noisy = smooth + generator.normal(0, noise, smooth.shape)
    return tuple(
        torch.from_numpy(each.round().clip(0, 255).astype(np.uint8)) for each in (noisy, smooth)
    )


@pytest.mark.parity
@pytest.mark.parametrize(("height", "width"), [(29, 24), (7, 7), (64, 8)])
@pytest.mark.parametrize("noise", [2, 25, 90])
def test_values_are_those_of_scikit_image(height, width, noise):
    metrics = pytest.importorskip("skimage.metrics")
    images, targets = _pair(height=height, width=width, noise=noise)
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        x, y = (each.permute(1, 2, 0).numpy() / 255.0 for each in (image, target))
        assert psnr(images, targets)[index].item() == pytest.approx(
            metrics.peak_signal_noise_ratio(y, x, data_range=1.0), rel=1e-12
        )
        for function, span in ((ssim, 1.0), (ssim_llamagen, 2.0)):
            expected = metrics.structural_similarity(y, x, channel_axis=2, data_range=span)
            assert function(images, targets)[index].item() == pytest.approx(expected, abs=1e-12)


def test_ssim_of_one_window_is_the_published_formula():
    images, targets = _pair(batch=1, height=7, width=7)
    values = []
    for x, y in zip(images[0].double() / 255, targets[0].double() / 255, strict=True):
        c1, c2 = 0.01**2, 0.03**2
        covariance = torch.cov(torch.stack([x.flatten(), y.flatten()]))
        values.append(
            (2 * x.mean() * y.mean() + c1)
            * (2 * covariance[0, 1] + c2)
            / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2))
        )
    torch.testing.assert_close(ssim(images, targets)[0], torch.stack(values).mean())


def test_psnr_is_that_of_each_image():
    images, targets = _pair()
    expected = [
        -10 * torch.log10((x.double() / 255 - y.double() / 255).square().mean())
        for x, y in zip(images, targets, strict=True)
    ]
    torch.testing.assert_close(psnr(images, targets), torch.stack(expected))


@pytest.mark.parametrize("metric", [psnr, ssim, ssim_llamagen])
def test_value_does_not_depend_on_the_batch(metric):
    images, targets = _pair(batch=5)
    alone = torch.cat([metric(x[None], y[None]) for x, y in zip(images, targets, strict=True)])
    assert torch.equal(metric(images, targets), alone)
    assert alone.dtype == torch.float64


def test_an_equal_image_has_infinite_psnr_and_ssim_one():
    images, _ = _pair()
    flat = torch.full((1, 3, 9, 9), 255, dtype=torch.uint8)
    for each in (images, flat):
        assert torch.isinf(psnr(each, each)).all()
        assert torch.equal(ssim(each, each), torch.ones(len(each), dtype=torch.float64))


def test_no_images_have_no_values():
    none = torch.zeros(0, 3, 8, 8, dtype=torch.uint8)
    assert psnr(none, none).shape == ssim(none, none).shape == (0,)


def test_black_against_white_does_not_overflow():
    black = torch.zeros(1, 3, 300, 300, dtype=torch.uint8)
    assert psnr(black, black + 255).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("images", "targets", "words"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), "float32"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8),) * 2 + (r"\(3, 8, 8\)",),
        (torch.zeros(1, 4, 8, 8, dtype=torch.uint8),) * 2 + (r"\(1, 4, 8, 8\)",),
        (torch.zeros(1, 3, 6, 8, dtype=torch.uint8),) * 2 + ("7 x 7 pixels",),
        (
            torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
            torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
            "same shape",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(images, targets, words):
    with pytest.raises(ImageError, match=words):
        ssim(images, targets)


def test_a_range_of_zero_is_refused():
    images, targets = _pair()
    with pytest.raises(ValueError, match="data_range"):
        ssim(images, targets, data_range=0.0)
