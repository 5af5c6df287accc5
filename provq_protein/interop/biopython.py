"""How does a structure of Bio.PDB become chains, and how do chains become one?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.extras import require_extra
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.residues import BACKBONE_ATOMS, backbones_of, describe

if TYPE_CHECKING:
    from Bio.PDB.Structure import Structure

_BLANK_CHAIN = "_"
_ELEMENTS = ("N", "C", "C")


def backbones_from_biopython(structure: "Structure") -> list[Backbone]:
    """
    Return the polypeptide chains of all models of a structure.

    Parameters
    ----------
    structure : Bio.PDB.Structure.Structure
        From any parser of Biopython.

    Returns
    -------
    list of Backbone
        By model, then in the order of the chains; `model` counts from 1, and `source` is the
        structure's id.

    Raises
    ------
    StructureError
        If there is no polypeptide chain.

    Notes
    -----
    The residue contract is followed as far as these objects allow. All alternate locations are
    looked at, not only those that are selected. What the objects do not have:

    * which polymers the file declares, SEQRES, MODRES and TER: chemistry decides, as for a PDB
      file without these records, so an amino acid in HETATM records at the end of a chain is
      a residue only if it is bonded to it;
    * label numbers and label chain ids: residues count from 1, and the chain id stands for both;
    * whether B-factors are pLDDT: they count as B-factors;
    * a residue that the file lists twice: Biopython keeps or refuses it when it parses.
    """
    source = str(structure.id)
    found: list[Backbone] = []
    held = "no atoms"
    for number, model in enumerate(structure, start=1):
        table = _atom_table(model)
        if len(table):
            held = describe(table) if number == 1 else held
            found += backbones_of(table, source=source, model=number)
    if not found:
        msg = f"{source}: no polypeptide chain; its first model holds {held}"
        raise StructureError(msg)
    return found


def to_biopython(chains: Backbone | Sequence[Backbone], *, name: str = "provq") -> "Structure":
    """
    Return a structure with the N, CA and C atoms of chains.

    Parameters
    ----------
    chains : Backbone or sequence of Backbone
        Sorted into models by their `model`.
    name : str
        Id of the structure.

    Returns
    -------
    Bio.PDB.Structure.Structure
        Models have ids from 0, as Biopython's parsers give them. Atoms that are absent are left
        out, and so is a residue without any of the three.

    Raises
    ------
    StructureError
        If no residue is resolved, a chain id occurs twice in a model, or a residue id twice in a
        chain, which these objects cannot hold.
    MissingExtraError
        If Biopython is not installed.

    Notes
    -----
    Every residue is in ATOM records, as in files that ``provq-protein decode`` writes. Label
    numbers and label chain ids are not kept, and a B-factor that is unknown becomes 0.
    """
    pdb: Any = require_extra("Bio.PDB", extra="interop", purpose="a structure of Bio.PDB")
    several = [chains] if isinstance(chains, Backbone) else list(chains)
    if not any(chain.resolved.any() for chain in several):
        msg = f"{name}: no residue is resolved; give at least one chain that has coordinates"
        raise StructureError(msg)
    structure = pdb.Structure.Structure(name)
    for place, number in enumerate(sorted({chain.model for chain in several})):
        model = pdb.Model.Model(place, number)
        structure.add(model)
        serial = 1
        for chain in several:
            if chain.model != number:
                continue
            if model.has_id(chain.chain_id):
                _fail(chain, f"occurs twice in model {number}; give one of them another id")
            filled, serial = _bio_chain(pdb, chain, serial)
            model.add(filled)
    return structure


def _atom_table(model: Any) -> AtomTable:  # noqa: ANN401
    rows = list(_rows(model))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    chain, number, insertion, component, hetero, name, altloc, coords, occupancy, b_factor = columns
    count = len(rows)
    no = np.zeros(count, dtype=bool)
    chains = np.array(chain, dtype=np.str_)
    return AtomTable(
        coords=np.array(coords, dtype=np.float32).reshape(count, 3),
        chain=chains,
        label_chain=chains,
        segment=np.zeros(count, dtype=np.int32),
        number=np.array(number, dtype=np.int32),
        insertion=np.array(insertion, dtype=np.str_),
        label_number=np.full(count, NO_NUMBER, dtype=np.int32),
        component=np.array(component, dtype=np.str_),
        name=np.array(name, dtype=np.str_),
        altloc=np.array(altloc, dtype=np.str_),
        # Biopython has None where a file has nothing, which becomes NaN.
        occupancy=np.array(occupancy, dtype=np.float32),
        b_factor=np.array(b_factor, dtype=np.float32),
        hetero=np.array(hetero, dtype=np.bool_),
        polymer=None,
        listed=no,
        before_ter=no,
        confidence="b_factor",
    )


def _rows(model: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield every atom, of all alternate locations and of all components at a position."""
    for chain in model:
        chain_id = chain.id.strip() or _BLANK_CHAIN
        for residue in chain.get_unpacked_list():
            record, number, insertion = residue.id
            of_residue = (chain_id, number, insertion.strip(), residue.resname.strip())
            hetero = record.strip() != ""
            for atom in residue.get_unpacked_list():
                yield (
                    *of_residue,
                    hetero,
                    atom.get_name(),
                    atom.get_altloc().strip(),
                    atom.coord,
                    atom.occupancy,
                    atom.bfactor,
                )


def _bio_chain(pdb: Any, backbone: Backbone, serial: int) -> tuple[Any, int]:  # noqa: ANN401
    """Return a chain of Bio.PDB, and the serial number of the next atom."""
    chain = pdb.Chain.Chain(backbone.chain_id)
    there = np.all(np.isfinite(backbone.coords), axis=-1)
    for place in np.flatnonzero(there.any(axis=-1)).tolist():
        code = backbone.insertion_codes[place] or " "
        residue_id = (" ", int(backbone.author_numbers[place]), code)
        if chain.has_id(residue_id):
            number = backbone.residue_ids[place]
            _fail(backbone, f"residue {number} occurs twice, and Bio.PDB tells residues by number")
        residue = pdb.Residue.Residue(residue_id, backbone.residue_names[place], " ")
        # Bio.PDB writes files only of atoms that have one.
        b_factor = float(np.nan_to_num(backbone.b_factors[place]))
        for column in np.flatnonzero(there[place]).tolist():
            atom, coord = BACKBONE_ATOMS[column], backbone.coords[place, column].copy()
            about = (b_factor, 1.0, " ", f" {atom:<3}", serial, _ELEMENTS[column])
            residue.add(pdb.Atom.Atom(atom, coord, *about))
            serial += 1
        chain.add(residue)
    return chain, serial


def _fail(chain: Backbone, problem: str) -> NoReturn:
    msg = f"{chain.source or 'arrays'}: chain {chain.chain_id}: {problem}"
    raise StructureError(msg)
