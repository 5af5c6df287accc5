"""Where in its declared sequence is each residue of a chain, and what is at the other places?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.bonds import peptide_bonds
from provq_protein.structure.cif_columns import TextColumns
from provq_protein.structure.components import one_letter

MAX_POSITIONS = 100_000
"""Longest declared sequence that residues are laid onto by their names."""

_MOST_PLACINGS = 100_000_000
_LARGEST = np.iinfo(np.int32).max
_CATEGORIES = "pdbx_poly_seq_scheme, entity_poly_seq or SEQRES"

_Places = npt.NDArray[np.int64]


class Monomer(NamedTuple):
    """
    One position of a declared sequence.

    Parameters
    ----------
    position : int
        ``label_seq_id``.
    component : str
        Residue name.
    number : int or None
        Author residue number, if the file gives one.
    insertion : str
        Insertion code or ``""``.
    """

    position: int
    component: str
    number: int | None = None
    insertion: str = ""


Sequences = Mapping[str, Sequence[Monomer]]
"""Declared sequences by label chain id."""


def declared_sequences(block: Mapping[str, TextColumns]) -> Sequences:
    """
    Return the sequences that an mmCIF or BinaryCIF file declares.

    Parameters
    ----------
    block : mapping of str to TextColumns
        The categories of the file.

    Returns
    -------
    mapping of str to sequence of Monomer
        By label chain id; of ``pdbx_poly_seq_scheme`` or else ``entity_poly_seq``. Empty if
        the file has neither. At a position with several components the first counts.
    """
    if "pdbx_poly_seq_scheme" in block:
        scheme = block["pdbx_poly_seq_scheme"]
        count = len(_column(scheme, "asym_id", 0))
        rows = zip(
            _column(scheme, "asym_id", count),
            _column(scheme, "seq_id", count),
            _column(scheme, "mon_id", count),
            _column(scheme, "pdb_seq_num", count),
            _column(scheme, "pdb_ins_code", count),
            strict=True,
        )
        return _collected(rows)
    if "entity_poly_seq" not in block:
        return {}
    poly = block["entity_poly_seq"]
    rows = zip(*(_column(poly, name, 0) for name in ("entity_id", "num", "mon_id")), strict=True)
    of_entity = _collected((*row, "", "") for row in rows)
    return {
        chain: of_entity[entity]
        for chain, entity in _entity_of_chain(block).items()
        if entity in of_entity
    }


def _column(category: TextColumns, name: str, count: int) -> list[str]:
    """Return a column; blanks where an optional one (`count` given) is absent."""
    if count and name not in category:
        return [""] * count
    return category.text(name).array().tolist()


def _collected(rows: Iterable[tuple[str, ...]]) -> dict[str, list[Monomer]]:
    result: dict[str, dict[int, Monomer]] = {}
    for chain, position, component, number, insertion in rows:
        place = int(position)
        made = Monomer(place, component, int(number) if number else None, insertion)
        result.setdefault(chain, {}).setdefault(place, made)
    return {chain: [held[place] for place in sorted(held)] for chain, held in result.items()}


def _entity_of_chain(block: Mapping[str, TextColumns]) -> dict[str, str]:
    site = block["atom_site"]
    if "label_asym_id" in site and "label_entity_id" in site:
        chains, entities = (_column(site, f"label_{name}_id", 0) for name in ("asym", "entity"))
        return dict(zip(chains, entities, strict=True))
    if "struct_asym" not in block:
        return {}
    asym = block["struct_asym"]
    return dict(zip(_column(asym, "id", 0), _column(asym, "entity_id", 0), strict=True))


def with_full_sequence(
    chain: Backbone,
    declared: Sequence[Monomer],
    *,
    numbered: bool,
    names: Sequence[frozenset[str]],
) -> Backbone:
    """
    Return a chain with a residue for every position of its declared sequence.

    Parameters
    ----------
    chain : Backbone
        The residues that have atoms.
    declared : sequence of Monomer
        The sequence, by position.
    numbered : bool
        Whether the label numbers of the chain are positions in it. Otherwise the residues are
        laid onto it by their names and numbers.
    names : sequence of frozenset of str
        The component names of each residue, of which one has to agree in that case.

    Returns
    -------
    Backbone
        Residues without atoms have *NaN* coordinates and B-factors. Where the file gives
        them no author number, it goes on from the nearest residue before, or back from the
        first one.

    Raises
    ------
    StructureError
        If the chain has a residue that the sequence has not, or not in this order.
    """
    if not declared:
        msg = (
            f"{chain.source}: chain {chain.chain_id}: the file declares no sequence for it "
            f"({_CATEGORIES}); take the residues with atoms alone (sequence 'resolved')"
        )
        raise StructureError(msg)
    places = _by_number(chain, declared) if numbered else _by_name(chain, declared, names)
    if places is None:
        msg = (
            f"{chain.source}: chain {chain.chain_id}: its residues are not part of the sequence "
            f"that the file declares ({len(declared)} positions), or not in this order; take "
            "the residues with atoms alone (sequence 'resolved')"
        )
        raise StructureError(msg)
    return _spread(chain, declared, places)


def _by_number(chain: Backbone, declared: Sequence[Monomer]) -> _Places | None:
    place_of = {monomer.position: place for place, monomer in enumerate(declared)}
    places = [place_of.get(number, -1) for number in chain.label_numbers.tolist()]
    rising = all(before < after for before, after in zip([-1, *places], places, strict=False))
    return np.array(places, dtype=np.int64) if rising else None


def _by_name(
    chain: Backbone, declared: Sequence[Monomer], names: Sequence[frozenset[str]]
) -> _Places | None:
    """Lay the chain's unbroken stretches onto the sequence, with gaps as its numbers have."""
    if len(declared) > MAX_POSITIONS:
        msg = (
            f"{chain.source}: chain {chain.chain_id}: the declared sequence has {len(declared)} "
            f"positions; residues without label_seq_id can be laid onto {MAX_POSITIONS} at most"
        )
        raise StructureError(msg)
    components = np.array([monomer.component for monomer in declared])
    same = {held: np.isin(components, list(held)) for held in set(names)}
    starts = _stretches(chain)
    lengths = np.diff(np.append(starts, len(chain)))
    trail: list[tuple[_Places, _Places]] = []
    offsets, cost = np.zeros(0, dtype=np.int64), np.zeros(0)
    placings = 0
    for index, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        found = _matches([same[held] for held in names[start : start + length]])
        back, total = np.zeros(len(found), dtype=np.int64), np.zeros(len(found))
        placings += len(found) * len(offsets)
        if placings > _MOST_PLACINGS:
            return None
        if index:
            before = int(starts[index - 1])
            step = int(chain.author_numbers[start]) - int(chain.author_numbers[before])
            back, total = _joined(found, offsets, cost, least=int(lengths[index - 1]), step=step)
        possible = np.isfinite(total)
        if not possible.any():
            return None
        offsets, cost = found[possible], total[possible]
        trail.append((offsets, back[possible]))
    places = np.zeros(len(chain), dtype=np.int64)
    best = int(cost.argmin())
    for index in range(len(starts) - 1, -1, -1):
        offsets, back = trail[index]
        span = slice(int(starts[index]), int(starts[index] + lengths[index]))
        places[span] = offsets[best] + np.arange(lengths[index])
        best = int(back[best])
    return places


