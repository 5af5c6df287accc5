"""Which code is nearest to each latent?"""

import torch
from torch import Tensor

# Scores held at once: 4 MiB in float32, which stays near the cores of a CPU.
_TILE_ELEMENTS = 1 << 20
# Beyond this a float32 product could overflow; the search then runs in float64.
_LARGEST_PRODUCT = 1e37


@torch.no_grad()
def nearest_codes(latents: Tensor, codes: Tensor, *, tile_elements: int = _TILE_ELEMENTS) -> Tensor:
    """
    Return the index of the nearest code of each latent, by Euclidean distance.

    Parameters
    ----------
    latents : Tensor, shape=(..., dim), dtype=float
        Latents, finite.
    codes : Tensor, shape=(code, dim), dtype=float
        Codes, finite, at least one.
    tile_elements : int
        Distances to hold at once; decides memory and speed, never the result.

    Returns
    -------
    Tensor, shape=(...), dtype=int64
        Indices. Among codes at the same distance the lowest index is taken.

    Raises
    ------
    ValueError
        If a value is not finite or the dimensions differ.

    Notes
    -----
    A matrix product is fast, but its last bits depend on the number of rows and on the library,
    and a latent half-way between two codes would change its index with its batch. The product is
    therefore only a filter: every code whose score is within the rounding error bound of the best
    is kept, and where several are left they are compared by the distance itself, in float64, in a
    fixed order of elementwise operations. The index of a latent is thus a function of its value
    and of the codes alone: the same alone, in any batch, with any tile size or thread count,
    under autocast, with reduced-precision matrix products, and on any device. (The latents
    themselves come from a network, which gives no such guarantee: a caller who needs an index
    that does not depend on the batch must encode in a way that does not either.)

    Examples
    --------
    >>> codes = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> nearest_codes(torch.tensor([[0.9, 0.8], [0.1, 0.0]]), codes)
    tensor([1, 0])
    """
    _check(latents, codes)
    rows = latents.reshape(-1, latents.shape[-1])
    tile_rows = max(1, tile_elements // codes.shape[0])
    with torch.autocast(device_type=codes.device.type, enabled=False):
        search = _Search(codes)
        found = [search.nearest(tile) for tile in rows.split(tile_rows)]
    if not rows.shape[0]:
        return torch.empty(latents.shape[:-1], dtype=torch.int64, device=latents.device)
    return torch.cat(found).reshape(latents.shape[:-1])


class _Search:
    """Filter by matrix product, decide by distance; both for one set of codes."""

    def __init__(self, codes: Tensor) -> None:
        self.codes = codes.double()
        self.center = self.codes.mean(dim=0)
        self.centered = self.codes - self.center
        self.radius = self.centered.square().sum(dim=1).max().sqrt()
        self._by_dtype: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    def nearest(self, latents: Tensor) -> Tensor:
        """Return the nearest code of each row of one tile."""
        rows = latents.double()
        row_index, code_index = self._candidates(rows - self.center)
        if row_index.shape[0] == rows.shape[0]:
            return code_index
        distances = _exact_distances(rows, self.codes, row_index, code_index)
        best = distances.new_full((rows.shape[0],), torch.inf)
        best = best.scatter_reduce(0, row_index, distances, "amin")
        count = self.codes.shape[0]
        ties = torch.where(distances == best[row_index], code_index, count)
        return ties.new_full((rows.shape[0],), count).scatter_reduce(0, row_index, ties, "amin")

    def _candidates(self, centered: Tensor) -> tuple[Tensor, Tensor]:
        """Return pairs (row, code), rising, that contain every nearest code."""
        norms = centered.square().sum(dim=1).sqrt()
        scale = (norms + self.radius) * self.radius
        dtype = torch.float32 if bool((scale < _LARGEST_PRODUCT).all()) else torch.float64
        codes, half_squares = self._operands(dtype)
        # |z - e|^2 / 2 without the |z|^2 / 2 that all codes share.
        scores = torch.addmm(half_squares, centered.to(dtype), codes.T, alpha=-1.0)
        bound = _relative_error(dtype, codes) * scale + _underflow(dtype, codes)
        limit = scores.amin(dim=1).double() + 2.0 * bound
        row_index, code_index = (scores <= limit.to(dtype)[:, None]).nonzero(as_tuple=True)
        return row_index, code_index

    def _operands(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        if dtype not in self._by_dtype:
            half_squares = 0.5 * self.centered.square().sum(dim=1)
            self._by_dtype[dtype] = (self.centered.to(dtype), half_squares.to(dtype))
        return self._by_dtype[dtype]


def _relative_error(dtype: torch.dtype, codes: Tensor) -> float:
    """Bound the error of a score in units of |e| (|z| + |e|), whatever the summation order."""
    # A sum of dim products in any order errs by at most (dim + 1) roundings [Higham, section
    # 3.1]; the operands were rounded too, and so are the half squares and the limit.
    roundings = (codes.shape[1] + 16) * torch.finfo(dtype).eps
    # TF32 or bfloat16 products, if the user allows them, keep 8 bits of the operands at least.
    reduced = dtype == torch.float32 and _reduced_products_allowed()
    return roundings + (2.0**-7 if reduced else 0.0)


def _reduced_products_allowed() -> bool:
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:
        # torch refuses to answer where a precision was set per backend. A bound that is too wide
        # costs time only.
        return True


def _underflow(dtype: torch.dtype, codes: Tensor) -> float:
    """Bound what a score loses when products fall below the smallest normal number."""
    return (codes.shape[1] + 16) * torch.finfo(dtype).tiny


def _exact_distances(
    latents: Tensor, codes: Tensor, row_index: Tensor, code_index: Tensor
) -> Tensor:
    """Return squared distances of pairs, bitwise the same whatever else is computed along."""
    chunk = max(1, _TILE_ELEMENTS // max(1, codes.shape[1]))
    pairs = zip(row_index.split(chunk), code_index.split(chunk), strict=True)
    parts = [_fixed_order_sum((latents[row] - codes[code]).square()) for row, code in pairs]
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
