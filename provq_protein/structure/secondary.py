"""Which residues of a backbone are helix or strand, and how is each residue turned?"""

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone
from provq_protein.structure.bonds import peptide_bonds

HELIX, STRAND, COIL, UNKNOWN = "H", "E", "C", ""
_LETTERS = {"a": HELIX, "b": STRAND, "c": COIL}
# P-SEA looks four residues ahead.
_SHORTEST = 5


def secondary_structure(chain: Backbone) -> npt.NDArray[np.str_]:
    """
    Assign helix, strand or coil to each residue, from the places of CA alone.

    Parameters
    ----------
    chain : Backbone
        One chain.

    Returns
    -------
    ndarray, shape=(residue,), dtype=str
        ``"H"``, ``"E"`` or ``"C"``; ``""`` at unresolved residues. Residues in bonded stretches
        of fewer than five are ``"C"``.

    References
    ----------
    Labesse, G. et al. (1997). P-SEA: a new efficient assignment of secondary structure from CA
    trace of proteins. CABIOS 13, 291-295; as biotite implements it.
    """
    # Here, since it takes a second to import.
    from biotite.structure import Atom, annotate_sse, array

    letters = np.full(len(chain), UNKNOWN, dtype="<U1")
    for stretch in bonded_stretches(chain):
        letters[stretch] = COIL
        if len(stretch) < _SHORTEST:
            continue
        # Any amino acid: P-SEA asks for distances and angles only.
        about = {"atom_name": "CA", "element": "C", "res_name": "ALA", "chain_id": "A"}
        places = chain.coords[stretch, 1]
        atoms = array([Atom(xyz, res_id=row, **about) for row, xyz in enumerate(places, start=1)])
        letters[stretch] = [_LETTERS.get(one, COIL) for one in annotate_sse(atoms).tolist()]
    return letters


def phi_psi(
    chain: Backbone,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """
    Return the backbone dihedral angles of each residue.

    Parameters
    ----------
    chain : Backbone
        One chain.

    Returns
    -------
    phi : ndarray, shape=(residue,), dtype=float64
        C(i-1)-N-CA-C in degrees, from -180 to 180; *NaN* without a bonded residue before.
    psi : ndarray, shape=(residue,), dtype=float64
        N-CA-C-N(i+1) in degrees; *NaN* without a bonded residue after.
    """
    from biotite.structure import dihedral

    phi, psi = np.full(len(chain), np.nan), np.full(len(chain), np.nan)
    if len(chain) < 2:
        return phi, psi
    before = np.flatnonzero(_bonded(chain))
    after = before + 1
    atoms = chain.coords.astype(np.float64)
    if before.size:
        nitrogen, alpha, carbon = atoms[after, 0], atoms[after, 1], atoms[after, 2]
        phi[after] = np.degrees(dihedral(atoms[before, 2], nitrogen, alpha, carbon))
        alpha, carbon = atoms[before, 1], atoms[before, 2]
        psi[before] = np.degrees(dihedral(atoms[before, 0], alpha, carbon, atoms[after, 0]))
    return phi, psi


def bonded_stretches(chain: Backbone) -> list[npt.NDArray[np.int64]]:
    """
    Return the stretches of resolved residues that peptide bonds join.

    Parameters
    ----------
    chain : Backbone
        One chain.

    Returns
    -------
    list of ndarray, shape=(length,), dtype=int64
        Positions in the chain; every resolved residue is in one of them.
    """
    known = np.flatnonzero(chain.resolved)
    if not known.size:
        return []
    joined = np.zeros(len(chain), dtype=bool)
    joined[1:] = _bonded(chain)
    return np.split(known, np.flatnonzero(~joined[known])[1:])


def _bonded(chain: Backbone) -> npt.NDArray[np.bool_]:
    near = peptide_bonds(chain.coords)[0]
    return near & chain.resolved[1:] & chain.resolved[:-1]
