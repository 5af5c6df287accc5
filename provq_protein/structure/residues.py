"""Which atoms make up the residues of polypeptide chains, and which conformer stands for each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provq_protein.structure.atom_table import NO_NUMBER, AtomTable, run_starts
from provq_protein.structure.backbone import Backbone, complete_residues
from provq_protein.structure.bonds import bonded_runs
from provq_protein.structure.components import (
    LETTERS,
    is_amino_acid,
    is_nucleotide,
    one_letter,
    where_component,
)
from provq_protein.structure.conformers import BACKBONE_ATOMS as BACKBONE_ATOMS
from provq_protein.structure.conformers import backbone_rows
from provq_protein.structure.policies import OCCUPANCY

_LONGEST_SUMMARY = 4
_NEAREST_CA = 2.5
"""CA atoms of different residues are farther apart than this, in Angstrom."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """
    The residues of the polypeptide chains of a model, and what was not taken.

    Parameters
    ----------
    table : AtomTable
        All atoms of the model.
    starts : ndarray, shape=(run,), dtype=int64
        First atom of each stretch of atoms of `table` that carries one residue id.
    taken : ndarray, shape=(run,), dtype=bool
        Which of those are residues of polypeptides, or parts of them.
    atoms : AtomTable
        The atoms of these.
    residue_of_atom : ndarray, shape=(atom,), dtype=int64
        The residue of each of `atoms`, from 0.
    first_atoms : ndarray, shape=(residue,), dtype=int64
        The first of `atoms` of each residue.
    rows : ndarray, shape=(residue, 3), dtype=int64
        N, CA and C among `atoms`, of one conformer; -1 where absent.
    """

    table: AtomTable
    starts: npt.NDArray[np.int64]
    taken: npt.NDArray[np.bool_]
    atoms: AtomTable
    residue_of_atom: npt.NDArray[np.int64]
    first_atoms: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of residues."""
        return len(self.first_atoms)


def select(table: AtomTable, *, altloc: str = OCCUPANCY) -> Selection:
    """
    Return the residues of the polypeptide chains of a model.

    Parameters
    ----------
    table : AtomTable
        The atoms of the model.
    altloc : str
        Which conformer to take, as in
        :class:`provq_protein.structure.policies.ResiduePolicy`.

    Returns
    -------
    Selection
        As `backbones_of` says.
    """
    starts = _residue_runs(table)
    run_of_atom = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(table))))
    taken = _polypeptide_runs(table, starts, run_of_atom)
    mask = taken[run_of_atom]
    atoms = table.only(mask)
    residue_of_atom, first_atoms = _residues(atoms, run_of_atom[mask])
    return Selection(
        table=table,
        starts=starts,
        taken=taken,
        atoms=atoms,
        residue_of_atom=residue_of_atom,
        first_atoms=first_atoms,
        rows=backbone_rows(atoms, residue_of_atom, len(first_atoms), altloc=altloc),
    )


def chains_within(
    selection: Selection,
    *,
    by_label: bool = False,
    within: npt.NDArray[np.bool_] | None = None,
) -> Iterator[npt.NDArray[np.int64]]:
    """
    Yield the residues of one chain after another.

    Parameters
    ----------
    selection : Selection
        Residues of a model.
    by_label : bool
        Whether label chain ids tell chains apart, and not those of the author.
    within : ndarray, shape=(residue,), dtype=bool, optional
        The residues to look at. By default all.

    Yields
    ------
    ndarray, shape=(residue of the chain,), dtype=int64
        Places in the selection. Chains come in the order of their first residues.
    """
    column = selection.atoms.label_chain if by_label else selection.atoms.chain
    places = np.arange(len(selection)) if within is None else np.flatnonzero(within)
    chain_of_residue = column[selection.first_atoms[places]]
    # The residues of a chain mostly follow each other: few names need to be compared.
    starts = run_starts(chain_of_residue)
    numbers: dict[str, int] = {}
    of_run = [numbers.setdefault(name, len(numbers)) for name in chain_of_residue[starts].tolist()]
    of_residue = np.repeat(of_run, np.diff(np.append(starts, len(places))))
    for number in range(len(numbers)):
        yield places[of_residue == number]


