"""How do residue frames attend to each other by orientation and distance?"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Each vector head spends one 3-vector on each of these.
_QUERY_VECTORS = 2  # direction query, point query
_KEY_VECTORS = 3  # direction key, value, point key


def _vectors(flat: Tensor, heads: int, parts: int) -> list[Tensor]:
    """Split (..., parts * heads * 3) into `parts` tensors of shape (..., heads, 3)."""
    return list(flat.unflatten(-1, (parts, heads, 3)).unbind(-3))


def _rotate(rotations: Tensor, vectors: Tensor) -> Tensor:
    """Apply (..., 3, 3) to each of (..., heads, 3)."""
    return vectors @ rotations.transpose(-1, -2)


class GeometricAttention(nn.Module):
    """
    Attention among a small set of frames, by the direction and the distance of vectors.

    Each head gives each frame a direction and a point. A key scores high where its
    direction agrees with the query's and its point is near the query's; the values are
    3-vectors, brought back into the frame of the query.

    Parameters
    ----------
    width : int
        Features per frame.
    vector_heads : int
        Heads, each of one 3-vector.

    Notes
    -----
    The same function as the geometric attention of ESM3 [1]_: for frames
    :math:`T_i = (R_i, t_i)` the logit of head h is

    .. math::

        \\frac{a_h}{\\sqrt 3} \\langle R_i q_i, R_j k_j \\rangle
        - \\frac{b_h}{\\sqrt 3} \\lVert T_i p_i - T_j s_j \\rVert

    with :math:`a_h, b_h > 0` learned. Positions are in Angstrom and distances are not
    squared. Moving all frames of a set rigidly changes nothing.

    References
    ----------
    .. [1] Hayes et al., *Science* 387 (2025), supplementary section A.1.6.
    """

    def __init__(self, width: int, vector_heads: int) -> None:
        super().__init__()
        self.vector_heads = vector_heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, _QUERY_VECTORS * 3 * vector_heads)
        self.key_value = nn.Linear(width, _KEY_VECTORS * 3 * vector_heads)
        self.direction_scale = nn.Parameter(torch.zeros(vector_heads))
        self.distance_scale = nn.Parameter(torch.zeros(vector_heads))
        self.output = nn.Linear(3 * vector_heads, width)

    def project(self, features: Tensor, *, queries: int | None = None) -> tuple[Tensor, Tensor]:
        """
        Turn features into the local-frame vectors that `attend` takes.

        Parameters
        ----------
        features : Tensor, shape=(..., frame, width), dtype=float
            Input of the layer, before its norm.
        queries : int, optional
            Give queries for that many leading frames only (default: for all).

        Returns
        -------
        query : Tensor, shape=(..., queries, 6 * vector_heads), dtype=float
            Query vectors.
        key_value : Tensor, shape=(..., frame, 9 * vector_heads), dtype=float
            Key and value vectors.
        """
        normed = self.norm(features)
        return self.query(normed[..., :queries, :]), self.key_value(normed)

    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        rotations: Tensor,
        translations: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """
        Attend from the leading frames of each set to all its frames.

        Parameters
        ----------
        query : Tensor, shape=(set, queries, 6 * vector_heads), dtype=float
            From `project`.
        key_value : Tensor, shape=(set, frame, 9 * vector_heads), dtype=float
            From `project`.
        rotations : Tensor, shape=(set, frame, 3, 3), dtype=float
            Frame orientations, columns are axes.
        translations : Tensor, shape=(set, frame, 3), dtype=float
            Frame origins, in Angstrom.
        valid : Tensor, shape=(set, frame), dtype=bool
            False for frames that no query may see. At least one is True in each set.

        Returns
        -------
        Tensor, shape=(set, queries, width), dtype=float
            What the layer adds to its input.
        """
        queries, dtype = query.shape[-2], query.dtype
        # At least single precision, also under autocast: points span tens of Angstrom.
        precise = torch.promote_types(dtype, torch.float32)
        query, key_value = query.to(precise), key_value.to(precise)
        with torch.autocast(query.device.type, enabled=False):
            attended = self._attend(query, key_value, rotations, translations, valid)
            attended = _rotate(rotations[:, :queries].transpose(-1, -2), attended)
        return self.output(attended.flatten(-2).to(dtype))

    def _attend(
        self,
        query: Tensor,
        key_value: Tensor,
        rotations: Tensor,
        translations: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Return the attended values (set, queries, heads, 3), in the common frame."""
        heads, queries = self.vector_heads, query.shape[-2]
        direction, point = (
            _rotate(rotations[:, :queries], part) for part in _vectors(query, heads, _QUERY_VECTORS)
        )
        key_direction, value, key_point = (
            _rotate(rotations, part) for part in _vectors(key_value, heads, _KEY_VECTORS)
        )
        point = point + translations[:, :queries, None]
        key_point = key_point + translations[:, :, None]

        # Heads before frames from here on: (set, heads, frame, 3).
        agreement = direction.transpose(1, 2) @ key_direction.permute(0, 2, 3, 1)
        distance = torch.cdist(
            point.transpose(1, 2).contiguous(),
            key_point.transpose(1, 2).contiguous(),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        direction_scale = functional.softplus(self.direction_scale) / math.sqrt(3)
        distance_scale = functional.softplus(self.distance_scale) / math.sqrt(3)
        logits = (
            agreement * direction_scale[:, None, None] - distance * distance_scale[:, None, None]
        )
        logits = logits.masked_fill(~valid[:, None, None, :], -torch.inf)
        return (logits.softmax(dim=-1) @ value.transpose(1, 2)).transpose(1, 2)
