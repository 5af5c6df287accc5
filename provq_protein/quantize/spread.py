"""How far apart are vectors, and how many directions do they fill?"""

import torch
from torch import Tensor

# Values held at once when codes are compared pairwise: 32 MiB in float64.
_TILE_ELEMENTS = 1 << 22
# Up to here distances are taken difference by difference.
_DIRECT_DIMENSIONS = 64


@torch.no_grad()
def mean_code_distance(codes: Tensor, *, include_diagonal: bool = False) -> float:
    """
    Return the mean Euclidean distance between codes.

    Parameters
    ----------
    codes : Tensor, shape=(code, dim), dtype=float
        Codes, finite, at least two: the effective ones, or the raw ones of a book that has both.
    include_diagonal : bool
        Whether a code and itself are a pair, at distance 0. Papers often print such a mean, over
        the whole distance matrix; it is smaller by ``(code - 1) / code``.

    Returns
    -------
    float
        Mean over all pairs, in the units of the codes.

    Raises
    ------
    ValueError
        If there are fewer than two codes, or a value is not finite.

    Examples
    --------
    >>> mean_code_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    5.0
    >>> mean_code_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), include_diagonal=True)
    2.5
    """
    _check("codes", codes, least=2)
    values = codes.double()
    values = values - values.mean(dim=0)
    count, dim = values.shape
    # A matrix product loses distances below some 1e-7 of the largest to cancellation, but without
    # one many dimensions take too long.
    product = "use" if dim > _DIRECT_DIMENSIONS else "donot_use"
    total = 0.0
    for start, tile in _tiles(values):
        gaps = torch.cdist(tile, values[start:], compute_mode=f"{product}_mm_for_euclid_dist")
        # Pairs within the tile come twice in this block, those with later codes once.
        within = gaps[:, : tile.shape[0]].sum()
        total += float(2.0 * gaps.sum() - within)
    return total / (count * (count if include_diagonal else count - 1))


@torch.no_grad()
def nearest_neighbor_cosine(codes: Tensor) -> float:
    """
    Return the mean cosine similarity of a code and the other code that is most similar to it.

    Parameters
    ----------
    codes : Tensor, shape=(code, dim), dtype=float
        Codes, finite, at least two.

    Returns
    -------
    float
        In [-1, 1]; near 1 if the codes come in parallel pairs or bundles. A code of length zero
        has no direction: its similarity to any other is taken as 0.

    Raises
    ------
    ValueError
        If there are fewer than two codes, or a value is not finite.

    Examples
    --------
    >>> nearest_neighbor_cosine(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, -1.0]]))
    0.0
    """
    _check("codes", codes, least=2)
    values = codes.double()
    # Squares of very small or very large values would leave the range of numbers.
    largest = values.abs().amax(dim=1, keepdim=True)
    values = values / torch.where(largest > 0.0, largest, 1.0)
    lengths = values.square().sum(dim=1, keepdim=True).sqrt()
    directions = values / torch.where(lengths > 0.0, lengths, 1.0)
    total = 0.0
    for start, tile in _tiles(directions):
        cosines = tile @ directions.T
        cosines.diagonal(offset=start).fill_(-torch.inf)
        total += float(cosines.amax(dim=1).clamp(-1.0, 1.0).sum())
    return total / codes.shape[0]


@torch.no_grad()
def effective_dimension(
    vectors: Tensor, *, weights: Tensor | None = None, variance: float = 0.99
) -> int:
    """
    Return the number of principal components that hold most of the variance.

    Parameters
    ----------
    vectors : Tensor, shape=(vector, dim), dtype=float
        Codes or latents, finite, at least one.
    weights : Tensor, shape=(vector,), optional
        How often each vector counts, 0 or more: the counts of codes, for instance. By default
        all count the same.
    variance : float
        Share of the variance to hold, above 0 and up to 1.

    Returns
    -------
    int
        From 1 to ``min(dim, vector - 1)``; 0 if all vectors that count are equal.

    Raises
    ------
    ValueError
        If `variance` is out of range, there is no vector, a value is not finite, or the weights
        have another shape, are negative, or are all zero.

    References
    ----------
    .. [1] Continuous-first training of vector-quantized autoencoders, arXiv:2605.06870, which
       uses 99 % of the variance.

    Examples
    --------
    >>> line = torch.arange(9.0)[:, None] * torch.tensor([[1.0, 2.0, 3.0]])
    >>> effective_dimension(line)
    1
    """
    if not 0.0 < variance <= 1.0:
        msg = f"effective dimension: variance must be above 0 and up to 1, got {variance}"
        raise ValueError(msg)
    spectrum = torch.linalg.eigvalsh(_covariance(vectors, weights)).flip(0)
    held = spectrum.cumsum(dim=0)
    if float(held[-1]) == 0.0:
        return 0
    # Rounding must not ask for a component more, at a share that is held exactly or at 1.
    return int((held < variance * held[-1] * (1.0 - 1e-12)).sum()) + 1


