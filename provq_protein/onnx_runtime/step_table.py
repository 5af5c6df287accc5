"""Which step along the chain does each code stand for, to the last digit?"""

import math

import numpy as np
from numpy.typing import NDArray

from provq_protein.onnx_runtime.choosing import Steps
from provq_protein.onnx_runtime.model_folder import Tensors
from provq_protein.onnx_runtime.surroundings import rotations_from

# A step in the units of the layers that read it is this long (Angstrom), as in
# `model.growth_decoder`.
_STEP_SCALE = 3.8
# Of `torch.nn.LayerNorm`.
_EPSILON = 1e-5
# Codes that are in the layers at once: their values stay in caches.
_CODES_PER_PASS = 256
# The error function is known to the last digit at these places, and expanded between them.
_NODES_PER_UNIT = 64
_LAST_NODE = 6 * _NODES_PER_UNIT
_NODES = np.array([math.erf(node / _NODES_PER_UNIT) for node in range(-_LAST_NODE, _LAST_NODE + 1)])
_TERMS = 6

_Doubles = NDArray[np.float64]


def steps_of(codes: NDArray[np.float32], tensors: Tensors) -> Steps:
    """
    Read from each code the rigid step to the next residue that it stands for.

    Parameters
    ----------
    codes : ndarray, shape=(code, latent_dim), dtype=float32
        The learned codes.
    tensors : mapping of str to ndarray
        Weights of a model of kind "chain".

    Returns
    -------
    Steps
        In float64.

    Notes
    -----
    What ``StepReader`` computes. It is computed in float64, without ONNX Runtime, which has no
    such error function: every id depends on the steps of all ids before it in the chain, and
    errors of float32 would add up over hundreds of residues, while those of float64 stay far
    below what a choice between two codes could notice.
    """
    read = np.concatenate(
        [
            _layers(codes[start : start + _CODES_PER_PASS].astype(np.float64), tensors)
            for start in range(0, len(codes), _CODES_PER_PASS)
        ]
    )
    return Steps(rotations_from(read[:, :3], read[:, 3:6]), read[:, 6:] * _STEP_SCALE)


def gelu(values: _Doubles) -> _Doubles:
    """
    Apply the Gaussian error linear unit.

    Parameters
    ----------
    values : ndarray, dtype=float64
        Any shape.

    Returns
    -------
    ndarray, dtype=float64
        ``x (1 + erf(x / sqrt(2))) / 2``.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 2.0])).round(6).tolist()
    [-0.158655, 0.0, 1.9545]
    """
    return 0.5 * values * (1.0 + _error_function(values * math.sqrt(0.5)))


def _error_function(values: _Doubles) -> _Doubles:
    """Expand around the nearest node: derivatives are Hermite polynomials times a bell curve."""
    values = np.clip(values, -6.0, 6.0)
    nearest = np.rint(values * _NODES_PER_UNIT)
    node = nearest / _NODES_PER_UNIT
    offset = values - node
    before, hermite = np.zeros_like(node), np.ones_like(node)
    power = offset.copy()
    total = power.copy()
    for order in range(1, _TERMS):
        before, hermite = hermite, 2.0 * node * hermite - 2.0 * (order - 1) * before
        power *= -offset / (order + 1)
        total += hermite * power
    bell = (2.0 / math.sqrt(math.pi)) * np.exp(-node * node)
    return _NODES[nearest.astype(np.int64) + _LAST_NODE] + bell * total


def _layers(values: _Doubles, tensors: Tensors) -> _Doubles:
    values = _linear(values, tensors, "course.layers.0")
    centered = values - values.mean(axis=1, keepdims=True)
    variance = np.square(centered).mean(axis=1, keepdims=True)
    scale, bias = (tensors[f"course.layers.1.{name}"] for name in ("weight", "bias"))
    values = centered / np.sqrt(variance + _EPSILON) * scale + bias
    values = gelu(_linear(values, tensors, "course.layers.2"))
    return _linear(values, tensors, "course.layers.4")


def _linear(values: _Doubles, tensors: Tensors, name: str) -> _Doubles:
    weight = tensors[f"{name}.weight"].astype(np.float64)
    return values @ weight.T + tensors[f"{name}.bias"]
