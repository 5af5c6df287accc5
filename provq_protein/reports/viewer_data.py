"""What does the 3D viewer get of a chain?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from provq_protein.reports.chain_records import ChainRecord
from provq_protein.reports.colors import GREY, color_of_error
from provq_protein.structure.backbone import Backbone

_COLUMNS = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
    "label_asym_id", "label_entity_id", "label_seq_id", "auth_seq_id", "pdbx_PDB_ins_code",
    "auth_asym_id", "Cartn_x", "Cartn_y", "Cartn_z", "pdbx_PDB_model_num",
)  # fmt: skip
_ATOMS = (("N", "N"), ("CA", "C"), ("C", "C"))
_NAMES = {"H": "helix", "E": "strand", "C": "coil"}


def viewer_data(record: ChainRecord, colors: Sequence[str]) -> dict[str, str | bool | None]:
    """
    Return the mmCIF texts of a chain, with the colours of its residues in a category of our own.

    Parameters
    ----------
    record : ChainRecord
        The chain.
    colors : sequence of str
        Colour of each code.

    Returns
    -------
    dict
        ``name``; ``shown``, mmCIF text with the category ``provq`` (``by_code``, ``by_error``,
        ``tooltip`` for each residue); ``decoded``, mmCIF text or None; ``error``, whether errors
        are known.
    """
    errors = record.errors
    return {
        "name": record.name,
        "shown": _atoms(record.shown) + _residues(record, colors, errors),
        "decoded": None if record.decoded is None else _atoms(record.decoded),
        "error": errors is not None,
    }


def _atoms(chain: Backbone) -> str:
    # Numbered here: label numbers of unusual files repeat, and colours are joined by them.
    lines = ["data_chain", "loop_", *(f"_atom_site.{name}" for name in _COLUMNS)]
    serial = 0
    for row in np.flatnonzero(chain.resolved).tolist():
        name = _word(chain.residue_names[row])
        code = _word(chain.insertion_codes[row] or "?")
        for atom, (atom_name, element) in enumerate(_ATOMS):
            serial += 1
            x, y, z = chain.coords[row, atom].tolist()
            lines.append(
                f"ATOM {serial} {element} {atom_name} . {name} A 1 {row + 1} "
                f"{chain.author_numbers[row]} {code} {_word(chain.chain_id)} "
                f"{x:.2f} {y:.2f} {z:.2f} 1"
            )
    return "\n".join([*lines, "#", ""])


def _residues(
    record: ChainRecord, colors: Sequence[str], errors: npt.NDArray[np.float64] | None
) -> str:
    columns = ("label_asym_id", "label_seq_id", "by_code", "by_error", "tooltip")
    lines = ["loop_", *(f"_provq.{name}" for name in columns)]
    chain, names = record.shown, record.shown.residue_ids
    for row in np.flatnonzero(chain.resolved).tolist():
        code = int(record.tokens.ids[row])
        told = f"{chain.residue_names[row]} {names[row]}, code {code}"
        told += f", {_NAMES.get(str(record.structure[row]), 'unknown')}"
        by_error = GREY
        if errors is not None:
            told += f", error {errors[row]:.2f} A"
            by_error = color_of_error(float(errors[row]))
        lines.append(f"A {row + 1} '{colors[code]}' '{by_error}' '{_plain(told)}'")
    return "\n".join([*lines, "#", ""])


def _word(text: str) -> str:
    """Keep what a file says from ending its word, whatever it says."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "?-+") else "_" for c in text)
    return kept or "?"


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c not in "'\"")
