"""Which tensors does a file or folder hold that another project saved?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.runs.files import sha256_of
from provq_protein.runs.foreign_files import read_foreign

_DEEPSPEED = "mp_rank_00_model_states.pt"
# Names of ESM3's files, and where a download of its repository keeps them.
_ESM3 = ("esm3_structure_encoder_v0.pth", "esm3_structure_decoder_v0.pth")
# Where the three layouts keep files in a folder.
_INSIDE = ("checkpoint", ".", "data/weights")
# Entries that hold the weights of a larger file: DeepSpeed's, Lightning's.
_ENTRIES = ("module", "state_dict")
# What wrappers put before every name; the first that all names share is taken off.
_PREFIXES = ("_forward_module.model.", "_forward_module.", "model.")

_SPREAD = (
    "has weights that are spread over the processes of the training (ZeRO stage 3); join them with "
    "the zero_to_fp32.py that lies beside them, and name the file that it writes"
)


@dataclass(frozen=True, eq=False)
class ForeignState:
    """
    The weights of one file.

    Attributes
    ----------
    path : Path
        The file that was read.
    sha256 : str
        SHA-256 of its bytes.
    tensors : dict of str to Tensor
        By the names that the other project's model gives them; floating point as float32.
    """

    path: Path
    sha256: str
    tensors: dict[str, Tensor]


def files_of(path: Path) -> list[Path]:
    """
    Return the files of weights that a path stands for.

    Parameters
    ----------
    path : Path
        A file, a folder that DeepSpeed wrote, or a folder with ESM3's files.

    Returns
    -------
    list of Path
        One or more.

    Raises
    ------
    CheckpointError
        If it is a folder without any, or one whose weights lie in several parts.
    """
    if not path.is_dir():
        return [path]
    for inside in _INSIDE:
        folder = path / inside
        if (folder / _DEEPSPEED).is_file():
            parts = sorted(each.name for each in folder.glob("mp_rank_*_model_states.pt"))
            if len(parts) > 1:
                msg = f"{folder}: holds a model in {len(parts)} parts ({', '.join(parts)}); one is"
                msg += " read: join them with the program that wrote them"
                raise CheckpointError(msg)
            return [folder / _DEEPSPEED]
        found = [folder / name for name in _ESM3 if (folder / name).is_file()]
        if found:
            return found
        if any(folder.glob("zero_pp_rank_*_model_states.pt")):
            msg = f"{folder}: {_SPREAD}"
            raise CheckpointError(msg)
    msg = (
        f"{path}: no weights that are known here in this folder: neither {_DEEPSPEED}, itself or "
        f"in a folder checkpoint, nor {' and '.join(_ESM3)}; name the files"
    )
    raise CheckpointError(msg)


def read_state(path: Path) -> ForeignState:
    """
    Read the weights of one file, wherever in it they are.

    Parameters
    ----------
    path : Path
        A file of `torch.save`: a state dict, or a mapping with one as its entry ``module``
        (DeepSpeed) or ``state_dict`` (Lightning).

    Returns
    -------
    ForeignState
        Its tensors, without what a wrapper put before their names.

    Raises
    ------
    CheckpointError
        If the file cannot be read without running code, holds no weights or a part of them, or a
        value that is not finite.
    """
    _check_name(path)
    content = read_foreign(path)
    if not isinstance(content, Mapping):
        msg = f"{path}: expected a mapping of names to tensors, got {type(content).__name__}"
        raise CheckpointError(msg)
    tensors = _tensors(path, content)
    if not any(tensor.numel() for tensor in tensors.values()):
        msg = f"{path}: {_SPREAD}" if tensors else f"{path}: holds no weights"
        raise CheckpointError(msg)
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            if not bool(torch.isfinite(tensor).all()):
                msg = f"{path}: entry {name!r} holds NaN or infinity; the file is damaged"
                raise CheckpointError(msg)
            tensors[name] = tensor.float()
    return ForeignState(path, sha256_of(path), _without_prefix(tensors))


def _check_name(path: Path) -> None:
    """Refuse files by their names whose content needs DeepSpeed to be read at all."""
    if re.fullmatch(r".*optim_states\.pt", path.name):
        msg = f"{path}: holds the state of an optimizer and no weights; name {_DEEPSPEED} beside it"
        raise CheckpointError(msg)
    if re.fullmatch(r"zero_pp_rank_.*_model_states\.pt", path.name):
        msg = f"{path}: {_SPREAD}"
        raise CheckpointError(msg)


def _tensors(path: Path, content: Mapping[object, object]) -> dict[str, Tensor]:
    entry = next((name for name in _ENTRIES if name in content), None)
    if entry is None and "optimizer_state_dict" in content:
        msg = f"{path}: holds the state of an optimizer and no weights; name {_DEEPSPEED} beside it"
        raise CheckpointError(msg)
    inner = content if entry is None else content[entry]
    if not isinstance(inner, Mapping):
        msg = f"{path}: entry {entry!r}: expected a mapping of weights, got {type(inner).__name__}"
        raise CheckpointError(msg)
    tensors: dict[str, Tensor] = {}
    for name, value in inner.items():
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_quantized:
            what = getattr(value, "layout", type(value).__name__)
            msg = f"{path}: entry {name!r}: expected an ordinary tensor, got {what}"
            raise CheckpointError(msg)
        tensors[str(name)] = value
    return tensors


def _without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return dict(tensors)
