"""Which atoms make up the residues of polypeptide chains, and which conformer stands for each."""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from provq_protein.structure.atom_table import NO_NUMBER, AtomTable, run_starts
from provq_protein.structure.backbone import ATOMS_PER_RESIDUE, Backbone, complete_residues

BACKBONE_ATOMS = ("N", "CA", "C")
MAX_PEPTIDE_BOND = 2.0
"""Longest distance from C to the next N, in Angstrom, that counts as a peptide bond."""

_LETTERS = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E",
    "GLY": "G", "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F",
    "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V", "UNK": "X",
}  # fmt: skip
# Names that simulation programs give to protonation and bonding states. The Chemical
# Component Dictionary either lacks them or has an unrelated molecule under the name.
_SIMULATION_LETTERS = {
    "HSD": "H", "HSP": "H", "HID": "H", "HIE": "H", "CYX": "C", "CYM": "C", "ASH": "D",
    "GLH": "E", "LYN": "K",
}  # fmt: skip
_NUCLEOTIDES = frozenset(("A", "C", "G", "U", "I", "DA", "DC", "DG", "DT", "DU", "DI"))
_WATERS = frozenset(("HOH", "DOD", "WAT", "H2O", "TIP3"))
_LONGEST_SUMMARY = 4


@cache
def one_letter(component: str) -> str:
    """
    Return the one-letter code of a residue, or that of its parent amino acid.

    Parameters
    ----------
    component : str
        Residue name, e.g. ``"MSE"``.

    Returns
    -------
    str
        One upper-case letter; ``"X"`` if there is none.

    Notes
    -----
    Letters come from the Chemical Component Dictionary that biotite ships.

    Examples
    --------
    >>> one_letter("MSE"), one_letter("SEP"), one_letter("HOH")
    ('M', 'S', 'X')
    """
    from biotite.structure.info import one_letter_code

    if component in _LETTERS:
        return _LETTERS[component]
    if component in _SIMULATION_LETTERS:
        return _SIMULATION_LETTERS[component]
    if not is_amino_acid(component):
        return "X"
    letter = one_letter_code(component) or ""
    return letter if len(letter) == 1 and letter.isascii() and letter.isupper() else "X"


@cache
def is_amino_acid(component: str) -> bool:
    """
    Return whether a component is an amino acid that can be part of a chain.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        True for every component whose type in the Chemical Component Dictionary is a peptide
        linking one, such as MSE.
    """
    if component in _LETTERS:
        return True
    link = _link_type(component)
    return "peptide" in link and link != "peptide-like"


@cache
def _link_type(component: str) -> str:
    if component in _NUCLEOTIDES or component in _WATERS:
        return "rna linking" if component in _NUCLEOTIDES else "non-polymer"
    from biotite.structure.info import link_type

    return (link_type(component) or "").lower()


@cache
def _is_nucleotide(component: str) -> bool:
    link = _link_type(component)
    return "dna" in link or "rna" in link


def backbones_of(table: AtomTable, *, source: str, model: int) -> list[Backbone]:
    """
    Return every polypeptide chain of a model.

    Parameters
    ----------
    table : AtomTable
        The atoms of the model.
    source : str
        File name that the chains carry.
    model : int
        Model number that the chains carry.

    Returns
    -------
    list of Backbone
        One per author chain id that has a residue, in file order.

    Notes
    -----
    A residue is a position of a polypeptide entity where the file declares entities. Otherwise
    it is an amino acid of the Chemical Component Dictionary in ATOM records, or in HETATM
    records that are before the last TER of the chain, or within the chain, or joined to it by
    a peptide bond. Components with N, CA and C atoms count as well when they are in ATOM
    records or the header lists them. Terminal caps (ACE, NH2) are not residues.

    One conformer is taken per residue: of the alternate locations with the most backbone
    atoms, the one with the highest mean occupancy over N, CA and C, and of equals the first
    in the file. Atoms without an alternate location belong to all. Conformers are never mixed
    within a residue, whose geometry would suffer. At a position with two kinds of residue
    (microheterogeneity) the chosen conformer decides the name.
    """
    starts = _residue_runs(table)
    run_of_atom = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(table))))
    mask = _polypeptide_runs(table, starts, run_of_atom)[run_of_atom]
    atoms = table.only(mask)
    residue_of_atom, first_atoms = _residues(atoms, run_of_atom[mask])
    rows = _backbone_rows(atoms, residue_of_atom, len(first_atoms))
    chain_of_residue = atoms.chain[first_atoms]
    chain_ids, firsts = np.unique(chain_of_residue, return_index=True)
    return [
        _backbone(atoms, first_atoms[mine], rows[mine], source=source, model=model)
        for mine in (chain_of_residue == chain for chain in chain_ids[np.argsort(firsts)])
    ]


