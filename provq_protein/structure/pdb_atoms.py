"""Which atoms does a PDB file hold, and what do its header and TER records say about them."""

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable, run_starts
from provq_protein.structure.backbone import Confidence

BLANK_CHAIN = "_"
"""Chain id given to the atoms of a PDB file whose chain column is blank."""

_LINE_WIDTH = 80
_COORDINATES_END = 54
_HYBRID_36 = re.compile(r"[A-Z][A-Z0-9]{3}|[a-z][a-z0-9]{3}")
_ALPHAFOLD_TITLE = re.compile(r"\s*ALPHAFOLD\b.*\bPREDICTION\b", re.IGNORECASE)


@dataclass
class PdbRecords:
    """
    The lines of one PDB file, sorted by purpose.

    Parameters
    ----------
    atoms : list of bytes
        ATOM and HETATM records.
    atom_lines, atom_models : list of int
        Line number and 1-based model of each.
    ters : list of int
        How many of them are before each TER record.
    title : str
        Of the TITLE records.
    modified : set of tuple of str
        Chain id and component of each MODRES record.
    sequences : dict of str to list of str
        Components of the SEQRES records, by chain id.
    remarks : list of str
        The lines of REMARK 350.
    """

    atoms: list[bytes] = field(default_factory=list)
    atom_lines: list[int] = field(default_factory=list)
    atom_models: list[int] = field(default_factory=list)
    ters: list[int] = field(default_factory=list)
    title: str = ""
    modified: set[tuple[str, str]] = field(default_factory=set)
    sequences: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def num_models(self) -> int:
        """Number of models, by MODEL or ENDMDL records."""
        return max(self.atom_models)


def read_pdb(text: bytes, *, model: int, where: str) -> AtomTable:
    """
    Return the atoms of one model of a PDB file.

    Parameters
    ----------
    text : bytes
        The whole file.
    model : int
        1-based model, counted in file order.
    where : str
        File name for messages.

    Returns
    -------
    AtomTable
        The model's atoms; `polymer` is None, since the format does not declare polymers.

    Raises
    ------
    StructureError
        If the file has no atoms, not this model, or an atom record that cannot be read.
    """
    return model_of(sorted_records(text, where=where), model=model, where=where)


def model_of(records: PdbRecords, *, model: int, where: str) -> AtomTable:
    """
    Return the atoms of one model of a PDB file whose lines are sorted.

    Parameters
    ----------
    records : PdbRecords
        The lines.
    model : int
        1-based model, counted in file order.
    where : str
        File name for messages.

    Returns
    -------
    AtomTable
        As from `read_pdb`.

    Raises
    ------
    StructureError
        If the file has not this model, or an atom record that cannot be read.
    """
    models = np.array(records.atom_models)
    count = records.num_models
    chosen = np.flatnonzero(models == model)
    if not chosen.size:
        msg = f"{where}: model {model} is not in the file; it has {count}, numbered from 1"
        raise StructureError(msg)
    lines = [records.atoms[index] for index in chosen]
    short = [index for index, line in enumerate(lines) if len(line) < _COORDINATES_END]
    if short:
        msg = (
            f"{where}: line {records.atom_lines[chosen[short[0]]]}: the atom record stops before "
            f"its coordinates do (column {_COORDINATES_END}); is the file complete?"
        )
        raise StructureError(msg)
    columns = _Columns(lines, [records.atom_lines[index] for index in chosen], where)
    ters = [ter for ter in records.ters if chosen[0] < ter <= chosen[-1] + 1]
    return _assemble(columns, np.searchsorted(chosen, ters), records)


def sorted_records(text: bytes, *, where: str) -> PdbRecords:
    """
    Return the lines of a PDB file by their purpose.

    Parameters
    ----------
    text : bytes
        The whole file.
    where : str
        File name for messages.

    Returns
    -------
    PdbRecords
        With at least one atom.

    Raises
    ------
    StructureError
        If the file has no atoms.
    """
    records = PdbRecords()
    starts, ends = 0, 0
    for line_number, line in enumerate(text.splitlines(), start=1):
        record = line[:6]
        if record in (b"ATOM  ", b"HETATM"):
            records.atoms.append(line)
            records.atom_lines.append(line_number)
            # Some programs write only MODEL, some only ENDMDL.
            records.atom_models.append(max(starts, ends + 1))
        elif record[:3] == b"TER":
            records.ters.append(len(records.atoms))
        elif record == b"ENDMDL":
            ends += 1
        elif record == b"MODEL ":
            starts += 1
        elif not records.atoms:
            _sort_header_line(line.decode("latin-1"), records)
    if not records.atoms:
        msg = f"{where}: a PDB file without ATOM or HETATM records; give one with coordinates"
        raise StructureError(msg)
    return records


def _sort_header_line(line: str, records: PdbRecords) -> None:
    if line.startswith("TITLE "):
        records.title += line[10:].rstrip()
    elif line.startswith("MODRES"):
        records.modified.add((line[16:17].strip() or BLANK_CHAIN, line[12:15].strip()))
    elif line.startswith("SEQRES"):
        chain = line[11:12].strip() or BLANK_CHAIN
        records.sequences.setdefault(chain, []).extend(line[19:70].split())
    elif line.startswith("REMARK 350"):
        records.remarks.append(line)


