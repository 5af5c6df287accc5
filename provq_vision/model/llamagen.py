"""How do weights that LlamaGen released come into a model?"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.quantize import AbstractCodebook, Codebook, SphericalCodebook
from provq_protein.runs.foreign_files import read_foreign
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.model.folder import check_shapes

CODES = "quantize.embedding.weight"
# Which of the last 65,536 latents chose which code: a statistic, not a weight.
USAGE = "quantize.codebook_used"
_QUANTIZER = "quantizer."
# In the order in which they are preferred: evaluation in LlamaGen takes averaged weights.
_SECTIONS = ("ema", "model")


def read_llamagen(path: Path) -> dict[str, Tensor]:
    """
    Read the weights of a tokenizer from a checkpoint that LlamaGen wrote, running no code of it.

    Parameters
    ----------
    path : Path
        A ``.pt`` file: a dict with an entry "ema" or "model", as released or as written in
        training.

    Returns
    -------
    dict of str to Tensor
        The entry "ema" if there is one, else "model"; on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, needs code to be read, or has neither entry.
    """
    return _section(path, read_foreign(path))


def _section(path: Path, content: object) -> dict[str, Tensor]:
    keys = list(content) if isinstance(content, dict) else type(content).__name__
    for name in _SECTIONS:
        found = content.get(name) if isinstance(content, dict) else None
        if isinstance(found, dict) and found:
            strange = [key for key, value in found.items() if not isinstance(value, Tensor)]
            if strange:
                msg = f"{path}: {name}: {strange[:3]} are no tensors; expected a state dict"
                raise CheckpointError(msg)
            return found
    msg = f"{path}: expected a dict with the weights under 'ema' or 'model', got {keys}"
    raise CheckpointError(msg)


def load_llamagen(
    model: ImageAutoencoder,
    state: Mapping[str, Tensor],
    *,
    codebook: bool = True,
    source: str = "LlamaGen weights",
) -> None:
    """
    Put the weights of a LlamaGen tokenizer into a model, in place.

    Parameters
    ----------
    model : ImageAutoencoder
        Of the same sizes.
    state : mapping of str to Tensor
        From `read_llamagen`.
    codebook : bool
        Also load the codes, which are marked as initialized then. They are a free table: the
        codebook of the model must be "vanilla_l2", which gives LlamaGen's ids, or "vanilla", for
        weights that were trained without normalization. Without it the codes stay as they are,
        for a codebook of any kind that is to be seeded.
    source : str
        What the weights are from, for error messages.

    Raises
    ------
    CheckpointError
        If a tensor is absent, unknown, of another shape or not finite, or if the codebook of the
        model is no free table. The model is unchanged then.
    """
    given = {name: value for name, value in state.items() if name != USAGE}
    own = model.state_dict()
    expected = {name: each.shape for name, each in own.items() if not name.startswith(_QUANTIZER)}
    if codebook:
        sizes = model.config.codebook
        expected[CODES] = torch.Size((sizes.size, sizes.dim))
    else:
        given.pop(CODES, None)
    check_shapes(source, expected, given)
    for name, value in given.items():
        if not bool(torch.isfinite(value).all()):
            msg = f"{source}: {name} contains NaN or infinity"
            raise CheckpointError(msg)
    book = _table(model, source) if codebook else None
    own.update({name: value for name, value in given.items() if name != CODES})
    model.load_state_dict(own)
    if book is not None:
        _place(model.quantizer.codebook, book, given[CODES])


def _table(model: ImageAutoencoder, source: str) -> Codebook:
    outer = model.quantizer.codebook
    book = outer.inner if isinstance(outer, SphericalCodebook) else outer
    if not isinstance(book, Codebook):
        msg = (
            f"{source}: codes are a free table, and the codebook of the model is "
            f"{model.config.codebook.method!r}; use 'vanilla_l2' or 'vanilla', or load all but "
            "the codes"
        )
        raise CheckpointError(msg)
    return book


def _place(outer: AbstractCodebook, book: Codebook, codes: Tensor) -> None:
    # Not by way of a spherical book, which would normalize them: their lengths are part of what
    # papers measure.
    book.seed(codes)
    outer.initialized.fill_(True)
