"""Which protein chains does a topology of mdtraj hold, and which atoms are their backbones?"""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable
from provq_protein.structure.backbone import Backbone, complete_residues
from provq_protein.structure.residues import backbones_of, describe

_ANGSTROM_PER_NANOMETRE = np.float32(10.0)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Atoms are counted in two digits of this base, which float32 holds exactly.
_BASE = 4096

Positions: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ChainPlan:
    """
    A chain without a frame: what it is, and which atoms are its N, CA and C.

    Parameters
    ----------
    chain : Backbone
        Names and numbers; its coordinates mean nothing.
    atoms : ndarray, shape=(residue, 3), dtype=int64
        Places of N, CA and C among the atoms; -1 where absent.
    """

    chain: Backbone
    atoms: npt.NDArray[np.int64]

    def at(self, positions: Positions, *, source: str, model: int) -> Backbone:
        """
        Return the chain in one frame.

        Parameters
        ----------
        positions : ndarray, shape=(atom, 3), dtype=float32
            Of the frame, in Angstrom.
        source : str
            What the chain says of its origin.
        model : int
            Number of the frame, from 1.

        Returns
        -------
        Backbone
            A residue is unresolved where N, CA or C is absent or not finite.
        """
        mine = positions[self.atoms]
        mine[self.atoms < 0] = np.nan
        resolved = complete_residues(mine)
        return replace(self.chain, coords=mine, resolved=resolved, source=source, model=model)


def chain_plans(topology: Any, name: str) -> list[ChainPlan]:  # noqa: ANN401
    """
    Return the protein chains of a topology.

    Parameters
    ----------
    topology : mdtraj.Topology
        Of all atoms.
    name : str
        What the chains say of their origin.

    Returns
    -------
    list of ChainPlan
        At least one, counting the atoms of the topology.

    Raises
    ------
    StructureError
        If there is no protein. The message does not contain `name`.
    """
    table = _atom_table(topology)
    found = backbones_of(table, source=name, model=1) if len(table) else []
    if not found:
        held = describe(table) if len(table) else "water or nothing"
        msg = f"no polypeptide chain in the topology, which holds {held}"
        raise StructureError(msg)
    return [ChainPlan(chain, _atom_numbers(chain.coords)) for chain in found]


def _atom_table(topology: Any) -> AtomTable:  # noqa: ANN401
    """Return the atoms that are no water, with their numbers in the place of coordinates."""
    chain_names = [_chain_name(chain) for chain in topology.chains]
    rows = [
        (
            atom.index,
            chain_names[residue.chain.index],
            residue.index,
            residue.resSeq,
            residue.name,
            atom.name,
        )
        for residue in topology.residues
        if not residue.is_water
        for atom in residue.atoms
    ]
    index, chain, segment, number, component, atom_name = (
        zip(*rows, strict=True) if rows else [()] * 6
    )
    atoms = np.array(index, dtype=np.int64)
    count = len(atoms)
    coords = np.stack([atoms // _BASE, atoms % _BASE, np.zeros(count, int)], axis=1)
    no = np.zeros(count, dtype=bool)
    blank = np.full(count, "")
    unknown = np.full(count, np.nan, dtype=np.float32)
    return AtomTable(
        coords=coords.astype(np.float32),
        chain=np.array(chain, dtype=np.str_),
        label_chain=np.array(chain, dtype=np.str_),
        # Every residue that mdtraj sees is one, though numbers repeat (no insertion codes).
        segment=np.array(segment, dtype=np.int32),
        number=np.array(number, dtype=np.int32),
        insertion=blank,
        label_number=np.full(count, NO_NUMBER, dtype=np.int32),
        component=np.array(component, dtype=np.str_),
        name=np.array(atom_name, dtype=np.str_),
        altloc=blank,
        occupancy=unknown,
        b_factor=unknown,
        hetero=no,
        polymer=None,
        listed=no,
        before_ter=no,
        confidence="b_factor",
    )


def _chain_name(chain: Any) -> str:  # noqa: ANN401
    words = str(getattr(chain, "chain_id", None) or "").split()
    if len(words) == 1:
        return words[0]
    return _LETTERS[chain.index] if chain.index < len(_LETTERS) else str(chain.index + 1)


def _atom_numbers(coords: Positions) -> npt.NDArray[np.int64]:
    """Return the atom numbers that stand in the place of coordinates, shape (residue, 3)."""
    absent = np.isnan(coords[..., 0])
    digits = np.where(absent[..., None], 0, coords).astype(np.int64)
    return np.where(absent, -1, digits[..., 0] * _BASE + digits[..., 1])


def in_angstrom(positions: npt.ArrayLike) -> Positions:
    """
    Return positions of mdtraj in the unit of this package.

    Parameters
    ----------
    positions : array_like
        In nanometres.

    Returns
    -------
    ndarray, dtype=float32
        In Angstrom.
    """
    return np.asarray(positions, dtype=np.float32) * _ANGSTROM_PER_NANOMETRE
