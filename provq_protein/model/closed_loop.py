"""Which codes rebuild a chain best, when errors of earlier codes are known?"""

import math

import torch
from torch import Tensor

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames
from provq_protein.model.chain_decoder import StepReader
from provq_protein.model.refinement import Frames

# A turn counts as what it moves at this distance (Angstrom).
_LEVER = 3.0


def codes_along_chains(
    nearest: Tensor,
    latents: Tensor,
    codes: Tensor,
    course: StepReader,
    coords: Tensor,
    resolved: Tensor,
    *,
    drift_weight: float,
) -> Tensor:
    """
    Choose the codes of whole chains with `follow_chain`.

    Parameters
    ----------
    nearest : Tensor, shape=(batch, residue), dtype=int64
        Codes nearest to the latents.
    latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
        One per residue.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codes to choose from.
    course : StepReader
        Says which step a code stands for.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; ignored where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue is there and has its three atoms.
    drift_weight : float
        As for `follow_chain`.

    Returns
    -------
    Tensor, shape=(batch, residue), dtype=int64
        Indices.
    """
    if drift_weight == 0.0:
        return nearest
    coords = torch.where(resolved[..., None, None], coords, 0.0)
    return follow_chain(
        nearest,
        latents,
        codes,
        course(codes),
        Frames(*backbone_frames(coords)),
        peptide_bonds(coords, resolved),
        drift_weight=drift_weight,
    )


def follow_chain(
    nearest: Tensor,
    latents: Tensor,
    codes: Tensor,
    steps: tuple[Tensor, Tensor],
    true: Frames,
    bonded: Tensor,
    *,
    drift_weight: float,
) -> Tensor:
    """
    Choose codes one after the other, each knowing where the chain grown so far has arrived.

    Every residue takes the code nearest to its latent in a joint space of latents and steps: the
    wanted step is the one from the *reached* frame to the true next residue, so that what earlier
    codes lost is made up for instead of adding up.

    Parameters
    ----------
    nearest : Tensor, shape=(batch, residue), dtype=int64
        Codes nearest to the latents alone: kept where a residue is not bonded to the next one.
    latents : Tensor, shape=(batch, residue, latent_dim), dtype=float32
        One per residue.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codebook.
    steps : tuple of Tensor, shapes=(code, 3, 3) and (code, 3), dtype=float32
        The rotation and translation (Angstrom) that each code stands for.
    true : Frames
        True residue frames.
    bonded : Tensor, shape=(batch, residue - 1), dtype=bool
        True where residue i is bonded to residue i + 1. Growth starts anew after a break.
    drift_weight : float
        Weight of squared Angstrom between the reached and the true next residue against the
        squared distance of latents; at least 0, where the result is `nearest`.

    Returns
    -------
    Tensor, shape=(batch, residue), dtype=int64
        Indices.

    Notes
    -----
    Noise-shaping quantization, as sigma-delta modulation does for signals: the quantizer is in a
    feedback loop, and the error that a chain accumulates stays bounded instead of growing with
    its length. An id then depends on the chain before it, not on its neighborhood alone.
    """
    rotations, shifts = steps
    scale = math.sqrt(drift_weight)
    table = torch.cat([rotations.flatten(1) * _LEVER, shifts], dim=1) * scale
    keys = torch.cat([codes.float(), table], dim=1).double()
    biases = 0.5 * keys.square().sum(1)
    keys, rotations, shifts = keys.T.contiguous(), rotations.double(), shifts.double()
    turn, place = true.rotations.double(), true.translations.double()
    queries = latents.double()
    indices = nearest.clone()
    reached_turn, reached_place = turn[:, 0], place[:, 0]
    for residue in range(bonded.shape[1]):
        back = reached_turn.transpose(-1, -2)
        wanted_turn = back @ turn[:, residue + 1]
        wanted_shift = _applied(back, place[:, residue + 1] - reached_place)
        wanted = torch.cat([wanted_turn.flatten(1) * _LEVER, wanted_shift], dim=1) * scale
        query = torch.cat([queries[:, residue], wanted], dim=1)
        chosen = torch.addmm(biases, query, keys, alpha=-1.0).argmin(dim=1)
        goes_on = bonded[:, residue]
        indices[:, residue] = torch.where(goes_on, chosen, indices[:, residue])
        next_place = reached_place + _applied(reached_turn, shifts[chosen])
        next_turn = reached_turn @ rotations[chosen]
        reached_place = torch.where(goes_on[:, None], next_place, place[:, residue + 1])
        reached_turn = torch.where(goes_on[:, None, None], next_turn, turn[:, residue + 1])
    return indices


def _applied(rotations: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("bij,bj->bi", rotations, vectors)