def _joined(
    found: _Places, offsets: _Places, cost: npt.NDArray[np.float64], *, least: int, step: int
) -> tuple[_Places, npt.NDArray[np.float64]]:
    """Return the best place of the stretch before, and the cost so far, for each place found."""
    if not found.size:
        return found, cost[:0]
    jump = found[:, None] - offsets[None, :]
    sums = np.where(jump >= least, cost + np.abs(jump - step), np.inf)
    back = sums.argmin(axis=1)
    return back, sums[np.arange(len(found)), back]


def _stretches(chain: Backbone) -> _Places:
    """Return where a stretch begins that surely has no gap."""
    bonded, known = peptide_bonds(chain.coords)
    follows = np.diff(chain.author_numbers.astype(np.int64)) == 1
    return np.append(0, np.flatnonzero(~np.where(known, bonded, follows)) + 1)


def _matches(same: Sequence[npt.NDArray[np.bool_]]) -> _Places:
    """Return the places at which residues agree with the sequence one after another."""
    count = len(same[0]) - len(same) + 1
    if count < 1:
        return np.zeros(0, dtype=np.int64)
    agree = np.ones(count, dtype=bool)
    for shift, one in enumerate(same):
        agree &= one[shift : shift + count]
    return np.flatnonzero(agree)


def _spread(chain: Backbone, declared: Sequence[Monomer], places: _Places) -> Backbone:
    count = len(declared)
    names = [monomer.component for monomer in declared]
    insertions = [monomer.insertion for monomer in declared]
    numbers = _numbers(chain, declared, places)
    for index, place in enumerate(places.tolist()):
        names[place] = chain.residue_names[index]
        insertions[place] = chain.insertion_codes[index]
    letters = [one_letter(name) for name in names]
    coords = np.full((count, *chain.coords.shape[1:]), np.nan, dtype=np.float32)
    coords[places] = chain.coords
    b_factors = np.full(count, np.nan, dtype=np.float32)
    b_factors[places] = chain.b_factors
    resolved = np.zeros(count, dtype=bool)
    resolved[places] = chain.resolved
    return Backbone(
        coords=coords,
        resolved=resolved,
        sequence="".join(letters),
        residue_names=tuple(names),
        author_numbers=numbers,
        insertion_codes=tuple(insertions),
        label_numbers=np.array([monomer.position for monomer in declared], dtype=np.int32),
        b_factors=b_factors,
        confidence=chain.confidence,
        chain_id=chain.chain_id,
        label_chain_id=chain.label_chain_id,
        source=chain.source,
        model=chain.model,
    )


def _numbers(
    chain: Backbone, declared: Sequence[Monomer], places: _Places
) -> npt.NDArray[np.int32]:
    every = np.arange(len(declared))
    nearest = np.maximum(np.searchsorted(places, every, side="right") - 1, 0)
    numbers = chain.author_numbers[nearest].astype(np.int64) + (every - places[nearest])
    for place, monomer in enumerate(declared):
        if monomer.number is not None:
            numbers[place] = monomer.number
    numbers[places] = chain.author_numbers
    if numbers.size and max(numbers.max(), -numbers.min()) > _LARGEST:
        msg = "residue numbers that do not fit into 32 bits"
        raise ValueError(msg)
    return numbers.astype(np.int32)
