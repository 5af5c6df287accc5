"""Which model do files of another project hold, and how is that recorded?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.peers.esm3 import from_esm3, is_esm3
from provq_protein.peers.foreign_states import ForeignState, files_of, read_state
from provq_protein.peers.layouts import Layout
from provq_protein.peers.model_parts import ModelParts
from provq_protein.peers.structtokenbench import from_structtokenbench, is_structtokenbench

_READERS: dict[Layout, Callable[..., ModelParts]] = {
    "esm3": from_esm3,
    "structtokenbench": from_structtokenbench,
}
_SIGNS = {"esm3": is_esm3, "structtokenbench": is_structtokenbench}


@dataclass(frozen=True, eq=False)
class Conversion:
    """
    A model that another project trained.

    Attributes
    ----------
    model : StructureAutoencoder
        In eval mode.
    layout : {"esm3", "structtokenbench"}
        How the files are laid out.
    sources : tuple of dict
        ``file``, its name, and ``sha256`` of each file.
    left_out : tuple of str
        Names of tensors of the files that have no place in the model.
    """

    model: StructureAutoencoder
    layout: Layout
    sources: tuple[dict[str, str], ...]
    left_out: tuple[str, ...]

    def provenance(self) -> dict[str, Any]:
        """
        Return where the model comes from, for its model folder.

        Returns
        -------
        dict
            JSON values.
        """
        return {
            "converted_from": self.layout,
            "files": list(self.sources),
            "left_out": list(self.left_out),
        }


def convert(
    paths: Sequence[Path], *, layout: Layout | None = None, decoder_heads: int | None = None
) -> Conversion:
    """
    Read files of weights of another project as a model of this one.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders that hold them; see `files_of`.
    layout : {"esm3", "structtokenbench"}, optional
        How they are laid out; by default the names of the tensors tell.
    decoder_heads : int, optional
        Attention heads of the decoder, which no tensor tells; by default one per 64 features.

    Returns
    -------
    Conversion
        The model, and where it comes from.

    Raises
    ------
    CheckpointError
        If a file cannot be read without running code, or does not hold the weights of such a
        model, all of them and nothing else.
    ConfigError
        If there is no such layout.
    """
    if layout is not None and layout not in get_args(Layout):
        msg = f"layout: must be one of {', '.join(get_args(Layout))}, got {layout!r}"
        raise ConfigError(msg)
    states = [read_state(file) for path in paths for file in files_of(path)]
    where = ", ".join(str(state.path) for state in states)
    layout = layout or _found(states, where)
    try:
        parts = _READERS[layout](states, decoder_heads=decoder_heads)
        model = parts.build(where)
    except ConfigError as error:
        # Sizes were read off the weights: it is they that do not fit.
        msg = f"{where}: {error}"
        raise CheckpointError(msg) from error
    sources = tuple({"file": state.path.name, "sha256": state.sha256} for state in states)
    return Conversion(model=model, layout=layout, sources=sources, left_out=parts.left_out)


def _found(states: Sequence[ForeignState], where: str) -> Layout:
    for layout in get_args(Layout):
        if states and all(_SIGNS[layout](state.tensors) for state in states):
            return layout
    some = ", ".join(name for state in states for name in sorted(state.tensors)[:3])
    msg = (
        f"{where}: these files are of no layout that is known here, or of different ones "
        f"({', '.join(get_args(Layout))}); their first entries are {some}"
    )
    raise CheckpointError(msg)
