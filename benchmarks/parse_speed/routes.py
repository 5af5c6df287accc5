"""Which ways of reading a structure file are compared?"""

import gzip
import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from biotite.structure import AtomArray
from biotite.structure.io.pdb import PDBFile
from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile, get_structure

from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.bcif_columns import read_binary_cif
from provq_protein.structure.mmcif_atoms import read_mmcif
from provq_protein.structure.mmcif_text import read_mmcif_text
from provq_protein.structure.pdb_atoms import read_pdb
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.structure.unpacking import expanded

QUICK = "provq, atoms"
GENERAL = "provq by biotite, atoms"
REFERENCE = "biotite get_structure"
FORMATS = ("mmCIF", "BinaryCIF", "PDB")

Route = Callable[[bytes], object]


@dataclass(frozen=True)
class Content:
    """
    One structure file in memory.

    Parameters
    ----------
    name : str
        Of the file.
    format : str
        One of `FORMATS`.
    data : bytes
        Expanded.
    """

    name: str
    format: str
    data: bytes

    def packed(self) -> bytes:
        """
        Return the file as gzip of level 6.

        Returns
        -------
        bytes
            Always the same.
        """
        return gzip.compress(self.data, 6, mtime=0)


def routes(file_format: str, *, packed: bool) -> dict[str, Route]:
    """
    Return the ways to read a format; those of packages that are not installed are left out.

    Parameters
    ----------
    file_format : str
        One of `FORMATS`.
    packed : bool
        Whether the bytes are gzipped. Other readers expand them by Python's ``gzip``.

    Returns
    -------
    dict of str to callable
        From bytes to whatever the way makes of model 1.
    """
    found: dict[str, Route] = {
        "provq, chains": lambda data: backbones_of_bytes(data, source="x"),
        QUICK: lambda data: quick(expanded(data, source="x"), file_format),
    }
    others: dict[str, Route] = {REFERENCE: lambda data: atom_array(data, file_format)}
    if file_format != "PDB":
        others[GENERAL] = lambda data: general(data, file_format)
    others |= _gemmi_routes(file_format)
    others |= _biopython_routes(file_format)
    for name, route in others.items():
        found[name] = _after_gzip(route) if packed else route
    return found


def _after_gzip(route: Route) -> Route:
    return lambda data: route(gzip.decompress(data))


def quick(data: bytes, file_format: str) -> AtomTable:
    """
    Read atoms by the reader for ordinary layouts.

    Parameters
    ----------
    data : bytes
        Expanded.
    file_format : str
        One of `FORMATS`.

    Returns
    -------
    AtomTable
        Of model 1.
    """
    readers = {"mmCIF": read_mmcif_text, "BinaryCIF": read_binary_cif, "PDB": read_pdb}
    return readers[file_format](data, model=1, where="x")


def general(data: bytes, file_format: str) -> AtomTable:
    """
    Read atoms by biotite, as files of other layouts are.

    Parameters
    ----------
    data : bytes
        Expanded.
    file_format : {"mmCIF", "BinaryCIF"}
        The format.

    Returns
    -------
    AtomTable
        Of model 1.
    """
    return read_mmcif(_cif_file(data, file_format), model=1, where="x")


def _cif_file(data: bytes, file_format: str) -> CIFFile | BinaryCIFFile:
    if file_format == "BinaryCIF":
        return BinaryCIFFile.read(io.BytesIO(data))
    return CIFFile.read(io.StringIO(data.decode()))


def atom_array(data: bytes, file_format: str, altloc: str = "first") -> AtomArray:
    """
    Read atoms by biotite's own function.

    Parameters
    ----------
    data : bytes
        Expanded.
    file_format : str
        One of `FORMATS`.
    altloc : str
        Which alternate locations, as biotite names it.

    Returns
    -------
    AtomArray
        Of model 1; biotite's annotations of it are wider.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if file_format == "PDB":
            file = PDBFile.read(io.StringIO(data.decode()))
            return cast("AtomArray", file.get_structure(model=1, altloc=altloc))
        file = _cif_file(data, file_format)
        # What the default is depends on the release.
        found = get_structure(file, model=1, altloc=altloc, use_author_fields=True)
        return cast("AtomArray", found)


def check(content: Content) -> None:
    """
    Refuse to measure readers that disagree.

    Parameters
    ----------
    content : Content
        A file.

    Raises
    ------
    ValueError
        If an array differs in a single bit between the two readers of this package, or the
        coordinates between them and biotite's function.
    """
    table = quick(content.data, content.format)
    coords: Any = atom_array(content.data, content.format, altloc="all").coord
    differing = [] if np.array_equal(coords, table.coords, equal_nan=True) else ["biotite"]
    if content.format != "PDB":
        differing += _differing(table, general(content.data, content.format))
    if differing:
        msg = f"{content.name}: {', '.join(differing)} differ between readers"
        raise ValueError(msg)


def _differing(left: AtomTable, right: AtomTable) -> list[str]:
    found = []
    for key, value in vars(left).items():
        other = vars(right)[key]
        if key == "segment":
            # The numbers only tell segments apart.
            value, other = (np.unique(one, return_inverse=True)[1] for one in (value, other))
        if isinstance(value, np.ndarray):
            same = np.array_equal(value, other, equal_nan=value.dtype.kind == "f")
        else:
            same = value == other
        if not same:
            found.append(key)
    return found


def _gemmi_routes(file_format: str) -> dict[str, Route]:
    if file_format == "BinaryCIF" or importlib.util.find_spec("gemmi") is None:
        return {}
    import gemmi

    if file_format == "PDB":
        return {"gemmi": lambda data: gemmi.read_pdb_string(data.decode())}
    return {
        "gemmi": lambda data: gemmi.make_structure_from_block(
            gemmi.cif.read_string(data.decode()).sole_block()
        )
    }


def _biopython_routes(file_format: str) -> dict[str, Route]:
    if file_format == "BinaryCIF" or importlib.util.find_spec("Bio") is None:
        return {}
    from Bio.PDB.MMCIFParser import MMCIFParser
    from Bio.PDB.PDBParser import PDBParser

    parser, name = (
        (PDBParser, "Biopython PDBParser")
        if file_format == "PDB"
        else (MMCIFParser, "Biopython MMCIFParser")
    )
    return {name: lambda data: parser(QUIET=True).get_structure("x", io.StringIO(data.decode()))}
