"""Does the jump to a code keep the value of the code and the gradient of the latent?"""

import torch

from provq_protein.quantize import straight_through


def test_value_is_exactly_the_code_whatever_the_magnitudes():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(1000, 4, generator=generator)
    for scale in (1e-6, 1.0, 1e6):
        latents = scale * torch.randn(1000, 4, generator=generator)
        assert torch.equal(straight_through(latents, codes), codes)


def test_gradient_reaches_latents_unchanged_and_codes_not_at_all():
    latents = torch.randn(5, 3, requires_grad=True)
    codes = torch.randn(5, 3, requires_grad=True)
    weight = torch.randn(5, 3)
    (straight_through(latents, codes) * weight).sum().backward()
    assert torch.equal(latents.grad, weight)
    assert codes.grad is None
