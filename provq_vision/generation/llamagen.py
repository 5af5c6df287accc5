"""How do the autoregressive models that LlamaGen released come into ours?"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.runs.foreign_files import read_foreign
from provq_vision.generation.transformer import Gpt
from provq_vision.model.folder import check_shapes

# A table of positions that follows from the sizes.
POSITIONS = "freqs_cis"
# LlamaGen samples from these, in this order, and not from averaged weights. What trains several
# processes with sharded weights writes the tensors without a section around them.
_SECTIONS = ("model", "module", "state_dict")


def read_llamagen_gpt(path: Path) -> dict[str, Tensor]:
    """
    Read the weights of an autoregressive model that LlamaGen wrote, running no code of it.

    Parameters
    ----------
    path : Path
        A ``.pt`` file: a dict with an entry "model", "module" or "state_dict", or of tensors.

    Returns
    -------
    dict of str to Tensor
        The weights, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, needs code to be read, or holds something else.
    """
    content = read_foreign(path)
    found = content
    if isinstance(content, dict):
        names = [name for name in _SECTIONS if isinstance(content.get(name), dict)]
        found = content[names[0]] if names else content
    if not isinstance(found, dict) or not found:
        msg = f"{path}: expected a dict of weights, got {type(content).__name__} {found!r:.60}"
        raise CheckpointError(msg)
    strange = [key for key, value in found.items() if not isinstance(value, Tensor)]
    if strange:
        msg = (
            f"{path}: {strange[:3]} are no tensors; expected a state dict, or one under "
            f"{', '.join(map(repr, _SECTIONS))}"
        )
        raise CheckpointError(msg)
    return found


def load_llamagen_gpt(
    model: Gpt, state: Mapping[str, Tensor], *, source: str = "LlamaGen weights"
) -> None:
    """
    Put the weights of LlamaGen's class-conditional model into ours, in place.

    Parameters
    ----------
    model : Gpt
        Of the same sizes. Neither the number of heads nor the grid shows in the weights: those
        of images of 256 and 384 pixels have the same shapes.
    state : mapping of str to Tensor
        From `read_llamagen_gpt`.
    source : str
        What the weights are from, for error messages.

    Raises
    ------
    CheckpointError
        If a tensor is absent, unknown, of another shape or not finite. The model is unchanged
        then.
    """
    given = {name: value for name, value in state.items() if name != POSITIONS}
    check_shapes(source, {name: each.shape for name, each in model.state_dict().items()}, given)
    for name, value in given.items():
        if not bool(torch.isfinite(value).all()):
            msg = f"{source}: {name} contains NaN or infinity"
            raise CheckpointError(msg)
    model.load_state_dict(given)
