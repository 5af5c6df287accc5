"""Which atoms does an mmCIF or BinaryCIF file hold, and which of them does it call polypeptide."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable
from provq_protein.structure.backbone import Confidence

_PREDICTION_ARCHIVES = ("alphafolddb", "modelarchive")
_PREDICTION_PREFIXES = ("af-", "ma-")

Category = Mapping[str, Any]


def read_mmcif(file: CIFFile | BinaryCIFFile, *, model: int, where: str) -> AtomTable:
    """
    Return the atoms of one model of an mmCIF or BinaryCIF file.

    Parameters
    ----------
    file : CIFFile or BinaryCIFFile
        The parsed file. Its first data block with atoms is read.
    model : int
        1-based model, counted in file order. In a PDB entry that is the model number.
    where : str
        File name for messages.

    Returns
    -------
    AtomTable
        The model's atoms; `polymer` is None where the file names no polymer entities.

    Raises
    ------
    StructureError
        If the file has no atoms or not this model.
    """
    block = next((block for block in file.values() if "atom_site" in block), None)
    if block is None:
        held = sorted({name for block in file.values() for name in block})
        msg = (
            f"{where}: a CIF file without an atom_site category "
            f"(it has {', '.join(held[:5]) or 'no category'}); give one with coordinates"
        )
        raise StructureError(msg)
    site = block["atom_site"]
    chosen = _model_atoms(site, model, where)
    table = _assemble(block, site)
    return table if chosen.all() else table.only(chosen)


def _model_atoms(site: Category, model: int, where: str) -> npt.NDArray[np.bool_]:
    if "pdbx_PDB_model_num" not in site:
        numbers = np.ones(_row_count(site), dtype=np.int64)
    else:
        numbers = site["pdbx_PDB_model_num"].as_array(np.int64, masked_value=1)
    unique, first = np.unique(numbers, return_index=True)
    in_file_order = unique[np.argsort(first)]
    if not 1 <= model <= len(in_file_order):
        msg = f"{where}: model {model} is not in the file; it has {len(unique)}, numbered from 1"
        raise StructureError(msg)
    return numbers == in_file_order[model - 1]


def _row_count(site: Category) -> int:
    return len(next(iter(site.values())).as_array())


def _text(category: Category, *names: str, missing: str = "") -> npt.NDArray[np.str_] | None:
    """Return the first of the named columns that exists; absent values fall to the next one."""
    result = None
    for name in names:
        if name in category:
            values = category[name].as_array(str, masked_value="")
            result = values if result is None else np.where(result == "", values, result)
            if (result != "").all():
                break
    return result if result is None or not missing else np.where(result == "", missing, result)


def _required(site: Category, *names: str) -> npt.NDArray[np.str_]:
    values = _text(site, *names)
    if values is None:
        msg = f"the atom_site category has no column {' or '.join(names)}"
        raise ValueError(msg)
    return values


def _integers(values: npt.NDArray[np.str_] | None, count: int) -> npt.NDArray[np.int32]:
    if values is None:
        return np.full(count, NO_NUMBER, dtype=np.int32)
    return np.where(values == "", str(NO_NUMBER), values).astype(np.int32)


def _reals(site: Category, name: str, count: int) -> npt.NDArray[np.float32]:
    if name not in site:
        return np.full(count, np.nan, dtype=np.float32)
    return site[name].as_array(np.float32, masked_value=np.nan)


def _assemble(block: Category, site: Category) -> AtomTable:
    component = _required(site, "auth_comp_id", "label_comp_id")
    count = len(component)
    blank = np.full(count, "")
    label_chain = _required(site, "label_asym_id", "auth_asym_id")
    label_number = _integers(_text(site, "label_seq_id"), count)
    number = _integers(_required(site, "auth_seq_id", "label_seq_id"), count)
    record = _text(site, "group_PDB")
    insertion = _text(site, "pdbx_PDB_ins_code")
    altloc = _text(site, "label_alt_id")
    _, segment = np.unique(label_chain, return_inverse=True)
    for name in ("Cartn_x", "Cartn_y", "Cartn_z"):
        _required(site, name)
    coords = [_reals(site, name, count) for name in ("Cartn_x", "Cartn_y", "Cartn_z")]
    return AtomTable(
        coords=np.stack(coords, axis=1),
        chain=_required(site, "auth_asym_id", "label_asym_id"),
        label_chain=label_chain,
        segment=segment.astype(np.int32),
        number=number,
        insertion=blank if insertion is None else insertion,
        label_number=label_number,
        component=component,
        name=_required(site, "label_atom_id", "auth_atom_id"),
        altloc=blank if altloc is None else altloc,
        occupancy=_reals(site, "occupancy", count),
        b_factor=_reals(site, "B_iso_or_equiv", count),
        hetero=np.zeros(count, dtype=bool) if record is None else record == "HETATM",
        polymer=_declared_polymer(block, site, label_chain, label_number),
        listed=np.zeros(count, dtype=bool),
        before_ter=np.zeros(count, dtype=bool),
        confidence=_confidence(block),
    )


def _declared_polymer(
    block: Category,
    site: Category,
    label_chain: npt.NDArray[np.str_],
    label_number: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_] | None:
    """Return which atoms belong to a polypeptide entity; None if the file does not say."""
    if "entity_poly" not in block:
        return None
    poly = block["entity_poly"]
    entities, kinds = _text(poly, "entity_id"), _text(poly, "type")
    atom_entities = _atom_entities(block, site, label_chain)
    if entities is None or kinds is None or atom_entities is None or (kinds == "").any():
        return None
    if not np.isin(atom_entities, entities).any():
        return None
    # "cyclic-pseudo-peptide" is a peptide, "peptide nucleic acid" is not.
    is_peptide = [
        kind.lower().startswith("polypeptide") or kind.lower() == "cyclic-pseudo-peptide"
        for kind in kinds.tolist()
    ]
    declared = np.zeros(len(label_number), dtype=bool)
    for entity in entities[np.array(is_peptide, dtype=bool)].tolist():
        mine = atom_entities == entity
        numbered = mine & (label_number != NO_NUMBER)
        declared |= numbered if numbered.any() else mine
    return declared


def _atom_entities(
    block: Category, site: Category, label_chain: npt.NDArray[np.str_]
) -> npt.NDArray[np.str_] | None:
    entities = _text(site, "label_entity_id")
    if entities is not None and (entities != "").any():
        return entities
    if "struct_asym" not in block:
        return None
    asym = block["struct_asym"]
    chains, chain_entities = _text(asym, "id"), _text(asym, "entity_id")
    if chains is None or chain_entities is None:
        return None
    of_chain = dict(zip(chains.tolist(), chain_entities.tolist(), strict=True))
    unique, inverse = np.unique(label_chain, return_inverse=True)
    return np.array([of_chain.get(chain, "") for chain in unique.tolist()])[inverse]


def _confidence(block: Category) -> Confidence:
    def any_value(category: str, column: str, test: Callable[[str], bool]) -> bool:
        values = _text(block[category], column) if category in block else None
        return values is not None and any(test(value.lower()) for value in values.tolist())

    predicted = (
        any_value("database_2", "database_id", lambda value: value in _PREDICTION_ARCHIVES)
        or any_value("entry", "id", lambda value: value.startswith(_PREDICTION_PREFIXES))
        or any_value("ma_qa_metric", "name", lambda value: "plddt" in value)
        or any_value("ma_qa_metric", "type", lambda value: "plddt" in value)
    )
    return "plddt" if predicted else "b_factor"
