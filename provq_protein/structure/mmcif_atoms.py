"""Which atoms does an mmCIF or BinaryCIF file hold, and which of them does it call polypeptide."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable, run_starts
from provq_protein.structure.backbone import Confidence
from provq_protein.structure.cif_columns import (
    Category,
    LoadedBlock,
    SelectableCategory,
    TextColumns,
    UnusualLayoutError,
    Words,
)

if TYPE_CHECKING:
    from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

_PREDICTION_ARCHIVES = ("alphafolddb", "modelarchive")
_PREDICTION_PREFIXES = ("af-", "ma-")

SITE_COLUMNS = (
    "group_PDB",
    "label_atom_id",
    "auth_atom_id",
    "label_alt_id",
    "label_comp_id",
    "auth_comp_id",
    "label_asym_id",
    "auth_asym_id",
    "label_entity_id",
    "label_seq_id",
    "auth_seq_id",
    "pdbx_PDB_ins_code",
    "Cartn_x",
    "Cartn_y",
    "Cartn_z",
    "occupancy",
    "B_iso_or_equiv",
    "pdbx_PDB_model_num",
)
"""Columns of ``atom_site`` that are read; the others are never looked at."""

SMALL_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "entity_poly": ("entity_id", "type"),
    "struct_asym": ("id", "entity_id"),
    "database_2": ("database_id",),
    "entry": ("id",),
    "ma_qa_metric": ("name", "type"),
}
"""Other categories that are read, and their columns."""

Block = Mapping[str, TextColumns]


def read_mmcif(file: "CIFFile | BinaryCIFFile", *, model: int, where: str) -> AtomTable:
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
    return next(read_models(block_with_atoms(file, where=where), model=model, where=where))[1]


def block_with_atoms(file: "CIFFile | BinaryCIFFile", *, where: str) -> LoadedBlock:
    """
    Return the first data block that has atoms.

    Parameters
    ----------
    file : CIFFile or BinaryCIFFile
        The parsed file.
    where : str
        File name for messages.

    Returns
    -------
    LoadedBlock
        With a category ``atom_site``.

    Raises
    ------
    StructureError
        If there is none.
    """
    block = next((block for block in file.values() if "atom_site" in block), None)
    if block is None:
        held = sorted({name for block in file.values() for name in block})
        msg = (
            f"{where}: a CIF file without an atom_site category "
            f"(it has {', '.join(held[:5]) or 'no category'}); give one with coordinates"
        )
        raise StructureError(msg)
    return LoadedBlock(block)


def read_models(
    block: LoadedBlock, *, model: int | Literal["all"], where: str
) -> Iterator[tuple[int, AtomTable]]:
    """
    Yield the atoms of one model, or of each.

    Parameters
    ----------
    block : LoadedBlock
        With a category ``atom_site``.
    model : int or "all"
        1-based model, counted in file order.
    where : str
        File name for messages.

    Yields
    ------
    int
        The model, from 1.
    AtomTable
        Its atoms.

    Raises
    ------
    StructureError
        If the file has not this model.
    """
    site = block["atom_site"]
    numbers, in_file_order = _model_numbers(site)
    wanted = range(1, len(in_file_order) + 1) if model == "all" else [model]
    chosen = [_chosen_model(numbers, in_file_order, one, where) for one in wanted]
    table = replace(assemble(block, site, partial=False), num_models=len(in_file_order))
    for one, mask in zip(wanted, chosen, strict=True):
        yield one, table if mask.all() else table.only(mask)


def read_block(block: Block, site: SelectableCategory, *, model: int, where: str) -> AtomTable:
    """
    Return the atoms of one model, of which alone the columns are built.

    Parameters
    ----------
    block : mapping of str to TextColumns
        `SMALL_CATEGORIES` that the file has.
    site : SelectableCategory
        ``atom_site``.
    model : int
        1-based model, counted in file order.
    where : str
        File name for messages.

    Returns
    -------
    AtomTable
        The same as that of `read_mmcif`, save that segments are numbered within the model.

    Raises
    ------
    StructureError
        If the file has not this model.
    UnusualLayoutError
        If the model's atoms alone do not decide which are polypeptide.
    """
    numbers, in_file_order = _model_numbers(site)
    chosen = _chosen_model(numbers, in_file_order, model, where)
    rows = np.flatnonzero(chosen)
    if len(rows) == len(chosen):
        return assemble(block, site, partial=False)
    follow = int(rows[-1]) - int(rows[0]) + 1 == len(rows)
    kept = slice(int(rows[0]), int(rows[-1]) + 1) if follow else chosen
    table = assemble(block, site.only(kept), partial=True)
    return replace(table, num_models=len(in_file_order))


def _model_numbers(site: Category) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Return the model number of each atom, and those numbers in the order of the file."""
    if "pdbx_PDB_model_num" not in site:
        numbers = np.ones(len(site), dtype=np.int64)
    else:
        numbers = site.model_numbers("pdbx_PDB_model_num")
    # The rows of a model mostly follow each other.
    return numbers, list(dict.fromkeys(numbers[run_starts(numbers)].tolist()))