@torch.no_grad()
def participation_ratio(vectors: Tensor, *, weights: Tensor | None = None) -> float:
    """
    Return the number of equally strong principal components with the same spread of variance.

    Parameters
    ----------
    vectors : Tensor, shape=(vector, dim), dtype=float
        Codes or latents, finite, at least one.
    weights : Tensor, shape=(vector,), optional
        How often each vector counts, 0 or more; by default all count the same.

    Returns
    -------
    float
        From 1 to ``min(dim, vector - 1)``; 0 if all vectors that count are equal.

    Raises
    ------
    ValueError
        As `effective_dimension`.

    Notes
    -----
    With the variances :math:`\\lambda_i` along the principal components this is
    :math:`(\\sum_i \\lambda_i)^2 / \\sum_i \\lambda_i^2`. Unlike `effective_dimension` it has no
    threshold, and changes smoothly with the vectors.

    Examples
    --------
    >>> participation_ratio(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    2.0
    """
    covariance = _covariance(vectors, weights)
    squared_sum = float(covariance.square().sum())
    return float(covariance.trace()) ** 2 / squared_sum if squared_sum else 0.0


def _covariance(vectors: Tensor, weights: Tensor | None) -> Tensor:
    """Return the covariance matrix, divided by the square of the largest deviation."""
    _check("vectors", vectors, least=1)
    if weights is not None:
        _check_weights(weights, vectors.shape[0])
        counting = weights > 0
        vectors, weights = vectors[counting], weights[counting].double()
        weights = weights / weights.max()
    else:
        weights = vectors.new_ones(vectors.shape[0], dtype=torch.float64)
    dim = vectors.shape[1]
    rows = max(1, _TILE_ELEMENTS // dim)
    parts = list(zip(vectors.split(rows), weights.split(rows), strict=True))
    # Around one of the vectors: equal vectors are then exactly zero, far from the origin too.
    origin = vectors[0].double()
    scale = max(float((part.double() - origin).abs().max()) for part, _ in parts)
    if scale == 0.0:
        return origin.new_zeros((dim, dim))
    sums = torch.stack([weight @ ((part.double() - origin) / scale) for part, weight in parts])
    mean = sums.sum(dim=0) / weights.sum()
    total = origin.new_zeros((dim, dim))
    for part, weight in parts:
        deviations = (part.double() - origin) / scale - mean
        total += deviations.T @ (deviations * weight[:, None])
    return total / weights.sum()


def _tiles(values: Tensor) -> list[tuple[int, Tensor]]:
    """Return rows, with the number of the first, that may be compared with all rows at once."""
    rows = max(1, _TILE_ELEMENTS // values.shape[0])
    return [(start, values[start : start + rows]) for start in range(0, values.shape[0], rows)]


def _check(name: str, values: Tensor, *, least: int) -> None:
    if values.ndim != 2 or values.shape[0] < least or values.shape[1] < 1:
        wanted = "two codes or more" if least == 2 else "one vector or more"
        kind, got = ("code" if least == 2 else "vector"), tuple(values.shape)
        msg = f"{name}: expected shape ({kind}, dim) with {wanted}, got {got}"
        raise ValueError(msg)
    if not bool(torch.isfinite(values).all()):
        broken = int((~torch.isfinite(values)).any(dim=1).sum())
        msg = f"{name}: {broken} of {values.shape[0]} contain NaN or infinity"
        raise ValueError(msg)


def _check_weights(weights: Tensor, count: int) -> None:
    if weights.shape != (count,):
        msg = f"weights: expected shape ({count},), one per vector, got {tuple(weights.shape)}"
        raise ValueError(msg)
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()) or not bool((weights > 0).any()):
        msg = "weights: must be finite, 0 or more, and not all zero"
        raise ValueError(msg)
