"""Are the ids equal?"""

from typing import Any

import torch
from torch import Tensor

from encode_speed.chains import as_batch
from encode_speed.subjects import exact_ids, exact_latents, fast_ids
from provq_protein.model.fast_encoding import FastCalibration, FastEncoder
from provq_protein.model.geometric_encoder import GeometricEncoder
from provq_protein.structure.backbone import Backbone

# Latents of two correct float32 evaluations differ by less than this; within it a border is a tie.
_TIE = 1e-5
# The reference computes distances by expanded squares: relative rounding error of those.
_EXPANDED = 1e-6


def calibrated(fast: FastEncoder, chains: list[Backbone], *, residues: int) -> FastCalibration:
    """
    Calibrate on some chains.

    Parameters
    ----------
    fast : FastEncoder
        What is calibrated.
    chains : list of Backbone
        Other chains than those that are measured.
    residues : int
        How many to take, at least.

    Returns
    -------
    FastCalibration
        For these codes.
    """
    batches, count = [], 0
    for chain in chains:
        if count >= residues:
            break
        batches.append(as_batch(chain))
        count += int(chain.resolved.sum())
    return fast.calibrate(batches)


def compared(
    ours: list[Tensor],
    theirs: list[Tensor],
    encoder: GeometricEncoder,
    codes: Tensor,
    chains: list[Backbone],
) -> dict[str, Any]:
    """
    Compare ids of two encoders, and refuse differences that are not ties.

    Parameters
    ----------
    ours, theirs : list of Tensor, shape=(residue,), dtype=int64
        Ids of each chain.
    encoder : GeometricEncoder
        Makes the latents by which ties are told.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codes.
    chains : list of Backbone
        What was encoded.

    Returns
    -------
    dict
        Residues, how many ids are equal, and how many of the others are ties.

    Raises
    ------
    AssertionError
        If an id differs and the two codes are not equally near.
    """
    residues = equal = 0
    for mine, other, chain in zip(ours, theirs, chains, strict=True):
        differs = (mine != other).nonzero()[:, 0]
        residues, equal = residues + len(mine), equal + len(mine) - len(differs)
        if not len(differs):
            continue
        latents = exact_latents(encoder, chain)[differs].double()
        one, two = codes[mine[differs]].double(), codes[other[differs]].double()
        gap = ((latents - one).square().sum(1) - (latents - two).square().sum(1)).abs()
        size = latents.square().sum(1) + torch.maximum(one.square().sum(1), two.square().sum(1))
        allowed = 2 * _TIE * (one - two).norm(dim=1) + _EXPANDED * size
        if bool((gap > allowed).any()):
            msg = f"{chain.source}: ids differ from the reference, and not for a tie"
            raise AssertionError(msg)
    return {"residues": residues, "equal": equal, "ties": residues - equal}


def fast_against_exact(
    fast: FastEncoder,
    calibration: FastCalibration,
    encoder: GeometricEncoder,
    codes: Tensor,
    chains: list[Backbone],
) -> dict[str, Any]:
    """
    Compare the ids of both precisions of our encoder.

    Parameters
    ----------
    fast : FastEncoder
        Low precision.
    calibration : FastCalibration
        Its threshold.
    encoder : GeometricEncoder
        Full precision.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codes.
    chains : list of Backbone
        What to encode.

    Returns
    -------
    dict
        Counts; equal is out of residues.
    """
    total, equal = None, 0
    for chain in chains:
        ids, report = fast_ids(fast, calibration, chain)
        equal += int((ids == exact_ids(encoder, codes, chain)).sum())
        total = report if total is None else total + report
    if total is None:
        return {}
    bound = float(f"{total.mismatch_bound:.3g}")
    return {
        "residues": total.residues,
        "equal": equal,
        "rechecked": total.rechecked,
        "audited": total.audited,
        "audit_mismatches": total.mismatches,
        "audit_bound": bound,
        "threshold": float(f"{total.threshold:.4g}"),
        "products": total.products,
    }
