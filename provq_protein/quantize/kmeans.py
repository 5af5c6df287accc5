"""Which centroids represent a sample of latents best?"""

import math

import torch
from torch import Tensor

# Distances held at once: 1 MiB in float32, so that a tile stays in the cache of one CPU core.
_TILE_ELEMENTS = 1 << 18
# K-means++ draws from this many points per centroid; Lloyd iterations use all of them.
_SEEDING_POINTS_PER_CENTROID = 8
_SEEDING_POINTS_AT_LEAST = 4096
# From here on, on a CPU, Lloyd iterations compare a point only with centroids that can be nearest.
_MANY_CENTROIDS = 2048
# Lloyd stops when an iteration improves the inertia by less than this part.
_LEAST_IMPROVEMENT = 5e-4
# Standard deviation of the noise on surplus centroids, over spread / sqrt(dim).
_DUPLICATE_NOISE = 0.01


@torch.no_grad()
def kmeans(
    sample: Tensor,
    k: int,
    *,
    generator: torch.Generator,
    iterations: int = 50,
    restarts: int = 1,
) -> Tensor:
    """
    Return the centroids of a k-means clustering.

    Parameters
    ----------
    sample : Tensor, shape=(point, dim), dtype=float
        Points, finite.
    k : int
        Number of centroids, 1 or more.
    generator : torch.Generator
        Decides the result. It may be on another device than the sample.
    iterations : int
        Lloyd iterations, at most; fewer if the inertia no longer falls. 0 gives the start.
    restarts : int
        Clusterings to run; the one with the smallest inertia is returned.

    Returns
    -------
    Tensor, shape=(k, dim), dtype=float32
        Centroids, finite and, up to rounding, all different.

    Raises
    ------
    ValueError
        If the sample is empty or has a value that is not finite, or a number is out of range.

    Notes
    -----
    Greedy k-means++ on a random subset of the points, then Lloyd iterations on all of them, which
    with many centroids on a CPU leave out comparisons that the triangle inequality [2]_ decides.
    A centroid that loses all its points moves to the point that is worst represented. Where the
    sample has fewer than `k` distinct points, the surplus centroids are copies of others with
    normal noise of standard deviation ``0.01 / sqrt(dim)`` times the spread of the sample.

    Memory grows with ``point * dim + k * dim``, never with ``point * k``. On a CPU the result is
    the same bits for the same generator state, library and number of threads.

    References
    ----------
    .. [1] Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    .. [2] Elkan, "Using the triangle inequality to accelerate k-means", ICML 2003.

    Examples
    --------
    >>> sample = torch.tensor([[0.0], [0.2], [9.0], [9.4]])
    >>> centroids = kmeans(sample, 2, generator=torch.Generator().manual_seed(0))
    >>> centroids.sort(dim=0).values
    tensor([[0.1000],
            [9.2000]])
    """
    _check(sample, k, iterations=iterations, restarts=restarts)
    # Far from the origin float32 distances cancel; around the mean they do not.
    center = sample.double().mean(dim=0)
    points = sample.double() - center
    # Squares must stay within float32; a power of two changes no digit.
    scale = 2.0 ** math.frexp(float(points.abs().max()))[1]
    points = (points / scale).float()
    with torch.autocast(points.device.type, enabled=False):
        runs = [_cluster(points, k, generator, iterations) for _ in range(restarts)]
        _, centroids = min(runs, key=lambda run: run[0])
        centroids = _separated(centroids, points, generator)
    return (scale * centroids.double() + center).float()


def _cluster(
    points: Tensor, k: int, generator: torch.Generator, iterations: int
) -> tuple[float, Tensor]:
    """Return inertia and centroids of one run."""
    centroids = _plus_plus(_subset(points, k, generator), k, generator)
    nearest, distances = _assign(points, centroids)
    inertia = float(distances.sum(dtype=torch.float64))
    for _ in range(iterations):
        moved = _means(points, nearest, distances, centroids)
        nearest, distances = _assign(points, moved, nearest)
        previous, inertia = inertia, float(distances.sum(dtype=torch.float64))
        centroids = moved
        if previous - inertia <= _LEAST_IMPROVEMENT * previous:
            break
    return inertia, centroids


def _subset(points: Tensor, k: int, generator: torch.Generator) -> Tensor:
    count = max(_SEEDING_POINTS_PER_CENTROID * k, _SEEDING_POINTS_AT_LEAST)
    if count >= points.shape[0]:
        return points
    order = torch.randperm(points.shape[0], generator=generator, device=generator.device)
    return points[order[:count].to(points.device)]


def _plus_plus(points: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Choose points as centroids: of a few drawn by squared distance, the most useful one."""
    trials = 2 + int(math.log(k))
    half_squares = 0.5 * points.square().sum(dim=1)
    first = _draw(torch.ones_like(half_squares), 1, generator)
    chosen = [first]
    distances = _half_distances(points, half_squares, first)[0]
    for _ in range(k - 1):
        candidates = _draw(distances, trials, generator)
        lowered = _half_distances(points, half_squares, candidates)
        torch.minimum(lowered, distances, out=lowered)
        best = lowered.sum(dim=1, dtype=torch.float64).argmin()
        distances = lowered[best].clone()
        chosen.append(candidates[best : best + 1])
    return points[torch.cat(chosen)]


def _half_distances(points: Tensor, half_squares: Tensor, candidates: Tensor) -> Tensor:
    """Return half the squared distances, shape=(candidate, point)."""
    products = torch.addmm(half_squares, points[candidates], points.T, alpha=-1.0)
    result = products.add_(half_squares[candidates][:, None]).clamp_(min=0.0)
    # Rounding must not leave a chosen point a chance to be drawn again.
    return result.scatter_(1, candidates[:, None], 0.0)


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw indices in proportion to weights; uniformly if all are zero."""
    # Not torch.multinomial, which takes 2**24 weights at most.
    cumulative = weights.double().cumsum(dim=0)
    uniform = torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)
    uniform = uniform.to(weights.device)
    if float(cumulative[-1]) == 0.0:
        return (uniform * weights.shape[0]).long()
    index = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)
    return index.clamp_(max=weights.shape[0] - 1)


