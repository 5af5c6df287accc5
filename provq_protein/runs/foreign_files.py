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
# torch's own messages run over many lines, and advise to run the code.
_STRANGER = re.compile(r"GLOBAL ([\w.]+)")


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
        If the file is missing or damaged, or names a class or function that is no plain value:
        reading it would run code, and none is run. The message gives the name.

    Notes
    -----
    An `argparse.Namespace`, which training scripts like to keep beside their weights, is a plain
    value here: it has attributes and does nothing.
    """
    if not path.is_file():
        problem = "is a folder; name a file of it" if path.is_dir() else "no such file of weights"
        msg = f"{path}: {problem}"
        raise CheckpointError(msg)
    try:
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            # Of pickle protocols that it may not know it warns before it tries.
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        found = _STRANGER.search(str(error))
        msg = (
            f"{path}: is damaged, or holds more than tensors and plain values; what would run code "
            "is not read"
        )
        if found:
            msg = (
                f"{path}: holds more than tensors and plain values ({found.group(1)}); what would "
                "run code is not read; if you trust the file, read it with the program that wrote "
                "it and save its state dict alone"
            )
        raise CheckpointError(msg) from error
