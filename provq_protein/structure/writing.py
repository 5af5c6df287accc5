"""How does a backbone become an mmCIF file that other programs read."""

import gzip
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.residues import BACKBONE_ATOMS

_ELEMENTS = ("N", "C", "C")
_ENTITY = "1"
_SEQUENCE_WIDTH = 80
_ABSENT = "?"
_OF_ALL_MODELS = ("chain_id", "label_chain_id", "residue_ids", "residue_names")
_BARE_WORD = re.compile(r"(?!(?:data_|save_|loop_|stop_|global_))[A-Za-z0-9(+.-][^\s'\"]*", re.I)


def write_backbone(path: str | Path, backbone: Backbone) -> None:
    """
    Write the N, CA and C atoms of a chain as an mmCIF file.

    Parameters
    ----------
    path : str or Path
        The file to write or replace; gzipped if its name ends in ``.gz``. Its folder must
        exist. The file appears complete or not at all.
    backbone : Backbone
        The chain. Its resolved residues are written with author numbers, insertion codes,
        label numbers, chain ids and B-factors; unresolved residues carry no atoms.

    Raises
    ------
    StructureError
        If no residue is resolved, or the file cannot be written.

    Notes
    -----
    Coordinates have three decimals. The sequence (``entity_poly_seq``) lists every residue of
    the chain, and UNK at label numbers that the chain skips. Label numbers that do not
    increase along the chain are replaced by 1, 2, 3, ...
    """
    write_models(path, [backbone])


def write_models(path: str | Path, models: Sequence[Backbone]) -> None:
    """
    Write several sets of coordinates of one chain as the models of one mmCIF file.

    Parameters
    ----------
    path : str or Path
        As for `write_backbone`.
    models : sequence of Backbone
        Model 1, 2, ...: the same residues under the same names and numbers. Names, numbers and
        what the B-factors are come from the first.

    Raises
    ------
    StructureError
        If there is no model, models differ in their residues, a model has no resolved residue,
        or the file cannot be written.
    """
    target = Path(path)
    _check_models(target, models)
    content = _mmcif(models, _block_name(target)).encode("utf-8")
    if target.suffix.lower() == ".gz":
        content = gzip.compress(content, mtime=0)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{target}: cannot be written: {error.strerror or error}; check the folder"
        raise StructureError(msg) from error


def _check_models(target: Path, models: Sequence[Backbone]) -> None:
    if not models:
        msg = f"{target}: no model to write; give at least one"
        raise StructureError(msg)
    first = models[0]
    for number, model in enumerate(models, start=1):
        where = f"{target}: chain {model.chain_id}"
        if not model.resolved.any():
            msg = f"{where}: no residue is resolved, nothing to write"
            raise StructureError(msg)
        if any(getattr(model, name) != getattr(first, name) for name in _OF_ALL_MODELS):
            msg = f"{where}: model {number} has other residues than model 1; write two files"
            raise StructureError(msg)


def _block_name(target: Path) -> str:
    stem = target.name.removesuffix(".gz").removesuffix(".cif")
    return re.sub(r"[^A-Za-z0-9_.-]", "_", stem) or "backbone"


def _mmcif(models: Sequence[Backbone], name: str) -> str:
    backbone = models[0]
    positions = _label_numbers(backbone)
    monomers = ["UNK"] * int(positions.max())
    letters = ["X"] * len(monomers)
    for index, position in enumerate(positions.tolist()):
        monomers[position - 1] = backbone.residue_names[index]
        letters[position - 1] = backbone.sequence[index]
    text = [
        f"data_{name}\n#",
        _items("entry", {"id": name}),
        _items("entity", {"id": _ENTITY, "type": "polymer"}),
        _items(
            "entity_poly",
            {
                "entity_id": _ENTITY,
                "type": "polypeptide(L)",
                "pdbx_seq_one_letter_code_can": _wrapped("".join(letters)),
                "pdbx_strand_id": backbone.chain_id,
            },
        ),
        _loop(
            "entity_poly_seq",
            {
                "entity_id": [_ENTITY] * len(monomers),
                "num": [str(number) for number in range(1, len(monomers) + 1)],
                "mon_id": monomers,
            },
        ),
        _items("struct_asym", {"id": backbone.label_chain_id, "entity_id": _ENTITY}),
    ]
    if backbone.confidence == "plddt":
        metric = {"id": "1", "name": "pLDDT", "type": "pLDDT", "mode": "local"}
        text.append(_items("ma_qa_metric", metric))
    text.append(_loop("atom_site", _atom_sites(models, positions)))
    return "\n".join(text) + "\n"


