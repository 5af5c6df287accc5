"""How do the rows of an ``atom_site`` loop become columns without a Python loop over them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from provq_protein.structure.cif_columns import Rows, UnusualLayoutError, Words

Bytes = npt.NDArray[np.uint8]

_SPACE, _LINE_END, _LAST_PRINTABLE = 32, 10, 126
_QUOTES = (ord("'"), ord('"'))
_ABSENT = (ord("."), ord("?"))
_MINUS, _DOT, _ZERO = ord("-"), ord("."), ord("0")
# Lines that begin so are no rows: comments, text fields, keywords, or indented ones.
_NO_ROW = np.isin(np.arange(256), [*range(33), *b"#;_lLdDsSgG"])
_WIDEST_TEXT = 64
_WIDEST_REAL = 15
_WIDEST_INTEGER = 9
_INTEGERS = ("label_seq_id", "auth_seq_id", "pdbx_PDB_model_num")
_REALS = ("Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv")


class SiteRows:
    """
    Columns of a loop as bytes, of which text and numbers are made when asked for.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape=(character, row), dtype=uint8
        Each value begins at the first character and is filled up with spaces.
    quoted : bool
        Whether values may be in quotes.
    """

    def __init__(self, columns: Mapping[str, Bytes], *, quoted: bool) -> None:
        self._columns = columns
        self._quoted = quoted

    def __contains__(self, name: object, /) -> bool:
        """Return whether there is such a column."""
        return name in self._columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return next(iter(self._columns.values())).shape[1]

    def only(self, chosen: Rows) -> "SiteRows":
        """
        Return some of the rows, after a check that all hold numbers where they should.

        Parameters
        ----------
        chosen : slice or ndarray, shape=(row,), dtype=bool
            Which to keep.

        Returns
        -------
        SiteRows
            The same columns.

        Raises
        ------
        UnusualLayoutError
            If a number is none, in whichever row.
        """
        for name in (*_INTEGERS, *_REALS):
            if name in self._columns:
                _check_numbers(self._columns[name], name, whole=name in _INTEGERS)
        columns = {name: cells[:, chosen] for name, cells in self._columns.items()}
        return SiteRows(columns, quoted=self._quoted)

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
        cells = self._columns[name]
        count = cells.shape[1]
        changed = np.ones(count, dtype=bool)
        np.logical_or.reduce(cells[:, 1:] != cells[:, :-1], axis=0, out=changed[1:])
        starts = np.flatnonzero(changed)
        if 2 * len(starts) > count:
            return Words(_texts(cells, quoted=self._quoted))
        codes = np.cumsum(changed) - 1
        return Words(_texts(cells[:, starts], quoted=self._quoted), codes)

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
            If a value is no number of few digits.
        """
        cells = self._columns[name]
        absent = _check_numbers(cells, name, whole=True)
        values = np.where(absent, 0, _whole_numbers(cells)).astype(np.int32)
        return np.where(absent, np.int32(missing), np.where(cells[0] == _MINUS, -values, values))

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
            If a value is no plain decimal number.
        """
        cells = self._columns[name]
        absent = _check_numbers(cells, name, whole=False)
        values = _decimal_numbers(cells)
        values = np.where(cells[0] == _MINUS, -values, values)
        return np.where(absent, np.nan, values).astype(np.float32)


def _texts(cells: Bytes, *, quoted: bool) -> npt.NDArray[np.str_]:
    width, count = cells.shape
    absent = _is_absent(cells)
    letters = np.zeros((count, width), dtype=np.uint32)
    np.multiply(cells.T, cells.T != _SPACE, out=letters, dtype=np.uint32, casting="unsafe")
    if quoted:
        rows = np.flatnonzero((cells[0] == _QUOTES[0]) | (cells[0] == _QUOTES[1]))
        inner = np.zeros((len(rows), width), dtype=np.uint32)
        inner[:, :-1] = letters[rows, 1:]
        inner[np.arange(len(rows)), np.count_nonzero(inner, axis=1) - 1] = 0
        letters[rows] = inner
        # Also in quotes, for that is how the general reader takes it.
        absent[rows] = np.isin(inner[:, 0], _ABSENT) & (inner[:, 1:] == 0).all(axis=1)
    letters[absent] = 0
    return letters.view(f"U{width}").reshape(count)


def _is_absent(cells: Bytes) -> npt.NDArray[np.bool_]:
    absent = (cells[0] == _ABSENT[0]) | (cells[0] == _ABSENT[1])
    if len(cells) > 1:
        absent &= cells[1] == _SPACE
    return absent


def _check_numbers(cells: Bytes, name: str, *, whole: bool) -> npt.NDArray[np.bool_]:
    """Return which values are absent; refuse a column where one is neither that nor a number."""
    if len(cells) > (_WIDEST_INTEGER + 1 if whole else _WIDEST_REAL):
        msg = f"numbers of {len(cells)} characters in {name}"
        raise UnusualLayoutError(msg)
    absent = _is_absent(cells)
    digit = (cells - np.uint8(_ZERO)) < 10
    fits = digit | (cells == _SPACE)
    if whole:
        fits[0] |= cells[0] == _MINUS
        valid = fits.all(axis=0)
        if len(cells) > _WIDEST_INTEGER:
            valid &= np.count_nonzero(digit, axis=0) <= _WIDEST_INTEGER
    else:
        dot = cells == _DOT
        fits |= dot
        fits[0] |= cells[0] == _MINUS
        valid = fits.all(axis=0) & (np.add.reduce(dot, axis=0, dtype=np.uint8) <= 1)
    valid &= digit.any(axis=0)
    if not (valid | absent).all():
        msg = f"other than plain numbers in {name}"
        raise UnusualLayoutError(msg)
    return absent


def _as_digits(cells: Bytes) -> npt.NDArray[np.float64]:
    """Return each value as one whole number, with 0 for all that is no digit."""
    digits = cells - np.uint8(_ZERO)
    digits[digits > 9] = 0
    # Whole numbers below 2**53, so that no sum is rounded.
    return 10.0 ** np.arange(len(cells) - 1, -1, -1) @ digits.astype(np.float64)


def _whole_numbers(cells: Bytes) -> npt.NDArray[np.float64]:
    padding = np.add.reduce(cells == _SPACE, axis=0, dtype=np.uint8)
    return _as_digits(cells) / (10.0 ** np.arange(len(cells) + 1))[padding]


def _decimal_numbers(cells: Bytes) -> npt.NDArray[np.float64]:
    """Return the doubles that are nearest to decimal numbers, without their signs."""
    dot = cells == _DOT
    places = np.arange(len(cells), dtype=np.uint8)[:, np.newaxis]
    place = np.add.reduce(dot * places, axis=0, dtype=np.uint8)
    without = ~dot.any(axis=0)
    if without.any():
        # As if there were a dot after the last digit, where a space is or is put.
        cells = np.concatenate([cells, np.full((1, cells.shape[1]), _SPACE, dtype=np.uint8)])
        lengths = np.add.reduce(cells != _SPACE, axis=0, dtype=np.uint8)
        place = np.where(without, lengths, place)
    digits = _as_digits(cells)
    unit = (10.0 ** np.arange(len(cells) - 1, -1, -1))[place]
    whole = np.floor(digits / (10.0 * unit))
    # The dot took the place of a digit. All of it is whole and exact but the last division.
    return (digits - 9.0 * whole * unit) / unit


def split_rows(region: bytes, names: Sequence[str], wanted: Sequence[str]) -> SiteRows:
    """
    Return the columns of a loop.

    Parameters
    ----------
    region : bytes
        The rows, each with its line end; ASCII.
    names : sequence of str
        Of all columns, in order.
    wanted : sequence of str
        Of the columns to return, where they exist.

    Returns
    -------
    SiteRows
        The wanted columns.

    Raises
    ------
    UnusualLayoutError
        If the rows hold more than words between spaces and line ends.
    """
    text = np.frombuffer(region, dtype=np.uint8)
    kept = {name: index for index, name in enumerate(names) if name in wanted}
    if not kept or not len(text):
        msg = "a loop without rows or known columns"
        raise UnusualLayoutError(msg)
    quoted = b"'" in region or b'"' in region
    blank = text <= _SPACE
    columns = _padded_columns(text, blank, region.index(b"\n") + 1, len(names), kept)
    if quoted or columns is None:
        starts, ends = _words(blank)
        if quoted:
            _check_quotes(text, starts, ends)
        if columns is None:
            columns = _ragged_columns(text, starts, ends, len(names), kept)
    return SiteRows(columns, quoted=quoted)


def _padded_columns(
    text: Bytes, blank: npt.NDArray[np.bool_], width: int, count: int, kept: Mapping[str, int]
) -> dict[str, Bytes] | None:
    """Return columns of rows that are padded to one length; None if they are not."""
    if len(text) % width:
        return None
    rows = text.reshape(-1, width)
    low, high = rows.min(axis=0), rows.max(axis=0)
    if low[-1] != _LINE_END or high[-1] != _LINE_END or low[:-1].min(initial=_SPACE) < _SPACE:
        return None
    _refuse_other_lines(rows[:, 0], int(high.max()))
    # Columns are separated where no row has anything.
    filled = np.concatenate([[False], high > _SPACE, [False]])
    edges = np.flatnonzero(filled[1:] != filled[:-1])
    starts, stops = edges[::2], edges[1::2]
    if len(starts) != count or low[starts].min() <= _SPACE:
        return None
    # Every cell has a word at its start; so there is no other word if the number is right.
    if np.count_nonzero(blank[:-1] > blank[1:]) + 1 != len(rows) * count:
        return None
    if max(stops[index] - starts[index] for index in kept.values()) > _WIDEST_TEXT:
        return None
    return {
        name: np.ascontiguousarray(rows[:, starts[index] : stops[index]].T)
        for name, index in kept.items()
    }


def _ragged_columns(
    text: Bytes,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    count: int,
    kept: Mapping[str, int],
) -> dict[str, Bytes]:
    """Return columns of rows of any length, by their words."""
    if ((text < _SPACE) & (text != _LINE_END)).any() or len(starts) % count:
        msg = "control characters, or values that do not fill their rows"
        raise UnusualLayoutError(msg)
    line_starts = np.append(0, np.flatnonzero(text == _LINE_END)[:-1] + 1)
    _refuse_other_lines(text[line_starts], int(text.max()))
    first, last = starts.reshape(-1, count), ends.reshape(-1, count)
    columns = {}
    for name, index in kept.items():
        begin, length = first[:, index], last[:, index] - first[:, index]
        width = int(length.max())
        if width > _WIDEST_TEXT:
            msg = f"a value of {width} characters in {name}"
            raise UnusualLayoutError(msg)
        cells = np.full((width, len(begin)), _SPACE, dtype=np.uint8)
        for place in range(width):
            inside = length > place
            cells[place, inside] = text[begin[inside] + place]
        columns[name] = cells
    return columns


def _refuse_other_lines(first_bytes: Bytes, highest: int) -> None:
    if highest > _LAST_PRINTABLE or _NO_ROW[first_bytes].any():
        msg = "lines among the rows that are none"
        raise UnusualLayoutError(msg)


def _words(blank: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    if not blank[0]:
        edges = np.append(0, edges)
    return edges[::2], edges[1::2]


def _check_quotes(text: Bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
    """Refuse words that open a quote and do not close it."""
    opening = np.isin(text[starts], _QUOTES)
    opened, closed = starts[opening], ends[opening] - 1
    if (text[opened] != text[closed]).any() or (opened == closed).any():
        msg = "a quoted value with spaces"
        raise UnusualLayoutError(msg)
