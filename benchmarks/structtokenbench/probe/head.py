"""What does the published head compute, for many replicas at once?

Parameters carry a leading axis of replicas, which never mix: one rate or seed more or less changes
no other replica.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-12
"""Of the layer normalisation, as published."""


@dataclass(slots=True, kw_only=True, eq=False)
class HeadParameters:
    """
    Weights of all replicas.

    Parameters
    ----------
    positions : Tensor, shape=(replica, position, dim)
        Learned positions.
    gain, shift : Tensor, shape=(replica, 1, dim)
        Of the layer normalisation.
    hidden_weight : Tensor, shape=(replica, dim, hidden)
        First layer.
    hidden_bias : Tensor, shape=(replica, 1, hidden)
        First layer.
    out_weight : Tensor, shape=(replica, hidden, output)
        Second layer.
    out_bias : Tensor, shape=(replica, 1, output)
        Second layer.
    """

    positions: Tensor
    gain: Tensor
    shift: Tensor
    hidden_weight: Tensor
    hidden_bias: Tensor
    out_weight: Tensor
    out_bias: Tensor

    def named(self) -> dict[str, Tensor]:
        """
        Return all parameters by name.

        Returns
        -------
        dict of str to Tensor
            In the order of the fields.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, replicas: Tensor) -> "HeadParameters":
        """
        Copy some replicas.

        Parameters
        ----------
        replicas : Tensor, shape=(any,), dtype=int64
            Indices of replicas.

        Returns
        -------
        HeadParameters
            Copies that do not require gradients.
        """
        named = self.named().items()
        return HeadParameters(**{name: value.detach()[replicas].clone() for name, value in named})


DECAYED = frozenset({"positions", "hidden_weight", "out_weight"})
"""Parameters that weight decay applies to: all but biases and the layer normalisation."""


def initial_parameters(
    seeds: Sequence[int],
    copies: int,
    *,
    dim: int,
    positions: int,
    hidden: int,
    outputs: int,
) -> HeadParameters:
    """
    Draw initial weights, the same for each copy of a seed.

    Parameters
    ----------
    seeds : sequence of int
        One replica each.
    copies : int
        Copies of the seeds, one per learning rate. Replicas are ordered by copy, then by seed.
    dim, positions, hidden, outputs : int
        Sizes: of a code, of the position table, of the hidden layer, and of the output.

    Returns
    -------
    HeadParameters
        Positions from N(0, 1); layers from the uniform distribution that `torch.nn.Linear` uses.
    """
    drawn: list[dict[str, Tensor]] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)

        def uniform(rows: int, columns: int, width: int, source: torch.Generator) -> Tensor:
            return (2 * torch.rand(rows, columns, generator=source) - 1) / width**0.5

        drawn.append(
            {
                "positions": torch.randn(positions, dim, generator=generator),
                "gain": torch.ones(1, dim),
                "shift": torch.zeros(1, dim),
                "hidden_weight": uniform(dim, hidden, dim, generator),
                "hidden_bias": uniform(1, hidden, dim, generator),
                "out_weight": uniform(hidden, outputs, hidden, generator),
                "out_bias": uniform(1, outputs, hidden, generator),
            }
        )
    stacked = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    return HeadParameters(
        **{name: value.repeat(copies, 1, 1).contiguous() for name, value in stacked.items()}
    )


def embed(parameters: HeadParameters, codes: Tensor, position: Tensor) -> Tensor:
    """
    Add positions to codes and normalise.

    Parameters
    ----------
    parameters : HeadParameters
        Weights.
    codes : Tensor, shape=(row, dim)
        Frozen vectors of the rows.
    position : Tensor, shape=(row,), dtype=int64
        Index of each residue in its item. Residues beyond the table share its last row.

    Returns
    -------
    Tensor, shape=(replica, row, dim)
        Inputs of the multilayer perceptron, before dropout.
    """
    last = parameters.positions.shape[1] - 1
    rows = codes + parameters.positions.index_select(1, position.clamp(max=last))
    normal = functional.layer_norm(rows, (rows.shape[-1],), eps=EPSILON)
    return torch.addcmul(parameters.shift, normal, parameters.gain)


def pool(rows: Tensor, item: Tensor, items: int) -> Tensor:
    """
    Average the rows of each item.

    Parameters
    ----------
    rows : Tensor, shape=(replica, row, dim)
        Embedded rows.
    item : Tensor, shape=(row,), dtype=int64
        Item of each row, from 0.
    items : int
        Number of items.

    Returns
    -------
    Tensor, shape=(replica, item, dim)
        Means; zeros for an item without rows.
    """
    counts = torch.bincount(item, minlength=items).clamp(min=1).to(rows.dtype)
    sums = rows.new_zeros(rows.shape[0], items, rows.shape[2]).index_add(1, item, rows)
    return sums / counts[:, None]


def perceptron(parameters: HeadParameters, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Apply both layers.

    Parameters
    ----------
    parameters : HeadParameters
        Weights.
    inputs : Tensor, shape=(replica, row, dim)
        Embedded rows or items.
    mask : Tensor, shape=(replica, row, hidden), optional
        Factors of the hidden units: dropout.

    Returns
    -------
    Tensor, shape=(replica, row, output)
        Logits or predicted values.
    """
    hidden = torch.baddbmm(parameters.hidden_bias, inputs, parameters.hidden_weight).relu()
    if mask is not None:
        hidden = hidden * mask
    return torch.baddbmm(parameters.out_bias, hidden, parameters.out_weight)
