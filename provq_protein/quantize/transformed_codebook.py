"""How can a small network, shared by all codes, move them together?"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook

# Attention costs the square of this, at each call.
_MOST_POSITIONS = 256
# Width of the hidden layer of a block, over that of the block.
_EXPANSION = 4


class TransformedCodebook(AbstractCodebook):
    """
    A table plus what a small transformer makes of it (in the manner of VQBridge and TransVQ).

    A gradient of one code changes the network, and with it every code: codes that no latent
    chooses are carried along. `folded` leaves the codes and drops the network.

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of a code.
    width : int
        Width of the transformer.
    depth : int
        Number of its blocks.
    heads : int
        Number of attention heads in a block; a divisor of `width`.
    patch : int, optional
        Consecutive codes that share one position of the transformer; a divisor of `size`. By
        default the smallest one that leaves 256 positions or fewer.
    train_table : bool
        Whether a gradient reaches the table as well; by default it is frozen.

    Raises
    ------
    ConfigError
        If a number is below 1 or no divisor of what it should divide.

    Notes
    -----
    The codes are :math:`E = C + s\\, T((C - \\bar C) / s)` with the table C, its mean code
    :math:`\\bar C`, and the root mean square s of its numbers around that mean. T is: `patch`
    codes flattened to one position, a linear map to `width`, blocks of attention over all
    positions and of a two-layer perceptron, each after a layer normalization and added to what
    came in, a layer normalization, and a linear map back.

    Taken from VQBridge [1]_: several codes at one position, so that attention over a large table
    is affordable; few blocks; a network that is folded away after training. Taken from TransVQ
    [2]_: the table is frozen. Ours: codes are grouped by their order in the table, not as patches
    of an image made of it; T is *added*, and its last map starts at zero, so that seeding is
    exact; the input and output scale, so that T sees numbers of order 1 whatever the latents are;
    no position embedding, as the codes themselves tell the positions apart; the sizes.

    The codes are computed in full precision also under autocast, by `nearest` and by `lookup`:
    twice in a forward pass. Nothing is kept between calls, where it could become stale.

    References
    ----------
    .. [1] "Scalable training for vector-quantized networks with 100% codebook utilization" (FVQ,
       VQBridge), arXiv:2509.10140.
    .. [2] "Beyond stationarity: rethinking codebook collapse in vector quantization" (TransVQ),
       arXiv:2602.18896.

    Examples
    --------
    >>> book = TransformedCodebook(4, 2, width=8, depth=1)
    >>> book.seed(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    >>> book.lookup(book.nearest(torch.tensor([[0.1, 0.7]]))).detach()
    tensor([[0., 1.]])
    >>> "table" in dict(book.named_parameters())
    False
    """

    table: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        patch: int | None = None,
        train_table: bool = False,
    ) -> None:
        super().__init__(size, dim)
        self.patch = _smallest_patch(size) if patch is None else patch
        sizes = {"width": width, "depth": depth, "heads": heads, "patch": self.patch}
        for name, value in sizes.items():
            if value < 1:
                msg = f"codebook: {name} must be 1 or more, got {value}"
                raise ConfigError(msg)
        for name, value, of, whole in (
            ("heads", heads, "width", width),
            ("patch", self.patch, "size", size),
        ):
            if whole % value:
                msg = f"codebook: {name} must divide {of}, got {value} and {whole}"
                raise ConfigError(msg)
        table = torch.empty(size, dim).normal_()
        if train_table:
            self.table = nn.Parameter(table)
        else:
            self.register_buffer("table", table)
        self.enter = nn.Linear(self.patch * dim, width)
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, self.patch * dim)
        self._silence()

    def codes(self) -> Tensor:
        """
        Return the effective codes.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Computed anew at each call, in full precision also under autocast.
        """
        with torch.autocast(self.table.device.type, enabled=False):
            fixed = self.table.detach()
            center = fixed.mean(dim=0)
            spread = (fixed - center).square().mean().sqrt()
            # A single code, or equal ones, have no spread.
            spread = torch.where(spread > 0.0, spread, 1.0)
            positions = ((self.table - center) / spread).reshape(-1, self.patch * self.dim)
            hidden = self.norm(self.blocks(self.enter(positions)))
            return self.table + spread * self.leave(hidden).reshape(self.size, self.dim)

    def raw_codes(self) -> Tensor:
        """
        Return the table, before what the network adds.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Detached.
        """
        return self.table.detach()

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"{super().extra_repr()}, patch={self.patch}"

    def _place(self, centroids: Tensor) -> None:
        self.table.copy_(centroids)
        self._silence()

    def _silence(self) -> None:
        """Let the network add nothing."""
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)


class _Block(nn.Module):
    """Attention over all positions, then a perceptron; each normalized first and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, _EXPANSION * width),
            nn.GELU(),
            nn.Linear(_EXPANSION * width, width),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return new features of each position, shape=(position, width)."""
        count, width = hidden.shape
        features = self.attention(self.attention_norm(hidden))
        # (position, 3 * width) to three of shape (1, head, position, width / heads).
        query, key, value = features.reshape(1, count, 3, self.heads, -1).transpose(1, 3).unbind(2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        hidden = hidden + self.mixed(mixed[0].transpose(0, 1).reshape(count, width))
        return hidden + self.perceptron(hidden)


def _smallest_patch(size: int) -> int:
    divisors = (patch for patch in range(1, size + 1) if size % patch == 0)
    return next(patch for patch in divisors if size // patch <= _MOST_POSITIONS)
