"""How is a chain taken out of one big array file of backbones?"""

from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ConfigError, StructureError
from provq_protein.structure.backbone import Backbone

ClusterLevel = Literal["c30", "c40", "c95"]

_MISSING = -32768
_UNITS_PER_ANGSTROM = 100.0
_BACKBONE_ATOMS = 3
_BLANK_CHAIN = "_"
_KEPT_CHAINS = 4096


class ChainArchive:
    """
    Chains of a ``backbones.npz`` file, built one by one when they are asked for.

    Parameters
    ----------
    path : Path
        The file, or the folder that it is in.
    cluster : {"c30", "c40", "c95"}
        Which of the file's clusterings, by sequence identity in percent, `cluster_of` gives.

    Raises
    ------
    StructureError
        If the file is missing, no such archive, or inconsistent.
    ConfigError
        If there is no such clustering.

    Notes
    -----
    Chain i owns rows ``offsets[i]:offsets[i + 1]`` of the arrays per residue: ``coords`` int16
    (residue, atom, 3) in 0.01 Angstrom with N, CA and C first and -32768 where an atom is missing,
    ``seq`` one letter each, ``resnum`` author numbers (without insertion codes) and ``bfac``.
    ``pdb``, ``chain`` and the clusterings are per chain. An array is read when it is first
    needed, and once; nothing else of the file is read.
    """

    def __init__(self, path: Path, *, cluster: ClusterLevel = "c40") -> None:
        if cluster not in get_args(ClusterLevel):
            msg = f"cluster must be one of {', '.join(get_args(ClusterLevel))}, got {cluster!r}"
            raise ConfigError(msg)
        self._path = path / "backbones.npz" if path.is_dir() else path
        self._cluster = cluster
        # Tasks share chains, and building one takes longer than joining its labels.
        self._built: dict[int, Backbone] = {}
        offsets = self._offsets
        if offsets.ndim != 1 or not offsets.size or offsets[0] != 0 or np.any(np.diff(offsets) < 0):
            msg = f"{self._path}: offsets must rise from 0, got {offsets[:4]}..."
            raise StructureError(msg)

    def _array(self, name: str, length: int | None = None) -> npt.NDArray[Any]:
        # Opened for each of the few arrays, so that no file stays open with the object.
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                if name not in arrays.files:
                    msg = f"{self._path}: no array {name!r}; it has {', '.join(arrays.files)}"
                    raise StructureError(msg)
                found = arrays[name]
        except StructureError:
            raise
        except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
            msg = f"{self._path}: cannot be read as an archive of arrays: {error}"
            raise StructureError(msg) from error
        if length is not None and len(found) != length:
            msg = f"{self._path}: {name} has {len(found)} rows, expected {length}"
            raise StructureError(msg)
        return found

    @cached_property
    def _offsets(self) -> npt.NDArray[Any]:
        return self._array("offsets")

    @cached_property
    def _coords(self) -> npt.NDArray[Any]:
        return self._array("coords", int(self._offsets[-1]))[:, :_BACKBONE_ATOMS].copy()

    @cached_property
    def _residues(self) -> tuple[bytes, npt.NDArray[Any], npt.NDArray[Any]]:
        count = int(self._offsets[-1])
        letters = self._array("seq", count).tobytes()
        return letters, self._array("resnum", count), self._array("bfac", count)

    @cached_property
    def _ids(self) -> list[tuple[str, str]]:
        count = len(self)
        entries, chains = self._array("pdb", count).tolist(), self._array("chain", count).tolist()
        return [
            (entry.lower(), chain.strip() or _BLANK_CHAIN)
            for entry, chain in zip(entries, chains, strict=True)
        ]

    @cached_property
    def _names(self) -> list[str]:
        counts = Counter(self._ids)
        return [
            f"{entry}_{chain}"
            if entry and counts[entry, chain] == 1
            else f"{entry or 'record'}_{chain}_{record}"
            for record, (entry, chain) in enumerate(self._ids)
        ]

    @cached_property
    def _records(self) -> dict[tuple[str, str], list[int]]:
        found = defaultdict(list)
        for record, identity in enumerate(self._ids):
            found[identity].append(record)
        return dict(found)

    @cached_property
    def _clusterings(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def __len__(self) -> int:
        """Return the number of chains."""
        return len(self._offsets) - 1

    def length(self, record: int) -> int:
        """
        Return the number of residues of a chain.

        Parameters
        ----------
        record : int
            0-based position in the archive.

        Returns
        -------
        int
            Residues, resolved or not.
        """
        return int(self._offsets[record + 1] - self._offsets[record])

    def name(self, record: int) -> str:
        """
        Return the name of a chain, different for every chain of the archive.

        Parameters
        ----------
        record : int
            0-based position in the archive.

        Returns
        -------
        str
            Entry and chain, ``"1abc_A"``; with the position behind it where these do not tell.
        """
        return self._names[record]

    def record_named(self, name: str) -> int:
        """
        Return the position of a chain by the name that the archive gives it.

        Parameters
        ----------
        name : str
            As `name` returns it.

        Returns
        -------
        int
            0-based position.

        Raises
        ------
        StructureError
            If no chain has the name.
        """
        try:
            return self._names.index(name)
        except ValueError:
            msg = f"{self._path.name}: no chain {name!r}"
            raise StructureError(msg) from None

    def cluster_of(self, record: int, *, level: ClusterLevel | None = None) -> str:
        """
        Return the sequence cluster of a chain.

        Parameters
        ----------
        record : int
            0-based position in the archive.
        level : {"c30", "c40", "c95"}, optional
            Which clustering, if not the archive's.

        Returns
        -------
        str
            The clustering and the number in it, such as ``"c40:6121"``.
        """
        chosen = level or self._cluster
        if chosen not in self._clusterings:
            self._clusterings[chosen] = self._array(chosen, len(self))
        return f"{chosen}:{self._clusterings[chosen][record]}"

    def backbone(self, record: int) -> Backbone:
        """
        Build a chain.

        Parameters
        ----------
        record : int
            0-based position in the archive.

        Returns
        -------
        Backbone
            With author numbers and without insertion codes.

        Raises
        ------
        StructureError
            If there is no such record, or if its arrays do not describe a chain.
        """
        if record not in self._built:
            if len(self._built) >= _KEPT_CHAINS:
                self._built.clear()
            self._built[record] = self._build(record)
        return self._built[record]

    def _build(self, record: int) -> Backbone:
        if not 0 <= record < len(self):
            msg = f"{self._path}: no record {record}; it has {len(self)}"
            raise StructureError(msg)
        rows = slice(int(self._offsets[record]), int(self._offsets[record + 1]))
        letters, numbers, b_factors = self._residues
        raw = self._coords[rows]
        coords = raw.astype(np.float32) / _UNITS_PER_ANGSTROM
        coords[raw == _MISSING] = np.nan
        return Backbone.from_arrays(
            coords,
            sequence=letters[rows].decode("ascii"),
            author_numbers=numbers[rows],
            b_factors=b_factors[rows],
            chain_id=self._ids[record][1],
            source=f"{self._path.name} record {record}",
        )

    def record_of(self, entry: str, chain: str) -> int:
        """
        Return the position of a chain.

        Parameters
        ----------
        entry : str
            PDB id, in any case.
        chain : str
            Author chain id.

        Returns
        -------
        int
            0-based position.

        Raises
        ------
        StructureError
            If the chain is absent, or there is more than one of this name.
        """
        records = self._records.get((entry.lower(), chain), []) if entry else []
        if len(records) != 1:
            what = f"{len(records)} chains are" if records else "no chain is"
            msg = f"{entry}_{chain}: {what} called so in {self._path.name}"
            raise StructureError(msg)
        return records[0]

    def find(self, entry: str, chain: str) -> tuple[Backbone, str | None]:
        """
        Return a chain by its entry, and its cluster.

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
            If the chain is absent, or there is more than one of this name.
        """
        record = self.record_of(entry, chain)
        return self.backbone(record), self.cluster_of(record)

    @property
    def description(self) -> str:
        """What this is, for reports."""
        return f"{self._path.name} ({len(self)} chains)"
