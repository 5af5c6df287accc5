"""How flexible is a protein in a molecular dynamics trajectory: RMSF and equivalent blocks?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.extras import require_extra
from structtokenbench.errors import SourceError

_ANGSTROM_PER_NANOMETRE = 10.0
_BACKBONE = ("N", "CA", "C")
_BLOCKS = 16
_FITS = 3

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flexibility:
    """
    What a trajectory says of each residue.

    Parameters
    ----------
    sequence : str
        One letter per residue.
    rmsf : ndarray, shape=(residue,), dtype=float64
        Root mean square fluctuation of the CA atom, in Angstrom.
    neq : ndarray, shape=(residue,), dtype=float64
        Equivalent number of protein blocks, 1 to 16.
    """

    sequence: str
    rmsf: Values
    neq: Values


def flexibility(topology: Path, trajectories: Sequence[Path]) -> Flexibility:
    """
    Return RMSF and Neq of a protein, as mean over replicates.

    Parameters
    ----------
    topology : Path
        A structure file that mdtraj reads.
    trajectories : sequence of Path
        One trajectory per replicate, in a format that mdtraj reads.

    Returns
    -------
    Flexibility
        One value per residue with N, CA and C, in the order of the topology.

    Raises
    ------
    SourceError
        If a file cannot be read, or there is no trajectory.
    MissingExtraError
        If mdtraj is not installed.

    Notes
    -----
    RMSF: frames are superposed on their mean structure by CA, which is repeated as the mean
    changes. Neq: the exponential of the entropy of the frequencies of the 16 protein blocks
    (de Brevern et al., 2000) at a residue; 1 where no frame has a block, as at both ends.
    """
    if not trajectories:
        msg = f"{topology}: no trajectory given"
        raise SourceError(msg)
    rmsf, neq, sequence = [], [], ""
    for path in trajectories:
        sequence, coords = _backbone(path, topology)
        rmsf.append(fluctuation(coords[:, :, 1]))
        neq.append(equivalent_blocks(block_frequencies(coords)))
    return Flexibility(sequence=sequence, rmsf=np.mean(rmsf, axis=0), neq=np.mean(neq, axis=0))


def _backbone(path: Path, topology: Path) -> tuple[str, Values]:
    """Return sequence and N, CA and C positions (frame, residue, 3, 3) in Angstrom."""
    mdtraj: Any = require_extra("mdtraj", extra="bench", purpose="reading trajectories")
    try:
        frames = mdtraj.load(str(path), top=str(topology))
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        msg = f"{path}: cannot be read with topology {topology.name}: {error}"
        raise SourceError(msg) from error
    indices, letters = [], []
    for residue in frames.topology.residues:
        atoms = {atom.name: atom.index for atom in residue.atoms}
        if all(name in atoms for name in _BACKBONE):
            indices.append([atoms[name] for name in _BACKBONE])
            letters.append(residue.code or "X")
    if not indices:
        msg = f"{topology}: no residue has N, CA and C"
        raise SourceError(msg)
    return "".join(letters), frames.xyz[:, indices].astype(np.float64) * _ANGSTROM_PER_NANOMETRE


def fluctuation(positions: Values) -> Values:
    """
    Return the root mean square fluctuation of atoms.

    Parameters
    ----------
    positions : ndarray, shape=(frame, atom, 3), dtype=float64
        Positions in any orientation.

    Returns
    -------
    ndarray, shape=(atom,), dtype=float64
        In the unit of the positions.
    """
    moved = positions - positions.mean(axis=1, keepdims=True)
    reference = moved[0]
    for _ in range(_FITS):
        left, _, right = np.linalg.svd(np.einsum("fai,aj->fij", moved, reference))
        # A reflection would fit better where the determinant is negative, but is no motion.
        left[:, :, -1] *= np.sign(np.linalg.det(left @ right))[:, None]
        moved = moved @ (left @ right)
        reference = moved.mean(axis=0)
    return np.sqrt(np.mean(np.sum((moved - reference) ** 2, axis=-1), axis=0))


def block_frequencies(coords: Values) -> Values:
    """
    Return how often each residue has each of the 16 protein blocks.

    Parameters
    ----------
    coords : ndarray, shape=(frame, residue, 3, 3), dtype=float64
        N, CA and C positions in Angstrom.

    Returns
    -------
    ndarray, shape=(residue, 16), dtype=float64
        Sums to 1 per residue, or is 0 throughout where no frame has a block.
    """
    # Imported late: only this needs biotite.
    from biotite.structure import AtomArray
    from biotite.structure.alphabet import to_protein_blocks

    count = coords.shape[1]
    atoms = AtomArray(count * len(_BACKBONE))
    atoms.atom_name = np.tile(_BACKBONE, count)
    atoms.element = np.tile(["N", "C", "C"], count)
    atoms.res_name = np.full(len(atoms), "ALA")
    atoms.chain_id = np.full(len(atoms), "A")
    atoms.res_id = np.repeat(np.arange(1, count + 1), len(_BACKBONE))
    tallies = np.zeros((count, _BLOCKS))
    for frame in coords:
        atoms.coord = frame.reshape(-1, 3).astype(np.float32)
        # Successive numbers, so that biotite sees one chain.
        codes = np.concatenate([blocks.code for blocks in to_protein_blocks(atoms)[0]])
        known = np.flatnonzero(codes < _BLOCKS)
        tallies[known, codes[known]] += 1
    totals = tallies.sum(axis=1, keepdims=True)
    return np.divide(tallies, totals, out=np.zeros_like(tallies), where=totals > 0)


def equivalent_blocks(frequencies: Values) -> Values:
    """
    Return the equivalent number of blocks, Neq.

    Parameters
    ----------
    frequencies : ndarray, shape=(residue, block), dtype=float64
        Share of the frames with each block.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float64
        The exponential of the entropy: 1 for one block, 16 for all alike, 1 where all are 0.

    Examples
    --------
    >>> equivalent_blocks(np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]]))
    array([2., 1., 1.])
    """
    logs = np.log(np.where(frequencies > 0, frequencies, 1.0))
    return np.exp(-np.sum(frequencies * logs, axis=1))
