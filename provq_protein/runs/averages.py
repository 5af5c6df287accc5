"""What are the weights like on average over the last steps?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError

# Early averages would mostly be the random start: after n steps no more than (1 + n) / (10 + n)
# of them is kept.
_EARLY = 10


class WeightAverages:
    """
    Exponential moving averages of all parameters of a model.

    Buffers are not averaged: a book that learns by moving averages has some already, and the
    others never move.

    Parameters
    ----------
    model : nn.Module
        The model; it starts as its own average.
    decay : float
        Share of the average that a step keeps, in [0, 1).

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 0.0)
    >>> averages = WeightAverages(model, decay=0.5)
    >>> _ = nn.init.constant_(model.weight, 1.0)
    >>> averages.update(step=1000)
    >>> with averages.in_place():
    ...     model.weight.item()
    0.5
    >>> model.weight.item()
    1.0
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self._model = model
        self._values = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, *, step: int) -> None:
        """
        Move the averages towards the weights; once per step, after it.

        Parameters
        ----------
        step : int
            From 0.
        """
        kept = min(self.decay, (1 + step) / (_EARLY + step))
        for name, parameter in self._model.named_parameters():
            self._values[name].lerp_(parameter, 1.0 - kept)

    @torch.no_grad()
    def restart(self, prefix: str = "", *, rows: Tensor | None = None) -> None:
        """
        Start over from the weights as they are: what was averaged describes something else.

        Parameters
        ----------
        prefix : str
            Only parameters whose names begin with this.
        rows : Tensor, shape=(row,), dtype=bool, optional
            Only these rows, of parameters with as many rows.
        """
        for name, parameter in self._named(prefix):
            if rows is None:
                self._values[name].copy_(parameter)
            elif parameter.shape[:1] == rows.shape:
                self._values[name][rows] = parameter[rows]

    @torch.no_grad()
    def adopt(self, *prefixes: str) -> None:
        """
        Give the model its averages, for good.

        Parameters
        ----------
        *prefixes : str
            Only parameters whose names begin with one of these.
        """
        for name, parameter in self._named(*prefixes):
            parameter.copy_(self._values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """
        Let the model have its averages for as long as the context lasts.

        Yields
        ------
        None
            The weights come back to the last bit.
        """
        own = {name: p.detach().clone() for name, p in self._model.named_parameters()}
        self.adopt("")
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._model.named_parameters():
                    parameter.copy_(own[name])

    def tensors(self) -> dict[str, Tensor]:
        """
        Return the averages.

        Returns
        -------
        dict of str to Tensor
            By the names of the parameters.
        """
        return dict(self._values)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """
        Put back what `tensors` returned.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            From a checkpoint.

        Raises
        ------
        CheckpointError
            If names or shapes are not those of the model.
        """
        for name, value in self._values.items():
            if name not in tensors or tensors[name].shape != value.shape:
                msg = f"the averaged weights are not those of this model: see {name}"
                raise CheckpointError(msg)
            value.copy_(tensors[name])

    def _named(self, *prefixes: str) -> Iterator[tuple[str, nn.Parameter]]:
        return (
            (name, parameter)
            for name, parameter in self._model.named_parameters()
            if name.startswith(prefixes)
        )
