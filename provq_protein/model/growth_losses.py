"""What is the chain-growth decoder trained to minimise?"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.geometry.bonds import peptide_bonds
from provq_protein.geometry.frames import backbone_frames, place_backbone, relative_frames
from provq_protein.model.growth_decoder import GrowthDecoderOutput
from provq_protein.model.refinement import Frames

# Errors are divided by this many Angstrom, as in AlphaFold's FAPE.
_FAPE_UNIT = 10.0
_FAPE_CLAMP = 10.0
# A far looser clamp, at a small weight, keeps a pull on badly misplaced parts.
_FAPE_FAR_CLAMP = 40.0
_FAPE_FAR_WEIGHT = 0.1
# Residues over which steps are composed when they are judged together.
_LONGEST_SPAN = 64
# Spans that end farther off than this (Angstrom) wait until shorter ones are right.
_LOST = 5.0
_LDDT_CUTOFF = 15.0
_LDDT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
_FIRST_DISTANCE = 4.0
_LAST_DISTANCE = 40.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GrowthLossConfig:
    """
    Weights of the terms of `growth_loss`.

    Parameters
    ----------
    step : float
        Squared error of the step from each residue to the next, as grown.
    span : float
        How far steps lead astray together, see `span_error`.
    refined_step : float
        The same after the last refinement, growing linearly where it is large.
    frame_aligned : float
        Mean over refinement blocks of the frame-aligned point error.
    lddt : float
        One minus the smooth lDDT of the CA atoms after the last refinement.
    distance : float
        Cross-entropy of the trunk's binned CA-CA distances.
    """

    step: float
    span: float
    refined_step: float
    frame_aligned: float
    lddt: float
    distance: float


@dataclass(frozen=True)
class GrowthLoss:
    """
    The terms of `growth_loss`, unweighted, and their weighted sum.

    Parameters
    ----------
    total : Tensor
        Weighted sum, a scalar with gradient.
    step, span, refined_step, frame_aligned, lddt, distance : Tensor
        The terms, see `GrowthLossConfig`.
    """

    total: Tensor
    step: Tensor
    span: Tensor
    refined_step: Tensor
    frame_aligned: Tensor
    lddt: Tensor
    distance: Tensor


def growth_loss(
    output: GrowthDecoderOutput, coords: Tensor, resolved: Tensor, config: GrowthLossConfig
) -> GrowthLoss:
    """
    Compare a decoded batch with the true backbones.

    Parameters
    ----------
    output : GrowthDecoderOutput
        From a decoder in training mode.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        True N, CA and C, in Angstrom; ignored where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue counts; False for padding too.
    config : GrowthLossConfig
        Weights.

    Returns
    -------
    GrowthLoss
        Each term a mean over chains of a mean over the chain's valid entries.
    """
    coords = torch.where(resolved[..., None, None], coords, 0.0)
    true = Frames(*backbone_frames(coords))
    bonded = peptide_bonds(coords, resolved)
    last = output.refined[-1]
    grown = _step_errors(output.step_rotations, output.step_translations, true)
    step = _masked_mean(grown, bonded)
    span = span_error(output.step_rotations, output.step_translations, true, bonded)
    # Refined frames may tear the chain at first: a squared error would drown every other
    # gradient then, so this one grows linearly where it is large.
    torn = _step_errors(*relative_frames(last.rotations, last.translations), true)
    refined_step = _masked_mean(torch.sqrt(1.0 + torn) - 1.0, bonded)
    aligned = torch.stack(
        [frame_aligned_error(frames, true, coords, resolved) for frames in output.refined]
    ).mean()
    smooth = smooth_lddt_error(last.translations, true.translations, resolved)
    distance = _distance_error(output.distance_logits, true.translations, resolved)
    total = (
        config.step * step
        + config.span * span
        + config.refined_step * refined_step
        + config.frame_aligned * aligned
        + config.lddt * smooth
        + config.distance * distance
    )
    return GrowthLoss(total, step, span, refined_step, aligned, smooth, distance)


def counted_chains(coords: Tensor, resolved: Tensor) -> dict[str, Tensor]:
    """
    Return over how many chains each term of `growth_loss` is a mean.

    Parameters
    ----------
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        True N, CA and C, in Angstrom; ignored where unresolved.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue counts; False for padding too.

    Returns
    -------
    dict of str to Tensor, shape=(), dtype=int64
        By the name of the term: the weight of this part's mean in that of a batch in parts.
    """
    coords = torch.where(resolved[..., None, None], coords, 0.0)
    bonds = peptide_bonds(coords, resolved)
    bonded = bonds.any(1).sum()
    some = resolved.any(1).sum()
    near = _near_pairs(coords[:, :, 1], resolved).flatten(1).any(1).sum()
    return {
        "step": bonded,
        "span": (bonds[:, :-1] & bonds[:, 1:]).any(1).sum(),
        "refined_step": bonded,
        "frame_aligned": some,
        "lddt": near,
        "distance": some,
    }


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over chains of each chain's mean over True entries; chains without any are left out."""
    mask = mask.float().flatten(1)
    counts = mask.sum(1)
    means = (values.flatten(1) * mask).sum(1) / counts.clamp(min=1.0)
    return means.sum() / (counts > 0).sum().clamp(min=1)


