"""What do readers of other projects find in a structure file?"""

import io
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.extras import require_extra

BACKBONE = ("N", "CA", "C")
GEMMI, BIOPYTHON = "gemmi", "Bio.PDB"
READERS = (GEMMI, BIOPYTHON)

Place = tuple[str, str]
"""Chain id, and residue number with insertion code."""

LABEL_CHAINS = {(BIOPYTHON, "BinaryCIF")}
"""Readers and formats for which the chain ids are ``label_asym_id``."""


class UnreadableError(ValueError):
    """A reader of another project cannot read a file."""


@dataclass(frozen=True)
class Site:
    """
    One position of one atom.

    Parameters
    ----------
    component, altloc : str
        Residue name and alternate location, ``""`` for none.
    occupancy : float
        Of the atom.
    xyz : tuple of float
        Position in Angstrom.
    """

    component: str
    altloc: str
    occupancy: float
    xyz: tuple[float, ...]


@dataclass
class Found:
    """
    What a reader has at one number of one chain.

    Parameters
    ----------
    components : list of str
        Residue names there, in the reader's order.
    hetero : bool
        Whether the reader says that it is in HETATM records.
    polymer : bool or None
        Whether the reader counts it as part of a polymer; None if it does not say.
    label_number : int or None
        ``label_seq_id``, if the reader keeps it.
    preferred : str
        Residue name that the reader's own choice gives.
    chosen : dict of str to tuple of float
        Position of N, CA and C by the reader's own choice, in Angstrom.
    sites : dict of str to list of Site
        All positions of N, CA and C.
    """

    components: list[str] = field(default_factory=list)
    hetero: bool = False
    polymer: bool | None = None
    label_number: int | None = None
    preferred: str = ""
    chosen: dict[str, tuple[float, ...]] = field(default_factory=dict)
    sites: dict[str, list[Site]] = field(default_factory=dict)


def read(reader: str, data: bytes, file_format: str) -> dict[Place, Found] | None:
    """
    Return what a reader finds in the first model of a file.

    Parameters
    ----------
    reader : str
        One of `READERS`.
    data : bytes
        The file, expanded.
    file_format : {"mmCIF", "BinaryCIF", "PDB"}
        Its format.

    Returns
    -------
    dict of Place to Found, or None
        In file order; None if the reader does not read the format.

    Raises
    ------
    UnreadableError
        If the reader stumbles over the file.
    MissingExtraError
        If the reader is not installed.
    """
    if reader == BIOPYTHON:
        try:
            return _by_biopython(data, file_format)
        except (TypeError, LookupError) as error:
            msg = f"cannot be read: {error}"
            raise UnreadableError(msg) from error
    return None if file_format == "BinaryCIF" else _by_gemmi(data, file_format)


def _gemmi() -> Any:  # noqa: ANN401 - its types are not at hand when it is absent
    return require_extra("gemmi", extra="parity", purpose="comparing readers")


def _structure(data: bytes, file_format: str) -> Any:  # noqa: ANN401 - as above
    gemmi = _gemmi()
    text = data.decode()
    if file_format == "PDB":
        structure = gemmi.read_pdb_string(text)
        structure.setup_entities()
        return structure
    return gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())


def _by_gemmi(data: bytes, file_format: str) -> dict[Place, Found]:
    gemmi = _gemmi()
    found: dict[Place, Found] = {}
    for chain in _structure(data, file_format)[0]:
        for residue in chain:
            place = (chain.name.strip() or "_", str(residue.seqid).strip())
            one = found.setdefault(place, Found())
            if not one.components:
                one.preferred = residue.name
                one.hetero = residue.het_flag == "H"
                one.polymer = residue.entity_type == gemmi.EntityType.Polymer
                one.label_number = residue.label_seq
            one.components.append(residue.name)
            for atom in residue:
                if atom.name in BACKBONE and atom.element.name != "Ca":
                    xyz = (atom.pos.x, atom.pos.y, atom.pos.z)
                    altloc = atom.altloc.replace("\0", "")
                    site = Site(residue.name, altloc, atom.occ, xyz)
                    one.sites.setdefault(atom.name, []).append(site)
                    one.chosen.setdefault(atom.name, xyz)
    return found


def _by_biopython(data: bytes, file_format: str) -> dict[Place, Found]:
    found: dict[Place, Found] = {}
    for chain in next(iter(_parse(data, file_format))):
        for entry in chain:
            flag, number, code = entry.id
            one = found.setdefault((chain.id.strip() or "_", f"{number}{code.strip()}"), Found())
            variants = entry.disordered_get_list() if entry.is_disordered() == 2 else [entry]
            one.hetero = flag.strip() != ""
            one.preferred = one.preferred or entry.get_resname().strip()
            _add_backbone(one, entry, variants)
    return found


def _parse(data: bytes, file_format: str) -> Any:  # noqa: ANN401 - Bio.PDB has no types
    purpose = "comparing readers"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if file_format == "BinaryCIF":
            module = require_extra("Bio.PDB.binary_cif", extra="parity", purpose=purpose)
            with tempfile.TemporaryDirectory() as folder:
                # It reads files only.
                path = Path(folder) / "x.bcif"
                path.write_bytes(data)
                return module.BinaryCIFParser().get_structure("x", str(path))
        name = "PDBParser" if file_format == "PDB" else "MMCIFParser"
        module = require_extra(f"Bio.PDB.{name}", extra="parity", purpose=purpose)
        parser: Callable[..., Any] = getattr(module, name)
        return parser(QUIET=True).get_structure("x", io.StringIO(data.decode()))


def _add_backbone(one: Found, entry: Any, variants: Iterable[Any]) -> None:  # noqa: ANN401
    for residue in variants:
        one.components.append(residue.get_resname().strip())
        for name in BACKBONE:
            if name not in residue or residue[name].element == "CA":
                continue
            atom = residue[name]
            alternatives = atom.disordered_get_list() if atom.is_disordered() == 2 else [atom]
            one.sites.setdefault(name, []).extend(
                Site(
                    one.components[-1],
                    other.get_altloc().strip(),
                    _occupancy(other.get_occupancy()),
                    tuple(np.asarray(other.coord, dtype=float).tolist()),
                )
                for other in alternatives
            )
    for name in BACKBONE:
        if name in entry and name in one.sites:
            one.chosen[name] = tuple(np.asarray(entry[name].coord, dtype=float).tolist())


def _occupancy(value: float | None) -> float:
    return 1.0 if value is None else float(value)


def is_amino_acid(component: str) -> bool:
    """
    Tell whether gemmi's table of residues calls a component an amino acid.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        False also for components that the table lacks.
    """
    return bool(_gemmi().find_tabulated_residue(component).is_amino_acid())


def is_nucleotide(component: str) -> bool:
    """
    Tell whether gemmi's table of residues calls a component a nucleotide.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        False also for components that the table lacks.
    """
    return bool(_gemmi().find_tabulated_residue(component).is_nucleic_acid())


def is_water(component: str) -> bool:
    """
    Tell whether gemmi's table of residues calls a component water.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        False also for components that the table lacks.
    """
    return bool(_gemmi().find_tabulated_residue(component).is_water())


def as_mmcif(data: bytes) -> bytes:
    """
    Return a PDB file as the mmCIF file that gemmi makes of it.

    Parameters
    ----------
    data : bytes
        The PDB file.

    Returns
    -------
    bytes
        mmCIF with entities.
    """
    return _structure(data, "PDB").make_mmcif_document().as_string().encode()
