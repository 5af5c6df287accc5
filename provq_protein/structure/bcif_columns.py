"""How are the atoms of a BinaryCIF file read without unpacking the rest of it."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.bcif_decoding import decode_column, is_between
from provq_protein.structure.bcif_tree import Column, raw_categories, unpacked_columns
from provq_protein.structure.cif_columns import Rows, UnusualLayoutError, Words
from provq_protein.structure.cif_limits import within_limits
from provq_protein.structure.mmcif_atoms import SITE_COLUMNS, SMALL_CATEGORIES, read_block

if TYPE_CHECKING:
    from provq_protein.structure.bcif_tree import Raw

_INTEGER = re.compile(r"-?[0-9]{1,9}")
_REAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{0,15})?")
_Mask = npt.NDArray[np.bool_] | None


def read_binary_cif(content: bytes, *, model: int, where: str) -> AtomTable:
    """
    Return the atoms of one model of a BinaryCIF file whose layout is an ordinary one.

    Parameters
    ----------
    content : bytes
        The whole file.
    model : int
        1-based model, counted in file order.
    where : str
        File name for messages.

    Returns
    -------
    AtomTable
        The same as that of :func:`provq_protein.structure.mmcif_atoms.read_mmcif`, save that
        segments are numbered within the model.

    Raises
    ------
    UnusualLayoutError
        If anything is unusual, and be it allowed: several data blocks, text where numbers are
        the rule, encodings that do not add up, more values than a file of this size holds.
    StructureError
        If the file has not this model.
    ValueError
        If the general reader would find an error.

    Notes
    -----
    Categories and columns that are not needed are skipped as they are, so that damage in them
    goes unnoticed if the file can be gone through to its end.
    """
    raw = raw_categories(content)
    if "atom_site" not in raw:
        msg = "no atom_site category"
        raise UnusualLayoutError(msg)
    site = _category(raw["atom_site"], SITE_COLUMNS, limit=len(content))
    block = _SmallCategories(raw, limit=len(content))
    return read_block(block, site, model=model, where=where)


class BinaryCategory:
    """
    Columns of a category, decoded when asked for.

    Parameters
    ----------
    columns : mapping of str to Column
        By name.
    chosen : slice or ndarray, shape=(row,), dtype=bool, optional
        Which rows to show. By default all.
    """

    def __init__(self, columns: Mapping[str, Column], chosen: Rows | None = None) -> None:
        self._columns = columns
        self._chosen = chosen
        self._size: int | None = None

    def __contains__(self, name: object, /) -> bool:
        """Return whether there is such a column."""
        return name in self._columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._decoded(next(iter(self._columns)))[0])

    def only(self, chosen: Rows) -> "BinaryCategory":
        """
        Return some of the rows.

        Parameters
        ----------
        chosen : slice or ndarray, shape=(row,), dtype=bool
            Which to keep.

        Returns
        -------
        BinaryCategory
            On the same columns.
        """
        kept = BinaryCategory(self._columns, chosen)
        kept._size = self._size
        return kept

    def text(self, name: str) -> Words:
        """
        Return a column of text.

        Parameters
        ----------
        name : str
            Of a column that exists.

        Returns
        -------
        Words
            Absent values are ``""``.
        """
        values, absent = self._decoded(name)
        if not isinstance(values, Words):
            values = Words(values.astype(np.str_))
        if values.codes is None:
            if absent is None or not absent.any():
                return values
            return Words(np.where(absent, "", values.values))
        # Of the type that numpy counts by, so that no later use converts them.
        codes = values.codes.astype(np.intp)
        if absent is None or not absent.any():
            return Words(values.values, codes)
        if absent.all():
            return Words(np.array([""]), np.zeros(len(codes), dtype=np.intp))
        codes[absent] = len(values.values)
        return Words(np.append(values.values, ""), codes)

    def integers(self, name: str, *, missing: int) -> npt.NDArray[np.int32]:
        """
        Return a column of integers.

        Parameters
        ----------
        name : str
            Of a column that exists.
        missing : int
            Stands for absent values.

        Returns
        -------
        ndarray, shape=(row,), dtype=int32
            The numbers.

        Raises
        ------
        UnusualLayoutError
            If the column holds other than 32-bit integers.
        """
        values, absent = self._decoded(name)
        if isinstance(values, Words):
            values, absent = _parsed(values, absent, _INTEGER, np.dtype(np.int32))
        if values.dtype.kind not in "iu" or values.dtype == "<u4":
            msg = f"other than integers in {name}"
            raise UnusualLayoutError(msg)
        numbers = values.astype(np.int32, copy=False)
        return numbers if absent is None else np.where(absent, np.int32(missing), numbers)

    def model_numbers(self, name: str) -> npt.NDArray[np.int64]:
        """
        Return a column of integers, with 1 in place of absent values.

        Parameters
        ----------
        name : str
            Of a column that exists.

        Returns
        -------
        ndarray, shape=(row,), dtype=int64
            The numbers.
        """
        return self.integers(name, missing=1).astype(np.int64)

    def reals(self, name: str) -> npt.NDArray[np.float32]:
        """
        Return a column of numbers.

        Parameters
        ----------
        name : str
            Of a column that exists.

        Returns
        -------
        ndarray, shape=(row,), dtype=float32
            *NaN* where absent.

        Raises
        ------
        UnusualLayoutError
            If the column holds text.
        """
        values, absent = self._decoded(name)
        if isinstance(values, Words):
            values, absent = _parsed(values, absent, _REAL, np.dtype(np.float64))
        numbers = values.astype(np.float32)
        return numbers if absent is None else np.where(absent, np.float32(np.nan), numbers)

    def _decoded(self, name: str) -> tuple[npt.NDArray[Any] | Words, _Mask]:
        """Return the rows of a column, and which have no value; None if all have one."""
        values, mask = self._all_rows(name)
        if self._chosen is not None:
            chosen = self._chosen
            values = values.only(chosen) if isinstance(values, Words) else values[chosen]
            mask = None if mask is None else mask[chosen]
        return values, None if mask is None else mask != 0

    def _all_rows(self, name: str) -> tuple[npt.NDArray[Any] | Words, npt.NDArray[Any] | None]:
        column = self._columns[name]
        values = decode_column(column.data)
        self._size = len(values) if self._size is None else self._size
        mask = None if column.mask is None else decode_column(column.mask)
        if len(values) != self._size or (mask is not None and len(mask) != self._size):
            msg = "columns of different lengths"
            raise UnusualLayoutError(msg)
        if mask is not None and (isinstance(mask, Words) or not is_between(mask, 0, 2)):
            msg = f"an unknown mask in {name}"
            raise UnusualLayoutError(msg)
        return values, mask


def _parsed(
    words: Words, absent: _Mask, pattern: re.Pattern[str], dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], _Mask]:
    """Return numbers that are written as text; each text is looked at once."""
    if words.codes is None or (words.has_blanks() and absent is None):
        msg = "numbers that are absent, or given as text of their own"
        raise UnusualLayoutError(msg)
    used = np.ones(len(words), dtype=bool) if absent is None else ~absent
    codes = np.unique(words.codes[used])
    texts = words.values[codes].tolist()
    if not all(map(pattern.fullmatch, texts)):
        msg = "other than plain numbers"
        raise UnusualLayoutError(msg)
    numbers = np.zeros(len(words.values), dtype=dtype)
    numbers[codes] = [float(text) for text in texts]
    return numbers.take(words.codes), absent


class _SmallCategories(Mapping[str, BinaryCategory]):
    """Categories besides ``atom_site``, unpacked when asked for."""

    def __init__(self, raw: "Mapping[str, Raw]", *, limit: int) -> None:
        self._raw = {name: raw[name] for name in SMALL_CATEGORIES if name in raw}
        self._limit = limit
        self._unpacked: dict[str, BinaryCategory] = {}

    def __getitem__(self, name: str) -> BinaryCategory:
        if name not in self._unpacked:
            self._unpacked[name] = _category(
                self._raw[name], SMALL_CATEGORIES[name], limit=self._limit
            )
        return self._unpacked[name]

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _category(raw: "Raw", wanted: tuple[str, ...], *, limit: int) -> BinaryCategory:
    columns = unpacked_columns(raw, wanted)
    if not within_limits(columns.values(), limit=limit):
        msg = "more than a file of this size holds"
        raise UnusualLayoutError(msg)
    return BinaryCategory(columns)
