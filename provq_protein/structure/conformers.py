"""Which of the alternate locations of a residue stands for it?"""

import numpy as np
import numpy.typing as npt

from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.backbone import ATOMS_PER_RESIDUE
from provq_protein.structure.policies import FIRST, OCCUPANCY

BACKBONE_ATOMS = ("N", "CA", "C")


def backbone_rows(
    atoms: AtomTable,
    residue_of_atom: npt.NDArray[np.int64],
    count: int,
    *,
    altloc: str = OCCUPANCY,
) -> npt.NDArray[np.int64]:
    """
    Return the rows of N, CA and C of each residue.

    Parameters
    ----------
    atoms : AtomTable
        The atoms of residues.
    residue_of_atom : ndarray, shape=(atom,), dtype=int64
        The residue of each atom, from 0.
    count : int
        Number of residues.
    altloc : str
        As in :class:`provq_protein.structure.policies.ResiduePolicy`.

    Returns
    -------
    ndarray, shape=(residue, 3), dtype=int64
        -1 where the atom is absent from the conformer that stands for the residue.
    """
    slot = np.full(len(atoms), -1)
    for index, name in enumerate(BACKBONE_ATOMS):
        slot[atoms.name == name] = index
    rows = np.flatnonzero((slot >= 0) & np.all(np.isfinite(atoms.coords), axis=1))
    place = residue_of_atom[rows] * ATOMS_PER_RESIDUE + slot[rows]
    kept = _in_chosen_conformer(atoms, rows, place, count, wanted=altloc)
    places, first = np.unique(place[kept], return_index=True)
    result = np.full(count * ATOMS_PER_RESIDUE, -1)
    result[places] = rows[kept][first]
    return result.reshape(count, ATOMS_PER_RESIDUE)


def _in_chosen_conformer(
    atoms: AtomTable,
    rows: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    count: int,
    *,
    wanted: str,
) -> npt.NDArray[np.bool_]:
    """Return which backbone atoms belong to the conformer that stands for their residue."""
    altloc = atoms.altloc[rows]
    in_altloc = np.zeros(count * ATOMS_PER_RESIDUE, dtype=bool)
    in_altloc[place[altloc != ""]] = True
    shared = ~in_altloc[place]
    split = np.flatnonzero(~shared)
    if not split.size:
        return np.ones(len(rows), dtype=bool)
    residue = place // ATOMS_PER_RESIDUE
    _, code = np.unique(altloc, return_inverse=True)
    conformers, first, conformer = np.unique(
        residue[split] * (code.max() + 1) + code[split], return_index=True, return_inverse=True
    )
    occupancy = np.nan_to_num(atoms.occupancy[rows[split]].astype(np.float64), nan=1.0)
    num_atoms = np.bincount(conformer)
    # Rounded so that equal occupancies tie whatever the number of atoms they are averaged over.
    mean_occupancy = np.round(np.bincount(conformer, weights=occupancy) / num_atoms, 4)
    of_residue = conformers // (code.max() + 1)
    preferred = _preference(wanted, altloc[split][first], first)
    best_last = np.lexsort((-first, mean_occupancy, num_atoms, preferred, of_residue))
    chosen = np.full(count, -1)
    chosen[of_residue[best_last]] = best_last
    kept = shared.copy()
    kept[split] = chosen[residue[split]] == conformer
    return kept


def _preference(
    wanted: str, altloc: npt.NDArray[np.str_], first: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return what decides between conformers before their atoms and occupancies do."""
    if wanted == OCCUPANCY:
        return np.zeros(len(first), dtype=np.int64)
    return -first if wanted == FIRST else (altloc == wanted).astype(np.int64)