def backbone_at(
    selection: Selection,
    residues: npt.NDArray[np.int64],
    *,
    source: str,
    model: int,
    by_label: bool = False,
) -> Backbone:
    """
    Return residues of a selection as a chain.

    Parameters
    ----------
    selection : Selection
        Residues of a model.
    residues : ndarray, shape=(residue,), dtype=int64
        Those of the chain, at least one.
    source : str
        File name that the chain carries.
    model : int
        Model number that the chain carries.
    by_label : bool
        Whether the chain carries label ids and numbers in the place of the author's.

    Returns
    -------
    Backbone
        The chain.
    """
    first_atoms = selection.first_atoms[residues]
    chain = _backbone(
        selection.atoms, first_atoms, selection.rows[residues], source=source, model=model
    )
    if not by_label:
        return chain
    return replace(
        chain,
        chain_id=chain.label_chain_id,
        author_numbers=chain.label_numbers,
        insertion_codes=("",) * len(chain),
    )


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
    selection = select(table)
    return [
        backbone_at(selection, residues, source=source, model=model)
        for residues in chains_within(selection)
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
    nucleic = where_component(is_nucleotide, components)
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


def _residue_runs(table: AtomTable) -> npt.NDArray[np.int64]:
    """Return the first atom of each stretch of atoms that carries one residue id."""
    # A new name under the same number is microheterogeneity if it has alternate locations or
    # a sequence position; otherwise it is another residue with a repeated number.
    plain = (table.label_number == NO_NUMBER) & (table.altloc == "")
    renamed = np.zeros(len(table), dtype=bool)
    renamed[1:] = (table.component[1:] != table.component[:-1]) & plain[1:] & plain[:-1]
    numbers = (table.number, table.label_number, np.cumsum(renamed))
    starts = run_starts(table.segment, table.chain, table.insertion, *numbers)
    alphas = np.flatnonzero((table.name == "CA") & plain)
    counts = np.bincount(np.searchsorted(starts, alphas, side="right") - 1)
    ends = np.append(starts[1:], len(table))
    repeats: list[int] = []
    for run in np.flatnonzero(counts > 1).tolist():
        repeats += _repeats(table, int(starts[run]), int(ends[run]))
    return np.sort(np.append(starts, np.array(repeats, dtype=starts.dtype))) if repeats else starts


def _repeats(table: AtomTable, begin: int, end: int) -> list[int]:
    """Return where the atoms of a run come again, at another place: residues of one number."""
    names = table.name[begin:end].tolist()
    begins = [begin + index for index, name in enumerate(names) if name == names[0]]
    spans = zip(begins, [*begins[1:], end], strict=True)
    alphas = [np.flatnonzero(table.name[first:stop] == "CA") + first for first, stop in spans]
    if any(len(rows) != 1 for rows in alphas):
        return []
    # Copies in the same place are conformers whose letters were taken away.
    steps = np.diff(table.coords[np.concatenate(alphas)], axis=0)
    return begins[1:] if (np.linalg.norm(steps, axis=1) > _NEAREST_CA).all() else []


def _polypeptide_runs(
    table: AtomTable, starts: npt.NDArray[np.int64], run_of_atom: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    component = table.component[starts]
    if table.polymer is not None:
        kept = table.polymer[starts]
        alphas = _run_positions(table, run_of_atom, len(starts), names=("CA",))
        lacks_ca = np.flatnonzero(kept & ~np.all(np.isfinite(alphas[:, 0]), axis=1))
        # Without CA it is a cap such as ACE, or an amino acid of which little was observed.
        kept = kept.copy()
        kept[lacks_ca] = where_component(is_amino_acid, component[lacks_ca])
        return kept
    positions = _run_positions(table, run_of_atom, len(starts), names=BACKBONE_ATOMS)
    complete = np.all(np.isfinite(positions), axis=(1, 2))
    peptide = where_component(is_amino_acid, component)
    nucleotide = where_component(is_nucleotide, component)
    hetero = table.hetero[starts]
    plain = ~hetero & (peptide | (complete & ~nucleotide))
    listed = table.listed[starts] & ~where_component(LETTERS.__contains__, component)
    candidate = plain | (hetero & (peptide | (complete & listed)))
    chain = table.chain[starts]
    joined = table.before_ter[starts] | listed | _before_last(plain, chain)
    return plain | (candidate & (joined | bonded_runs(positions, candidate, chain)))


def _run_positions(
    table: AtomTable, run_of_atom: npt.NDArray[np.int64], count: int, *, names: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    """Return atoms of each run, shape (run, name, 3); the first conformer's, or NaN."""
    positions = np.full((count, len(names), 3), np.nan, dtype=np.float32)
    for slot, name in enumerate(names):
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


def _residues(
    atoms: AtomTable, run_of_atom: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the residue of each atom and the first atom of each residue."""
    first = run_starts(run_of_atom)
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(atoms))))
    # Numbers rarely come again within a segment: then there is nothing more to compare.
    numbers = atoms.segment[first].astype(np.int64) * (1 << 32) + atoms.number[first]
    numbers.sort()
    if (numbers[1:] != numbers[:-1]).all():
        return run, first
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


def _backbone(
    atoms: AtomTable,
    first_atoms: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    *,
    source: str,
    model: int,
) -> Backbone:
    coords = atoms.coords.take(rows, axis=0)
    ca_rows = named_by = rows[:, 1]
    absent = rows < 0
    if absent.any():
        coords[absent] = np.nan
        named_by = first_atoms
        for slot in (2, 0, 1):
            named_by = np.where(absent[:, slot], named_by, rows[:, slot])
    names = tuple(atoms.component[named_by].tolist())
    label_numbers = atoms.label_number[first_atoms]
    if (label_numbers == NO_NUMBER).any():
        label_numbers = np.arange(1, len(first_atoms) + 1, dtype=np.int32)
    chain_id = str(atoms.chain[first_atoms[0]])
    return Backbone(
        coords=coords,
        resolved=complete_residues(coords),
        sequence="".join(map({name: one_letter(name) for name in set(names)}.__getitem__, names)),
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
