"""How far is a decoded backbone from the real one, by the five losses of ESM3?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.geometry.frames import IDEAL_BACKBONE
from provq_protein.model.transformer_decoder import (
    DIRECTION_BINS,
    DISTANCE_BINS,
    TransformerDecoderOutput,
)

# Each squared error is cut at these, so that one bad pair cannot rule the mean.
_DISTANCE_CLAMP = 25.0  # Angstrom squared
_DIRECTION_CLAMP = 20.0  # Angstrom to the fourth power, or more for crossed vectors

# The first bin ends here, each further one is this much wider, in Angstrom.
_FIRST_EDGE = 2.3125
_EDGE_STEP = 0.3075

# Ideal C-beta, from N, CA and C: bond to CA (Angstrom), angle at CA with N, dihedral
# C-N-CA-CB (radian).
_BETA_BOND = 1.522
_BETA_ANGLE = 1.927
_BETA_DIHEDRAL = -2.143

# In bins. A residue's own axes are orthogonal: their cosine of zero lies on an edge, and
# without this rounding errors would choose the bin.
_EDGE_TOLERANCE = 1e-5

_IGNORED = -100


@dataclass(frozen=True, eq=False)
class ReconstructionLoss:
    """
    The terms of the reconstruction loss, each a scalar tensor.

    Attributes
    ----------
    distance : Tensor
        See `backbone_distance_loss`.
    direction : Tensor
        See `backbone_direction_loss`.
    binned_distance : Tensor
        See `binned_distance_loss`.
    binned_direction : Tensor
        See `binned_direction_loss`.
    residue : Tensor
        See `residue_loss`.
    """

    distance: Tensor
    direction: Tensor
    binned_distance: Tensor
    binned_direction: Tensor
    residue: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of all terms, equally weighted as in the reference."""
        geometric = self.distance + self.direction
        return geometric + self.binned_distance + self.binned_direction + self.residue


def reconstruction_loss(
    output: TransformerDecoderOutput,
    coords: Tensor,
    resolved: Tensor,
    sequence_classes: Tensor,
    *,
    present: Tensor | None = None,
) -> ReconstructionLoss:
    """
    Compare decoded chains with real ones.

    Parameters
    ----------
    output : TransformerDecoderOutput
        What the decoder predicted, pair logits included.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        Real N, CA and C positions, in Angstrom. Anything where not resolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where N, CA and C are known.
    sequence_classes : Tensor, shape=(batch, residue), dtype=int64
        Class of each residue type; negative to leave a residue out of `residue`.
    present : Tensor, shape=(batch, residue), dtype=bool, optional
        False where the batch is padded (default: `resolved` already is False there).

    Returns
    -------
    ReconstructionLoss
        Each term is a mean over all its entries in the batch, so that long chains weigh
        more; unresolved and padded residues are in none, and a term of no entry is zero.

    Raises
    ------
    ValueError
        If `output` has no pair logits.

    Notes
    -----
    The terms depend on the real chain up to rigid motion only. Unlike the published
    training code, atoms are masked with their own residue, distances and bin edges have
    the same unit, and padding enters nowhere.
    """
    if output.distance_logits is None or output.direction_logits is None:
        msg = "the loss needs pair logits: call the decoder with with_pairs=True"
        raise ValueError(msg)
    valid = resolved if present is None else resolved & present
    coords = sanitized(coords, valid)
    predicted = output.coords.float()
    with torch.autocast(coords.device.type, enabled=False):
        return ReconstructionLoss(
            distance=backbone_distance_loss(predicted, coords, valid),
            direction=backbone_direction_loss(predicted, coords, valid),
            binned_distance=binned_distance_loss(output.distance_logits, coords, valid),
            binned_direction=binned_direction_loss(output.direction_logits, coords, valid),
            residue=residue_loss(output.residue_logits, sequence_classes, valid),
        )


def sanitized(coords: Tensor, valid: Tensor) -> Tensor:
    """
    Copy coordinates in single precision, with an ideal residue where there is none.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        N, CA and C positions, in Angstrom. Anything where not valid, also *NaN*.
    valid : Tensor, shape=(batch, residue), dtype=bool
        True where the coordinates are real.

    Returns
    -------
    Tensor, shape=(batch, residue, 3, 3), dtype=float32
        Finite everywhere; the input is unchanged.
    """
    ideal = torch.tensor(IDEAL_BACKBONE, device=coords.device)
    return torch.where(valid[..., None, None], coords.float(), ideal)


