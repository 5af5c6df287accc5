"""What does a decoder draw for a code, with no structure at hand?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.tokenizer import StructureTokenizer

LENGTH = 7
"""Residues of a drawn piece: all have the same code."""

_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class BreakStep:
    """
    Where a chain goes on after a break.

    Parameters
    ----------
    distance : float
        From CA to the next CA, in Angstrom.
    turn : float
        Between the two residues' frames, in degrees.
    """

    distance: float
    turn: float


def drawn_codes(tokenizer: StructureTokenizer) -> npt.NDArray[np.float32]:
    """
    Decode a short chain of each code alone.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.

    Returns
    -------
    ndarray, shape=(code, 7, 3, 3), dtype=float32
        N, CA and C, in Angstrom. For a code for breaks it says nothing about the break
        (`break_steps`).
    """
    model = tokenizer.model
    device = next(model.parameters()).device
    drawn = []
    with torch.inference_mode():
        for first in range(0, tokenizer.codebook_size, _AT_ONCE):
            codes = torch.arange(first, min(first + _AT_ONCE, tokenizer.codebook_size))
            ids = codes.to(device)[:, None].expand(-1, LENGTH).contiguous()
            there = torch.ones_like(ids, dtype=torch.bool)
            numbers = torch.arange(1, LENGTH + 1, device=device).expand_as(ids).contiguous()
            drawn.append(model.decode(ids, there, numbers, there).float().cpu().numpy())
    return np.concatenate(drawn)


def break_steps(tokenizer: StructureTokenizer) -> dict[int, BreakStep]:
    """
    Return what the codes for chain breaks stand for.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.

    Returns
    -------
    dict of int to BreakStep
        By code; empty for a model without such codes.
    """
    breaks = tokenizer.model.breaks
    if breaks is None:
        return {}
    rotations, translations = (part.detach().float().cpu().numpy() for part in breaks.steps)
    first = tokenizer.codebook_size - len(translations)
    cosines = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    turns = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    distances = np.linalg.norm(translations, axis=1)
    return {
        first + row: BreakStep(float(distances[row]), float(turns[row]))
        for row in range(len(translations))
    }
