"""How many ids stay the same when a structure is moved, mirrored or jittered?"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.sequence import TokenSequence

# Standard deviations of coordinate noise, in Angstrom.
NOISE_LEVELS = (0.02, 0.05, 0.1)
_LARGEST_SHIFT = 100.0


class Encoder(Protocol):
    """Whatever turns chains into tokens."""

    def encode(self, inputs: Sequence[Backbone], /) -> list[TokenSequence]:
        """
        Return the tokens of each chain.

        Parameters
        ----------
        inputs : sequence of Backbone
            Chains.

        Returns
        -------
        list of TokenSequence
            One per chain.
        """
        ...


def perturbations(backbone: Backbone, *, seed: int | Sequence[int]) -> Mapping[str, Backbone]:
    """
    Return moved, mirrored and jittered copies of a chain.

    Parameters
    ----------
    backbone : Backbone
        A chain.
    seed : int or sequence of int
        Decides the motion and the noise.

    Returns
    -------
    mapping of str to Backbone
        ``moved`` (random rotation, random translation of up to 100 Angstrom along each
        axis), ``mirrored``, and ``noise 0.02``, ... (Gaussian, Angstrom, on all atoms).
    """
    rng = np.random.default_rng(seed)
    coords = backbone.coords.astype(np.float64)
    shift = rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, 3)
    variants = {
        "moved": coords @ random_rotation(rng).T + shift,
        "mirrored": coords * np.array([-1.0, 1.0, 1.0]),
    }
    for level in NOISE_LEVELS:
        variants[f"noise {level:g}"] = coords + rng.normal(0, level, coords.shape)
    return {
        name: dataclasses.replace(backbone, coords=values.astype(np.float32))
        for name, values in variants.items()
    }


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """
    Draw a rotation uniformly.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape=(3, 3), dtype=float64
        Matrix with determinant +1.
    """
    # A normalized Gaussian quaternion is uniform over rotations (Shoemake, 1992).
    w, x, y, z = (quaternion := rng.normal(size=4)) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def unchanged_ids(
    tokenizer: Encoder, backbone: Backbone, tokens: TokenSequence, *, seed: int | Sequence[int]
) -> Mapping[str, int]:
    """
    Count the resolved residues of a chain whose id survives each perturbation.

    Parameters
    ----------
    tokenizer : Encoder
        What made the tokens.
    backbone : Backbone
        A chain.
    tokens : TokenSequence
        Its tokens.
    seed : int or sequence of int
        Decides the motion and the noise.

    Returns
    -------
    mapping of str to int
        By the names of `perturbations`.
    """
    variants = perturbations(backbone, seed=seed)
    return {
        name: int(np.sum((encoded.ids == tokens.ids) & tokens.resolved))
        for name, encoded in zip(variants, tokenizer.encode(list(variants.values())), strict=True)
    }
