"""Which points is TopoDisc about?"""

import math
from typing import Literal

import torch
from torch import Tensor

Density = Literal["uniform", "dense"]


def disk(count: int, *, density: Density, generator: torch.Generator) -> Tensor:
    """
    Draw points of the unit disk.

    Parameters
    ----------
    count : int
        Number of points.
    density : {"uniform", "dense"}
        The same density everywhere, or falling with one over the distance from the center.
    generator : torch.Generator
        Decides the points.

    Returns
    -------
    Tensor, shape=(point, 2), dtype=float32
        Points, none farther than 1 from the origin.

    Examples
    --------
    >>> points = disk(400, density="dense", generator=torch.Generator().manual_seed(0))
    >>> bool((points.norm(dim=1) <= 1).all())
    True
    """
    drawn = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    radius = drawn[:, 0].sqrt() if density == "uniform" else drawn[:, 0]
    angle = 2.0 * math.pi * drawn[:, 1]
    return (radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)).float()


def triangle(count: int, *, radius: float) -> Tensor:
    """
    Return points of the boundary of an equilateral triangle around the origin.

    Parameters
    ----------
    count : int
        Number of points.
    radius : float
        Distance of the corners from the origin.

    Returns
    -------
    Tensor, shape=(point, 2), dtype=float32
        Points at equal distances along the perimeter, counterclockwise from the upper corner.

    Examples
    --------
    >>> triangle(6, radius=2.0)[::2].round(decimals=3)
    tensor([[ 0.0000,  2.0000],
            [-1.7320, -1.0000],
            [ 1.7320, -1.0000]])
    """
    angles = math.pi / 2 + 2 * math.pi / 3 * torch.arange(4, dtype=torch.float64)
    corners = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    along = 3.0 * torch.arange(count, dtype=torch.float64) / count
    edge = along.long()
    share = (along - edge)[:, None]
    return ((1 - share) * corners[edge] + share * corners[edge + 1]).float()
