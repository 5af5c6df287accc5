"""What is a column of a CIF category, whichever reader unpacked it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Rows = slice | npt.NDArray[np.bool_]
"""Some of the rows of a category; they often follow each other."""


class UnusualLayoutError(Exception):
    """The content may be valid, but only the general reader can say so."""


@dataclass(frozen=True, eq=False)
class Words:
    """
    A column of text, absent values as ``""``.

    Parameters
    ----------
    values : ndarray, shape=(value,), dtype=str
        The texts; one may be held twice, or be of no row.
    codes : ndarray, shape=(row,), dtype=int, optional
        Which of the texts each row has. By default the texts are those of the rows.
    """

    values: npt.NDArray[np.str_]
    codes: npt.NDArray[np.integer] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values if self.codes is None else self.codes)

    def array(self) -> npt.NDArray[np.str_]:
        """
        Return the text of each row.

        Returns
        -------
        ndarray, shape=(row,), dtype=str
            Do not write to it.
        """
        return self.values if self.codes is None else self.values.take(self.codes)

    def _of_rows(self, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return found if self.codes is None else found.take(self.codes)

    def equal(self, text: str) -> npt.NDArray[np.bool_]:
        """
        Return which rows have a text.

        Parameters
        ----------
        text : str
            The text.

        Returns
        -------
        ndarray, shape=(row,), dtype=bool
            True where the row has it.

        Examples
        --------
        >>> Words(np.array(["ATOM", "HETATM"]), np.array([1, 0])).equal("ATOM").tolist()
        [False, True]
        """
        return self._of_rows(self.values == text)

    def has_blanks(self) -> bool:
        """
        Return whether a row has no value.

        Returns
        -------
        bool
            True if there is such a row.
        """
        blank = self.values == ""
        return bool(blank.any()) and bool(self._of_rows(blank).any())

    def filled(self, other: "Words") -> "Words":
        """
        Return the column with its blanks taken from another.

        Parameters
        ----------
        other : Words
            As many rows.

        Returns
        -------
        Words
            A new column.
        """
        mine = self.array()
        return Words(np.where(mine == "", other.array(), mine))

    def mapped(self, function: Callable[[str], str]) -> "Words":
        """
        Return the column with each text replaced.

        Parameters
        ----------
        function : callable
            From text to text.

        Returns
        -------
        Words
            A new column.
        """
        unique, inverse = np.unique(self.values, return_inverse=True)
        found = np.array([function(text) for text in unique.tolist()], dtype=np.str_)
        return Words(found, self._of_rows(inverse))

    def ranks(self) -> npt.NDArray[np.int32]:
        """
        Return the place of each text among the sorted texts of all rows.

        Returns
        -------
        ndarray, shape=(row,), dtype=int32
            From 0.

        Examples
        --------
        >>> Words(np.array(["B", "unused", "A"]), np.array([0, 0, 2])).ranks().tolist()
        [1, 1, 0]
        """
        if self.codes is None:
            return np.unique(self.values, return_inverse=True)[1].astype(np.int32)
        used = np.zeros(len(self.values), dtype=bool)
        used[self.codes] = True
        place = np.zeros(len(self.values), dtype=np.int32)
        place[used] = np.unique(self.values[used], return_inverse=True)[1]
        return place.take(self.codes)

    def only(self, chosen: Rows) -> "Words":
        """
        Return some of the rows.

        Parameters
        ----------
        chosen : slice or ndarray, shape=(row,), dtype=bool
            Which to keep.

        Returns
        -------
        Words
            A new column.
        """
        if self.codes is None:
            return Words(self.values[chosen])
        return Words(self.values, self.codes[chosen])


class TextColumns(Protocol):
    """Columns of equal length, by name."""

    def __contains__(self, name: object, /) -> bool:
        """Return whether there is such a column."""
        ...

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
        ...


class Category(TextColumns, Protocol):
    """Columns of equal length, of which some are numbers."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

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
        """
        ...

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
        ...

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
        """
        ...


class SelectableCategory(Category, Protocol):
    """A category whose columns are built for some rows only."""

    def only(self, chosen: Rows) -> Category:
        """
        Return a category of some of the rows.

        Parameters
        ----------
        chosen : slice or ndarray, shape=(row,), dtype=bool
            Which to keep.

        Returns
        -------
        Category
            With the same columns.
        """
        ...


class LoadedCategory:
    """
    A category that biotite has read.

    Parameters
    ----------
    columns : mapping of str to CIFColumn or BinaryCIFColumn
        The category.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns

    def __contains__(self, name: object, /) -> bool:
        """Return whether there is such a column."""
        return name in self._columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self._columns.values())).as_array())

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
        return Words(self._columns[name].as_array(str, masked_value=""))

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
        """
        values = self._columns[name].as_array(str, masked_value="")
        return np.where(values == "", str(missing), values).astype(np.int32)

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
        return self._columns[name].as_array(np.int64, masked_value=1)

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
        """
        return self._columns[name].as_array(np.float32, masked_value=np.nan)


class LoadedBlock(Mapping[str, LoadedCategory]):
    """
    Categories that biotite has found, and reads when asked for.

    Parameters
    ----------
    block : mapping of str to CIFCategory or BinaryCIFCategory
        The data block.
    """

    def __init__(self, block: Mapping[str, Mapping[str, Any]]) -> None:
        self._block = block

    def __getitem__(self, name: str) -> LoadedCategory:
        """Return a category; damage in one is met only when it is asked for."""
        return LoadedCategory(self._block[name])

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a category."""
        return name in self._block

    def __iter__(self) -> Iterator[str]:
        """Return the names of all categories."""
        return iter(self._block)

    def __len__(self) -> int:
        """Return the number of categories."""
        return len(self._block)