def backbone_distance_loss(predicted: Tensor, coords: Tensor, valid: Tensor) -> Tensor:
    """
    Return the mean squared error of distances between all backbone atoms.

    Parameters
    ----------
    predicted, coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        Decoded and real N, CA and C, in Angstrom, finite everywhere.
    valid : Tensor, shape=(batch, residue), dtype=bool
        Residues that count.

    Returns
    -------
    Tensor, shape=(), dtype=float
        In Angstrom squared; each error is clamped to 25 and each atom is paired with
        every atom, itself included.
    """
    error = (_distances(predicted.flatten(1, 2)) - _distances(coords.flatten(1, 2))).square()
    # Atoms are stored residue by residue, so each residue's flag is repeated in place.
    atoms = valid.repeat_interleave(3, dim=1)
    return _masked_mean(error.clamp(max=_DISTANCE_CLAMP), _pairs(atoms))


def backbone_direction_loss(predicted: Tensor, coords: Tensor, valid: Tensor) -> Tensor:
    """
    Return the mean squared error of dot products between backbone vectors.

    Parameters
    ----------
    predicted, coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        Decoded and real N, CA and C, in Angstrom, finite everywhere.
    valid : Tensor, shape=(batch, residue), dtype=bool
        Residues that count. A residue enters if the ones before and after it do too.

    Returns
    -------
    Tensor, shape=(), dtype=float
        Each error is clamped to 20.

    Notes
    -----
    Six vectors per residue: three bonds, N to CA, CA to C and C to the next N, and three
    cross products of bonds. A mirror image keeps the products of two bonds or two crosses
    and flips those of a bond and a cross: this term tells the hand of a backbone.
    """
    inner = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    products, wanted = (
        vectors @ vectors.transpose(1, 2)
        for vectors in (_backbone_vectors(predicted), _backbone_vectors(coords))
    )
    error = (products - wanted).square().clamp(max=_DIRECTION_CLAMP)
    # Vectors are stored residue by residue, as the atoms above.
    return _masked_mean(error, _pairs(inner.repeat_interleave(6, dim=1)))


def binned_distance_loss(logits: Tensor, coords: Tensor, valid: Tensor) -> Tensor:
    """
    Return the cross-entropy of the binned distances between C-beta atoms.

    Parameters
    ----------
    logits : Tensor, shape=(batch, residue, residue, 64), dtype=float
        From the decoder.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        Real N, CA and C, in Angstrom, finite everywhere.
    valid : Tensor, shape=(batch, residue), dtype=bool
        Residues that count.

    Returns
    -------
    Tensor, shape=(), dtype=float
        In nats.
    """
    return _cross_entropy(logits, distance_bins(coords), _pairs(valid))


def binned_direction_loss(logits: Tensor, coords: Tensor, valid: Tensor) -> Tensor:
    """
    Return the cross-entropy of the binned cosines between residue axes.

    Parameters
    ----------
    logits : Tensor, shape=(batch, residue, residue, 6, 16), dtype=float
        From the decoder.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        Real N, CA and C, in Angstrom, finite everywhere.
    valid : Tensor, shape=(batch, residue), dtype=bool
        Residues that count.

    Returns
    -------
    Tensor, shape=(), dtype=float
        In nats.
    """
    bins = direction_bins(coords)
    return _cross_entropy(logits, bins, _pairs(valid)[..., None].expand_as(bins))


