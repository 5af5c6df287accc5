"""What would products in bfloat16 give, on a processor that has no instructions for them?"""

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.model.fast_encoding import FastEncoder
from provq_protein.model.geometric_encoder import GeometricEncoder
from provq_protein.model.packed_encoder import PackedEncoder

_LOW = torch.bfloat16


class EmulatedEncoder(PackedEncoder):
    """
    Round operands and results of matrix products to bfloat16, and multiply in float32.

    Parameters
    ----------
    encoder : GeometricEncoder
        Where the weights come from.

    Notes
    -----
    That is what instructions for bfloat16 compute: products of two of them are exact in float32,
    in which they are added up. Only the order of the additions differs. PyTorch's own fallback
    does the same some twenty times slower.
    """

    def __init__(self, encoder: GeometricEncoder) -> None:
        super().__init__(encoder, products=_LOW)

    def _add_product(self, total: Tensor, left: Tensor, right: Tensor) -> Tensor:
        return total.add_((left.to(_LOW).float() @ right.float()).to(_LOW))

    def _linear(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        products = functional.linear(rows.to(_LOW).float(), weight.T.float())
        return products.to(_LOW).to(bias.dtype).add_(bias)


class EmulatedFastEncoder(FastEncoder):
    """
    Fast precision with the numbers of bfloat16 and without its speed.

    Parameters
    ----------
    encoder : GeometricEncoder
        In evaluation mode.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        An id is the nearest of these.
    """

    def __init__(self, encoder: GeometricEncoder, codes: Tensor) -> None:
        super().__init__(encoder, codes, products=_LOW)
        self._low = EmulatedEncoder(encoder)