def _chosen_model(
    numbers: npt.NDArray[np.int64], in_file_order: list[int], model: int, where: str
) -> npt.NDArray[np.bool_]:
    """Return which atoms belong to a model, of which there must be one."""
    if not 1 <= model <= len(in_file_order):
        count = len(in_file_order)
        msg = f"{where}: model {model} is not in the file; it has {count}, numbered from 1"
        raise StructureError(msg)
    return numbers == in_file_order[model - 1]


def _text(category: TextColumns, *names: str) -> Words | None:
    """Return the first of the named columns that exists; absent values fall to the next one."""
    result = None
    for name in names:
        if name in category:
            words = category.text(name)
            result = words if result is None else result.filled(words)
            if not result.has_blanks():
                break
    return result


def _required(site: Category, *names: str) -> Words:
    words = _text(site, *names)
    if words is None:
        msg = f"the atom_site category has no column {' or '.join(names)}"
        raise ValueError(msg)
    return words


def _integers(site: Category, *names: str, count: int) -> npt.NDArray[np.int32]:
    """Return the first of the named columns that exists; absent values fall to the next one."""
    result: npt.NDArray[np.int32] | None = None
    for name in names:
        if name not in site:
            continue
        numbers = site.integers(name, missing=NO_NUMBER)
        result = numbers if result is None else np.where(result == NO_NUMBER, numbers, result)
        if not (result == NO_NUMBER).any():
            break
    return np.full(count, NO_NUMBER, dtype=np.int32) if result is None else result


def _reals(site: Category, name: str, count: int) -> npt.NDArray[np.float32]:
    return site.reals(name) if name in site else np.full(count, np.nan, dtype=np.float32)


def assemble(block: Block, site: Category, *, partial: bool) -> AtomTable:
    """
    Return a table of all atoms of a category.

    Parameters
    ----------
    block : mapping of str to TextColumns
        `SMALL_CATEGORIES` that the file has.
    site : Category
        ``atom_site``.
    partial : bool
        Whether the file has atoms that are not in `site`.

    Returns
    -------
    AtomTable
        The atoms; `polymer` is None where the file names no polymer entities.

    Raises
    ------
    ValueError
        If a column is absent or holds something else than it should.
    UnusualLayoutError
        If the atoms that are not in `site` would have a say.
    """
    component = _required(site, "auth_comp_id", "label_comp_id")
    count = len(component)
    label_chain = _required(site, "label_asym_id", "auth_asym_id")
    label_number = _integers(site, "label_seq_id", count=count)
    if "auth_seq_id" not in site:
        _required(site, "auth_seq_id", "label_seq_id")
    number = _integers(site, "auth_seq_id", "label_seq_id", count=count)
    record = _text(site, "group_PDB")
    insertion = _text(site, "pdbx_PDB_ins_code")
    altloc = _text(site, "label_alt_id")
    for name in ("Cartn_x", "Cartn_y", "Cartn_z"):
        if name not in site:
            _required(site, name)
    coords = [_reals(site, name, count) for name in ("Cartn_x", "Cartn_y", "Cartn_z")]
    return AtomTable(
        coords=np.stack(coords, axis=1),
        chain=_required(site, "auth_asym_id", "label_asym_id").array(),
        label_chain=label_chain.array(),
        segment=label_chain.ranks(),
        number=number,
        insertion=_or_blank(insertion, count),
        label_number=label_number,
        component=component.array(),
        name=_required(site, "label_atom_id", "auth_atom_id").array(),
        altloc=_or_blank(altloc, count),
        occupancy=_reals(site, "occupancy", count),
        b_factor=_reals(site, "B_iso_or_equiv", count),
        hetero=np.zeros(count, dtype=bool) if record is None else record.equal("HETATM"),
        polymer=_declared_polymer(block, site, label_chain, label_number, partial=partial),
        listed=np.zeros(count, dtype=bool),
        before_ter=np.zeros(count, dtype=bool),
        confidence=_confidence(block),
    )


