"""How are the atoms of a BinaryCIF file read without unpacking the rest of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.bcif_decoding import decode_column
from provq_protein.structure.cif_columns import Rows, UnusualLayoutError, Words
from provq_protein.structure.mmcif_atoms import SITE_COLUMNS, SMALL_CATEGORIES, read_block

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
        the rule, encodings that do not add up.
    StructureError
        If the file has not this model.
    ValueError
        If the general reader would find an error.

    Notes
    -----
    Categories and columns that are not needed are skipped as they are, so that damage in them
    goes unnoticed if the file can be gone through to its end.
    """
    try:
        places = _category_places(content)
        if "atom_site" not in places:
            msg = "no atom_site category"
            raise UnusualLayoutError(msg)
        site = BinaryCategory(_columns(content, places["atom_site"], SITE_COLUMNS))
        block = _SmallCategories(content, places)
        return read_block(block, site, model=model, where=where)
    except (msgpack.exceptions.UnpackException, LookupError, TypeError, AttributeError) as error:
        raise UnusualLayoutError(str(error)) from error


class BinaryCategory:
    """
    Columns of a category, decoded when asked for.

    Parameters
    ----------
    columns : mapping of str to mapping
        ``data`` and ``mask`` by column.
    chosen : slice or ndarray, shape=(row,), dtype=bool, optional
        Which rows to show. By default all.
    """

    def __init__(
        self, columns: Mapping[str, Mapping[str, Any]], chosen: Rows | None = None
    ) -> None:
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
        if absent is None or not absent.any():
            return values
        if values.codes is None:
            return Words(np.where(absent, "", values.values))
        blank = len(values.values)
        codes = np.where(absent, blank, values.codes)
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
        values = decode_column(column["data"])
        self._size = len(values) if self._size is None else self._size
        mask = None if column["mask"] is None else decode_column(column["mask"])
        if len(values) != self._size or (mask is not None and len(mask) != self._size):
            msg = "columns of different lengths"
            raise UnusualLayoutError(msg)
        if mask is not None and (isinstance(mask, Words) or mask.min() < 0 or mask.max() > 2):
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

    def __init__(self, content: bytes, places: Mapping[str, slice]) -> None:
        self._content = content
        self._places = {name: places[name] for name in SMALL_CATEGORIES if name in places}
        self._unpacked: dict[str, BinaryCategory] = {}

    def __getitem__(self, name: str) -> BinaryCategory:
        if name not in self._unpacked:
            columns = _columns(self._content, self._places[name], SMALL_CATEGORIES[name])
            self._unpacked[name] = BinaryCategory(columns)
        return self._unpacked[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _unpacker(content: bytes) -> Any:  # noqa: ANN401 - msgpack has no types
    unpacker = msgpack.Unpacker(
        raw=False, use_list=True, max_buffer_size=len(content), strict_map_key=True
    )
    unpacker.feed(content)
    return unpacker


def _category_places(content: bytes) -> dict[str, slice]:
    """Return where the columns of each category of the only data block are."""
    unpacker = _unpacker(content)
    places: dict[str, slice] = {}
    blocks = 0
    for _ in range(unpacker.read_map_header()):
        if unpacker.unpack() != "dataBlocks":
            unpacker.unpack()
            continue
        blocks += unpacker.read_array_header()
        if blocks != 1:
            msg = "other than one data block"
            raise UnusualLayoutError(msg)
        keys = set()
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            keys.add(key)
            if key != "categories":
                unpacker.unpack()
                continue
            for _ in range(unpacker.read_array_header()):
                name, place = _category_place(unpacker)
                places[name] = place
        if not {"header", "categories"} <= keys:
            msg = "a data block without a header or categories"
            raise UnusualLayoutError(msg)
    if unpacker.tell() != len(content):
        msg = "something after the end"
        raise UnusualLayoutError(msg)
    return places


def _category_place(unpacker: Any) -> tuple[str, slice]:  # noqa: ANN401 - msgpack has no types
    found: dict[str, Any] = {}
    for _ in range(unpacker.read_map_header()):
        key = unpacker.unpack()
        if key == "columns":
            begin = unpacker.tell()
            unpacker.skip()
            found[key] = slice(begin, unpacker.tell())
        else:
            found[key] = unpacker.unpack()
    if "rowCount" not in found:
        msg = "a category without its number of rows"
        raise UnusualLayoutError(msg)
    return found["name"].lstrip("_"), found["columns"]


def _columns(content: bytes, place: slice, wanted: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    unpacker = _unpacker(content[place])
    columns = {}
    for _ in range(unpacker.read_array_header()):
        column: dict[str, Any] = {}
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if column.get("name", wanted[0]) in wanted:
                column[key] = unpacker.unpack()
            else:
                unpacker.skip()
        if column["name"] in wanted:
            columns[column["name"]] = column
    return columns
