"""How does a chain become a graph of PyTorch Geometric (needs the extra ``interop``)?"""

import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError, StructureError, TokenFormatError
from provq_protein.extras import require_extra
from provq_protein.geometry.frames import backbone_frames
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.of_chain import centered
from provq_protein.tokens.sequence import TokenSequence

if TYPE_CHECKING:
    from torch_geometric.data import Data


def to_pyg(chain: Backbone, tokens: TokenSequence | None = None, *, neighbors: int = 16) -> "Data":
    """
    Return a chain as a graph whose edges are what an encoder sees.

    Parameters
    ----------
    chain : Backbone
        With at least one resolved residue.
    tokens : TokenSequence, optional
        Of this chain.
    neighbors : int
        Residues in the neighborhood of each residue, itself included: the ``neighbors`` of the
        encoder whose neighborhoods are wanted. That of the shipped model is 16.

    Returns
    -------
    torch_geometric.data.Data
        One node per residue, resolved or not, on the CPU, with

        * ``pos`` : Tensor, shape=(residue, 3), dtype=float32 -- CA, in Angstrom;
        * ``coords`` : Tensor, shape=(residue, 3, 3), dtype=float32 -- N, CA and C, in Angstrom;
        * ``rotations`` : Tensor, shape=(residue, 3, 3), dtype=float32 -- frames whose origins are
          ``pos`` and whose columns are axes (`provq_protein.geometry.frames.backbone_frames`);
        * ``edge_index`` : Tensor, shape=(2, edge), dtype=int64 -- neighbor and residue, for each
          residue its neighbors from the nearest on; the first is the residue itself;
        * ``resolved`` : Tensor, shape=(residue,), dtype=bool -- the mask of all of these;
        * ``author_numbers``, ``label_numbers`` : Tensor, shape=(residue,), dtype=int64;
        * ``insertion_codes`` : list of str;
        * ``sequence``, ``chain_id``, ``source`` : str;
        * ``tokens`` : Tensor, shape=(residue,), dtype=int64 -- only if `tokens` is given; -1 where
          not resolved.

    Raises
    ------
    StructureError
        If no residue is resolved.
    TokenFormatError
        If `tokens` are those of another chain.
    ConfigError
        If `neighbors` is less than 1.
    MissingExtraError
        If torch-geometric is not installed.

    Notes
    -----
    An unresolved residue has no edge; its positions are zero and its frame is the identity, so
    that nothing computed for it can be *NaN*. Only `resolved` tells that they mean nothing.

    Edges are found as the tokenizer finds neighbors, on the same numbers. A `GeometricEncoder`
    moves the chain once more before it looks: of neighbors whose distances are equal up to
    rounding it can see another one.
    """
    data = _torch_geometric_data()
    if neighbors < 1:
        msg = f"neighbors must be at least 1, the residue itself, got {neighbors}"
        raise ConfigError(msg)
    if not chain.resolved.any():
        msg = f"{chain.source or 'arrays'}: chain {chain.chain_id}: no residue is resolved"
        raise StructureError(msg)
    resolved = torch.tensor(chain.resolved)
    coords = torch.tensor(np.where(chain.resolved[:, None, None], chain.coords, np.float32(0.0)))
    # What the tokenizer gives to its encoder.
    seen = torch.from_numpy(centered(chain))
    graph = data.Data(
        pos=coords[:, 1],
        coords=coords,
        rotations=_rotations(seen, resolved),
        edge_index=_edges(seen, resolved, neighbors),
        resolved=resolved,
        author_numbers=torch.tensor(chain.author_numbers, dtype=torch.int64),
        label_numbers=torch.tensor(chain.label_numbers, dtype=torch.int64),
        insertion_codes=list(chain.insertion_codes),
        sequence=chain.sequence,
        chain_id=chain.chain_id,
        source=chain.source,
    )
    if tokens is not None:
        _check_same_chain(chain, tokens)
        graph.tokens = torch.tensor(tokens.ids, dtype=torch.int64)
    return graph


def _torch_geometric_data() -> ModuleType:
    with warnings.catch_warnings():
        # Some releases compile TorchScript when they are imported, which torch has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        return require_extra("torch_geometric.data", extra="interop", purpose="a graph of a chain")


def _rotations(coords: Tensor, resolved: Tensor) -> Tensor:
    rotations, _ = backbone_frames(coords)
    return torch.where(resolved[:, None, None], rotations, torch.eye(3))


def _edges(coords: Tensor, resolved: Tensor, neighbors: int) -> Tensor:
    """Return (neighbor, residue) pairs of resolved residues: (2, edge)."""
    present = torch.ones_like(resolved)[None]
    index, valid = nearest_residues(coords[None, :, 1], resolved[None], present, neighbors)
    kept = valid[0] & resolved[index[0]] & resolved[:, None]
    residue = torch.arange(len(resolved))[:, None].expand_as(kept)
    return torch.stack([index[0][kept], residue[kept]])


def _check_same_chain(chain: Backbone, tokens: TokenSequence) -> None:
    same = (
        chain.residue_ids == tokens.residue_ids
        and chain.sequence == tokens.sequence
        and np.array_equal(chain.resolved, tokens.resolved)
    )
    if not same:
        msg = (
            f"{tokens.source or 'tokens'}: chain {tokens.chain_id} ({len(tokens)} residues): not "
            f"the tokens of {chain.source or 'arrays'}: chain {chain.chain_id} ({len(chain)} "
            "residues); give the chain that was encoded"
        )
        raise TokenFormatError(msg)
