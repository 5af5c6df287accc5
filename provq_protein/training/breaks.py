"""Which steps across chain breaks are the codes for them placed by?"""

import numpy as np
import torch

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.break_codes import Steps
from provq_protein.model.chain_encoder import ChainEncoder
from provq_protein.training.store import ChainStore

# Breaks are few. Cutting a stretch of at most so many residues out of each chain gives more.
_LONGEST_CUT = 16
_ITERATIONS = 25


def fit_breaks(model: StructureAutoencoder, store: ChainStore, *, seed: int) -> None:
    """
    Place a model's codes for breaks, where it has some: once the encoder has learned its last.

    Parameters
    ----------
    model : StructureAutoencoder
        Changed in place.
    store : ChainStore
        Its training chains show which breaks there are.
    seed : int
        Decides the result, which is the same in every process.

    Raises
    ------
    ConfigError
        If the chains show fewer breaks than the model has codes for them.
    """
    if model.breaks is None or not isinstance(model.encoder, ChainEncoder):
        return
    model.breaks.fit(sample_breaks(store, seed=seed), seed=seed, iterations=_ITERATIONS)
    model.breaks.vectors.copy_(model.encoder.latents_of_steps(model.breaks.steps))


def sample_breaks(store: ChainStore, *, seed: int) -> Steps:
    """
    Return the steps across all breaks of the training chains, and across some cuts.

    Parameters
    ----------
    store : ChainStore
        Its training split is read.
    seed : int
        Decides the cuts.

    Returns
    -------
    rotations : Tensor, shape=(break, 3, 3), dtype=float32
        Of the first residue after a break in the frame of the last one before.
    translations : Tensor, shape=(break, 3), dtype=float32
        In Angstrom.
    """
    rotations, translations = [torch.zeros(0, 3, 3)], [torch.zeros(0, 3)]
    for chain in store.select("train"):
        backbone = store.backbone(int(chain))
        coords = torch.from_numpy(backbone.coords[backbone.resolved])
        if len(coords) < 2:
            continue
        there = torch.ones(1, len(coords), dtype=torch.bool)
        bonded = peptide_bonds(coords[None], there)[0].numpy()
        before, after = _ends(bonded, np.random.default_rng([seed, int(chain)]))
        turn, place = backbone_frames(coords)
        back = turn[before].transpose(-1, -2)
        rotations.append(back @ turn[after])
        translations.append((back @ (place[after] - place[before])[..., None])[..., 0])
    return torch.cat(rotations), torch.cat(translations)


def _ends(bonded: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Residues before and after each break, and before and after a cut of a bonded stretch."""
    before = np.flatnonzero(~bonded)
    after = before + 1
    length = int(generator.integers(2, _LONGEST_CUT + 1))
    if len(bonded) >= length:
        start = int(generator.integers(len(bonded) - length + 1))
        if bonded[start : start + length].all():
            return np.append(before, start), np.append(after, start + length)
    return before, after
