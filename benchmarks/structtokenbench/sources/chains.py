"""Where is the structure of a chain that a label file names?"""

import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from structtokenbench.errors import SourceError

# In this order where an entry lies there in several formats.
_SUFFIXES = (".cif", ".mmcif", ".bcif", ".pdb", ".ent")
_ENTRY = re.compile(r"(?:pdb)?([0-9][a-z0-9]{3}|pdb_[0-9]{4}[0-9a-z]{4})(?:[-_. ].*)?")
_CACHED_FILES = 16


@runtime_checkable
class ChainSource(Protocol):
    """Whatever can find a chain by its PDB id and chain id."""

    def find(self, entry: str, chain: str) -> tuple[Backbone, str | None]:
        """
        Return a chain, and its sequence cluster where known.

        Parameters
        ----------
        entry : str
            PDB id, in any case.
        chain : str
            Author chain id.

        Returns
        -------
        backbone : Backbone
            The chain.
        cluster : str or None
            Its sequence cluster.

        Raises
        ------
        StructureError
            If there is no such chain.
        """
        ...

    @property
    def description(self) -> str:
        """What this is, for reports."""
        ...


class StructureFolder:
    """
    A folder of structure files, in which chains are found by PDB id and author chain id.

    Parameters
    ----------
    folder : Path
        Files in mmCIF, BinaryCIF or PDB format, gzipped or not, also in subfolders. The PDB id
        stands at the start of the name: ``1abc.cif.gz``, ``pdb1abc.ent``, ``1abc_A.pdb``. A file
        that is named for the chain is preferred; after that mmCIF is to BinaryCIF and PDB.

    Raises
    ------
    SourceError
        If the folder does not exist.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            msg = f"{folder}: no such folder; give the folder of the structure files"
            raise SourceError(msg)
        self._folder = folder
        self._read: dict[Path, list[Backbone]] = {}

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for path in self._folder.rglob("*"):
            stem, suffix = _stem_and_suffix(path)
            match = _ENTRY.fullmatch(stem.lower())
            if match and suffix in _SUFFIXES and path.is_file():
                found[match[1]].append((_SUFFIXES.index(suffix), path))
        return {entry: [path for _, path in sorted(paths)] for entry, paths in found.items()}

    @property
    def description(self) -> str:
        """What this is, for reports."""
        return f"structure files of {len(self._files)} entries"

    def find(self, entry: str, chain: str) -> tuple[Backbone, str | None]:
        """
        Return a chain; its cluster is not known.

        Parameters
        ----------
        entry : str
            PDB id, in any case.
        chain : str
            Author chain id. A file that is named for the chain and has only one is taken whatever
            it calls that chain.

        Returns
        -------
        backbone : Backbone
            The chain.
        cluster : None
            Always.

        Raises
        ------
        StructureError
            If there is no file of the entry, if it cannot be read, or if it lacks the chain.
        """
        paths = self._files.get(entry.lower(), [])
        if not paths:
            msg = f"no structure file of {entry} in {self._folder.name}"
            raise StructureError(msg)
        named = [path for path in paths if _stem_and_suffix(path)[0].endswith(f"_{chain}")]
        path = (named or paths)[0]
        found = self._chains(path)
        if named and len(found) == 1:
            return found[0], None
        for backbone in found:
            if backbone.chain_id == chain:
                return backbone, None
        present = ", ".join(backbone.chain_id for backbone in found)
        msg = f"{path.name} has no polypeptide chain {chain}; it has {present}"
        raise StructureError(msg)

    def _chains(self, path: Path) -> list[Backbone]:
        if path not in self._read:
            if len(self._read) >= _CACHED_FILES:
                del self._read[next(iter(self._read))]
            self._read[path] = read_backbones(path)
        return self._read[path]


def _stem_and_suffix(path: Path) -> tuple[str, str]:
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    inner = Path(name)
    return inner.stem, inner.suffix.lower()


def chain_source(structures: Path | ChainSource) -> ChainSource:
    """
    Return where chains are found.

    Parameters
    ----------
    structures : Path or ChainSource
        A folder of structure files, or something that finds chains already.

    Returns
    -------
    ChainSource
        Something that finds chains.

    Raises
    ------
    SourceError
        If the folder does not exist.
    """
    return StructureFolder(structures) if isinstance(structures, Path) else structures


class ChainFinder:
    """
    Finds each chain once, and remembers also which could not be found.

    Parameters
    ----------
    source : ChainSource
        Where to look.
    """

    def __init__(self, source: ChainSource) -> None:
        self._source = source
        self._found: dict[tuple[str, str], tuple[Backbone, str | None] | str] = {}

    def find(self, entry: str, chain: str) -> tuple[Backbone, str | None]:
        """
        Return a chain, and its cluster where known.

        Parameters
        ----------
        entry : str
            PDB id, in any case.
        chain : str
            Author chain id.

        Returns
        -------
        backbone : Backbone
            The chain.
        cluster : str or None
            Its sequence cluster.

        Raises
        ------
        StructureError
            If there is no such chain.
        """
        key = (entry.lower(), chain)
        if key not in self._found:
            try:
                self._found[key] = self._source.find(entry, chain)
            except StructureError as error:
                self._found[key] = str(error)
        found = self._found[key]
        if isinstance(found, str):
            raise StructureError(found)
        return found


def split_identifier(identifier: str) -> tuple[str, str]:
    """
    Return entry and chain of a name such as ``"1abc_A"``.

    Parameters
    ----------
    identifier : str
        PDB id, underscore, author chain id.

    Returns
    -------
    entry : str
        In lower case.
    chain : str
        As written.

    Raises
    ------
    SourceError
        If the name is not of this form.

    Examples
    --------
    >>> split_identifier("1GDJ_A")
    ('1gdj', 'A')
    """
    entry, _, chain = identifier.rpartition("_")
    if not entry or not chain or chain.split() != [chain]:
        msg = f"{identifier!r} is not of the form '1abc_A' (PDB id, underscore, chain)"
        raise SourceError(msg)
    return entry.lower(), chain
