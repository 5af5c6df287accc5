"""Which models gain from fast precision, and what are their ids in it?"""

from functools import cached_property
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from provq_protein.geometry.frames import compose_chain, place_backbone, rotation_from_axes
from provq_protein.model.fast_encoding import (
    Batch,
    FastCalibration,
    FastEncoder,
    FastReport,
    gains_from,
)
from provq_protein.model.geometric_encoder import GeometricEncoder
from provq_protein.quantize.codebook import AbstractCodebook

if TYPE_CHECKING:
    from provq_protein.model.autoencoder import StructureAutoencoder

_PRODUCTS = torch.bfloat16
# How a codebook says which code a latent has.
_CHOOSING = ("nearest", "project")
# The rigid step from one residue to the next in a right-handed helix and in a strand: axes of
# the next frame in this one, then its origin (Angstrom), rounded from real chains.
_STEPS = (
    ((0.37, -0.31, 0.87), (0.92, 0.04, -0.37), (-3.57, 0.99, 0.85)),
    ((0.28, 0.90, -0.27), (0.96, -0.21, 0.15), (-3.55, -0.98, -0.90)),
)
_STEP_NOISE = 0.05
_CHAINS = 8
_PIECES, _PIECE_LENGTH = 8, 16
# Angstrom: so many residues in a ball of this radius are as dense as a protein.
_RADIUS = 16.0


def obstacle(model: "StructureAutoencoder") -> str | None:
    """
    Tell why fast precision is of no use to a model where it is now.

    Parameters
    ----------
    model : StructureAutoencoder
        On the device that will encode.

    Returns
    -------
    str or None
        One line; None if there is none.

    Notes
    -----
    A border between two codes says which ids rounding can change only where an id is the code
    nearest to the residue's own latent: not for models that follow the chain, and not for
    codebooks that choose in another way.
    """
    if model.course is not None:
        return "the ids of this model follow the chain, and its encoder is small: it has no other"
    if not isinstance(model.encoder, GeometricEncoder):
        kind = type(model.encoder).__name__
        return f"the encoder of this model is small ({kind}): only GeometricEncoder gains"
    book = model.quantizer.codebook
    # Where neither is overridden, and nothing maps latents to codes, ids are nearest codes.
    plain = all(getattr(type(book), n) is getattr(AbstractCodebook, n) for n in _CHOOSING)
    if model.quantizer.down is not None or not plain:
        kind = type(book).__name__
        return f"the ids of this model are not the codes nearest to its latents ({kind})"
    device = next(model.parameters()).device
    if not gains_from(_PRODUCTS, device):
        what = "processor" if device.type == "cpu" else f"device ({device})"
        return f"this {what} has no instructions for bfloat16, without which it is slower"
    return None


class FastIds:
    """
    Ids of a model in fast precision, and what was done for them.

    Parameters
    ----------
    model : StructureAutoencoder
        In evaluation mode, without an `obstacle`. Its weights are taken as they are now.

    Attributes
    ----------
    total : FastReport or None
        Of all chains so far; None before the first.
    last : FastReport or None
        Of the last chain.
    """

    def __init__(self, model: "StructureAutoencoder") -> None:
        if not isinstance(model.encoder, GeometricEncoder):
            msg = "ask `obstacle` first"
            raise TypeError(msg)
        device = next(model.parameters()).device
        self._fast = FastEncoder(model.encoder, model.codebook(), products=_PRODUCTS)
        self._device = device
        self.total: FastReport | None = None
        self.last: FastReport | None = None

    @cached_property
    def calibration(self) -> FastCalibration:
        """
        How far rounding moves latents, on chains that are always the same.

        It depends on the model and the kind of device alone; made before the first chain.
        """
        return self._fast.calibrate(calibration_chains(self._device))

    def encode(self, *batch: Tensor) -> Tensor:
        """
        Return the index of each residue's code.

        Parameters
        ----------
        *batch : Tensor
            Coordinates, resolved, residue numbers and present, as the encoder takes them.

        Returns
        -------
        Tensor, shape=(batch, residue), dtype=int64
            Indices; 0 where a residue is unresolved or padding.
        """
        indices, self.last = self._fast.encode(cast(Batch, batch), self.calibration)
        self.total = self.last if self.total is None else self.total + self.last
        return indices


def calibration_chains(device: torch.device) -> list[Batch]:
    """
    Make chains to calibrate fast precision on.

    Parameters
    ----------
    device : torch.device
        Where to put them.

    Returns
    -------
    list of tuple of Tensor
        Coordinates (float32, Angstrom), resolved, residue numbers and present; each a batch of
        one chain of 128 residues: noisy helices and strands of 16, at random in a ball in which
        they are as dense as a protein. Always the same.

    Examples
    --------
    >>> chains = calibration_chains(torch.device("cpu"))
    >>> len(chains), chains[0][0].shape
    (8, torch.Size([1, 128, 3, 3]))
    """
    generator = torch.Generator().manual_seed(0)
    chains = [_chain(generator).to(device) for _ in range(_CHAINS)]
    everywhere = torch.ones(1, chains[0].shape[1], dtype=torch.bool, device=device)
    numbers = torch.arange(chains[0].shape[1], device=device)[None]
    return [(coords, everywhere, numbers, everywhere) for coords in chains]


def _chain(generator: torch.Generator) -> Tensor:
    """Return one chain, (1, residue, 3, 3)."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    pieces = []
    for number in range(_PIECES):
        step = torch.tensor(_STEPS[number % 2])
        first, second, shift = (step + _STEP_NOISE * draw(_PIECE_LENGTH, 3, 3)).unbind(1)
        rotations, translations = compose_chain(rotation_from_axes(first, second), shift)
        pose = rotation_from_axes(draw(3), draw(3))
        # Uniform in the ball: the radius is the cube root of a uniform number.
        size = torch.rand(1, generator=generator) ** (1 / 3)
        center = _RADIUS * size * torch.nn.functional.normalize(draw(3), dim=0)
        translations = (translations - translations.mean(dim=0)) @ pose.T + center
        pieces.append(place_backbone(pose @ rotations, translations))
    return torch.cat(pieces)[None]
