"""Which code is nearest to each latent?"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Scores held at once, by device type: in float32 4 MiB, which stay in the caches of a CPU, or
# 256 MiB, which keep a GPU busy.
_TILE_ELEMENTS = {"cpu": 1 << 20}
_TILE_ELEMENTS_ELSEWHERE = 1 << 26
# Below this many rows a matrix product does not pay.
_TILE_ROWS = 256
# Codes whose scores are reduced to their minimum before they are looked at one by one.
_GROUP = 32
# Beyond this a float32 product could overflow; the search then runs in float64.
_LARGEST_PRODUCT = 1e37


@torch.no_grad()
def nearest_codes(latents: Tensor, codes: Tensor, *, tile_elements: int | None = None) -> Tensor:
    """
    Return the index of the nearest code of each latent, by Euclidean distance.

    Parameters
    ----------
    latents : Tensor, shape=(..., dim), dtype=float
        Latents, finite.
    codes : Tensor, shape=(code, dim), dtype=float
        Codes, finite, at least one.
    tile_elements : int, optional
        Distances to hold at once; decides memory and speed, never the result. By default about a
        million on a CPU, and more elsewhere. One latent and 32 codes are the smallest tile.

    Returns
    -------
    Tensor, shape=(...), dtype=int64
        Indices. Among codes at the same distance the lowest index is taken.

    Raises
    ------
    ValueError
        If a value is not finite, its square overflows float64, or the dimensions differ.

    Notes
    -----
    A matrix product is fast, but its last bits depend on the number of rows and on the library,
    and a latent half-way between two codes would change its index with its batch. The product is
    therefore only a filter: every code whose score is within the rounding error bound of the best
    is kept, and those that are left are compared by the distance itself, in float64, in a fixed
    order of elementwise operations. The index of a latent is thus a function of its value and of
    the codes alone: the same alone, in any batch, with any tile size or thread count, under
    autocast, with reduced-precision matrix products, and on any device. (The latents themselves
    come from a network, which gives no such guarantee: a caller who needs an index that does not
    depend on the batch must encode in a way that does not either.)

    Beside copies of the operands, memory is that of one tile, however many latents and codes
    there are. In low dimensions time goes into reading scores rather than computing them, so each
    score is read once, by a minimum over groups of codes; only groups that can hold the nearest
    code are looked into.

    Examples
    --------
    >>> codes = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> nearest_codes(torch.tensor([[0.9, 0.8], [0.1, 0.0]]), codes)
    tensor([1, 0])
    """
    _check(latents, codes)
    if tile_elements is None:
        tile_elements = _TILE_ELEMENTS.get(codes.device.type, _TILE_ELEMENTS_ELSEWHERE)
    rows = latents.reshape(-1, latents.shape[-1])
    if not rows.shape[0]:
        return torch.empty(latents.shape[:-1], dtype=torch.int64, device=latents.device)
    found = torch.zeros(rows.shape[0], dtype=torch.int64, device=latents.device)
    tile_rows = min(max(_TILE_ROWS, tile_elements // codes.shape[0]), tile_elements // _GROUP)
    tile_rows = max(1, min(tile_rows, rows.shape[0]))
    with torch.autocast(device_type=codes.device.type, enabled=False):
        search = _Search(codes, max(1, tile_elements // tile_rows // _GROUP))
        for tile, indices in zip(rows.split(tile_rows), found.split(tile_rows), strict=True):
            search.nearest(tile, indices)
    return found.reshape(latents.shape[:-1])


class _Search:
    """Filter by matrix product, decide by distance; both for one set of codes."""

    def __init__(self, codes: Tensor, tile_groups: int) -> None:
        self.codes = codes
        self.tile_groups = tile_groups
        self.center = codes.double().mean(dim=0)
        self.centered = codes.to(torch.float64, copy=True).sub_(self.center)
        self.lengths = torch.linalg.vector_norm(self.centered, dim=1, keepdim=True)
        self.radius = self.lengths.max()
        self._tiles_by_dtype: dict[torch.dtype, tuple[Tensor, ...]] = {}
        self._scores = codes.new_empty(0)

    def nearest(self, latents: Tensor, found: Tensor) -> None:
        """Write the index of the nearest code of each row."""
        centered = latents.double() - self.center
        scale = (torch.linalg.vector_norm(centered, dim=1) + self.radius) * self.radius
        if not bool(torch.isfinite(scale).all()):
            msg = "latents or codes: too large, squared distances exceed float64; scale them down"
            raise ValueError(msg)
        dtype = torch.float32 if bool((scale < _LARGEST_PRODUCT).all()) else torch.float64
        shortest = scale.new_full(scale.shape, torch.inf)
        for row, code in self._candidates(centered, scale, dtype):
            distances = _exact_distances(latents, self.codes, row, code)
            best = torch.full_like(shortest, torch.inf).scatter_reduce(0, row, distances, "amin")
            ties = torch.where(distances == best[row], code, self.codes.shape[0])
            lowest = torch.full_like(found, self.codes.shape[0])
            lowest = lowest.scatter_reduce(0, row, ties, "amin")
            # Tiles come in the order of their codes: an earlier one wins a tie.
            found.copy_(torch.where(best < shortest, lowest, found))
            shortest = torch.minimum(best, shortest)

    def _candidates(
        self, centered: Tensor, scale: Tensor, dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pairs (row, code), tile by tile, that contain every nearest code."""
        count, dim = centered.shape
        rows = torch.cat([-centered, centered.new_ones(count, 1)], dim=1).to(dtype)
        slack = 2.0 * (_relative_error(dtype, dim) * scale + _underflow(dtype, dim))
        best = rows.new_full((count,), torch.inf)
        for number, codes in enumerate(self._tiles(dtype)):
            scores = self._product(codes, rows).view(-1, _GROUP, count)
            minima = scores.amin(dim=1)
            best = torch.minimum(best, minima.amin(dim=0))
            limit = (best.double() + slack).to(dtype)
            group, row = (minima <= limit).nonzero(as_tuple=True)
            pair, member = (scores[group, :, row] <= limit[row, None]).nonzero(as_tuple=True)
            code = (number * self.tile_groups + group[pair]) * _GROUP + member
            yield row[pair], code.clamp(max=self.codes.shape[0] - 1)

    def _product(self, codes: Tensor, rows: Tensor) -> Tensor:
        """Return a matrix product in memory that is used again by the next tile."""
        elements = codes.shape[0] * rows.shape[0]
        if self._scores.dtype != rows.dtype or self._scores.numel() < elements:
            self._scores = rows.new_empty(elements)
        out = self._scores[:elements].view(codes.shape[0], rows.shape[0])
        return torch.mm(codes, rows.T, out=out)

    def _tiles(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Return the codes, and half of their squares in a last column, in groups."""
        if dtype not in self._tiles_by_dtype:
            # |z - e|^2 / 2 without the |z|^2 / 2 that all codes share is a single product.
            half_squares = 0.5 * self.lengths.square()
            table = torch.cat([self.centered.to(dtype), half_squares.to(dtype)], dim=1)
            # Filled up with copies, whose indices are set back to that of the original.
            copies = -len(table) % _GROUP
            table = torch.cat([table, table[-1:].expand(copies, -1)])
            self._tiles_by_dtype[dtype] = table.split(self.tile_groups * _GROUP)
        return self._tiles_by_dtype[dtype]


def _relative_error(dtype: torch.dtype, dim: int) -> float:
    """Bound the error of a score in units of |e| (|z| + |e|), whatever the summation order."""
    # A sum of dim + 1 products in any order errs by at most (dim + 2) roundings [Higham, section
    # 3.1]; the operands were rounded too, and so is the limit.
    roundings = (dim + 16) * torch.finfo(dtype).eps
    # TF32 or bfloat16 products, if the user allows them, keep 8 bits of the operands at least.
    reduced = dtype == torch.float32 and _reduced_products_allowed()
    return roundings + (2.0**-6 if reduced else 0.0)


def _reduced_products_allowed() -> bool:
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:
        # torch refuses to answer where a precision was set per backend. A bound that is too wide
        # costs time only.
        return True


def _underflow(dtype: torch.dtype, dim: int) -> float:
    """Bound what a score loses when products fall below the smallest normal number."""
    return (dim + 16) * torch.finfo(dtype).tiny


def _exact_distances(latents: Tensor, codes: Tensor, row: Tensor, code: Tensor) -> Tensor:
    """Return squared distances of pairs, bitwise the same whatever else is computed along."""
    chunk = max(1, _TILE_ELEMENTS["cpu"] // codes.shape[1])
    parts = [
        _fixed_order_sum((latents[some].double() - codes[others].double()).square())
        for some, others in zip(row.split(chunk), code.split(chunk), strict=True)
    ]
    return torch.cat(parts)


def _fixed_order_sum(values: Tensor) -> Tensor:
    """Sum the last axis by halving it: torch's own sum may change its order with the shape."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        values = torch.cat([folded, values[..., 2 * half :]], dim=-1)
    return values[..., 0]


def _check(latents: Tensor, codes: Tensor) -> None:
    if codes.ndim != 2 or codes.shape[0] < 1 or codes.shape[1] < 1:
        msg = f"codes: expected shape (code, dim) with at least one code, got {tuple(codes.shape)}"
        raise ValueError(msg)
    if latents.ndim < 1 or latents.shape[-1] != codes.shape[1]:
        msg = f"latents: expected shape (..., {codes.shape[1]}), got {tuple(latents.shape)}"
        raise ValueError(msg)
    for name, values in (("latents", latents), ("codes", codes)):
        if not bool(torch.isfinite(values).all()):
            msg = f"{name}: contain NaN or infinity; nothing is nearest to that"
            raise ValueError(msg)
