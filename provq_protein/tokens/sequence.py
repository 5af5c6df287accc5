"""What is the tokenization of one chain, and how do its ids map onto its residues?"""

import operator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError

# Stands where a residue has no token. No codebook has a negative id.
UNRESOLVED_ID = -1
CONTEXTS = ("chain", "complex")
"""What was seen when ids were computed: the chain alone, or the chains around it as well."""

_TEXT_PER_CHAIN = ("sequence", "chain_id", "label_chain_id", "source", "fingerprint")
_TEXT_PER_RESIDUE = ("residue_names", "insertion_codes")
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenSequence:
    """
    The structure tokens of one chain, one per residue, and where each residue came from.

    Parameters
    ----------
    ids : ndarray, shape=(residue,), dtype=int32
        Code of each residue, in ``[0, codebook_size)``; -1 where `resolved` is False.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where N, CA and C were all present: exactly these residues have a token.
    sequence : str
        One letter per residue, ``X`` for unknown.
    residue_names : tuple of str
        Component identifiers, for instance ``"MSE"``.
    author_numbers : ndarray, shape=(residue,), dtype=int32
        Residue numbers as the authors of the structure gave them.
    insertion_codes : tuple of str
        Insertion codes that belong to `author_numbers`, ``""`` for none.
    label_numbers : ndarray, shape=(residue,), dtype=int32
        Position in the full sequence (mmCIF ``label_seq_id``), or the 1-based position.
    chain_id : str
        Chain name as the authors gave it.
    label_chain_id : str
        Chain name in the mmCIF label scheme.
    source : str
        The structure file as it was named by the user; ``""`` for arrays.
    model : int
        Model number within the file, from 1.
    fingerprint : str
        Identity of the tokenizer: ids with equal fingerprints mean the same.
    codebook_size : int
        Number of codes of that tokenizer.
    mean_plddt : float, optional
        Mean predicted lDDT of the resolved residues, 0 to 100; None where the structure is no
        prediction, or does not say.
    context : {"chain", "complex"}
        What the ids were computed from: the chain alone, or also the other chains of its complex
        (`StructureTokenizer.encode_complex`). Ids of both kinds decode alike, but those of one
        chain differ where others are near.

    Raises
    ------
    TokenFormatError
        If lengths disagree, an id is no code, `ids` and `resolved` contradict each other,
        a text contains a NUL character, `mean_plddt` is outside 0 to 100, or there is no such
        `context`.

    Notes
    -----
    Arrays are copied and made read-only. `resolved` is the authority on which residues
    have a token; it is checked against `ids` in both directions.

    Examples
    --------
    >>> tokens = TokenSequence(
    ...     ids=[3, -1, 0],
    ...     resolved=[True, False, True],
    ...     sequence="MXG",
    ...     residue_names=("MSE", "UNK", "GLY"),
    ...     author_numbers=[-1, 52, 52],
    ...     insertion_codes=("", "", "A"),
    ...     label_numbers=[1, 2, 3],
    ...     chain_id="A",
    ...     label_chain_id="A",
    ...     source="1abc.cif",
    ...     model=1,
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> tokens.residue_ids
    ('-1', '52', '52A')
    >>> tokens.to_plm(offset=33, unresolved_id=32).tolist()
    [36, 32, 33]
    """

    ids: NDArray[np.int32]
    resolved: NDArray[np.bool_]
    sequence: str
    residue_names: tuple[str, ...]
    author_numbers: NDArray[np.int32]
    insertion_codes: tuple[str, ...]
    label_numbers: NDArray[np.int32]
    chain_id: str
    label_chain_id: str
    source: str
    model: int
    fingerprint: str
    codebook_size: int
    mean_plddt: float | None = None
    context: str = "chain"

    def __post_init__(self) -> None:
        """Normalize the arrays and refuse what is no tokenization of one chain."""
        for name in _TEXT_PER_CHAIN:
            self._check_text(name, getattr(self, name))
        for name in ("ids", "author_numbers", "label_numbers"):
            self._replace(name, self._int32(name))
        self._replace("resolved", self._bool("resolved"))
        for name in _TEXT_PER_RESIDUE:
            values = tuple(getattr(self, name))
            for value in values:
                self._check_text(name, value)
            self._replace(name, values)
        self._check_scalars()
        self._check_lengths()
        self._check_ids()

    def __len__(self) -> int:
        """Return the number of residues, resolved or not."""
        return len(self.ids)

    @property
    def residue_ids(self) -> tuple[str, ...]:
        """Author number and insertion code of each residue, for instance ``"52A"``."""
        pairs = zip(self.author_numbers.tolist(), self.insertion_codes, strict=True)
        return tuple(f"{number}{code}" for number, code in pairs)

    def to_plm(self, *, offset: int, unresolved_id: int) -> NDArray[np.int64]:
        """
        Return ids for the vocabulary of a language model.

        Parameters
        ----------
        offset : int
            Id that code 0 gets; at least 0.
        unresolved_id : int
            Id of residues without a token, for instance that of a mask token.

        Returns
        -------
        ndarray, shape=(residue,), dtype=int64
            ``ids + offset`` where resolved, `unresolved_id` elsewhere.

        Raises
        ------
        ValueError
            If `offset` is negative, or `unresolved_id` would also be the id of a code.
        """
        offset, unresolved_id = operator.index(offset), operator.index(unresolved_id)
        end = offset + self.codebook_size
        if offset < 0:
            msg = f"offset must be at least 0, got {offset}"
            raise ValueError(msg)
        if offset <= unresolved_id < end:
            msg = (
                f"unresolved_id={unresolved_id} is also the id of code "
                f"{unresolved_id - offset}; choose one outside [{offset}, {end})"
            )
            raise ValueError(msg)
        return np.where(self.resolved, self.ids.astype(np.int64) + offset, unresolved_id)

    def _replace(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _fail(self, problem: str) -> NoReturn:
        where = f"{self.source or 'tokens'}: chain {self.chain_id}"
        # A damaged file may have line breaks and the like in a name; a message is one line.
        msg = f"{' '.join(where.split())}: {problem}"
        raise TokenFormatError(msg)

    def _check_text(self, name: str, value: object) -> None:
        if not isinstance(value, str):
            self._fail(f"{name} must be text, got {type(value).__name__}")
        # Fixed-width text arrays, as in .npz and .h5 files, cannot hold it.
        if "\0" in value:
            self._fail(f"{name} contains a NUL character")

    def _vector(self, name: str) -> NDArray[np.generic]:
        try:
            values = np.array(getattr(self, name))
        except (ValueError, OverflowError) as error:
            self._fail(f"{name} must have one value per residue ({error})")
        if values.ndim != 1:
            self._fail(f"{name} must have shape (residue,), got {values.shape}")
        return values

    def _int32(self, name: str) -> NDArray[np.int32]:
        values = self._vector(name)
        if values.size and values.dtype.kind not in "iu":
            self._fail(f"{name} must be integers, got {values.dtype}")
        if values.size and not _INT32.min <= int(values.min()) <= int(values.max()) <= _INT32.max:
            self._fail(f"{name} must fit into 32 bits")
        values = values.astype(np.int32)
        values.setflags(write=False)
        return values

    def _bool(self, name: str) -> NDArray[np.bool_]:
        values = self._vector(name)
        if values.size and values.dtype.kind != "b":
            self._fail(f"{name} must be booleans, got {values.dtype}")
        values = values.astype(np.bool_)
        values.setflags(write=False)
        return values

    def _check_scalars(self) -> None:
        for name in ("model", "codebook_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                self._fail(f"{name} must be an integer of at least 1, got {value!r}")
            self._replace(name, int(value))
        if self.mean_plddt is not None:
            self._replace("mean_plddt", self._percentage("mean_plddt"))
        if self.context not in CONTEXTS:
            self._fail(f"context must be one of {', '.join(CONTEXTS)}, got {self.context!r}")
        if not self.fingerprint:
            self._fail("fingerprint is empty: nobody could tell what the ids mean")

    def _percentage(self, name: str) -> float:
        value = getattr(self, name)
        is_number = isinstance(value, int | float | np.integer | np.floating)
        # A NaN is refused by the comparison.
        if not is_number or isinstance(value, bool) or not 0 <= value <= 100:
            self._fail(f"{name} must be a number from 0 to 100, or None, got {value!r}")
        return float(value)

    def _check_lengths(self) -> None:
        per_residue = ("resolved", "sequence", "author_numbers", "label_numbers")
        for name in (*per_residue, *_TEXT_PER_RESIDUE):
            length = len(getattr(self, name))
            if length != len(self.ids):
                self._fail(f"{len(self.ids)} ids but {name} has length {length}")

    def _check_ids(self) -> None:
        is_code = (self.ids >= 0) & (self.ids < self.codebook_size)
        expected = np.where(self.resolved, is_code, self.ids == UNRESOLVED_ID)
        if expected.all():
            return
        first = int(np.flatnonzero(~expected)[0])
        allowed = (
            f"resolved, so its id must be in [0, {self.codebook_size})"
            if self.resolved[first]
            else f"not resolved, so its id must be {UNRESOLVED_ID}"
        )
        self._fail(f"residue {self.residue_ids[first]} is {allowed}, got {int(self.ids[first])}")