def _items(category: str, values: Mapping[str, str]) -> str:
    lines = [f"_{category}.{key} {_quoted(value)}" for key, value in values.items()]
    return "\n".join([*lines, "#"])


def _loop(category: str, columns: Mapping[str, Sequence[str]]) -> str:
    head = ["loop_", *(f"_{category}.{key}" for key in columns)]
    # Few distinct values repeat over many rows, so each is quoted once.
    cells = []
    for values in columns.values():
        quoted = {value: _quoted(value) for value in set(values)}
        cells.append([quoted[value] for value in values])
    rows = [" ".join(row) for row in zip(*cells, strict=True)]
    return "\n".join([*head, *rows, "#"])


def _quoted(value: str) -> str:
    if value == _ABSENT or _BARE_WORD.fullmatch(value):
        return value
    if "\n" in value:
        return f"\n;{value}\n;"
    return f'"{value}"' if "'" in value else f"'{value}'"


def _label_numbers(backbone: Backbone) -> npt.NDArray[np.int32]:
    numbers = backbone.label_numbers
    if numbers[0] >= 1 and (np.diff(numbers) > 0).all():
        return numbers
    return np.arange(1, len(backbone) + 1, dtype=np.int32)


def _wrapped(sequence: str) -> str:
    starts = range(0, len(sequence), _SEQUENCE_WIDTH)
    return "\n".join(sequence[start : start + _SEQUENCE_WIDTH] for start in starts)


def _atom_sites(
    models: Sequence[Backbone], positions: npt.NDArray[np.int32]
) -> dict[str, list[str]]:
    """Return the columns of all models, one below the other."""
    below: dict[str, list[str]] = {}
    for number, model in enumerate(models, start=1):
        serials_before = len(below.get("id", ()))
        rows = _atom_site(model, positions, number=number, serials_before=serials_before)
        for key, cells in rows.items():
            below.setdefault(key, []).extend(cells)
    return below


def _atom_site(
    backbone: Backbone, positions: npt.NDArray[np.int32], *, number: int, serials_before: int
) -> dict[str, Sequence[str]]:
    residues = np.repeat(np.flatnonzero(backbone.resolved), len(BACKBONE_ATOMS)).tolist()
    count = len(residues)
    written = count // len(BACKBONE_ATOMS)
    names = list(BACKBONE_ATOMS) * written
    # Adding zero turns -0.0 into 0.0.
    coords = np.round(backbone.coords[backbone.resolved].reshape(-1, 3).astype(np.float64), 3) + 0.0
    x, y, z = ([f"{value:.3f}" for value in axis.tolist()] for axis in coords.T)
    components = [backbone.residue_names[index] for index in residues]
    label_numbers = [str(positions[index]) for index in residues]
    return {
        "group_PDB": ["ATOM"] * count,
        "id": [str(serials_before + serial) for serial in range(1, count + 1)],
        "type_symbol": list(_ELEMENTS) * written,
        "label_atom_id": names,
        "label_alt_id": ["."] * count,
        "label_comp_id": components,
        "label_asym_id": [backbone.label_chain_id] * count,
        "label_entity_id": [_ENTITY] * count,
        "label_seq_id": label_numbers,
        "pdbx_PDB_ins_code": [backbone.insertion_codes[index] or _ABSENT for index in residues],
        "Cartn_x": x,
        "Cartn_y": y,
        "Cartn_z": z,
        "occupancy": ["1.00"] * count,
        "B_iso_or_equiv": [_b_factor(float(backbone.b_factors[index])) for index in residues],
        "auth_seq_id": [str(backbone.author_numbers[index]) for index in residues],
        "auth_comp_id": components,
        "auth_asym_id": [backbone.chain_id] * count,
        "auth_atom_id": names,
        "pdbx_PDB_model_num": [str(number)] * count,
    }


def _b_factor(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else _ABSENT