def residue_loss(logits: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """
    Return the cross-entropy of the residue types.

    Parameters
    ----------
    logits : Tensor, shape=(batch, residue, class), dtype=float
        From the decoder.
    classes : Tensor, shape=(batch, residue), dtype=int64
        Class of each residue; negative where unknown.
    valid : Tensor, shape=(batch, residue), dtype=bool
        Residues that count.

    Returns
    -------
    Tensor, shape=(), dtype=float
        In nats.
    """
    return _cross_entropy(logits, classes, valid & (classes >= 0))


def virtual_beta(coords: Tensor) -> Tensor:
    """
    Place an ideal C-beta on each residue, glycine too.

    Parameters
    ----------
    coords : Tensor, shape=(..., 3, 3), dtype=float
        N, CA and C positions, in Angstrom.

    Returns
    -------
    Tensor, shape=(..., 3), dtype=float
        C-beta positions, in Angstrom.
    """
    nitrogen, alpha, carbon = coords.unbind(-2)
    along = functional.normalize(alpha - nitrogen, dim=-1)
    normal = functional.normalize(torch.linalg.cross(nitrogen - carbon, along), dim=-1)
    across = torch.linalg.cross(normal, along)
    radius = _BETA_BOND * math.sin(_BETA_ANGLE)
    return (
        alpha
        - _BETA_BOND * math.cos(_BETA_ANGLE) * along
        + radius * math.cos(_BETA_DIHEDRAL) * across
        + radius * math.sin(_BETA_DIHEDRAL) * normal
    )


def distance_bins(coords: Tensor) -> Tensor:
    """
    Return the bin of the C-beta distance of each pair of residues.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        N, CA and C positions, in Angstrom.

    Returns
    -------
    Tensor, shape=(batch, residue, residue), dtype=int64
        Bin 0 is below 2.3125 Angstrom, each further bin is 0.3075 wide and holds its
        lower edge, and the last, 63, has no upper edge.
    """
    inner = torch.arange(DISTANCE_BINS - 1, device=coords.device, dtype=coords.dtype)
    edges = _FIRST_EDGE + _EDGE_STEP * inner
    return torch.bucketize(_distances(virtual_beta(coords)), edges, right=True)


def direction_bins(coords: Tensor) -> Tensor:
    """
    Return the bins of six cosines between the axes of each pair of residues.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float
        N, CA and C positions, in Angstrom.

    Returns
    -------
    Tensor, shape=(batch, residue, residue, 6), dtype=int64
        Entry [i, j] holds the products of an axis of i and an axis of j, in 16 equal bins
        over -1 to 1 that hold their lower edge. With a = CA to C, b = CA to N and
        c = a x b: a.b, a.c, b.a, b.c, c.a and c.b.
    """
    nitrogen, alpha, carbon = coords.unbind(-2)
    first, second = carbon - alpha, nitrogen - alpha
    third = torch.linalg.cross(first, second)
    axes = [functional.normalize(axis, dim=-1) for axis in (first, second, third)]
    order = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
    cosines = torch.stack(
        [axes[row] @ axes[column].transpose(1, 2) for row, column in order], dim=-1
    )
    bins = ((cosines + 1) * (DIRECTION_BINS / 2) + _EDGE_TOLERANCE).floor().long()
    return bins.clamp(0, DIRECTION_BINS - 1)


def _distances(points: Tensor) -> Tensor:
    """Return (batch, point, point); by differences, which are exact for close points."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def _backbone_vectors(coords: Tensor) -> Tensor:
    """Return the vectors (batch, 6 * inner residue, 3) of `backbone_direction_loss`."""
    nitrogen, alpha, carbon = coords.unbind(-2)
    to_alpha = (alpha - nitrogen)[:, 1:-1]
    to_carbon = (carbon - alpha)[:, 1:-1]
    peptide = nitrogen[:, 1:] - carbon[:, :-1]
    before, after = peptide[:, :-1], peptide[:, 1:]
    cross = torch.linalg.cross
    vectors = [
        to_alpha,
        to_carbon,
        after,
        -cross(to_alpha, to_carbon),
        cross(before, to_alpha),
        cross(to_carbon, after),
    ]
    return torch.stack(vectors, dim=-2).flatten(1, 2)


def _pairs(valid: Tensor) -> Tensor:
    return valid[:, :, None] & valid[:, None, :]


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average over the mask; zero, with zero gradient, where the mask is empty."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def _cross_entropy(logits: Tensor, classes: Tensor, mask: Tensor) -> Tensor:
    """Average over the mask the cross-entropy of logits (..., class)."""
    total = functional.cross_entropy(
        logits.float().flatten(0, -2),
        classes.masked_fill(~mask, _IGNORED).flatten(),
        ignore_index=_IGNORED,
        reduction="sum",
    )
    return total / mask.sum().clamp(min=1)
