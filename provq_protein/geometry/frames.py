"""How are residue frames built from backbone atoms, composed, and applied?"""

import torch
from torch import Tensor

# Added inside norms, so that coincident atoms give a finite (if meaningless) axis.
_NORM_EPSILON = 1e-12

# N, CA, C of an ideal residue in its own frame, in Angstrom: bond lengths and angle of
# Engh & Huber (1991), placed by the axis convention of `backbone_frames`.
IDEAL_BACKBONE = ((0.5256, 1.3612, 0.0), (0.0, 0.0, 0.0), (-1.5251, 0.0, 0.0))


def _unit(vector: Tensor) -> Tensor:
    return vector * torch.rsqrt((vector * vector).sum(-1, keepdim=True) + _NORM_EPSILON)


def rotation_from_axes(first: Tensor, second: Tensor) -> Tensor:
    """
    Build a right-handed rotation from two directions, by Gram-Schmidt.

    Parameters
    ----------
    first, second : Tensor, shape=(..., 3), dtype=float
        The direction of the first axis, and a direction in the plane of the first two.
        They need not be of unit length.

    Returns
    -------
    Tensor, shape=(..., 3, 3), dtype=float
        Rotation matrices whose columns are the axes, so ``rotation @ local`` is global.

    Examples
    --------
    >>> axes = torch.eye(3)
    >>> torch.equal(rotation_from_axes(2 * axes[0], axes[1]).round(), axes)
    True
    """
    first_axis = _unit(first)
    second_axis = _unit(second - (second * first_axis).sum(-1, keepdim=True) * first_axis)
    third_axis = torch.linalg.cross(first_axis, second_axis)
    return torch.stack([first_axis, second_axis, third_axis], dim=-1)


def backbone_frames(coords: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the rigid frame of each residue, by Gram-Schmidt on its backbone.

    The origin is CA, the first axis points from C to CA, and N lies in the plane of the
    first two axes.

    Parameters
    ----------
    coords : Tensor, shape=(..., 3, 3), dtype=float
        N, CA and C positions, in Angstrom. Not *NaN*: replace unresolved residues first.

    Returns
    -------
    rotations : Tensor, shape=(..., 3, 3), dtype=float
        Matrices whose columns are the local axes.
    translations : Tensor, shape=(..., 3), dtype=float
        The CA positions, in Angstrom.

    Notes
    -----
    A rigid motion of the input moves the frames with it; a reflection does not give the
    reflected frame, which is how chirality enters the tokens.

    References
    ----------
    .. [1] Jumper et al., *Nature* 596 (2021), Supplementary Algorithm 21, with the axis
       signs of ESM3 (Hayes et al., *Science* 387, 2025).

    Examples
    --------
    >>> rotations, translations = backbone_frames(torch.tensor(IDEAL_BACKBONE))
    >>> torch.allclose(rotations, torch.eye(3), atol=1e-6), translations.tolist()
    (True, [0.0, 0.0, 0.0])
    """
    nitrogen, alpha, carbon = coords.unbind(-2)
    return rotation_from_axes(alpha - carbon, nitrogen - alpha), alpha


def place_backbone(rotations: Tensor, translations: Tensor) -> Tensor:
    """
    Place the ideal N, CA and C in each frame.

    Parameters
    ----------
    rotations : Tensor, shape=(..., 3, 3), dtype=float
        Frame orientations, columns are axes.
    translations : Tensor, shape=(..., 3), dtype=float
        Frame origins, in Angstrom.

    Returns
    -------
    Tensor, shape=(..., 3, 3), dtype=float
        N, CA and C positions, in Angstrom.
    """
    ideal = torch.tensor(IDEAL_BACKBONE, dtype=rotations.dtype, device=rotations.device)
    return torch.einsum("...ij,aj->...ai", rotations, ideal) + translations[..., None, :]


def compose_chain(rotations: Tensor, translations: Tensor) -> tuple[Tensor, Tensor]:
    """
    Multiply rigid transforms along a chain: entry i becomes ``T_0 T_1 ... T_i``.

    Parameters
    ----------
    rotations : Tensor, shape=(..., residue, 3, 3), dtype=float
        Rotation of each frame relative to the one before it.
    translations : Tensor, shape=(..., residue, 3), dtype=float
        Origin of each frame in the one before it, in Angstrom.

    Returns
    -------
    rotations : Tensor, shape=(..., residue, 3, 3), dtype=float
        Relative to the frame before the first.
    translations : Tensor, shape=(..., residue, 3), dtype=float
        Relative to the frame before the first, in Angstrom.

    Notes
    -----
    A parallel prefix product (Hillis & Steele, 1986): ``log2(residue)`` steps instead of
    one per residue.
    """
    length, shift = rotations.shape[-3], 1
    while shift < length:
        left_rotation, left_translation = (
            rotations[..., :-shift, :, :],
            translations[..., :-shift, :],
        )
        right_rotation, right_translation = (
            rotations[..., shift:, :, :],
            translations[..., shift:, :],
        )
        moved = torch.einsum("...ij,...j->...i", left_rotation, right_translation)
        translations = torch.cat([translations[..., :shift, :], moved + left_translation], dim=-2)
        rotations = torch.cat(
            [rotations[..., :shift, :, :], left_rotation @ right_rotation], dim=-3
        )
        shift *= 2
    return rotations, translations


def relative_frames(rotations: Tensor, translations: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return each frame as seen from the one before it in the chain.

    Parameters
    ----------
    rotations : Tensor, shape=(..., residue, 3, 3), dtype=float
        Frame orientations.
    translations : Tensor, shape=(..., residue, 3), dtype=float
        Frame origins, in Angstrom.

    Returns
    -------
    rotations : Tensor, shape=(..., residue - 1, 3, 3), dtype=float
        Orientation of frame i + 1 in frame i.
    translations : Tensor, shape=(..., residue - 1, 3), dtype=float
        Origin of frame i + 1 in frame i, in Angstrom.
    """
    inverse = rotations[..., :-1, :, :].transpose(-1, -2)
    step = translations[..., 1:, :] - translations[..., :-1, :]
    return inverse @ rotations[..., 1:, :, :], torch.einsum("...ij,...j->...i", inverse, step)
