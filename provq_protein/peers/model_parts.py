"""What is a converted model before it is built?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.config import ModelConfig
from provq_protein.runs.shapes import without_memory


@dataclass(frozen=True, eq=False)
class ModelParts:
    """
    Configuration and weights of a model that another project trained.

    Attributes
    ----------
    config : ModelConfig
        Sizes, read off the weights.
    tensors : dict of str to Tensor
        Its state dict.
    left_out : tuple of str
        Names of tensors, in the other project's model, that have no place in ours.
    """

    config: ModelConfig
    tensors: dict[str, Tensor]
    left_out: tuple[str, ...]

    def build(self, where: str) -> StructureAutoencoder:
        """
        Build the model.

        Parameters
        ----------
        where : str
            The files, for the message.

        Returns
        -------
        StructureAutoencoder
            In eval mode. It shares memory with `tensors`.

        Raises
        ------
        CheckpointError
            If a tensor has another shape or type than the configuration asks for.
        """
        model = without_memory(lambda: StructureAutoencoder(self.config))
        wrong = [
            f"{name} {_kind(given)}, expected {_kind(expected)}"
            for name, expected in model.state_dict().items()
            if _kind(given := self.tensors[name]) != _kind(expected)
        ]
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            msg = f"{where}: tensors of unexpected shape or type: {'; '.join(wrong[:3])}{more}"
            raise CheckpointError(msg)
        model.load_state_dict(self.tensors, assign=True)
        return model.eval()


def check_table(table: Tensor, where: str) -> int:
    """
    Return the number of codes in a table.

    Parameters
    ----------
    table : Tensor
        What should be one.
    where : str
        File and name, for the message.

    Returns
    -------
    int
        Number of codes.

    Raises
    ------
    CheckpointError
        If it has other than two axes.
    """
    if table.ndim != 2:
        msg = f"{where}: expected shape (code, dim), got {tuple(table.shape)}"
        raise CheckpointError(msg)
    return len(table)


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def initialized() -> dict[str, Tensor]:
    """
    Return the entry that says that codes have been learned.

    Returns
    -------
    dict of str to Tensor
        A part of a state dict.
    """
    return {"quantizer.codebook.initialized": torch.tensor(True)}