def _step_errors(rotations: Tensor, translations: Tensor, true: Frames) -> Tensor:
    """Squared error of each step's rotation and translation: (batch, residue - 1)."""
    true_rotations, true_translations = relative_frames(true.rotations, true.translations)
    turn = ((rotations - true_rotations) ** 2).sum((-1, -2))
    shift = ((translations - true_translations) ** 2).sum(-1)
    return turn + shift


def span_error(rotations: Tensor, translations: Tensor, true: Frames, bonded: Tensor) -> Tensor:
    """
    Return how far composed steps lead astray, over spans of 2, 4, 8 ... residues.

    Parameters
    ----------
    rotations : Tensor, shape=(batch, residue - 1, 3, 3), dtype=float32
        Predicted orientation of residue i + 1 in the frame of residue i.
    translations : Tensor, shape=(batch, residue - 1, 3), dtype=float32
        Predicted origin of residue i + 1 in the frame of residue i, in Angstrom.
    true : Frames
        True residue frames.
    bonded : Tensor, shape=(batch, residue - 1), dtype=bool
        True where residue i is bonded to residue i + 1.

    Returns
    -------
    Tensor
        Scalar, in Angstrom: how far apart the steps and the true chain arrive, seen from the
        first residue of a span; a mean over chains of the mean over lengths of the mean over
        spans. An error grows with its square below one Angstrom and stops at five.

    Notes
    -----
    A step is judged by where it leads: errors that cancel along the chain cost nothing, and an
    error in a turn costs as much as it moves the rest of the span. The gradient through a whole
    composed chain stalls a training; through spans of bounded length it does not.
    """
    total, lengths = translations.new_zeros(len(bonded)), translations.new_zeros(len(bonded))
    span = 1
    here, axes = true.translations, true.rotations
    with torch.autocast(rotations.device.type, enabled=False):
        while 2 * span <= _LONGEST_SPAN and span < bonded.shape[1]:
            shift = torch.einsum("blij,blj->bli", rotations[:, :-span], translations[:, span:])
            translations = translations[:, :-span] + shift
            rotations = rotations[:, :-span] @ rotations[:, span:]
            bonded = bonded[:, :-span] & bonded[:, span:]
            span *= 2
            apart = here[:, span:] - here[:, :-span]
            arrived = torch.einsum("blji,blj->bli", axes[:, :-span], apart)
            error = torch.sqrt(1.0 + ((translations - arrived) ** 2).sum(-1)) - 1.0
            count = bonded.sum(1)
            total = total + (error.clamp(max=_LOST) * bonded).sum(1) / count.clamp(min=1)
            lengths = lengths + (count > 0)
    return (total / lengths.clamp(min=1)).sum() / (lengths > 0).sum().clamp(min=1)


