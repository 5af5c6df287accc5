"""Which copies of which chains make up a biological assembly?"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.cif_columns import TextColumns

MAX_OPERATIONS = 10_000
"""Most operations that one assembly may apply to a group of chains."""

_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")
_GROUP = re.compile(r"\(([^()]*)\)")
_REMARK = re.compile(r"REMARK 350 ?(.*)")
_BIOMOLECULE = re.compile(r"\s*BIOMOLECULE:\s*(.+)")
_CHAINS = re.compile(r"\s*(APPLY THE FOLLOWING TO|AND)\s+CHAINS:\s*(.*)")
_BIOMT = re.compile(r"\s*BIOMT([123])\s+(\d+)\s+(.+)")

Transform = npt.NDArray[np.float64]
"""Rotation and translation in one array, shape (4, 4), in Angstrom."""


@dataclass(frozen=True, eq=False)
class Copies:
    """
    Chains of a file, and how they are moved to make copies.

    Parameters
    ----------
    chains : frozenset of str
        Label chain ids; those of the author in a PDB file.
    transforms : sequence of ndarray, shape=(4, 4), dtype=float64
        One per copy.
    """

    chains: frozenset[str]
    transforms: Sequence[Transform]


def declared_assembly(
    block: Mapping[str, TextColumns], assembly: str, *, where: str
) -> list[Copies]:
    """
    Return an assembly of an mmCIF or BinaryCIF file.

    Parameters
    ----------
    block : mapping of str to TextColumns
        The categories of the file.
    assembly : str
        Its id.
    where : str
        File name for messages.

    Returns
    -------
    list of Copies
        In file order.

    Raises
    ------
    StructureError
        If the file has no such assembly, or describes it in a way that cannot be followed.
    """
    known: dict[str, list[tuple[str, str]]] = {}
    if "pdbx_struct_assembly_gen" in block:
        category = block["pdbx_struct_assembly_gen"]
        columns = ("assembly_id", "oper_expression", "asym_id_list")
        for name, expression, chains in zip(*(_texts(category, c) for c in columns), strict=True):
            known.setdefault(name, []).append((expression, chains))
    if assembly not in known:
        raise _no_assembly(where, assembly, known)
    operations = _operations(block, where)
    return [
        Copies(
            frozenset(chain.strip() for chain in chains.split(",")),
            [_composed(step, operations, where) for step in _steps(expression, where)],
        )
        for expression, chains in known[assembly]
    ]


def _texts(category: TextColumns, name: str) -> list[str]:
    return category.text(name).array().tolist()


def _no_assembly(where: str, assembly: str, known: Iterable[str]) -> StructureError:
    held = ", ".join(known)
    msg = (
        f"{where}: assembly {assembly} is not in the file; it has {held}"
        if held
        else f"{where}: assembly {assembly} is not in the file, which describes none; leave the "
        "assembly out to take the coordinates as they are"
    )
    return StructureError(msg)


def _operations(block: Mapping[str, TextColumns], where: str) -> dict[str, Transform]:
    if "pdbx_struct_oper_list" not in block:
        msg = f"{where}: assemblies without pdbx_struct_oper_list cannot be made"
        raise StructureError(msg)
    category = block["pdbx_struct_oper_list"]
    names = _texts(category, "id")
    result = np.tile(np.eye(4), (len(names), 1, 1))
    for row in range(3):
        for column in range(3):
            result[:, row, column] = _texts(category, f"matrix[{row + 1}][{column + 1}]")
        result[:, row, 3] = _texts(category, f"vector[{row + 1}]")
    return {name: _checked(each, name, where) for name, each in zip(names, result, strict=True)}


def _checked(transform: Transform, name: str, where: str) -> Transform:
    """Refuse what would change the shape of a chain."""
    rotation = transform[:3, :3]
    proper = np.allclose(rotation @ rotation.T, np.eye(3), atol=0.01)
    if not np.isfinite(transform).all() or not proper or np.linalg.det(rotation) < 0:
        msg = f"{where}: operation {name} of the assemblies is no rotation with a translation"
        raise StructureError(msg)
    return transform


def _steps(expression: str, where: str) -> Iterator[tuple[str, ...]]:
    """Yield the operations of each copy, such as ("1", "61") for "(1-60)(61-88)"."""
    groups = _GROUP.findall(expression) or [expression]
    if _GROUP.sub("", expression).strip() not in ("", expression.strip()):
        msg = f"{where}: cannot understand the expression {expression!r} of an assembly"
        raise StructureError(msg)
    named = [list(_named(group, where)) for group in groups]
    count = int(np.prod([len(names) for names in named], dtype=float))
    if count > MAX_OPERATIONS:
        raise _too_many(where, count)
    yield from product(*named)


def _named(group: str, where: str) -> Iterator[str]:
    for part in group.split(","):
        name = part.strip()
        span = _RANGE.fullmatch(name)
        if span is None:
            yield name
            continue
        first, last = int(span[1]), int(span[2])
        if last - first >= MAX_OPERATIONS:
            raise _too_many(where, last - first + 1)
        yield from map(str, range(first, last + 1))


def _too_many(where: str, count: int) -> StructureError:
    msg = f"{where}: the assembly asks for {count} operations; at most {MAX_OPERATIONS} are made"
    return StructureError(msg)


def _composed(step: tuple[str, ...], operations: Mapping[str, Transform], where: str) -> Transform:
    absent = [name for name in step if name not in operations]
    if absent:
        msg = f"{where}: the assembly names operation {absent[0]}, which the file does not have"
        raise StructureError(msg)
    result = np.eye(4)
    for name in step:
        # The rightmost is applied first.
        result = result @ operations[name]
    return result


def remark_350(lines: Iterable[str], assembly: str, *, blank: str, where: str) -> list[Copies]:
    """
    Return an assembly of a PDB file.

    Parameters
    ----------
    lines : iterable of str
        Lines of the header, of which those of REMARK 350 are looked at.
    assembly : str
        Number of the biomolecule.
    blank : str
        Stands for the blank chain id, which the remark calls NULL.
    where : str
        File name for messages.

    Returns
    -------
    list of Copies
        In file order.

    Raises
    ------
    StructureError
        If the file has no such assembly.
    """
    known: dict[str, list[tuple[set[str], dict[str, Transform]]]] = {}
    names: list[str] = []
    for match in filter(None, map(_REMARK.match, lines)):
        text = match[1]
        if (found := _BIOMOLECULE.match(text)) is not None:
            names = [name.strip() for name in found[1].split(",")]
            known |= {name: [] for name in names}
        elif (found := _CHAINS.match(text)) is not None:
            chains = {name.strip() for name in found[2].split(",")} - {""}
            for name in names:
                if found[1] != "AND" or not known[name]:
                    known[name].append((set(), {}))
                known[name][-1][0].update(blank if chain == "NULL" else chain for chain in chains)
        elif (found := _BIOMT.match(text)) is not None:
            for name in names:
                if known[name]:
                    _set_row(known[name][-1][1], found)
    if not known.get(assembly):
        raise _no_assembly(where, assembly, known)
    return [
        Copies(
            frozenset(chains),
            [_checked(each, name, where) for name, each in transforms.items()],
        )
        for chains, transforms in known[assembly]
    ]


def _set_row(transforms: dict[str, Transform], found: re.Match[str]) -> None:
    transform = transforms.setdefault(found[2], np.full((4, 4), np.nan))
    transform[3] = (0, 0, 0, 1)
    transform[int(found[1]) - 1] = [float(word) for word in found[3].split()[:4]]


class CopyNames:
    """
    Names of the copies of chains: A, A-2, A-3, ...

    Parameters
    ----------
    taken : iterable of str
        Ids that the chains of the file have.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._count: dict[str, int] = {}

    def suffix(self, chain_id: str) -> str:
        """
        Return what the id of the next copy of a chain ends in.

        Parameters
        ----------
        chain_id : str
            Of the chain in the file.

        Returns
        -------
        str
            ``""`` for the first copy, then ``"-2"`` and so on; a number whose name a chain of
            the file has is passed over.

        Examples
        --------
        >>> names = CopyNames(["A", "A-2"])
        >>> [names.suffix("A") for _ in range(3)]
        ['', '-3', '-4']
        """
        number = self._count.get(chain_id, 0) + 1
        while number > 1 and f"{chain_id}-{number}" in self._taken:
            number += 1
        self._count[chain_id] = number
        return "" if number == 1 else f"-{number}"


def moved(coords: npt.NDArray[np.float32], transform: Transform) -> npt.NDArray[np.float32]:
    """
    Return coordinates after a rotation and a translation.

    Parameters
    ----------
    coords : ndarray, shape=(residue, atom, 3), dtype=float32
        In Angstrom.
    transform : ndarray, shape=(4, 4), dtype=float64
        Applied from the left; the identity changes no bit.

    Returns
    -------
    ndarray, shape=(residue, atom, 3), dtype=float32
        *NaN* stays *NaN*.
    """
    if np.array_equal(transform, np.eye(4)):
        return coords
    result = coords.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
    return result.astype(np.float32)