def _or_blank(words: Words | None, count: int) -> npt.NDArray[np.str_]:
    return np.full(count, "") if words is None else words.array()


def _declared_polymer(
    block: Block,
    site: Category,
    label_chain: Words,
    label_number: npt.NDArray[np.int32],
    *,
    partial: bool,
) -> npt.NDArray[np.bool_] | None:
    """Return which atoms belong to a polypeptide entity; None if the file does not say."""
    if "entity_poly" not in block:
        return None
    poly = block["entity_poly"]
    entities, kinds = _text(poly, "entity_id"), _text(poly, "type")
    if entities is None or kinds is None or (kinds.array() == "").any():
        return None
    atom_entities = _atom_entities(block, site, label_chain, partial=partial)
    names = entities.array().tolist()
    if atom_entities is None or not any(atom_entities.equal(name).any() for name in set(names)):
        return _undecided(None, partial=partial)
    has_number = label_number != NO_NUMBER
    declared = np.zeros(len(label_number), dtype=bool)
    for entity, kind in zip(names, kinds.array().tolist(), strict=True):
        # "cyclic-pseudo-peptide" is a peptide, "peptide nucleic acid" is not.
        lowered = kind.lower()
        if not (lowered.startswith("polypeptide") or lowered == "cyclic-pseudo-peptide"):
            continue
        mine = atom_entities.equal(entity)
        numbered = mine & has_number
        if mine.any() and not numbered.any():
            _undecided(None, partial=partial)
        declared |= numbered if numbered.any() else mine
    return declared


def _undecided(answer: None, *, partial: bool) -> None:
    """Return the answer of these atoms, if there are no others in the file."""
    if partial:
        msg = "the atoms of other models have a say in what is polypeptide"
        raise UnusualLayoutError(msg)
    return answer


def _atom_entities(
    block: Block, site: Category, label_chain: Words, *, partial: bool
) -> Words | None:
    entities = _text(site, "label_entity_id")
    if entities is not None and not entities.equal("").all():
        return entities
    if entities is not None:
        _undecided(None, partial=partial)
    if "struct_asym" not in block:
        return None
    asym = block["struct_asym"]
    chains, chain_entities = _text(asym, "id"), _text(asym, "entity_id")
    if chains is None or chain_entities is None:
        return None
    of_chain = dict(zip(chains.array().tolist(), chain_entities.array().tolist(), strict=True))
    return label_chain.mapped(lambda chain: of_chain.get(chain, ""))


def _confidence(block: Block) -> Confidence:
    def any_value(category: str, column: str, test: Callable[[str], bool]) -> bool:
        words = _text(block[category], column) if category in block else None
        return words is not None and any(test(value.lower()) for value in words.array().tolist())

    predicted = (
        any_value("database_2", "database_id", lambda value: value in _PREDICTION_ARCHIVES)
        or any_value("entry", "id", lambda value: value.startswith(_PREDICTION_PREFIXES))
        or any_value("ma_qa_metric", "name", lambda value: "plddt" in value)
        or any_value("ma_qa_metric", "type", lambda value: "plddt" in value)
    )
    return "plddt" if predicted else "b_factor"
