"""How is geometric attention evaluated along whole vectors of heads?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.model.geometric_attention import GeometricAttention

Frames = tuple[Tensor, Tensor, Tensor]  # rotations, translations, valid


@dataclass(frozen=True, slots=True)
class AttentionTables:
    """
    Projections of a `GeometricAttention`, with components first and heads last.

    Parameters
    ----------
    query, query_bias : Tensor, shapes=(6 * heads, width) and (6 * heads,), dtype=float
        Rows ordered by component, then direction and point, then head. Directions are
        multiplied by the head's direction scale, points by its distance scale.
    key_value, key_value_bias : Tensor, shapes=(9 * heads, width) and (9 * heads,), dtype=float
        Likewise for key direction, value and key point; points are scaled.
    distance_scale : Tensor, shape=(heads,), dtype=float
        What points were multiplied by.
    """

    query: Tensor
    query_bias: Tensor
    key_value: Tensor
    key_value_bias: Tensor
    distance_scale: Tensor


def attention_tables(attention: GeometricAttention) -> AttentionTables:
    """
    Rearrange the projections of an attention layer for `attend`.

    Parameters
    ----------
    attention : GeometricAttention
        The layer.

    Returns
    -------
    AttentionTables
        Copies of its weights.
    """
    direction_scale = functional.softplus(attention.direction_scale) / math.sqrt(3)
    distance_scale = functional.softplus(attention.distance_scale) / math.sqrt(3)
    ones = torch.ones_like(distance_scale)
    for_query = torch.stack([direction_scale, distance_scale])
    for_key = torch.stack([ones, ones, distance_scale])
    return AttentionTables(
        query=_components_first(attention.query.weight, for_query),
        query_bias=_components_first(attention.query.bias, for_query),
        key_value=_components_first(attention.key_value.weight, for_key),
        key_value_bias=_components_first(attention.key_value.bias, for_key),
        distance_scale=distance_scale,
    )


def heads_last(weight: Tensor, heads: int) -> Tensor:
    """
    Reorder the input columns of an attention's output layer for what `attend` returns.

    Parameters
    ----------
    weight : Tensor, shape=(width, 3 * heads), dtype=float
        Columns ordered by head, then component.
    heads : int
        Number of heads.

    Returns
    -------
    Tensor, shape=(width, 3 * heads), dtype=float
        Columns ordered by component, then head.
    """
    return weight.unflatten(1, (heads, 3)).transpose(1, 2).flatten(1)


def _components_first(values: Tensor, scales: Tensor) -> Tensor:
    """Reorder rows (part, head, component) to (component, part, head), each part scaled."""
    parts, heads = scales.shape
    values = values.unflatten(0, (parts, heads, 3))
    scales = scales.reshape(parts, heads, *[1] * (values.ndim - 2))
    return (values * scales).movedim(2, 0).flatten(0, 2).contiguous()


def attend(query: Tensor, key_value: Tensor, frames: Frames, distance_scale: Tensor) -> Tensor:
    """
    Attend from the leading frames of each set to all its frames.

    Parameters
    ----------
    query : Tensor, shape=(set, queries, 6 * heads), dtype=float
        From `AttentionTables.query`.
    key_value : Tensor, shape=(set, frame, 9 * heads), dtype=float
        From `AttentionTables.key_value`.
    frames : tuple of Tensor, shapes=(set, frame, 3, 3), (set, frame, 3) and (set, frame)
        Rotations, translations (Angstrom), and False for frames that no query may see.
    distance_scale : Tensor, shape=(heads,), dtype=float
        What points were multiplied by.

    Returns
    -------
    Tensor, shape=(set * queries, 3 * heads), dtype=float
        Attended values in the frame of each query, by component, then head.

    Notes
    -----
    What `GeometricAttention.attend` computes before its output layer. Sets have few frames and
    there are many heads, so that heads are the axis along which a processor works: every
    operation is elementwise over all pairs of frames, with heads contiguous in memory.
    """
    rotations, translations, valid = frames
    sets, queries = query.shape[:2]
    direction, point = _in_common_frame(query, rotations[:, :queries], 2)
    key_direction, value, key_point = _in_common_frame(key_value, rotations, 3)
    shift = translations[..., None]
    point.addcmul_(shift[:, :queries], distance_scale)
    key_point.addcmul_(shift, distance_scale)
    # Pairs of frames from here on: (set, query, frame, head).
    logits = _negative_distances(point, key_point)
    for component in range(3):
        logits.addcmul_(direction[:, :, None, component], key_direction[:, None, :, component])
    if not bool(valid.all()):
        logits.masked_fill_(~valid[:, None, :, None], -torch.inf)
    weights = logits.softmax(dim=2)
    attended = query.new_empty(sets, queries, 3, distance_scale.shape[0])
    for component in range(3):
        torch.mul(weights, value[:, None, :, component], out=logits)
        torch.sum(logits, dim=2, out=attended[:, :, component])
    back = rotations[:, :queries].transpose(-1, -2)
    return (back @ attended).view(sets * queries, -1)


def _in_common_frame(flat: Tensor, rotations: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Turn local vectors (..., 3 * parts * heads); return `parts` of shape (..., 3, heads)."""
    turned = rotations @ flat.unflatten(-1, (3, -1))
    return turned.chunk(parts, dim=-1)


def _negative_distances(point: Tensor, key_point: Tensor) -> Tensor:
    """Return minus the distance of each pair of (set, frame, 3, head): (set, query, key, head)."""
    difference = point[:, :, None, 0] - key_point[:, None, :, 0]
    squares = difference.square()
    for component in (1, 2):
        torch.sub(point[:, :, None, component], key_point[:, None, :, component], out=difference)
        squares.addcmul_(difference, difference)
    return squares.sqrt_().neg_()
