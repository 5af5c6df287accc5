"""Are the ids equal?"""

from typing import Any

import torch
from torch import Tensor

from encode_speed.subjects import (
    exact_ids,
    exact_latents,
    fast_ids,
    precise_latents,
    reference_ids,
    reference_latents,
)
from provq_protein.model.fast_encoding import FastCalibration, FastEncoder
from provq_protein.model.geometric_encoder import GeometricEncoder
from provq_protein.quantize.nearest import nearest_codes
from provq_protein.structure.backbone import Backbone

# Components of latents of two correct float32 evaluations differ by less than this.
_LATENTS_EQUAL = 1e-5


def compared(
    ours: list[Tensor],
    reference: Any,  # noqa: ANN401
    encoder: GeometricEncoder,
    codes: Tensor,
    chains: list[Backbone],
) -> dict[str, Any]:
    """
    Compare our ids with those of the reference, and explain every difference.

    Parameters
    ----------
    ours : list of Tensor, shape=(residue,), dtype=int64
        Our ids of each chain.
    reference : StructureTokenEncoder
        With the same weights and codes.
    encoder : GeometricEncoder
        Ours.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        The codes.
    chains : list of Backbone
        What was encoded.

    Returns
    -------
    dict
        ``residues``; ``equal`` ids; of the others ``reference_rounding``, where the code that the
        reference takes is not the one nearest to its own latent, and ``latent_rounding``, where
        both take the nearest one to their latents. ``latents_differ`` is the largest difference
        of a component between both; ``errors`` are those to double precision.

    Raises
    ------
    AssertionError
        If latents differ by more than 1e-5, or rounding does not explain an id.

    Notes
    -----
    If both took the nearest code, an id could differ only where a border between two codes is
    no farther than the distance of both latents: that is so by the triangle inequality, and
    needs no tolerance. What is checked is therefore that latents are equal to 1e-5. The
    reference, however, finds codes by :math:`|z|^2 - 2 z c + |c|^2` in float32. Each of the three
    sums errs by at most :math:`\\gamma_{d + 2} = (d + 2) u / (1 - (d + 2) u)` times the sum of
    its absolute values [1]_, so that a code can be preferred to one whose squared distance is less
    by up to :math:`2 \\gamma_{d + 2} (|z| + |c|)^2`: where codes are near copies of each other,
    that decides.

    References
    ----------
    .. [1] Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1.
    """
    counts = {"residues": 0, "equal": 0, "reference_rounding": 0, "latent_rounding": 0}
    largest = 0.0
    for mine, chain in zip(ours, chains, strict=True):
        theirs, latents = reference_ids(reference, chain), reference_latents(reference, chain)
        apart = float((exact_latents(encoder, chain) - latents).abs().max())
        if apart > _LATENTS_EQUAL:
            msg = f"{chain.source}: latents differ from the reference by {apart:.2g}"
            raise AssertionError(msg)
        nearest = nearest_codes(latents, codes)
        differs = mine != theirs
        rounded = differs & (nearest != theirs)
        _check_rounding(latents[rounded], codes, nearest[rounded], theirs[rounded], chain.source)
        largest = max(largest, apart)
        counts["residues"] += len(mine)
        counts["equal"] += int((~differs).sum())
        counts["reference_rounding"] += int(rounded.sum())
        counts["latent_rounding"] += int((differs & ~rounded).sum())
    errors = _errors(reference, encoder, min(chains, key=len))
    return {**counts, "latents_differ": float(f"{largest:.2g}"), "errors": errors}


def _check_rounding(
    latents: Tensor, codes: Tensor, nearest: Tensor, taken: Tensor, source: str
) -> None:
    """Refuse a code that the reference cannot have taken for rounding."""
    near, other = codes[nearest].double(), codes[taken].double()
    latents = latents.double()
    excess = (latents - other).square().sum(1) - (latents - near).square().sum(1)
    roundings = (codes.shape[1] + 2) * torch.finfo(torch.float32).eps / 2
    lengths = torch.maximum(near.norm(dim=1), other.norm(dim=1)) + latents.norm(dim=1)
    if bool((excess > 2 * roundings / (1 - roundings) * lengths.square()).any()):
        msg = f"{source}: ids differ from the reference by more than rounding explains"
        raise AssertionError(msg)


def _errors(reference: Any, encoder: GeometricEncoder, chain: Backbone) -> dict[str, float]:  # noqa: ANN401
    """Return the largest error of a component of both sides over one chain."""
    precise = precise_latents(encoder, chain)
    found = {
        "exact": exact_latents(encoder, chain),
        "reference": reference_latents(reference, chain),
    }
    return {
        name: float(f"{(latents.double() - precise).abs().max():.2g}")
        for name, latents in found.items()
    }


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