def _assign(
    points: Tensor, centroids: Tensor, previous: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the nearest centroid of each point and the squared distance to it."""
    many = centroids.shape[0] >= _MANY_CENTROIDS and points.device.type == "cpu"
    if previous is not None and many:
        nearest = _nearest_around(points, centroids, previous)
    else:
        nearest = _nearest(points, centroids)
    # The distance itself, without the cancellation of its expanded form.
    distances = (points - centroids[nearest]).square().sum(dim=1)
    return nearest, distances


def _nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Compare every point with every centroid."""
    half_squares = 0.5 * centroids.square().sum(dim=1)
    transposed = centroids.T.contiguous()
    tiles = points.split(max(1, _TILE_ELEMENTS // centroids.shape[0]))
    found = [torch.addmm(half_squares, tile, transposed, alpha=-1.0).min(dim=1) for tile in tiles]
    return torch.cat([tile.indices for tile in found])


def _nearest_around(points: Tensor, centroids: Tensor, previous: Tensor) -> Tensor:
    """
    Compare every point with the centroids around its previous one.

    By the triangle inequality a centroid is nearer than the previous one of a point only if the
    two centroids are within twice the distance from the point to its previous one. In few
    dimensions that leaves few of many centroids.
    """
    reach = (points - centroids[previous]).square().sum(dim=1)
    farthest = reach.new_zeros(centroids.shape[0]).scatter_reduce(0, previous, reach, "amax")
    squares = centroids.square().sum(dim=1)
    # Rounding of the expanded distances below must not exclude a centroid.
    slack = (centroids.shape[1] + 16) * torch.finfo(squares.dtype).eps * float(squares.max())
    limits = 4.0 * (1.0 + 1e-4) * farthest + 4.0 * slack
    order = torch.argsort(previous, stable=True)
    members = order.split(torch.bincount(previous, minlength=centroids.shape[0]).tolist())
    nearest = torch.empty_like(previous)
    step = max(1, _TILE_ELEMENTS // centroids.shape[0])
    for start in range(0, centroids.shape[0], step):
        rows = slice(start, start + step)
        gaps = torch.addmm(squares, centroids[rows], centroids.T, alpha=-2.0)
        row, column = (gaps + squares[rows, None] <= limits[rows, None]).nonzero(as_tuple=True)
        around = column.split(torch.bincount(row, minlength=gaps.shape[0]).tolist())
        for own, near in zip(members[rows], around, strict=True):
            if own.numel():
                nearest[own] = near[_nearest(points[own], centroids[near])]
    return nearest


def _means(points: Tensor, nearest: Tensor, distances: Tensor, centroids: Tensor) -> Tensor:
    """Return the mean of each cluster; empty clusters move to badly represented points."""
    sums = torch.zeros_like(centroids, dtype=torch.float64)
    sums.index_add_(0, nearest, points.double())
    counts = torch.bincount(nearest, minlength=centroids.shape[0])
    moved = (sums / counts.clamp(min=1)[:, None]).float()
    empty = (counts == 0).nonzero()[:, 0]
    if empty.numel():
        farthest = distances.topk(min(empty.numel(), distances.numel())).indices
        moved[empty] = centroids[empty]
        moved[empty[: farthest.numel()]] = points[farthest]
    return moved


def _separated(centroids: Tensor, points: Tensor, generator: torch.Generator) -> Tensor:
    """Return the centroids with noise on all but the first of equal ones."""
    _, group = torch.unique(centroids, dim=0, return_inverse=True)
    order = torch.arange(centroids.shape[0], device=centroids.device)
    first = torch.full_like(order, centroids.shape[0]).scatter_reduce(0, group, order, "amin")
    surplus = order != first[group]
    if not bool(surplus.any()):
        return centroids
    spread = float(points.square().mean().sqrt()) or 1.0
    noise = torch.randn(centroids.shape, generator=generator, device=generator.device)
    scale = _DUPLICATE_NOISE * spread / math.sqrt(centroids.shape[1])
    return torch.where(surplus[:, None], centroids + scale * noise.to(centroids), centroids)


def _check(sample: Tensor, k: int, *, iterations: int, restarts: int) -> None:
    if sample.ndim != 2 or not sample.shape[0] or not sample.shape[1]:
        msg = f"kmeans: expected a sample of shape (point, dim), got {tuple(sample.shape)}"
        raise ValueError(msg)
    for name, value, least in (
        ("k", k, 1),
        ("iterations", iterations, 0),
        ("restarts", restarts, 1),
    ):
        if value < least:
            msg = f"kmeans: {name} must be {least} or more, got {value}"
            raise ValueError(msg)
    if not bool(torch.isfinite(sample).all()):
        broken = int((~torch.isfinite(sample)).any(dim=1).sum())
        msg = f"kmeans: {broken} of {sample.shape[0]} points contain NaN or infinity"
        raise ValueError(msg)
