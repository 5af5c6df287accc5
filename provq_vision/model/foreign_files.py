"""How are weights read that others pickled, without running what they pickled?"""

import argparse
import pickle
import re
import struct
import warnings
from pathlib import Path

import torch

from provq_protein.errors import CheckpointError

# What torch's restricted reader raises for files that are damaged, cut off, or something else.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_foreign(path: Path) -> object:
    """
    Read a file of `torch.save`, unless it holds more than tensors and plain values.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        Its content; tensors are on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, or asks for code to be run. None is.

    Notes
    -----
    An `argparse.Namespace`, which training scripts like to keep beside their weights, is a plain
    value here: it has attributes and does nothing.
    """
    if not path.is_file():
        msg = f"{path}: no such file of weights"
        raise CheckpointError(msg)
    try:
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            # Of pickle protocols that it may not know it warns before it tries.
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        # torch's own message advises to run the code.
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        stranger = f" ({found.group(1)})" if found else ""
        msg = (
            f"{path}: is damaged, or holds more than tensors and plain values{stranger}; what "
            "would run code is not read"
        )
        raise CheckpointError(msg) from error