def frame_aligned_error(frames: Frames, true: Frames, coords: Tensor, resolved: Tensor) -> Tensor:
    """
    Return the frame-aligned point error over N, CA and C.

    Parameters
    ----------
    frames, true : Frames
        Predicted and true residue frames.
    coords : Tensor, shape=(batch, residue, 3, 3), dtype=float32
        True atoms, in Angstrom; finite.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue counts.

    Returns
    -------
    Tensor
        Scalar, in units of 10 Angstrom: the error clamped at 10 Angstrom, plus a small part
        clamped at 40.

    References
    ----------
    .. [1] Jumper et al., *Nature* 596 (2021), Supplementary Algorithm 28.
    """
    atoms = place_backbone(frames.rotations, frames.translations).flatten(1, 2)
    local = _in_frames(frames, atoms)
    true_local = _in_frames(true, coords.flatten(1, 2))
    error = torch.sqrt(((local - true_local) ** 2).sum(-1) + 1e-4)
    near = error.clamp(max=_FAPE_CLAMP)
    far = error.clamp(max=_FAPE_FAR_CLAMP)
    blended = (near + _FAPE_FAR_WEIGHT * far) / _FAPE_UNIT
    mask = resolved[:, :, None] & resolved.repeat_interleave(3, dim=1)[:, None, :]
    return _masked_mean(blended, mask)


def _in_frames(frames: Frames, atoms: Tensor) -> Tensor:
    """Coordinates of every atom in every frame: (batch, frame, atom, 3)."""
    origin = torch.einsum("blji,blj->bli", frames.rotations, frames.translations)
    return torch.einsum("blji,baj->blai", frames.rotations, atoms) - origin[:, :, None]


def smooth_lddt_error(alpha: Tensor, true_alpha: Tensor, resolved: Tensor) -> Tensor:
    """
    Return one minus the smooth lDDT of CA atoms.

    Parameters
    ----------
    alpha, true_alpha : Tensor, shape=(batch, residue, 3), dtype=float32
        Predicted and true CA positions, in Angstrom.
    resolved : Tensor, shape=(batch, residue), dtype=bool
        True where the residue counts.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    References
    ----------
    .. [1] Abramson et al., *Nature* 630 (2024), Supplementary Algorithm 27.
    """
    distance = _pair_distances(alpha)
    true_distance = _pair_distances(true_alpha)
    error = (distance - true_distance).abs()
    score = torch.stack([torch.sigmoid(t - error) for t in _LDDT_THRESHOLDS]).mean(0)
    return 1.0 - _masked_mean(score, _near_pairs(true_alpha, resolved))


def _near_pairs(true_alpha: Tensor, resolved: Tensor) -> Tensor:
    """Pairs of different residues that lDDT compares: (batch, residue, residue), bool."""
    itself = torch.eye(true_alpha.shape[1], dtype=torch.bool, device=true_alpha.device)
    mask = resolved[:, :, None] & resolved[:, None, :] & ~itself
    return mask & (_pair_distances(true_alpha) < _LDDT_CUTOFF)


def _pair_distances(points: Tensor) -> Tensor:
    apart = points[:, :, None] - points[:, None, :]
    return torch.sqrt((apart * apart).sum(-1) + 1e-4)


def _distance_error(logits: Tensor | None, true_alpha: Tensor, resolved: Tensor) -> Tensor:
    if logits is None:
        msg = "the decoder predicts binned distances in training mode only; call .train() first"
        raise ValueError(msg)
    edges = torch.linspace(
        _FIRST_DISTANCE, _LAST_DISTANCE, logits.shape[-1] - 1, device=logits.device
    )
    target = torch.bucketize(_pair_distances(true_alpha), edges)
    entropy = functional.cross_entropy(
        logits.float().flatten(0, 2), target.flatten(), reduction="none"
    ).view_as(target)
    return _masked_mean(entropy, resolved[:, :, None] & resolved[:, None, :])
