"""How does attention know where in the grid a token lies?"""

from typing import NamedTuple

import torch
from torch import Tensor


class Turns(NamedTuple):
    """
    How far each pair of features is turned at each position of a sequence.

    Parameters
    ----------
    cos : Tensor, shape=(position, head_dim / 2), dtype=float32
        Cosines of the angles.
    sin : Tensor, shape=(position, head_dim / 2), dtype=float32
        Sines of the angles.
    """

    cos: Tensor
    sin: Tensor

    def at(self, start: int, stop: int) -> "Turns":
        """
        Return the turns of some positions.

        Parameters
        ----------
        start : int
            The first position.
        stop : int
            The position after the last.

        Returns
        -------
        Turns
            A view.
        """
        return Turns(self.cos[start:stop], self.sin[start:stop])


def grid_turns(
    grid: int, head_dim: int, *, base: float, device: torch.device | str = "cpu"
) -> Turns:
    """
    Return the turns of a class followed by a grid of tokens, in rows.

    Parameters
    ----------
    grid : int
        Tokens along one side.
    head_dim : int
        Features of one attention head, a multiple of 4.
    base : float
        The n-th of N speeds is ``base ** (-n / N)`` radians per token.
    device : torch.device or str
        Where.

    Returns
    -------
    Turns
        Of ``1 + grid * grid`` positions. The first half of the pairs turns with the row, the
        second with the column. At the class both cosine and sine are 0, as in LlamaGen: its
        query and key vanish, so that all tokens see it with a logit of 0.

    Examples
    --------
    >>> turns = grid_turns(2, 4, base=10_000.0)
    >>> turns.cos.shape
    torch.Size([5, 2])
    >>> torch.atan2(turns.sin, turns.cos)[1:].round().int().tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    speeds = head_dim // 4
    speed = base ** (-torch.arange(speeds, device=device, dtype=torch.float32) / speeds)
    places = torch.arange(grid, device=device, dtype=torch.float32)
    rows = places.repeat_interleave(grid).outer(speed)
    columns = places.repeat(grid).outer(speed)
    angles = torch.cat([rows, columns], dim=1)
    of_class = angles.new_zeros(1, angles.shape[1])
    return Turns(torch.cat([of_class, angles.cos()]), torch.cat([of_class, angles.sin()]))


def turn(features: Tensor, turns: Turns) -> Tensor:
    """
    Turn each pair of neighboring features.

    Parameters
    ----------
    features : Tensor, shape=(batch, head, position, head_dim), dtype=float
        Queries or keys.
    turns : Turns
        Of these positions.

    Returns
    -------
    Tensor, shape=(batch, head, position, head_dim), dtype=float
        In the precision of `features`; the turn itself is computed in float32.
    """
    exact = features.float()
    first, second = exact[..., 0::2], exact[..., 1::2]
    pairs = (first * turns.cos - second * turns.sin, second * turns.cos + first * turns.sin)
    return torch.stack(pairs, dim=-1).flatten(-2).to(features.dtype)
