"""Does vector-quantize-pytorch send the same gradients through the jump to a code?"""

import pytest
import torch

from provq_protein.quantize.estimators import DiVeQ, RotationTrick

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def oracle():
    pytest.importorskip("vector_quantize_pytorch")
    return pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")


def result_and_gradients(function, latents, codes):
    latents, codes = latents.clone().requires_grad_(), codes.clone().requires_grad_()
    weight = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2)).double()
    result = function(latents, codes)
    (result * weight).sum().backward()
    return result.detach(), latents.grad, codes.grad


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(20, 7, 6, generator=generator).double() for _ in range(2)]


def test_rotation_trick(oracle, pairs):
    value, for_latents, for_codes = result_and_gradients(RotationTrick(), *pairs)
    expected, expected_for_latents, _ = result_and_gradients(oracle.rotate_to, *pairs)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(for_latents, expected_for_latents)
    assert for_codes is None


@pytest.mark.parametrize("variance", [0.0, 1e-3, 0.1])
def test_diveq(oracle, pairs, variance):
    def reference(latents, codes):
        return oracle.directional_reparam(latents, codes, variance)

    torch.manual_seed(4)
    found = result_and_gradients(DiVeQ(noise_variance=variance), *pairs)
    torch.manual_seed(4)
    expected = result_and_gradients(reference, *pairs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