class _Columns:
    """Fixed-width access to the atom records of one model."""

    def __init__(self, lines: list[bytes], line_numbers: list[int], where: str) -> None:
        block = b"".join([line[:_LINE_WIDTH].ljust(_LINE_WIDTH) for line in lines])
        self._bytes = np.frombuffer(block, dtype=np.uint8).reshape(len(lines), _LINE_WIDTH)
        self._line_numbers = line_numbers
        self._where = where

    def text(self, start: int, stop: int) -> npt.NDArray[np.str_]:
        # Widening bytes to code points is what decoding Latin-1 does, without a call for each.
        letters = np.ascontiguousarray(self._bytes[:, start:stop], dtype=np.uint32)
        return np.char.strip(letters.view(f"U{stop - start}")[:, 0])

    def reals(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return numbers, *NaN* for blank fields; raise ValueError for anything else."""
        words = self.text(start, stop)
        return np.where(words == "", "nan", words).astype(np.float32)

    def optional_reals(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        # Programs keep other things in the occupancy and B-factor columns; a chain can be
        # tokenized without either, so what is no number counts as absent.
        try:
            return self.reals(start, stop)
        except ValueError:
            return np.array([_real(word) for word in self.text(start, stop).tolist()], np.float32)

    def coordinates(self) -> npt.NDArray[np.float32]:
        try:
            axes = [self.reals(start, start + 8) for start in (30, 38, 46)]
        except ValueError:
            words = np.stack([self.text(start, start + 8) for start in (30, 38, 46)], axis=1)
            bad = [index for index, row in enumerate(words.tolist()) if not _are_numbers(row)]
            raise self._error(bad[0], "coordinates are", " ".join(words[bad[0]])) from None
        return np.stack(axes, axis=1)

    def residue_numbers(self) -> npt.NDArray[np.int32]:
        words = self.text(22, 26)
        starts = run_starts(words)
        numbers = np.zeros(len(starts), dtype=np.int32)
        for index, word in enumerate(words[starts].tolist()):
            try:
                numbers[index] = _number_of(word)
            except ValueError:
                raise self._error(int(starts[index]), "residue number is", word) from None
        return np.repeat(numbers, np.diff(np.append(starts, len(words))))

    def _error(self, row: int, what: str, found: str) -> StructureError:
        msg = f"{self._where}: line {self._line_numbers[row]}: the {what} {found!r}, not a number"
        return StructureError(msg)


def _real(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _are_numbers(words: list[str]) -> bool:
    return not any(word and np.isnan(_real(word)) and word.lower() != "nan" for word in words)


def _assemble(columns: _Columns, ters: npt.NDArray[np.int64], records: PdbRecords) -> AtomTable:
    chain = columns.text(21, 22)
    chain = np.where(chain == "", BLANK_CHAIN, chain)
    # Column 21 is blank by the standard, but CHARMM and others put a fourth letter there.
    component = columns.text(17, 21)
    count = len(chain)
    declared = {(name, held) for name, names in records.sequences.items() for held in names}
    confidence: Confidence = "plddt" if _ALPHAFOLD_TITLE.match(records.title) else "b_factor"
    return AtomTable(
        coords=columns.coordinates(),
        chain=chain,
        label_chain=chain,
        segment=np.searchsorted(ters, np.arange(count), side="right").astype(np.int32),
        number=columns.residue_numbers(),
        insertion=columns.text(26, 27),
        label_number=np.full(count, NO_NUMBER, dtype=np.int32),
        component=component,
        name=columns.text(12, 16),
        altloc=columns.text(16, 17),
        occupancy=columns.optional_reals(54, 60),
        b_factor=columns.optional_reals(60, 66),
        hetero=columns.text(0, 6) == "HETATM",
        polymer=None,
        listed=_listed(chain, component, records.modified | declared),
        before_ter=_before_last_ter(chain, ters),
        confidence=confidence,
        num_models=records.num_models,
    )


def _listed(
    chain: npt.NDArray[np.str_], component: npt.NDArray[np.str_], named: set[tuple[str, str]]
) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(chain), dtype=bool)
    for named_chain, named_component in named:
        mask |= (chain == named_chain) & (component == named_component)
    return mask


def _before_last_ter(
    chain: npt.NDArray[np.str_], ters: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    # A TER record closes the chain of the atom above it; the chain id it may carry is
    # optional and often wrong.
    mask = np.zeros(len(chain), dtype=bool)
    for ter in ters[ters > 0]:
        mask[:ter] |= chain[:ter] == chain[ter - 1]
    return mask


def _number_of(word: str) -> int:
    """
    Read a residue number, in hybrid-36 where four digits were not enough.

    Behind 9999 come the 26 * 36**3 words of base 36 from A000 to ZZZZ, then as many of small
    letters (R. W. Grosse-Kunstleve, N. K. Sauter and P. D. Adams, cctbx's ``hybrid_36``).
    """
    try:
        return int(word)
    except ValueError:
        if not _HYBRID_36.fullmatch(word.strip()):
            raise
        word = word.strip()
        number = int(word, 36) - 10 * 36**3 + 10_000
        return number + 26 * 36**3 * word[0].islower()
