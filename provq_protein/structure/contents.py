"""What of a structure file is needed under a policy, whatever its format is?"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from provq_protein.structure.assemblies import Copies, declared_assembly, remark_350
from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.cif_columns import LoadedBlock, UnusualLayoutError
from provq_protein.structure.full_sequence import Monomer, Sequences, declared_sequences
from provq_protein.structure.pdb_atoms import BLANK_CHAIN, model_of, read_pdb, sorted_records
from provq_protein.structure.policies import ResiduePolicy

if TYPE_CHECKING:
    from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

Format = Literal["mmCIF", "BinaryCIF", "PDB"]

# What a quick reader may raise on a file of another layout, or a damaged one.
_NOT_ORDINARY = (
    UnusualLayoutError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """
    What a file holds, as far as a policy asks for it.

    Parameters
    ----------
    tables : sequence of tuple of int and AtomTable
        The models asked for, and their atoms.
    sequences : mapping of str to sequence of Monomer, optional
        Declared sequences by label chain id; None if not asked for.
    copies : sequence of Copies, optional
        What the assembly is made of; None if none is asked for.
    """

    tables: Sequence[tuple[int, AtomTable]]
    sequences: Sequences | None = None
    copies: Sequence[Copies] | None = None


def contents_of(content: bytes, kind: Format, policy: ResiduePolicy, *, where: str) -> Contents:
    """
    Return what a policy needs of a file.

    Parameters
    ----------
    content : bytes
        The whole file, not compressed.
    kind : {"mmCIF", "BinaryCIF", "PDB"}
        Its format.
    policy : ResiduePolicy
        What to look for.
    where : str
        File name for messages.

    Returns
    -------
    Contents
        With at least one table.

    Raises
    ------
    StructureError
        If the file lacks the model, or the assembly.

    Notes
    -----
    The atoms of one model are read by the quick readers if the layout of the file is an
    ordinary one. Everything else is left to the general reader.
    """
    if kind == "PDB":
        return _pdb_contents(content, policy, where)
    if policy.model == "all" or policy.needs_whole_file:
        return _cif_contents(_parsed(content, kind, where), policy, where)
    try:
        table = _quick_table(content, kind, policy.model, where)
    except _NOT_ORDINARY:
        # It may be an error or not: the general reader decides, and has the words for it.
        table = _general_table(content, kind, policy.model, where)
    return Contents(tables=[(policy.model, table)])


def _pdb_contents(content: bytes, policy: ResiduePolicy, where: str) -> Contents:
    if policy.model != "all" and not policy.needs_whole_file:
        return Contents(tables=[(policy.model, read_pdb(content, model=policy.model, where=where))])
    records = sorted_records(content, where=where)
    models = range(1, records.num_models + 1) if policy.model == "all" else [policy.model]
    # A number that no atom has is passed over: an empty model has no chain to leave out.
    held = set(records.atom_models) if policy.model == "all" else set(models)
    sequences = {
        chain: [Monomer(position, name) for position, name in enumerate(names, start=1)]
        for chain, names in records.sequences.items()
    }
    copies = None
    if policy.assembly is not None:
        copies = remark_350(records.remarks, policy.assembly, blank=BLANK_CHAIN, where=where)
    return Contents(
        tables=[
            (model, model_of(records, model=model, where=where))
            for model in models
            if model in held
        ],
        sequences=sequences if policy.sequence == "full" else None,
        copies=copies,
    )


def _cif_contents(file: "CIFFile | BinaryCIFFile", policy: ResiduePolicy, where: str) -> Contents:
    from provq_protein.structure.mmcif_atoms import block_with_atoms, read_models

    block: LoadedBlock = block_with_atoms(file, where=where)
    copies = None
    if policy.assembly is not None:
        copies = declared_assembly(block, policy.assembly, where=where)
    return Contents(
        tables=list(read_models(block, model=policy.model, where=where)),
        sequences=declared_sequences(block) if policy.sequence == "full" else None,
        copies=copies,
    )


def _quick_table(content: bytes, kind: Format, model: int, where: str) -> AtomTable:
    # Imported late: a PDB file can be read without the machinery for the other formats.
    if kind == "BinaryCIF":
        from provq_protein.structure.bcif_columns import read_binary_cif

        return read_binary_cif(content, model=model, where=where)
    from provq_protein.structure.mmcif_text import read_mmcif_text

    return read_mmcif_text(content, model=model, where=where)


def _general_table(content: bytes, kind: Format, model: int, where: str) -> AtomTable:
    from provq_protein.structure.mmcif_atoms import read_mmcif

    return read_mmcif(_parsed(content, kind, where), model=model, where=where)


def _parsed(content: bytes, kind: Format, where: str) -> "CIFFile | BinaryCIFFile":
    from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

    from provq_protein.structure.cif_limits import check_binary, check_text

    if kind == "BinaryCIF":
        check_binary(content, where=where)
        return BinaryCIFFile.read(io.BytesIO(content))
    check_text(content, where=where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return CIFFile.read(io.StringIO(text))
