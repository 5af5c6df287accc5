"""What is a chain, once it has been read: its backbone atoms, numbering and sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError

Confidence = Literal["b_factor", "plddt"]

ATOMS_PER_RESIDUE = 3

_COMPONENTS = {
    "A": "ALA", "R": "ARG", "N": "ASN", "D": "ASP", "C": "CYS", "Q": "GLN", "E": "GLU",
    "G": "GLY", "H": "HIS", "I": "ILE", "L": "LEU", "K": "LYS", "M": "MET", "F": "PHE",
    "P": "PRO", "S": "SER", "T": "THR", "W": "TRP", "Y": "TYR", "V": "VAL", "U": "SEC",
    "O": "PYL", "B": "ASX", "Z": "GLX",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Backbone:
    """
    One polypeptide chain: its N, CA and C atoms, sequence and numbering.

    Each residue of which the file has at least one atom is one entry, in file order. A
    residue that the file does not contain at all is not an entry; it leaves a gap in the
    numbers.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C positions, in Angstrom; *NaN* where the atom is absent.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where N, CA and C are all present and finite.
    sequence : str
        One letter per residue; X is unknown, a modified residue has its parent's letter.
    residue_names : tuple of str
        Component names, e.g. ``"MSE"``.
    author_numbers : ndarray, shape=(residue,), dtype=int32
        Author residue numbers, which may repeat, be negative or run backwards.
    insertion_codes : tuple of str
        Insertion codes; ``""`` where there is none.
    label_numbers : ndarray, shape=(residue,), dtype=int32
        1-based position in the full sequence (mmCIF ``label_seq_id``), or the position among
        the residues of this chain where the format has no such number.
    b_factors : ndarray, shape=(residue,), dtype=float32
        B-factor (square Angstrom) or pLDDT of the CA atom; *NaN* where absent.
    confidence : {"b_factor", "plddt"}
        What `b_factors` holds.
    chain_id : str
        Author chain id. A blank chain id of a PDB file is ``"_"``.
    label_chain_id : str
        The mmCIF ``label_asym_id``; the same as `chain_id` where the format has none.
    source : str
        The file as the caller named it, or ``""``.
    model : int
        1-based model of the file.

    Raises
    ------
    StructureError
        If lengths, shapes or dtypes disagree, if `resolved` contradicts `coords`, or if a
        chain id is empty or has spaces.
    """

    coords: npt.NDArray[np.float32]
    resolved: npt.NDArray[np.bool_]
    sequence: str
    residue_names: tuple[str, ...]
    author_numbers: npt.NDArray[np.int32]
    insertion_codes: tuple[str, ...]
    label_numbers: npt.NDArray[np.int32]
    b_factors: npt.NDArray[np.float32]
    confidence: Confidence
    chain_id: str
    label_chain_id: str
    source: str
    model: int = 1

    def __post_init__(self) -> None:
        """Refuse arrays that do not describe one chain."""
        count = len(self.sequence)
        self._check_array("coords", np.float32, (count, ATOMS_PER_RESIDUE, 3))
        self._check_array("resolved", np.bool_, (count,))
        self._check_array("author_numbers", np.int32, (count,))
        self._check_array("label_numbers", np.int32, (count,))
        self._check_array("b_factors", np.float32, (count,))
        for name in ("residue_names", "insertion_codes"):
            self._expect(
                len(getattr(self, name)) == count,
                f"{name} has {len(getattr(self, name))} entries, expected {count}",
            )
        self._expect(
            self.confidence in ("b_factor", "plddt"),
            f"confidence must be 'b_factor' or 'plddt', got {self.confidence!r}",
        )
        for name in ("chain_id", "label_chain_id"):
            self._expect(
                getattr(self, name).split() == [getattr(self, name)],
                f"{name} must be one word such as 'A', got {getattr(self, name)!r}",
            )
        complete = complete_residues(self.coords)
        wrong = np.flatnonzero(complete != self.resolved)
        if wrong.size:
            self._expect(
                False,
                f"resolved[{wrong[0]}] is {bool(self.resolved[wrong[0]])} but N, CA and C are "
                f"{'all' if complete[wrong[0]] else 'not all'} finite there",
            )

    def _check_array(self, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        value = getattr(self, name)
        if isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == shape:
            return
        found = (
            f"{value.dtype} {value.shape}"
            if isinstance(value, np.ndarray)
            else type(value).__name__
        )
        self._expect(
            False,
            f"{name} must be an array of {np.dtype(dtype).name} {shape} "
            f"(the sequence has {shape[0]} letters), got {found}",
        )

    def _expect(self, condition: bool, problem: str) -> None:
        if not condition:
            where = f"{self.source}: " if self.source else ""
            msg = f"{where}chain {self.chain_id}: {problem}"
            raise StructureError(msg)

    def __len__(self) -> int:
        """Return the number of residues, resolved or not."""
        return len(self.sequence)

    @property
    def residue_ids(self) -> tuple[str, ...]:
        """Author number and insertion code of each residue, e.g. ``"52A"`` or ``"-3"``."""
        return tuple(
            f"{number}{code}"
            for number, code in zip(self.author_numbers.tolist(), self.insertion_codes, strict=True)
        )

    @classmethod
    def from_arrays(
        cls,
        coords: npt.ArrayLike,
        *,
        sequence: str | None = None,
        author_numbers: npt.ArrayLike | None = None,
        insertion_codes: Sequence[str] | None = None,
        b_factors: npt.ArrayLike | None = None,
        chain_id: str = "A",
        source: str = "",
    ) -> "Backbone":
        """
        Return a backbone from coordinates alone, with defaults for the rest.

        Parameters
        ----------
        coords : array_like, shape=(residue, 3, 3)
            N, CA and C positions, in Angstrom; *NaN* where the atom is absent.
        sequence : str, optional
            One letter per residue, from which the residue names follow. By default X throughout.
        author_numbers : array_like, shape=(residue,), optional
            Author residue numbers. By default 1, 2, 3, ...
        insertion_codes : sequence of str, optional
            Insertion codes. By default none.
        b_factors : array_like, shape=(residue,), optional
            B-factors. By default *NaN*.
        chain_id : str
            Author and label chain id.
        source : str
            File name for messages.

        Returns
        -------
        Backbone
            The chain; `resolved` is where `coords` is finite.

        Raises
        ------
        StructureError
            If shapes or lengths disagree.

        Examples
        --------
        >>> chain = Backbone.from_arrays(np.zeros((2, 3, 3)), sequence="MK")
        >>> chain.residue_names, chain.residue_ids
        (('MET', 'LYS'), ('1', '2'))
        """
        positions = np.array(coords, dtype=np.float32)
        if positions.ndim != 3 or positions.shape[1:] != (ATOMS_PER_RESIDUE, 3):
            msg = f"chain {chain_id}: coords must have shape (residue, 3, 3), got {positions.shape}"
            raise StructureError(msg)
        count = len(positions)
        letters = "X" * count if sequence is None else sequence
        first_to_last = np.arange(1, count + 1, dtype=np.int32)
        numbers = first_to_last if author_numbers is None else author_numbers
        confidences = np.full(count, np.nan) if b_factors is None else b_factors
        return cls(
            coords=positions,
            resolved=complete_residues(positions),
            sequence=letters,
            residue_names=tuple(_COMPONENTS.get(letter, "UNK") for letter in letters),
            author_numbers=np.array(numbers, dtype=np.int32),
            insertion_codes=tuple([""] * count if insertion_codes is None else insertion_codes),
            label_numbers=first_to_last,
            b_factors=np.array(confidences, dtype=np.float32),
            confidence="b_factor",
            chain_id=chain_id,
            label_chain_id=chain_id,
            source=source,
        )


def complete_residues(coords: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """
    Return where N, CA and C are all present.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C positions; *NaN* where absent.

    Returns
    -------
    ndarray, shape=(residue,), dtype=bool
        True where all nine numbers are finite.
    """
    return np.all(np.isfinite(coords), axis=(1, 2))
