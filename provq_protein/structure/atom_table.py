"""What does a file say about its atoms, whatever its format was."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Confidence

NO_NUMBER = -(2**31)
"""Stands for an absent ``label_seq_id``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AtomTable:
    """
    The atoms of one model, one array per column, in file order.

    Parameters
    ----------
    coords : ndarray, shape=(atom, 3), dtype=float32
        Positions in Angstrom.
    chain, label_chain : ndarray, shape=(atom,), dtype=str
        Author and label chain ids.
    segment : ndarray, shape=(atom,), dtype=int32
        Atoms with different values are never the same residue: ``label_asym_id`` as a number,
        or how many TER records came before.
    number : ndarray, shape=(atom,), dtype=int32
        Author residue number.
    insertion : ndarray, shape=(atom,), dtype=str
        Insertion code or ``""``.
    label_number : ndarray, shape=(atom,), dtype=int32
        ``label_seq_id`` or `NO_NUMBER`.
    component, name, altloc : ndarray, shape=(atom,), dtype=str
        Residue name, atom name and alternate location (``""`` if none).
    occupancy, b_factor : ndarray, shape=(atom,), dtype=float32
        *NaN* where absent.
    hetero : ndarray, shape=(atom,), dtype=bool
        True for HETATM records.
    polymer : ndarray, shape=(atom,), dtype=bool, optional
        True for atoms that the file itself declares part of a polypeptide. None if it makes no
        such statement and the chemistry has to decide.
    listed : ndarray, shape=(atom,), dtype=bool
        True for atoms whose residue the file's header names as part of a chain.
    before_ter : ndarray, shape=(atom,), dtype=bool
        True for atoms before the last TER record of their chain.
    confidence : {"b_factor", "plddt"}
        What the B-factor column holds.
    num_models : int
        Models of the file, of which this is one.
    """

    coords: npt.NDArray[np.float32]
    chain: npt.NDArray[np.str_]
    label_chain: npt.NDArray[np.str_]
    segment: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    insertion: npt.NDArray[np.str_]
    label_number: npt.NDArray[np.int32]
    component: npt.NDArray[np.str_]
    name: npt.NDArray[np.str_]
    altloc: npt.NDArray[np.str_]
    occupancy: npt.NDArray[np.float32]
    b_factor: npt.NDArray[np.float32]
    hetero: npt.NDArray[np.bool_]
    polymer: npt.NDArray[np.bool_] | None
    listed: npt.NDArray[np.bool_]
    before_ter: npt.NDArray[np.bool_]
    confidence: Confidence
    num_models: int = 1

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.coords)

    def only(self, mask: npt.NDArray[np.bool_]) -> "AtomTable":
        """
        Return the atoms where `mask` is True.

        Parameters
        ----------
        mask : ndarray, shape=(atom,), dtype=bool
            Which atoms to keep.

        Returns
        -------
        AtomTable
            The kept atoms, in the same order.
        """
        rows = np.flatnonzero(mask)
        columns = {
            key: value.take(rows, axis=0)
            for key, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **columns)


def run_starts(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """
    Return where a run of equal rows begins.

    Parameters
    ----------
    *columns : ndarray, shape=(row,)
        Columns of equal length.

    Returns
    -------
    ndarray, shape=(run,), dtype=int64
        First row of each run; empty if there are no rows.
    """
    changed = np.zeros(len(columns[0]), dtype=bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)