def describe(table: AtomTable) -> str:
    """
    Return what a model holds, for the message that it has no polypeptide.

    Parameters
    ----------
    table : AtomTable
        The atoms of the model.

    Returns
    -------
    str
        For example ``"2 nucleic-acid chains and 31 HOH"``.
    """
    starts = _residue_runs(table)
    components, chains = table.component[starts], table.chain[starts]
    nucleic = _where(_is_nucleotide, components)
    parts = []
    if nucleic.any():
        count = len(np.unique(chains[nucleic]))
        parts.append(f"{count} nucleic-acid chain{'s' if count > 1 else ''}")
    names, counts = np.unique(components[~nucleic], return_counts=True)
    common = np.argsort(-counts, kind="stable")
    parts += [f"{counts[index]} {names[index]}" for index in common[:_LONGEST_SUMMARY]]
    if len(names) > _LONGEST_SUMMARY:
        parts.append(f"{len(names) - _LONGEST_SUMMARY} other kinds of component")
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "no atoms"


def _where(test: Callable[[str], bool], components: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    unique, inverse = np.unique(components, return_inverse=True)
    return np.array([test(name) for name in unique.tolist()], dtype=bool)[inverse]


def _residue_runs(table: AtomTable) -> npt.NDArray[np.int64]:
    """Return the first atom of each stretch of atoms that carries one residue id."""
    # A new name under the same number is microheterogeneity if it has alternate locations or
    # a sequence position; otherwise it is another residue with a repeated number.
    plain = (table.label_number == NO_NUMBER) & (table.altloc == "")
    renamed = np.zeros(len(table), dtype=bool)
    renamed[1:] = (table.component[1:] != table.component[:-1]) & plain[1:] & plain[:-1]
    return run_starts(
        table.segment,
        table.chain,
        table.number,
        table.insertion,
        table.label_number,
        np.cumsum(renamed),
    )


def _polypeptide_runs(
    table: AtomTable, starts: npt.NDArray[np.int64], run_of_atom: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    positions = _run_positions(table, run_of_atom, len(starts))
    has_atom = np.all(np.isfinite(positions), axis=2)
    component = table.component[starts]
    if table.polymer is not None:
        kept = table.polymer[starts]
        lacks_ca = np.flatnonzero(kept & ~has_atom[:, 1])
        # Without CA it is a cap such as ACE, or an amino acid of which little was observed.
        kept = kept.copy()
        kept[lacks_ca] = _where(is_amino_acid, component[lacks_ca])
        return kept
    complete = has_atom.all(axis=1)
    peptide = _where(is_amino_acid, component)
    nucleotide = _where(_is_nucleotide, component)
    hetero = table.hetero[starts]
    plain = ~hetero & (peptide | (complete & ~nucleotide))
    listed = table.listed[starts] & ~_where(_LETTERS.__contains__, component)
    candidate = plain | (hetero & (peptide | (complete & listed)))
    chain = table.chain[starts]
    joined = (
        table.before_ter[starts]
        | listed
        | _before_last(plain, chain)
        | _peptide_bonded(positions, candidate, chain)
    )
    return plain | (candidate & joined)


def _run_positions(
    table: AtomTable, run_of_atom: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float32]:
    """Return N, CA and C of each run, shape (run, 3, 3); the first conformer's, or NaN."""
    positions = np.full((count, ATOMS_PER_RESIDUE, 3), np.nan, dtype=np.float32)
    for slot, name in enumerate(BACKBONE_ATOMS):
        rows = np.flatnonzero(table.name == name)[::-1]
        positions[run_of_atom[rows], slot] = table.coords[rows]
    return positions


def _before_last(
    plain: npt.NDArray[np.bool_], chain: npt.NDArray[np.str_]
) -> npt.NDArray[np.bool_]:
    """Return which runs come before the last certain residue of their chain."""
    mask = np.zeros(len(chain), dtype=bool)
    for name in np.unique(chain[plain]):
        mine = chain == name
        last = np.flatnonzero(mine & plain)[-1]
        mask[:last] |= mine[:last]
    return mask


def _peptide_bonded(
    positions: npt.NDArray[np.float32],
    candidate: npt.NDArray[np.bool_],
    chain: npt.NDArray[np.str_],
) -> npt.NDArray[np.bool_]:
    """Return which runs have a peptide bond to the candidate before or after them."""
    order = np.flatnonzero(candidate)
    before, after = order[:-1], order[1:]
    distance = np.linalg.norm(positions[before, 2] - positions[after, 0], axis=1)
    bonded = (distance < MAX_PEPTIDE_BOND) & (chain[before] == chain[after])
    mask = np.zeros(len(chain), dtype=bool)
    mask[before[bonded]] = True
    mask[after[bonded]] = True
    return mask


def _residues(
    atoms: AtomTable, run_of_atom: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the residue of each atom and the first atom of each residue."""
    _, first, run = np.unique(run_of_atom, return_index=True, return_inverse=True)
    columns = (atoms.segment, atoms.chain, atoms.number, atoms.insertion, atoms.label_number)
    keys = list(zip(*(column[first].tolist() for column in columns), strict=True))
    if len(set(keys)) == len(keys):
        return run, first
    residue_of_run = _merge_split_residues(atoms, np.append(first, len(atoms)).tolist(), keys)
    residue = residue_of_run[run]
    return residue, np.unique(residue, return_index=True)[1]


def _merge_split_residues(
    atoms: AtomTable, bounds: list[int], keys: list[tuple[object, ...]]
) -> npt.NDArray[np.int64]:
    """Return the residue of each run, where several runs carry the same residue id."""
    names, altlocs = atoms.name.tolist(), atoms.altloc.tolist()
    seen: dict[tuple[object, ...], tuple[int, set[tuple[str, str]]]] = {}
    residue_of_run = np.zeros(len(keys), dtype=np.int64)
    count = 0
    for index, key in enumerate(keys):
        span = slice(bounds[index], bounds[index + 1])
        held = set(zip(names[span], altlocs[span], strict=True))
        # Later runs with new atoms complete the residue (alternate locations listed at the
        # end); with the same atoms again they are another residue of a reused chain id.
        if key not in seen or seen[key][1] & held:
            seen[key] = (count, set())
            count += 1
        residue_of_run[index] = seen[key][0]
        seen[key][1].update(held)
    return residue_of_run


def _backbone_rows(
    atoms: AtomTable, residue_of_atom: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Return the rows of N, CA and C of each residue, shape (residue, 3); -1 where absent."""
    slot = np.full(len(atoms), -1)
    for index, name in enumerate(BACKBONE_ATOMS):
        slot[atoms.name == name] = index
    rows = np.flatnonzero((slot >= 0) & np.all(np.isfinite(atoms.coords), axis=1))
    place = residue_of_atom[rows] * ATOMS_PER_RESIDUE + slot[rows]
    kept = _in_chosen_conformer(atoms, rows, place, count)
    places, first = np.unique(place[kept], return_index=True)
    result = np.full(count * ATOMS_PER_RESIDUE, -1)
    result[places] = rows[kept][first]
    return result.reshape(count, ATOMS_PER_RESIDUE)


def _in_chosen_conformer(
    atoms: AtomTable,
    rows: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    count: int,
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
    best_last = np.lexsort((-first, mean_occupancy, num_atoms, of_residue))
    chosen = np.full(count, -1)
    chosen[of_residue[best_last]] = best_last
    kept = shared.copy()
    kept[split] = chosen[residue[split]] == conformer
    return kept


def _backbone(
    atoms: AtomTable,
    first_atoms: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    *,
    source: str,
    model: int,
) -> Backbone:
    coords = atoms.coords[rows]
    coords[rows < 0] = np.nan
    ca_rows = rows[:, 1]
    named_by = first_atoms.copy()
    for slot in (2, 0, 1):
        named_by = np.where(rows[:, slot] >= 0, rows[:, slot], named_by)
    names = tuple(atoms.component[named_by].tolist())
    label_numbers = atoms.label_number[first_atoms]
    if (label_numbers == NO_NUMBER).any():
        label_numbers = np.arange(1, len(first_atoms) + 1, dtype=np.int32)
    chain_id = str(atoms.chain[first_atoms[0]])
    return Backbone(
        coords=coords,
        resolved=complete_residues(coords),
        sequence="".join(one_letter(name) for name in names),
        residue_names=names,
        author_numbers=atoms.number[first_atoms],
        insertion_codes=tuple(atoms.insertion[first_atoms].tolist()),
        label_numbers=label_numbers,
        b_factors=np.where(ca_rows >= 0, atoms.b_factor[ca_rows], np.float32(np.nan)),
        confidence=atoms.confidence,
        chain_id=chain_id,
        label_chain_id=str(atoms.label_chain[first_atoms[0]]) or chain_id,
        source=source,
        model=model,
    )
